import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { join } from 'node:path';
import { eventually } from './eventually';
import { LaunchedProcess } from './processes';
import type { Scope } from './scope';

/** Where a FreeSWITCH with the configuration of `deploy/freeswitch` takes calls and commands. */
export interface FreeswitchAddress {
  readonly host: string;
  readonly sipPort: number;
  readonly eventSocketPort: number;
  readonly password: string;
}

/**
 * The running FreeSWITCH that `FREESWITCH=host:sipport:eventsocketport:password` names; undefined without it: it is in no
 * package registry, so most machines have none.
 */
export function namedFreeswitch(): FreeswitchAddress | undefined {
  const named = process.env.FREESWITCH;
  if (named === undefined || named === '') return undefined;
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^:]+):(\d{1,5}):(\d{1,5}):(.+)$/.exec(named);
  if (match === null) throw new Error('FREESWITCH must be host:sipport:eventsocketport:password');
  const [, host = '', sipPort, eventSocketPort, password = ''] = match;
  return {
    host: host.replace(/^\[|\]$/g, ''),
    sipPort: Number(sipPort),
    eventSocketPort: Number(eventSocketPort),
    password,
  };
}

/**
 * `describe` when FREESWITCH names one, else skipped, and why is printed. `launched`: the tests start one of their own, with the program that
 * `FREESWITCH_BIN` names, because they kill it.
 */
export function describeFreeswitch(
  title: string,
  options: { readonly launched?: boolean },
  tests: (address: FreeswitchAddress) => void,
): void {
  const address = namedFreeswitch();
  const program = process.env.FREESWITCH_BIN;
  if (address !== undefined && (options.launched !== true || program !== undefined)) {
    describe(title, () => tests(address));
    return;
  }
  const missing = address === undefined ? 'FREESWITCH=host:sipport:eventsocketport:password' : 'FREESWITCH_BIN';
  process.stdout.write(`skipped: ${title}: ${missing} is not set\n`);
  // The tests are still declared, so that they are counted.
  const nowhere = { host: '127.0.0.1', sipPort: 9, eventSocketPort: 9, password: 'none' };
  describe.skip(title, () => tests(address ?? nowhere));
}

/** One command on the event socket; resolves with its answer. */
export function freeswitchApi(at: FreeswitchAddress, command: string, cap = 3000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(at.eventSocketPort, at.host);
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    let text = '';
    let asked = false;
    socket.setTimeout(cap, () => fail(new Error('FreeSWITCH does not answer')));
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('FreeSWITCH closed the event socket')));
    socket.write(`auth ${at.password}\n\n`);
    socket.on('data', (data) => {
      text += data.toString();
      if (!asked && text.includes('Reply-Text: +OK accepted')) {
        asked = true;
        socket.write(`api ${command}\n\n`);
      }
      const answer = /Content-Type: api\/response\nContent-Length: (\d+)\n\n([\s\S]*)$/.exec(text);
      if (answer === null || Buffer.byteLength(answer[2] ?? '') < Number(answer[1])) return;
      resolve(answer[2] ?? '');
      socket.destroy();
    });
  });
}

/** Resolves with the first line of the answer to OPTIONS, empty when none comes. */
function optionsStatus(at: FreeswitchAddress): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(at.host.includes(':') ? 'udp6' : 'udp4');
    const settle = (line: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(line);
    };
    const timer = setTimeout(() => settle(''), 500);
    socket.once('message', (message) => settle(message.toString().split('\r\n')[0] ?? ''));
    socket.once('error', () => settle(''));
    socket.bind(0, at.host === '127.0.0.1' || at.host.startsWith('127.') ? '127.0.0.1' : undefined, () => {
      const { port, address } = socket.address();
      const lines = [
        `OPTIONS sip:${at.host}:${at.sipPort} SIP/2.0`,
        `Via: SIP/2.0/UDP ${address}:${port};branch=z9hG4bK${process.pid}${Date.now()};rport`,
        'Max-Forwards: 70',
        `From: <sip:probe@${address}>;tag=${process.pid}`,
        `To: <sip:${at.host}>`,
        `Call-ID: probe-${process.pid}-${Date.now()}`,
        'CSeq: 1 OPTIONS',
        `Contact: <sip:probe@${address}:${port}>`,
        'Content-Length: 0',
        '',
        '',
      ];
      socket.send(lines.join('\r\n'), at.sipPort, at.host);
    });
  });
}

/** Who is in a conference of it, by caller number: those of the cluster `test`, as it may serve others as well. */
export async function freeswitchMembers(at: FreeswitchAddress, cluster = 'test'): Promise<readonly string[]> {
  const list = JSON.parse(await freeswitchApi(at, 'conference json_list')) as {
    members: { caller_id_number: string }[];
  }[];
  const members = list.flatMap((conference) => conference.members.map((member) => member.caller_id_number));
  return members.filter((session) => session.startsWith(`${cluster}-`));
}

/**
 * A FreeSWITCH of the tests' own: `FREESWITCH_BIN ADDRESS` must run one in the foreground, with SIP port, event socket port and
 * password as in FREESWITCH, on that loopback address.
 */
export class Freeswitch {
  private process: LaunchedProcess | undefined;

  private constructor(
    private readonly scope: Scope,
    readonly at: FreeswitchAddress,
    private readonly program: string,
  ) {}

  static async start(scope: Scope, like: FreeswitchAddress, host: string): Promise<Freeswitch> {
    const freeswitch = new Freeswitch(scope, { ...like, host }, process.env.FREESWITCH_BIN ?? 'freeswitch');
    await freeswitch.start();
    return freeswitch;
  }

  async start(): Promise<void> {
    this.process = LaunchedProcess.launch(this.scope, {
      command: this.program,
      args: [this.at.host],
      log: join(this.scope.directory('freeswitch'), 'log'),
      package: 'a program that FREESWITCH_BIN names',
    });
    await this.process.ready(async () => (await freeswitchApi(this.at, 'status', 500)).includes('is ready'));
    await eventually(
      'FreeSWITCH takes calls',
      () => optionsStatus(this.at),
      (line) => line.startsWith('SIP/2.0 200'),
    );
  }

  /** As by `kill -9`. */
  async kill(): Promise<void> {
    await this.process?.kill();
  }

  get running(): boolean {
    return this.process?.running ?? false;
  }

  freeze(): void {
    this.process?.signal('SIGSTOP');
  }

  thaw(): void {
    this.process?.signal('SIGCONT');
  }
}
