import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ServerProgram } from './drachtio';
import { eventually } from './eventually';
import { descendants, isAlive, LaunchedProcess, type ProcessIdentity } from './processes';
import type { Scope } from './scope';

export interface ProgramResult {
  readonly code: number | null;
  /** Both outputs. */
  readonly output: string;
}

/** Runs `tandem ARGUMENTS` to its end, for commands that end by themselves. */
export function runProgram(args: readonly string[], cap = 20_000): Promise<ProgramResult> {
  return new Promise((done) => {
    execFile(process.execPath, [program, ...args], { timeout: cap }, (error, out, errors) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      done({ code, output: `${out}${errors}` });
    });
  });
}

/** One row of `GET /api/registrations`. */
export interface RegistrationRow {
  readonly dn: string;
  readonly device: string;
  readonly instance: string;
  readonly pid: string;
  readonly boot: number | string;
  readonly node: number;
  /** `udp:127.0.0.1:5062`. */
  readonly address: string;
  readonly local: boolean;
  /** Ms since the epoch. */
  readonly registeredAt: number;
}

/** Several of them start at a time, on machines that have other things to do. */
const READY_CAP_MS = 60_000;

export const program = resolve(__dirname, '../../dist/main.js');

export interface NodePlace {
  readonly id: number;
  readonly configFile: string;
  readonly sipPort: number;
  readonly adminPort: number;
  readonly stateDir: string;
  /** Its own; default 127.0.0.1. */
  readonly address?: string;
  /** Of its HTTP API. */
  readonly adminToken?: string;
  /** A command that becomes it, such as setpriv, or one that runs it on another host. */
  readonly wrapper?: readonly string[];
  /** A drachtio-server of its own, which goes and comes back with it. */
  readonly server?: { readonly program?: ServerProgram } | undefined;
  /** Arguments of node before the program, and its environment: for measurements. */
  readonly nodeArgs?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** One call manager as a real process, `node dist/main.js start`. */
export class NodeProcess {
  private process: LaunchedProcess | undefined;
  /** Its children at the time when it was last ended. */
  private formerChildren: ProcessIdentity[] = [];

  constructor(
    private readonly scope: Scope,
    readonly place: NodePlace,
    private readonly directory: string,
  ) {}

  get id(): number {
    return this.place.id;
  }

  get address(): string {
    return this.place.address ?? '127.0.0.1';
  }

  /** `127.0.0.1:5060`, for phones. */
  get sip(): string {
    return `${this.address}:${this.place.sipPort}`;
  }

  /** The same in parts. */
  get sipPlace(): { readonly address: string; readonly port: number } {
    return { address: this.address, port: this.place.sipPort };
  }

  get running(): boolean {
    return this.process?.running ?? false;
  }

  /** Process number of the call manager. */
  get pid(): number {
    if (this.process === undefined) throw new Error(`node ${this.id} was never started`);
    return this.process.pid;
  }

  /** Process number of its SIP server. */
  get sipServerPid(): number {
    const { program: server } = this.place.server ?? {};
    if (server !== undefined) return server.pid;
    const child = descendants(this.pid)[0];
    if (child === undefined) throw new Error(`node ${this.id} has no SIP server process`);
    return child.pid;
  }

  /** SIGKILL: whoever watches over it starts another, the node or, of a drachtio-server, the test in place of its supervisor. */
  async killSipServer(): Promise<void> {
    const { program: server } = this.place.server ?? {};
    process.kill(this.sipServerPid, 'SIGKILL');
    await server?.kill();
    await server?.start();
  }

  /** Starts it without waiting; `wrapper`: as that of its place. */
  spawn(wrapper: readonly string[] = this.place.wrapper ?? []): void {
    if (!existsSync(program)) throw new Error('dist/main.js is missing: run `npm run build` first');
    mkdirSync(this.place.stateDir, { recursive: true });
    this.place.server?.program?.launch();
    this.process = LaunchedProcess.launch(this.scope, {
      command: wrapper[0] ?? process.execPath,
      args: [
        ...(wrapper.length === 0 ? [] : [...wrapper.slice(1), process.execPath]),
        ...(this.place.nodeArgs ?? []),
        program,
        'start',
        '--config',
        this.place.configFile,
        '--node',
        String(this.id),
      ],
      log: join(this.directory, `node-${this.id}.log`),
      package: 'nodejs',
      patience: 15_000,
      ...(this.place.env === undefined ? {} : { env: this.place.env }),
    });
  }

  /** Starts it, and waits until it can take calls. */
  async start(wrapper: readonly string[] = this.place.wrapper ?? []): Promise<void> {
    this.spawn(wrapper);
    await this.ready();
  }

  async ready(): Promise<void> {
    await this.place.server?.program?.start();
    await this.process?.ready(async () => (await this.fetch('/readyz')).status === 200, READY_CAP_MS);
  }

  /** SIGTERM: it ends its calls and says goodbye. */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.formerChildren = descendants(this.pid);
    await this.process?.stop();
    await this.childrenGone();
  }

  /** SIGKILL: nothing is said to anybody. Its SIP server must go too. */
  async kill9(): Promise<void> {
    this.formerChildren = descendants(this.pid);
    await Promise.all([this.process?.kill(), this.place.server?.program?.kill()]);
    await this.childrenGone();
  }

  freeze(): void {
    this.process?.signal('SIGSTOP');
  }

  thaw(): void {
    this.process?.signal('SIGCONT');
  }

  /** As a virtual machine that stands still: its SIP server too. */
  freezeAll(): void {
    this.freeze();
    this.signalChildren('SIGSTOP');
  }

  thawAll(): void {
    this.signalChildren('SIGCONT');
    this.thaw();
  }

  /** What it has printed, over all its starts. */
  log(): string {
    return this.process?.output() ?? '';
  }

  fetch(path: string): Promise<Response> {
    return fetch(this.url(path), { headers: this.credentials, signal: AbortSignal.timeout(5000) });
  }

  /** A command of the HTTP API; resolves with status and JSON of the answer. */
  async command(
    method: 'PATCH' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<{ readonly status: number; readonly json: unknown }> {
    const headers = this.credentials;
    const response = await fetch(this.url(path), {
      method,
      signal: AbortSignal.timeout(10_000),
      ...(body === undefined
        ? { headers }
        : { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }

  /** GET of the HTTP API; throws when it is not 200. */
  async api(path: string): Promise<unknown> {
    const response = await this.fetch(path);
    if (response.status !== 200) throw new Error(`${path} on node ${this.id}: ${response.status}`);
    return response.json();
  }

  /** Its table; `dn`: one number's rows only. */
  async registrations(dn?: string): Promise<RegistrationRow[]> {
    return (await this.api(`/api/registrations${dn === undefined ? '' : `?dn=${dn}`}`)) as RegistrationRow[];
  }

  async calls(): Promise<unknown[]> {
    const calls = await this.api('/api/calls');
    if (!Array.isArray(calls)) throw new Error('/api/calls is not a list');
    return calls as unknown[];
  }

  /** Waits until its table has these numbers, sorted, once for each device. */
  async knows(numbers: readonly string[], cap = 30_000): Promise<RegistrationRow[]> {
    const wanted = [...numbers].sort().join(' ');
    return eventually(
      `node ${this.id} has the numbers ${wanted}`,
      () => this.registrations(),
      (rows) =>
        rows
          .map((row) => row.dn)
          .sort()
          .join(' ') === wanted,
      { cap, every: 50 },
    );
  }

  private url(path: string): string {
    return `http://${this.address}:${this.place.adminPort}${path}`;
  }

  private get credentials(): Record<string, string> {
    const { adminToken } = this.place;
    return adminToken === undefined ? {} : { authorization: `Bearer ${adminToken}` };
  }

  private signalChildren(signal: NodeJS.Signals): void {
    this.place.server?.program?.signal(signal);
    for (const { pid } of this.running ? descendants(this.pid) : []) process.kill(pid, signal);
  }

  async childrenGone(): Promise<void> {
    await eventually(
      `no process of node ${this.id} is left`,
      () => this.formerChildren.filter(isAlive),
      (left) => left.length === 0,
      { cap: 10_000 },
    );
  }
}
