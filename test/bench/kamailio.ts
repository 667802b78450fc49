import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/ports';
import { findCommand, LaunchedProcess } from '../support/processes';
import type { Scope } from '../support/scope';
import { SipPeer } from '../support/sip-peer';
import { password } from './load';

function configuration(port: number): string {
  return `#!KAMAILIO
debug=0
log_stderror=yes
children=2
disable_tcp=yes
listen=udp:127.0.0.1:${port}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
request_route {
  if (method != "REGISTER") { sl_send_reply("200", "OK"); exit; }
  if (!pv_www_authenticate("$td", "${password}", "0")) { www_challenge("$td", "1"); exit; }
  save("location");
}
`;
}

/** A registrar in memory, as a measure; undefined when it is not installed. */
export async function startKamailio(scope: Scope): Promise<{ pid: number; server: string } | undefined> {
  try {
    findCommand('kamailio', 'kamailio');
  } catch {
    return undefined;
  }
  const directory = scope.directory('kamailio');
  const port = await freePort();
  const file = join(directory, 'kamailio.cfg');
  writeFileSync(file, configuration(port));
  const process = LaunchedProcess.launch(scope, {
    command: 'kamailio',
    args: ['-f', file, '-DD', '-E', '-Y', directory, '-m', '128'],
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
  return { pid: process.pid, server: `127.0.0.1:${port}` };
}
