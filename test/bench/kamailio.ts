import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/ports';
import { findCommand, LaunchedProcess } from '../support/processes';
import type { Scope } from '../support/scope';
import { SipPeer } from '../support/sip-peer';
import { password } from './load';

export interface Kamailio {
  readonly pid: number;
  readonly server: string;
  readonly port: number;
}

export interface KamailioOptions {
  /** Port of a member of the cluster to be joined (dmq_usrloc). One that names itself begins a cluster. */
  readonly joins?: number;
  readonly port?: number;
  /** Takes every REGISTER as it is, for tables that are filled before something is measured. */
  readonly unauthenticated?: boolean;
  /** Shared memory, MiB. */
  readonly memory?: number;
}

/**
 * A registrar in memory. An OPTIONS is a question about it: with a user, whether that user is registered here (200 or 404);
 * without one, how many users stand here (the reason phrase of the 200).
 */
function configuration(port: number, { joins, unauthenticated }: KamailioOptions): string {
  const challenge = `if (!pv_www_authenticate("$td", "${password}", "0")) { www_challenge("$td", "1"); exit; }`;
  const clustered = joins !== undefined;
  return `#!KAMAILIO
debug=0
log_stderror=yes
children=2
disable_tcp=yes
listen=udp:127.0.0.1:${port}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "kex.so"
loadmodule "statistics.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
${clustered ? dmq(port, joins) : ''}
request_route {
  ${clustered ? 'if (method == "KDMQ") { dmq_handle_message(); exit; }' : ''}
  if (method == "OPTIONS") {
    if ($rU == $null) { sl_send_reply("200", "$stat(registered_users)"); exit; }
    if (registered("location")) { sl_send_reply("200", "OK"); exit; }
    sl_send_reply("404", "Not Found");
    exit;
  }
  if (method != "REGISTER") { sl_send_reply("200", "OK"); exit; }
  ${unauthenticated === true ? '' : challenge}
  save("location");
}
`;
}

/** Parts of a snapshot are as large as the module makes them. */
function dmq(port: number, joins: number): string {
  return `loadmodule "dmq.so"
loadmodule "dmq_usrloc.so"
modparam("dmq", "server_address", "sip:127.0.0.1:${port}")
modparam("dmq", "notification_address", "sip:127.0.0.1:${joins}")
modparam("dmq_usrloc", "enable", 1)
modparam("dmq_usrloc", "batch_msg_contacts", 150)`;
}

/** `undefined` when it is not installed. */
export async function startKamailio(scope: Scope, options: KamailioOptions = {}): Promise<Kamailio | undefined> {
  try {
    findCommand('kamailio', 'kamailio');
  } catch {
    return undefined;
  }
  const directory = scope.directory('kamailio');
  const port = options.port ?? (await freePort());
  const file = join(directory, 'kamailio.cfg');
  writeFileSync(file, configuration(port, options));
  const process = LaunchedProcess.launch(scope, {
    command: 'kamailio',
    args: ['-f', file, '-DD', '-E', '-Y', directory, '-m', String(options.memory ?? 128)],
    log: join(directory, 'log'),
    package: 'kamailio',
  });
  const peer = await SipPeer.udp(scope, '127.0.0.1', port);
  const uri = `sip:127.0.0.1:${port}`;
  await process.ready(() =>
    peer.ask({ method: 'OPTIONS', uri, from: '<sip:bench@127.0.0.1>' }, 200).then(
      () => true,
      () => false,
    ),
  );
  return { pid: process.pid, server: `127.0.0.1:${port}`, port };
}
