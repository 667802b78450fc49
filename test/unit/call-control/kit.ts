import {
  CallControl,
  type CallControlDependencies,
  type CallDetail,
  type CallDetailRecord,
} from '../../../src/call-control';
import type { DeviceProcess, DeviceProfile, IncomingCall, OutgoingCall } from '../../../src/device/device-process';
import { formatWord, parseWord } from '../../../src/device/node-context';
import type { Analysis, Target } from '../../../src/digit-analysis/analysis';
import type {
  Allocation,
  AllocationResult,
  ConnectRequest,
  LossReason,
  MediaResourceManager,
  OfferRequest,
  ResourceNeed,
  ResourceReply,
  Side,
} from '../../../src/media-resource/ports';
import { SimulatedClock } from '../../../src/process/clock';
import { audioCodecs } from '../../../src/sdp';
import { PidAllocator, type Pid } from '../../../src/process/pid';
import type { NotMine } from '../../../src/sip/node-signature';
import type { HeaderReader, Session, SessionSignal } from '../../../src/sip/user-agent';

export const NODE_ADDRESS = '192.0.2.1';
/** The incarnation of every node. */
export const BOOT = 1_700_000_000_000;

export interface SdpOptions {
  readonly port?: number;
  readonly address?: string;
  readonly direction?: string;
  readonly version?: number;
  readonly codecs?: readonly number[];
  readonly video?: boolean;
  readonly protocol?: string;
}

/** A description as a phone would write it; `who` decides address and session id. */
export function sdp(who: string, options: SdpOptions = {}): string {
  const host = { alice: '10.0.0.1', bob: '10.0.0.2', carol: '10.0.0.3', music: '10.0.9.9' }[who] ?? '10.0.0.9';
  const codecs = options.codecs ?? [0, 8];
  return [
    'v=0',
    `o=${who} 1 ${options.version ?? 1} IN IP4 ${host}`,
    's=-',
    `c=IN IP4 ${options.address ?? host}`,
    't=0 0',
    `m=audio ${options.port ?? 4000} ${options.protocol ?? 'RTP/AVP'} ${codecs.join(' ')}`,
    ...(options.direction === undefined ? [] : [`a=${options.direction}`]),
    ...(options.video === true ? ['m=video 5000 RTP/AVP 96', 'a=rtpmap:96 H264/90000'] : []),
    '',
  ].join('\r\n');
}

export function headers(values: Readonly<Record<string, string>> = {}): HeaderReader {
  const lower = new Map(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]));
  return (name) => lower.get(name.toLowerCase());
}

type CommandName = Exclude<keyof Session, 'id' | 'callId' | 'dialog' | 'listen'>;

export interface Command {
  readonly name: CommandName;
  readonly id?: string;
  readonly status?: number;
  readonly sdp?: string;
  readonly reason?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly body?: string;
}

let sessions = 0;

/** A session whose peer is the test: it keeps what is asked of it, and says what the test tells it to say. */
export class FakeSession implements Session {
  readonly id: string;
  readonly callId: string;
  /** From the first message that makes one; a test may give it other tags. */
  dialog: Session['dialog'];
  readonly commands: Command[] = [];
  private listener: ((signal: SessionSignal) => void) | undefined;
  private kept: SessionSignal[] = [];
  private requests = 0;
  /** Ended by either side. */
  over = false;
  /** It has answered our INVITE. */
  answered = false;

  constructor(readonly who: string) {
    sessions += 1;
    this.id = `s${sessions}`;
    this.callId = `call-${sessions}@test`;
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.listener = listener;
    const { kept } = this;
    this.kept = [];
    for (const signal of kept) listener(signal);
  }

  private makeDialog(): void {
    this.dialog ??= { callId: this.callId, localTag: `${this.id}-near`, remoteTag: `${this.id}-far` };
  }

  emit(signal: SessionSignal): void {
    if (signal.type === 'answered' || signal.type === 'provisional') this.makeDialog();
    if (signal.type === 'ended' || signal.type === 'rejected' || signal.type === 'cancelled') this.over = true;
    if (this.listener === undefined) this.kept.push(signal);
    else this.listener(signal);
  }

  private note(name: CommandName, rest: Omit<Partial<Command>, 'name'>): void {
    this.commands.push({ name, headers: {}, ...rest });
  }

  progress(status: number, options: Parameters<Session['progress']>[1] = {}): void {
    if (status > 100) this.makeDialog();
    this.note('progress', { status, ...options });
  }
  answer(options: Parameters<Session['answer']>[0]): void {
    this.makeDialog();
    this.note('answer', { ...options });
  }
  reject(status: number, options: Parameters<Session['reject']>[1] = {}): void {
    this.over = true;
    this.note('reject', { status, ...options });
  }
  cancel(reason?: string): void {
    this.over = true;
    this.note('cancel', { reason });
  }
  acknowledge(description: string): void {
    this.note('acknowledge', { sdp: description });
  }
  reinvite(id: string, options: Parameters<Session['reinvite']>[1]): void {
    this.note('reinvite', { id, ...options });
  }
  request(id: string, options: Parameters<Session['request']>[1]): void {
    this.note('request', { id, ...options });
  }
  respond(id: string, status: number, options: Parameters<Session['respond']>[2] = {}): void {
    this.note('respond', { id, status, ...options });
  }
  bye(options: Parameters<Session['bye']>[0] = {}): void {
    this.over = true;
    this.note('bye', { ...options });
  }

  all(name: CommandName): Command[] {
    return this.commands.filter((command) => command.name === name);
  }

  last(name: CommandName): Command {
    const command = this.all(name).at(-1);
    if (command === undefined) throw new Error(`${this.who}: no ${name} in ${JSON.stringify(this.commands)}`);
    return command;
  }

  /** Our re-INVITE that this phone has not answered yet. */
  get offered(): Command | undefined {
    return this.all('reinvite').find((command) => !this.answeredIds.has(command.id ?? ''));
  }
  private readonly answeredIds = new Set<string>();
  /** Our last re-INVITE that this phone has accepted. */
  agreed: Command | undefined;

  // What the peer does.
  rings(status = 180, description?: string): void {
    this.emit({ type: 'provisional', status, reason: '', sdp: description, header: headers() });
  }
  answers(description: string | undefined, values: Readonly<Record<string, string>> = {}): void {
    this.answered = true;
    this.emit({ type: 'answered', sdp: description, header: headers(values) });
  }
  rejects(status: number, values: Readonly<Record<string, string>> = {}, reason = ''): void {
    this.emit({ type: 'rejected', status, reason, header: headers(values) });
  }
  acks(description?: string): void {
    this.emit({ type: 'acknowledged', sdp: description });
  }
  hangsUp(reason?: string): void {
    this.emit({ type: 'ended', by: 'peer', reason });
  }
  /** A re-INVITE of the peer; returns its id. */
  reinvites(description?: string, values: Readonly<Record<string, string>> = {}): string {
    this.requests += 1;
    const id = `${this.id}/r${this.requests}`;
    this.emit({ type: 'reinvited', id, sdp: description, header: headers(values) });
    return id;
  }
  requestsThat(method: string, body = '', contentType?: string, values: Readonly<Record<string, string>> = {}): string {
    this.requests += 1;
    const id = `${this.id}/r${this.requests}`;
    this.emit({ type: 'requested', id, method, body, contentType, header: headers(values) });
    return id;
  }
  answersReinvite(description: string | undefined, values: Readonly<Record<string, string>> = {}): void {
    const command = this.offered;
    if (command?.id === undefined) throw new Error(`${this.who}: no re-INVITE to answer`);
    this.answeredIds.add(command.id);
    this.agreed = command;
    this.emit({ type: 'reinvite-answered', id: command.id, sdp: description, header: headers(values) });
  }
  rejectsReinvite(status: number, values: Readonly<Record<string, string>> = {}): void {
    const command = this.offered;
    if (command?.id === undefined) throw new Error(`${this.who}: no re-INVITE to reject`);
    this.answeredIds.add(command.id);
    this.emit({ type: 'reinvite-rejected', id: command.id, status, reason: 'No', header: headers(values) });
  }
  responseTo(id: string): Command | undefined {
    return this.all('respond').find((command) => command.id === id);
  }
  /** Sends a re-INVITE and, when it was accepted at once, the ACK for it. */
  reinvitesAndAcks(description?: string): Command | undefined {
    const response = this.responseTo(this.reinvites(description));
    if (response?.status === 200) this.acks();
    return response;
  }
}

/** A device process whose phone is the test. */
export class FakeDevice implements DeviceProcess {
  takesSips = false;
  readonly calls: { readonly call: OutgoingCall; readonly session: FakeSession }[] = [];

  constructor(
    readonly profile: DeviceProfile,
    readonly pid: Pid | undefined,
    readonly boot = 7,
  ) {}

  call(call: OutgoingCall): Session {
    const session = new FakeSession(this.profile.name);
    this.calls.push({ call, session });
    return session;
  }

  get session(): FakeSession {
    return this.calls.at(-1)!.session;
  }

  get asked(): OutgoingCall {
    return this.calls.at(-1)!.call;
  }
}

export function profile(name: string, kind: DeviceProfile['kind'] = 'station'): DeviceProfile {
  const site = kind === 'node' ? undefined : 'dallas';
  return { name, kind, site, mediaResourceGroupList: undefined, userClass: 'staff', codecs: undefined };
}

const PAYLOADS: ReadonlyMap<string, number> = new Map([
  ['PCMU', 0],
  ['PCMA', 8],
  ['G722', 9],
  ['G729', 18],
]);

/** What the fake resource writes for one side; where it is heard there is the last number of its address. */
export function relayed(to: Side, options: SdpOptions = {}): string {
  return sdp('relay', { address: to === 'a' ? '10.0.8.1' : '10.0.8.2', port: 7000, ...options });
}

/** Music is offered in the codecs of the device that is to hear it. */
function spokenBy(peer: string | undefined): readonly number[] {
  const spoken = peer === undefined ? [] : audioCodecs(peer).map(({ payload }) => payload);
  return [...PAYLOADS.values()].filter((payload) => spoken.length === 0 || spoken.includes(payload));
}

export class FakeAllocation implements Allocation {
  readonly pid = '1.mp.1';
  readonly boot = 7;
  released = 0;
  readonly answers: string[] = [];
  readonly peers: (string | undefined)[] = [];
  lost: (reason?: LossReason) => void = () => undefined;
  failing: 'offer' | 'connect' | undefined;

  constructor(
    readonly id: string,
    readonly device: string,
    readonly need: ResourceNeed,
    /** Of its media. */
    readonly port = 7000,
  ) {}

  /** What each side has described last. */
  readonly described = new Map<Side, string>();

  readonly relays: NonNullable<OfferRequest['relay']>[] = [];
  readonly connects: ConnectRequest[] = [];
  /** The side whose answer makes one for the other. */
  private answering: { readonly side: Side; readonly offer: string | undefined } | undefined;

  private relay(relay: NonNullable<OfferRequest['relay']>): ResourceReply {
    this.relays.push(relay);
    if (this.failing === 'offer') return { ok: false, reason: 'down' };
    this.answering = { side: relay.to, offer: relay.sdp };
    if (relay.sdp !== undefined) this.described.set(relay.to === 'a' ? 'b' : 'a', relay.sdp);
    const named = relay.terms.codecs?.flatMap((name) => PAYLOADS.get(name) ?? []);
    const codecs = named ?? (relay.sdp === undefined ? [0, 8] : audioCodecs(relay.sdp).map(({ payload }) => payload));
    const profiles = { none: 'RTP/AVP', sdes: 'RTP/SAVP', dtls: 'UDP/TLS/RTP/SAVPF' };
    const { security } = relay.terms;
    const protocol = security === undefined ? {} : { protocol: profiles[security] };
    return { ok: true, sdp: relayed(relay.to, { codecs, port: this.port, ...protocol }) };
  }

  private join(from: Side, answer: string): ResourceReply {
    const { answering } = this;
    if (answering?.side !== from) return { ok: false, reason: 'bad-request', detail: `nothing was offered to ${from}` };
    this.described.set(from, answer);
    // What a second answer to the same offer would do is anybody's guess.
    this.answering = undefined;
    if (answering.offer === undefined) return { ok: true };
    const codecs = audioCodecs(answering.offer).map(({ payload }) => payload);
    const to = from === 'a' ? 'b' : 'a';
    return { ok: true, sdp: relayed(to, { codecs: codecs.slice(0, 1), port: this.port }) };
  }

  async offer({ peer, relay }: OfferRequest): Promise<ResourceReply> {
    if (relay !== undefined) return this.relay(relay);
    this.peers.push(peer);
    if (this.failing === 'offer') return { ok: false, reason: 'down' };
    return {
      ok: true,
      sdp: sdp('music', { direction: 'sendonly', version: this.peers.length, codecs: spokenBy(peer), port: this.port }),
    };
  }
  async connect(request: ConnectRequest): Promise<ResourceReply> {
    const { answer, from } = request;
    this.connects.push(request);
    this.answers.push(answer);
    if (from !== undefined && this.failing !== 'connect') return this.join(from, answer);
    return this.failing === 'connect' ? { ok: false, reason: 'error' } : { ok: true };
  }
  async accept(): Promise<ResourceReply> {
    return { ok: false, reason: 'unsupported' };
  }
  async control(): Promise<ResourceReply> {
    return { ok: false, reason: 'unsupported' };
  }
  onLost(listener: (reason: LossReason) => void): void {
    this.lost = (reason = 'down') => listener(reason);
  }
  async release(): Promise<void> {
    this.released += 1;
  }
}

export class FakeResources implements MediaResourceManager {
  readonly needs: { readonly need: ResourceNeed; readonly why: string }[] = [];
  readonly granted: FakeAllocation[] = [];

  /** `firstPort`: of their media, so that those of two nodes differ. */
  constructor(private readonly firstPort = 7000) {}

  /** Servers that are left; 0: nobody grants. */
  servers = 10;
  /** Types that nobody has, and devices whose lists lead nowhere. */
  readonly none = new Set<string>();
  readonly unhelpful = new Set<string>();
  /** Number of the transcoder or media termination point that grants. */
  joining = 1;
  /** When set, answers wait until `answer` is called. */
  slow = false;
  private waiting: (() => void)[] = [];

  async allocate({ call: _call, ...need }: ResourceNeed, why: string): Promise<AllocationResult> {
    this.needs.push({ need, why });
    if (this.slow) await new Promise<void>((resolve) => this.waiting.push(resolve));
    const explanation = { type: need.type, why, device: need.device, list: undefined, listFrom: 'none' as const };
    const rest = { trials: [], at: 0, ms: 0 };
    const name = need.type === 'moh' ? 'moh-dallas' : `${need.type}-${this.joining}`;
    const full = this.servers === 0 || this.none.has(need.type) || this.unhelpful.has(need.device);
    if (full || (need.type !== 'moh' && need.exclude?.includes(name) === true)) {
      const trial = { group: 'default', device: name, pid: undefined, node: undefined, ms: 0 } as const;
      const trials = [{ ...trial, outcome: full ? ('unavailable' as const) : ('skipped' as const) }];
      return { allocation: undefined, explanation: { ...explanation, ...rest, trials, winner: undefined } };
    }
    this.servers -= 1;
    const allocation = new FakeAllocation(
      `a${this.granted.length + 1}`,
      name,
      need,
      this.firstPort + 10 * this.granted.length,
    );
    this.granted.push(allocation);
    return { allocation, explanation: { ...explanation, ...rest, winner: allocation.device } };
  }

  talkers(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  answer(): void {
    this.slow = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  get open(): number {
    return this.granted.filter((allocation) => allocation.released === 0).length;
  }
}

/** Lets every promise that is due resolve. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export interface CallOptions {
  /** Name of the caller's session. */
  readonly who?: string;
  readonly from?: DeviceProfile;
  readonly caller?: IncomingCall['caller'];
  readonly dialled?: string;
  readonly sdp?: string | null;
  readonly target?: DeviceProcess;
  readonly pid?: Pid;
  readonly headers?: Readonly<Record<string, string>>;
  readonly maxForwards?: number;
  readonly secure?: IncomingCall['secure'];
  readonly context?: IncomingCall['context'];
  readonly replaces?: IncomingCall['replaces'];
  /** What a node without PID is refused with. */
  readonly notMine?: Readonly<Record<string, string>>;
}

/** A node with everything around call control played by the test. */
export class World {
  readonly clock = new SimulatedClock();
  readonly resources: FakeResources;
  readonly devices = new Map<string, FakeDevice>();
  readonly routes = new Map<string, Analysis>();
  readonly records: CallDetailRecord[] = [];
  readonly refuted: { node: number; pid: Pid | undefined; boot: number }[] = [];
  readonly analysed: { dialled: string; localOnly: boolean; numbersOnly?: boolean; from: string }[] = [];
  readonly warnings: string[] = [];
  readonly musicAskedFor: string[] = [];
  readonly sessions: FakeSession[] = [];
  /** What a signed "not mine" says. */
  notMine: NotMine = { pid: '2.dp.1', boot: 7 };
  random = 0.5;
  readonly control: CallControl;

  constructor(options: Partial<CallControlDependencies> = {}, firstPort = 7000) {
    this.resources = new FakeResources(firstPort);
    this.control = new CallControl({
      digitAnalysis: {
        analyse: (dialled, about) => {
          this.analysed.push({ dialled, ...about });
          return this.routes.get(dialled) ?? { type: 'unknown' };
        },
      },
      router: {
        resolve: ({ pid, node }) => this.devices.get(pid ?? `node-${node}`),
        seal: (to, callId, word) => `${to} ${callId} ${formatWord(word)}`,
        open: (_node, _callId, text) => {
          const word = text === undefined ? undefined : parseWord(text.split(' ').at(-1) ?? '');
          return word === undefined || 'unreadable' in word ? undefined : word;
        },
        readNotMine: (_node, _callId, header) => (header('x-not-mine') === 'signed' ? this.notMine : undefined),
      },
      resources: this.resources,
      clock: this.clock,
      pids: new PidAllocator(1),
      boot: BOOT,
      log: {
        info: () => undefined,
        record: () => undefined,
        warn: (fields, message) => void this.warnings.push(`${message} ${String(fields.error)}`),
      },
      onRecord: (record) => void this.records.push(record),
      mediaAddress: { 4: NODE_ADDRESS, 6: '2001:db8::1' },
      onStaleEntry: (node, pid, boot) => void this.refuted.push({ node, pid, boot }),
      musicSourceOf: ({ device, number }) => {
        this.musicAskedFor.push(`${device}/${number}`);
        return `music-of-${device}`;
      },
      random: () => this.random,
      ...options,
    });
  }

  /** A device of this node (or, with `node`, the device of another node) that can be a target. */
  device(name: string, pid: Pid, kind: DeviceProfile['kind'] = 'station'): FakeDevice {
    const device = new FakeDevice(profile(name, kind), pid);
    this.devices.set(pid, device);
    return device;
  }

  route(dialled: string, ...branches: readonly (readonly Target[])[]): void {
    this.routes.set(dialled, { type: 'targets', branches, matched: dialled });
  }

  call(options: CallOptions = {}): FakeSession {
    const session = new FakeSession(options.who ?? 'caller');
    this.sessions.push(session);
    const call: IncomingCall = {
      session,
      from: options.from ?? profile('SEP-alice'),
      pid: options.pid ?? '1.dp.1',
      caller: options.caller ?? { number: '1000', displayName: 'Alice' },
      dialled: options.dialled ?? '2000',
      sdp: options.sdp === null ? undefined : (options.sdp ?? sdp('alice')),
      maxForwards: options.maxForwards ?? 70,
      target: options.target,
      ...(options.secure === undefined ? {} : { secure: options.secure }),
      ...(options.context === undefined ? {} : { context: options.context }),
      ...(options.replaces === undefined ? {} : { replaces: options.replaces }),
      ...(options.notMine === undefined ? {} : { notMine: () => options.notMine ?? {} }),
      header: headers(options.headers),
    };
    this.control.incoming(call);
    return session;
  }

  get detail(): CallDetail {
    return this.control.call(this.control.calls()[0]!.id)!;
  }

  /** After a test: nothing is left, whatever was done. */
  async close(): Promise<void> {
    this.control.endAll('The test is over');
    await settled();
    const sessions = [
      ...this.sessions,
      ...[...this.devices.values()].flatMap((device) => device.calls.map((call) => call.session)),
    ];
    expect(sessions.filter((session) => !session.over).map((session) => session.who)).toEqual([]);
    expect(this.control.calls()).toEqual([]);
    expect(this.clock.pending).toBe(0);
    expect(this.resources.granted.map((allocation) => allocation.released)).toEqual(
      this.resources.granted.map(() => 1),
    );
    expect(this.warnings).toEqual([]);
  }
}

export function target(pid: Pid, device: string, options: Partial<Target> = {}): Target {
  const node = Number(pid.split('.')[0]);
  return { pid, boot: 7, node, local: node === 1, device, kind: 'station', digits: '2000', ...options };
}

export interface TwoParties {
  readonly world: World;
  readonly a: FakeSession;
  readonly b: FakeSession;
}

/** Alice (1000) has called Bob (2000), both phones of this node unless told otherwise, and they talk. */
export function talking(
  options: {
    readonly callee?: DeviceProfile['kind'];
    readonly caller?: DeviceProfile['kind'];
    readonly alice?: string;
    readonly bob?: string;
    readonly answer?: Readonly<Record<string, string>>;
    readonly headers?: Readonly<Record<string, string>>;
    readonly world?: World;
  } = {},
): TwoParties {
  const world = options.world ?? new World();
  const callee = options.callee ?? 'station';
  const pid: Pid = callee === 'node' ? '2.dp.1' : '1.dp.2';
  const bob = world.device(callee === 'node' ? 'node-2' : 'SEP-bob', pid, callee);
  world.route('2000', [target(pid, 'SEP-bob')]);
  const from = options.caller === 'node' ? profile('node-2', 'node') : profile('SEP-alice');
  const a = world.call({ from, sdp: options.alice, headers: options.headers });
  bob.session.rings();
  bob.session.answers(options.bob ?? sdp('bob'), options.answer ?? { 'Session-Expires': '1800;refresher=uac' });
  a.acks();
  return { world, a, b: bob.session };
}
