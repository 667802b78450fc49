import { featureCodesOf } from '../../../src/config/feature-codes';
import type { GatewayConfig, TandemConfig } from '../../../src/config/types';
import { type DigestClient, FIRST_ATTEMPT } from '../../../src/sip/digest-client';
import { Devices } from '../../../src/device/devices';
import type { IncomingCall } from '../../../src/device/device-process';
import type { HostLocator } from '../../../src/device/gateway-addresses';
import type { NodeContext } from '../../../src/device/node-context';
import type { Party } from '../../../src/device/party';
import type { Flows, NodeEntry } from '../../../src/device/ports';
import { SimulatedClock } from '../../../src/process/clock';
import { compareStamps, HybridClock } from '../../../src/process/hlc';
import { Lines } from '../../../src/line/lines';
import { PidAllocator } from '../../../src/process/pid';
import { CompositeSet, type RegistrationChange } from '../../../src/registration/composite-set';
import type { RegistrationJournal } from '../../../src/registration/journal';
import type {
  FinalResponse,
  Headers,
  OutgoingInvite,
  OutgoingRequest,
  ResponseOptions,
  Session,
  SipSource,
  UserAgent,
} from '../../../src/sip/user-agent';
import { silentLogger, type Logger } from '../../../src/telemetry/logger';
import { createMetrics } from '../../../src/telemetry/metrics';
import {
  credentialsFor,
  deviceConfig,
  headerReader,
  PHONE,
  receivedRequest,
  type RequestOptions,
} from '../sip/support';

export const DOMAIN = 'acme.example';

/** One answer, as it was sent. */
export interface Answer {
  readonly status: number;
  readonly reason?: string;
  readonly headers?: Headers;
}

/** A session that writes down what it is told. */
export class FakeSession implements Session {
  readonly id = 'session';
  readonly dialog = undefined;
  readonly told: Answer[] = [];

  constructor(readonly callId = 'call') {}

  listen = (): void => undefined;
  progress = (status: number): void => void this.told.push({ status });
  answer = (): void => void this.told.push({ status: 200 });
  reject = (status: number, options: ResponseOptions = {}): void => void this.told.push({ status, ...options });
  cancel = (): void => undefined;
  acknowledge = (): void => undefined;
  reinvite = (): void => undefined;
  request = (): void => undefined;
  respond = (): void => undefined;
  bye = (): void => undefined;
}

/** A user agent in memory. */
export class FakeUserAgent implements UserAgent {
  readonly invites: OutgoingInvite[] = [];
  readonly requests: OutgoingRequest[] = [];
  /** Status that a request is answered with. */
  answerTo: (request: OutgoingRequest) => number = () => 200;

  start = (): ReturnType<UserAgent['start']> => Promise.resolve([]);
  stop = (): void => undefined;

  invite = (invite: OutgoingInvite): Session => {
    this.invites.push(invite);
    return new FakeSession();
  };

  request = (request: OutgoingRequest): Promise<FinalResponse> => {
    this.requests.push(request);
    return Promise.resolve({ status: this.answerTo(request), reason: '', header: () => undefined, body: '' });
  };
}

const alice = { ...deviceConfig('SEP-alice', 'alice', ['1000', '1001']), displayName: 'Alice' };
const bob = deviceConfig('SEP-bob', 'bob', ['2000']);

/** Who calls, and the context of her call when it goes to another node. */
export const ALICE: Party = { number: '1000', displayName: 'Alice', device: 'SEP-alice', site: 'dallas' };

export function contextOf(party: Party): NodeContext {
  const process = { pid: '1.cp.7', boot: 100 } as const;
  const half = { version: 1, process, party, resources: [] };
  return { call: '1.cp.7-100', why: 'call', forwardedFrom: [], passed: [1], half };
}

export const GATEWAY: GatewayConfig = {
  name: 'gw-dallas',
  uri: 'sip:10.9.9.9:5090',
  site: 'dallas',
  nodes: [1, 2],
  username: 'trunk',
  password: 'trunk-password',
  mediaResourceGroupList: undefined,
  userClass: undefined,
  codecs: undefined,
};

export function config(changed: Partial<TandemConfig> = {}): TandemConfig {
  const node = (id: number): TandemConfig['nodes'][number] => ({
    id,
    name: `node-${id}`,
    site: id === 1 ? 'dallas' : 'san-jose',
    listen: [{ protocol: 'udp', address: `10.0.0.${id}`, port: 5060 }],
    drachtio: 'embedded',
    admin: undefined,
    tls: undefined,
    address: undefined,
    capacity: undefined,
    forceRport: false,
    drainSeconds: 5,
    stateDir: '/nowhere',
  });
  return {
    cluster: {
      name: 'acme',
      domain: DOMAIN,
      secret: 'cluster-secret',
      redis: undefined,
      adminToken: undefined,
      signalling: 'direct',
      surviveSeconds: 300,
    },
    registrar: {
      minExpires: 30,
      defaultExpires: 120,
      maxExpires: 3600,
      pollSeconds: 30,
      pollMisses: 3,
      pollsPerSecond: 100,
      turnAway: 'refuse',
    },
    sourceLimits: { requestsPerSecond: 5000, ban: [] },
    nodes: [node(1), node(2)],
    sites: { dallas: { mediaResourceGroupList: 'dallas', codecs: ['PCMU'], musicSource: undefined, nodes: [] } },
    devices: [alice, bob],
    autoRegistration: undefined,
    featureCodes: featureCodesOf({}),
    park: undefined,
    gateways: [GATEWAY],
    routes: [],
    mediaResources: [],
    mediaResourceGroups: [],
    mediaResourceGroupLists: [],
    numbers: [],
    musicSources: [],
    conferences: [],
    codecPolicies: [],
    ...changed,
  };
}

export interface NodeOptions {
  readonly node?: number;
  readonly boot?: number;
  readonly config?: TandemConfig;
  readonly clock?: SimulatedClock;
  readonly journal?: RegistrationJournal;
  readonly composite?: CompositeSet;
  readonly locate?: HostLocator;
  readonly flows?: Flows;
  readonly log?: Logger;
  readonly onCall?: (call: IncomingCall) => void;
  readonly userAgent?: FakeUserAgent;
}

export interface RegisterOptions {
  readonly username?: string;
  readonly contact?: string;
  readonly expires?: string;
  readonly source?: SipSource;
  readonly callId?: string;
  readonly headers?: Headers;
}

function only(answers: readonly Answer[]): Answer {
  expect(answers).toHaveLength(1);
  return answers[0]!;
}

/** The room of one node, with everything around it in memory. */
export class TestNode {
  readonly clock: SimulatedClock;
  readonly composite: CompositeSet;
  readonly userAgent: FakeUserAgent;
  readonly changes: RegistrationChange[] = [];
  /** Call-IDs of the calls that came from peers of the configuration. */
  readonly trusted: string[] = [];
  readonly calls: IncomingCall[] = [];
  readonly peers = new Map<number, NodeEntry>();
  /** Nodes whose clocks are too far ahead. */
  readonly disbelieves = new Set<number>();
  private readonly stamps: HybridClock;
  readonly metrics = createMetrics({ process: false });
  readonly devices: Devices;
  readonly node: number;

  constructor(options: NodeOptions = {}) {
    this.node = options.node ?? 1;
    this.clock = options.clock ?? new SimulatedClock();
    this.composite = options.composite ?? new CompositeSet();
    this.userAgent = options.userAgent ?? new FakeUserAgent();
    this.stamps = new HybridClock(this.node, () => this.clock.now());
    this.composite.onChange((change) => this.changes.push(change));
    this.composite.onChange((change) => this.giveUpWhatHasMoved(change));
    this.devices = new Devices({
      config: options.config ?? config(),
      lines: new Lines(options.config ?? config()),
      node: this.node,
      boot: options.boot ?? 100 * this.node,
      userAgent: this.userAgent,
      clock: this.clock,
      composite: this.composite,
      nodes: { find: (node) => this.peers.get(node) },
      journal: options.journal,
      pids: new PidAllocator(this.node),
      stamps: this.stamps,
      log: options.log ?? silentLogger,
      metrics: this.metrics,
      onCall: options.onCall ?? ((call) => void this.calls.push(call)),
      random: () => 0,
      locate: options.locate,
      flows: options.flows,
    });
  }

  /** What the cluster does when it hears of a newer entry, or has heard of one that it believes. */
  private giveUpWhatHasMoved({ type, owner: from, record: { key, stamp } }: RegistrationChange): void {
    if (!this.disbelieves.has(from)) this.stamps.merge(stamp);
    const mine = this.composite.get(this.node, key);
    if (type !== 'put' || mine === undefined) return;
    const isNewer = (owner: number): boolean =>
      !this.disbelieves.has(owner) &&
      compareStamps(this.composite.get(owner, key)?.stamp ?? mine.stamp, mine.stamp) > 0;
    if (this.composite.holders(key, this.node).some(isNewer)) this.composite.delete(this.node, key, 'moved');
  }

  start(): this {
    this.devices.start([{ protocol: 'udp', address: `10.0.0.${this.node}`, port: 5060 }]);
    return this;
  }

  /** A request that is no INVITE; the answer. */
  send(options: RequestOptions): Answer {
    return only(this.ask(options));
  }

  private ask(options: RequestOptions): Answer[] {
    const answers: Answer[] = [];
    this.devices.requested({
      request: receivedRequest(options),
      respond: (status, answer = {}) => void answers.push({ status, ...answer }),
    });
    return answers;
  }

  invite(options: RequestOptions): FakeSession {
    const session = new FakeSession(options.callId);
    this.devices.invited({
      request: receivedRequest({ method: 'INVITE', ...options }),
      session,
      trustRoute: () => void this.trusted.push(session.callId),
    });
    return session;
  }

  /** The credentials with which a station sends a request. */
  credentials(method: string, uri: string, username = 'alice', source: SipSource = PHONE): Record<string, string> {
    const challenge = method === 'INVITE' ? this.invite({ uri, source }).told[0]! : this.send({ method, uri, source });
    const header = challenge.headers?.['WWW-Authenticate'] ?? challenge.headers?.['Proxy-Authenticate'] ?? '';
    const text = credentialsFor(header, { username, password: `${username}-password`, method, uri });
    return { [method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization']: text };
  }

  private cseq = 0;

  register(options: RegisterOptions = {}): Answer {
    return this.send(this.registration(options));
  }

  /** As `register`, at a node whose SIP server is asked first whether the connection is there. */
  async registerOver(flow: string, options: RegisterOptions = {}): Promise<Answer> {
    const [, address = '', port = ''] = /^sip:([^:]+):(\d+);/.exec(flow) ?? [];
    const source: SipSource = { protocol: 'tcp', address, port: Number(port), flow };
    const answers = this.ask(this.registration({ source, ...options }));
    await settle();
    return only(answers);
  }

  private registration(options: RegisterOptions): RequestOptions {
    const { username = 'alice', source = PHONE, expires } = options;
    const uri = `sip:${DOMAIN}`;
    this.cseq += 1;
    return {
      method: 'REGISTER',
      uri,
      callId: options.callId ?? `register-${username}`,
      source,
      headers: {
        ...this.credentials('REGISTER', uri, username, source),
        From: `<sip:${username}@${DOMAIN}>;tag=1`,
        To: `<sip:${username}@${DOMAIN}>`,
        CSeq: `${this.cseq} REGISTER`,
        ...options.headers,
        Contact: options.contact ?? `<sip:${username}@${source.address}:${source.port}>`,
        ...(expires === undefined ? {} : { Expires: expires }),
      },
    };
  }

  call(dialled: string, options: RequestOptions & { username?: string; from?: string } = {}): FakeSession {
    const uri = options.uri ?? `sip:${dialled}@${DOMAIN}`;
    const { username = 'alice', from = `<sip:${username}@${DOMAIN}>;tag=1` } = options;
    return this.invite({
      body: DESCRIPTION,
      contentType: 'application/sdp',
      ...options,
      uri,
      headers: { ...this.credentials('INVITE', uri, username, options.source), From: from, ...options.headers },
    });
  }

  /** Our records, as other nodes are told. */
  records(): { pid: string; device: string; contact: string }[] {
    return [...this.composite.of(this.node)].map(({ pid, device, contact }) => ({ pid, device, contact }));
  }
}

/** Lets promises that are settled already be handled. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

/** Delivers to `to` the INVITE that `from` has sent last, as the SIP servers between them would. */
export function carry(from: TestNode, to: TestNode, callId = 'between'): FakeSession {
  const sent = from.userAgent.invites.at(-1)!;
  return to.invite({
    uri: sent.uri,
    callId,
    source: { protocol: 'tcp', address: `10.0.0.${from.node}`, port: 40_000 },
    headers: { ...sent.headers, ...sent.sign?.(callId) },
    body: sent.sdp ?? '',
    contentType: sent.sdp === undefined ? undefined : 'application/sdp',
  });
}

export { headerReader, PHONE };

/** How a digest client answers a challenge; undefined: not at all. */
export function answerOf(digest: DigestClient | undefined): string | undefined {
  const challenge = { 'WWW-Authenticate': 'Digest realm="carrier", nonce="n"' };
  const attempts = digest?.challenged(FIRST_ATTEMPT, headerReader(challenge));
  if (digest === undefined || attempts === undefined) return undefined;
  return digest.authorize(attempts, { method: 'INVITE', uri: 'sip:1@carrier', body: '' }).headers[0]?.[1];
}

export const DESCRIPTION =
  'v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
