import type { MediaResourceConfig } from '../../../src/config/types';
import { AUDIT_MS, PING_MS } from '../../../src/media-resource/engine-supervisor';
import { LEASE_MS } from '../../../src/media-resource/lease-table';
import type { ResourceRequest } from '../../../src/media-resource/ports';
import { createResourceProcesses, type ResourceProcesses } from '../../../src/media-resource/resource-processes';
import { SimulatedClock } from '../../../src/process/clock';
import { PidAllocator } from '../../../src/process/pid';
import { silentLogger } from '../../../src/telemetry/logger';
import { silentMetrics } from '../../../src/telemetry/metrics';
import { FakeEngine, madeOf, sdpOf } from './fake-engine';

const moh: MediaResourceConfig = {
  name: 'moh-1',
  type: 'moh',
  engine: 'rtpengine',
  control: { protocol: 'udp', address: '127.0.0.1', port: 22222 },
  node: 1,
  site: 'dallas',
  capacity: 2,
};

/** Lets everything that is ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

class Node {
  readonly clock = new SimulatedClock();
  readonly engine = new FakeEngine();
  readonly health: [string, boolean][] = [];
  engines = 0;
  readonly processes: ResourceProcesses;

  constructor(
    resources: readonly MediaResourceConfig[] = [moh],
    before?: (engine: FakeEngine) => void,
    isKnown = (engine: string): boolean => engine === 'rtpengine',
  ) {
    before?.(this.engine);
    this.processes = createResourceProcesses({
      clusterName: 'acme',
      nodeId: 1,
      boot: 500,
      mediaResources: resources,
      pids: new PidAllocator(1),
      clock: this.clock,
      log: silentLogger,
      metrics: silentMetrics,
      music: { choose: async (name) => (name === 'jazz' ? '/jazz.wav' : '/default.wav') },
      createEngine: (resource) => {
        this.engines++;
        return isKnown(resource.engine) ? this.engine : undefined;
      },
      onHealth: (process, up) => this.health.push([process.resource.name, up]),
    });
  }

  static async ready(resources?: readonly MediaResourceConfig[], before?: (engine: FakeEngine) => void): Promise<Node> {
    const node = new Node(resources, before);
    await settle();
    return node;
  }

  ask(request: ResourceRequest | Record<string, unknown>, pid = '1.mp.1', boot = 500): Promise<unknown> {
    return this.processes.handle({ pid, boot }, request);
  }

  allocate(n = 1, parts: Record<string, unknown> = {}): Promise<unknown> {
    return this.ask({ op: 'allocate', allocation: `acme-2-9-${n}`, type: 'moh', holder: 'alice', ...parts });
  }

  async connected(n = 1): Promise<void> {
    await this.allocate(n);
    await this.ask({ op: 'offer', allocation: `acme-2-9-${n}`, peer: sdpOf(5000) });
    await this.ask({ op: 'connect', allocation: `acme-2-9-${n}`, answer: sdpOf(5000, 'recvonly') });
  }

  /** `ms` of time in steps of a ping, each with what follows from it. */
  async pass(ms: number): Promise<void> {
    for (let rest = ms; rest > 0; rest -= PING_MS) {
      this.clock.advance(Math.min(PING_MS, rest));
      await settle();
    }
  }

  get inUse(): number | undefined {
    return this.processes.describe()[0]?.inUse;
  }
}

describe('media resource device process', () => {
  test('claim M12: allocate, offer and connect bring the music of the holder to the device', async () => {
    const node = await Node.ready();
    expect(await node.allocate(1, { musicSource: 'jazz' })).toEqual({
      ok: true,
      leaseMs: LEASE_MS,
      session: 'acme-1-500-1',
    });
    const offer = await node.ask({ op: 'offer', allocation: 'acme-2-9-1', peer: sdpOf(5000) });
    expect(offer).toMatchObject({ ok: true, sdp: expect.stringContaining('a=sendonly') as string });
    expect(await node.ask({ op: 'connect', allocation: 'acme-2-9-1', answer: sdpOf(5000) })).toMatchObject({
      ok: true,
    });
    expect([...node.engine.held]).toEqual([['acme-1-500-1', { file: '/jazz.wav', playing: true }]]);
    expect(node.processes.describe()).toMatchObject([
      { name: 'moh-1', pid: '1.mp.1', up: true, inUse: 1, leases: [{ allocation: 'acme-2-9-1', phase: 'connected' }] },
    ]);
  });

  test('music that nobody has is replaced by the default', async () => {
    const node = await Node.ready();
    await node.allocate(1, { musicSource: 'unheard-of' });
    await node.ask({ op: 'offer', allocation: 'acme-2-9-1' });
    expect([...node.engine.held.values()][0]?.file).toBe('/default.wav');
  });

  test('asking again gives the same answer and takes nothing more', async () => {
    const node = await Node.ready();
    await node.connected();
    await node.connected();
    expect(node.inUse).toBe(1);
    expect(node.engine.held.size).toBe(1);
    await node.ask({ op: 'release', allocation: 'acme-2-9-1' });
    expect(await node.ask({ op: 'release', allocation: 'acme-2-9-1' })).toEqual({ ok: true });
    expect([node.inUse, node.engine.held.size]).toEqual([0, 0]);
  });

  test('claim M13: more than its capacity is refused, and free again after a release', async () => {
    const node = await Node.ready();
    await node.allocate(1);
    await node.allocate(2);
    expect(await node.allocate(3)).toMatchObject({ ok: false, reason: 'full' });
    await node.ask({ op: 'release', allocation: 'acme-2-9-1' });
    expect(await node.allocate(3)).toMatchObject({ ok: true });
  });

  test('an allocate that arrives after its release takes nothing', async () => {
    const node = await Node.ready();
    await node.ask({ op: 'release', allocation: 'acme-2-9-1' });
    expect(await node.allocate(1)).toMatchObject({ ok: false, reason: 'unknown-allocation' });
    expect(node.inUse).toBe(0);
  });

  test('a release that overtakes an offer under way leaves no session behind', async () => {
    const node = await Node.ready();
    await node.allocate();
    const open = node.engine.block();
    const offer = node.ask({ op: 'offer', allocation: 'acme-2-9-1' });
    const connect = node.ask({ op: 'connect', allocation: 'acme-2-9-1', answer: sdpOf(1) });
    const release = node.ask({ op: 'release', allocation: 'acme-2-9-1' });
    expect(node.inUse).toBe(0);
    open();
    await Promise.all([offer, release]);
    expect(await connect).toMatchObject({ ok: false, reason: 'unknown-allocation' });
    expect(node.engine.held.size).toBe(0);
  });

  test('a lease that is not renewed runs out and frees the session', async () => {
    const node = await Node.ready();
    await node.connected();
    await node.pass(LEASE_MS - 1000);
    expect(node.inUse).toBe(1);
    expect(await node.ask({ op: 'renew', allocation: 'acme-2-9-1' })).toEqual({ ok: true, leaseMs: LEASE_MS });
    await node.pass(LEASE_MS - 1000);
    expect(node.inUse).toBe(1);
    await node.pass(2000);
    expect([node.inUse, node.engine.held.size]).toEqual([0, 0]);
    expect(await node.ask({ op: 'renew', allocation: 'acme-2-9-1' })).toMatchObject({ reason: 'unknown-allocation' });
  });

  test('failures of the engine are told with their reason', async () => {
    const node = await Node.ready();
    await node.allocate();
    node.engine.failure = 'full';
    expect(await node.ask({ op: 'offer', allocation: 'acme-2-9-1' })).toMatchObject({ ok: false, reason: 'full' });
    node.engine.failure = undefined;
    expect(await node.ask({ op: 'connect', allocation: 'acme-2-9-1', answer: sdpOf(1) })).toMatchObject({
      reason: 'bad-request',
    });
    expect(await node.ask({ op: 'offer', allocation: 'acme-2-9-1' })).toMatchObject({ ok: true });
  });

  test('a resource of another type, or one that its engine cannot serve as, refuses', async () => {
    const node = await Node.ready([moh, { ...moh, name: 'xcode-1', type: 'transcoder' }]);
    expect(await node.allocate(1, { type: 'transcoder' })).toMatchObject({ ok: false, reason: 'unsupported' });
    const request = { op: 'allocate', allocation: 'acme-2-9-1', type: 'transcoder', holder: 'alice' };
    expect(await node.ask(request, '1.mp.2')).toMatchObject({ ok: false, reason: 'unsupported' });
  });

  test('draining: what is there goes on, nothing new comes', async () => {
    const node = await Node.ready();
    await node.connected();
    node.processes.drain();
    expect(await node.allocate(2)).toMatchObject({ ok: false, reason: 'draining' });
    expect(await node.ask({ op: 'renew', allocation: 'acme-2-9-1' })).toMatchObject({ ok: true });
    await node.processes.stop();
    expect([node.engine.held.size, node.engine.closed]).toEqual([0, true]);
    expect(node.clock.pending).toBe(0);
  });

  test('a PID or an incarnation that is not ours, and a request that is none, are refused', async () => {
    const node = await Node.ready();
    const request: ResourceRequest = { op: 'renew', allocation: 'acme-2-9-1' };
    expect(await node.ask(request, '1.mp.9')).toEqual({ ok: false, reason: 'unknown-process' });
    expect(await node.ask(request, '1.mp.1', 499)).toEqual({ ok: false, reason: 'unknown-process' });
    for (const body of [
      undefined,
      null,
      'allocate',
      {},
      { op: 'allocate' },
      { op: 'renew', allocation: '../../etc' },
      { op: 'renew', allocation: 5 },
      { op: 'connect', allocation: 'acme-2-9-1', answer: 'x'.repeat(70_000) },
      { op: 'explode', allocation: 'acme-2-9-1' },
    ])
      expect(await node.processes.handle({ pid: '1.mp.1', boot: 500 }, body)).toEqual({
        ok: false,
        reason: 'bad-request',
      });
  });
});

describe('transcoders and media termination points', () => {
  const xcode: MediaResourceConfig = { ...moh, name: 'xcode-1', type: 'transcoder' };
  const request = { op: 'allocate', allocation: 'acme-2-9-1', type: 'transcoder', holder: 'alice' } as const;
  const allocation = 'acme-2-9-1';

  test('claim M2: an offer goes to the side that it is for, and an answer comes from one', async () => {
    const node = await Node.ready([xcode], (engine) => engine.serveAll());
    expect(await node.ask({ ...request, codecs: ['PCMU', 'opus', 'telephone-event'] })).toMatchObject({ ok: true });
    const relay = { to: 'b', sdp: sdpOf(1), terms: { codecs: ['opus/48000/2'], security: 'sdes', family: 6 } };
    const offer = { op: 'offer', allocation, relay };
    const reply = { ok: true, sdp: madeOf('relay-offer', relay), leaseMs: LEASE_MS };
    expect(await node.ask(offer)).toEqual(reply);
    expect(await node.ask(offer)).toEqual(reply);
    expect(await node.ask({ op: 'connect', allocation, from: 'b', answer: sdpOf(2) })).toMatchObject({
      sdp: madeOf('relay-answer', { from: 'b', answer: sdpOf(2) }),
    });
    expect([node.inUse, node.engine.held.size]).toEqual([1, 1]);
    await node.ask({ op: 'release', allocation });
    expect(node.engine.held.size).toBe(0);
  });

  test.each([
    ['text that is none', 'sdp'],
    ['no description of a stream', 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n'],
    ['a stream too many', `${sdpOf(1)}m=audio 0 RTP/AVP 0\r\n`],
    ['a removed stream', sdpOf(0)],
    ['a stream without a codec', sdpOf(1).replace('RTP/AVP 0', 'RTP/AVP ')],
    [
      'a stream with digits only',
      sdpOf(1).replace('RTP/AVP 0', 'RTP/AVP 101') + 'a=rtpmap:101 telephone-event/8000\r\n',
    ],
  ])('RFC 3264 §6: an engine that makes %s has failed, whatever it was asked', async (_, nonsense) => {
    const useless = {
      ok: false,
      reason: 'error',
      detail: expect.stringMatching(/^the media server has made /) as string,
    };
    const node = await Node.ready([xcode], (engine) => engine.serveAll());
    await node.ask({ ...request, codecs: ['PCMU'] });
    const offer = { op: 'offer', allocation, relay: { to: 'b', sdp: sdpOf(1), terms: {} } };
    const connect = { op: 'connect', allocation, from: 'b', answer: sdpOf(2) };
    expect(await node.ask(offer)).toMatchObject({ ok: true });
    node.engine.nonsense = nonsense;
    for (const question of [offer, connect]) expect(await node.ask(question)).toMatchObject(useless);
    // What comes of a description without sound may be without.
    const silent = sdpOf(0);
    node.engine.nonsense = silent;
    expect(await node.ask({ ...connect, answer: silent })).toMatchObject({ ok: true });
    const music = await Node.ready([moh], (engine) => engine.serveAll());
    await music.ask({ ...request, type: 'moh' });
    music.engine.nonsense = nonsense;
    const asked = { op: 'offer', allocation, peer: sdpOf(1) };
    // Nobody has said how many streams there are.
    expect(await music.ask(asked)).toMatchObject(
      nonsense.includes('m=audio 1 RTP/AVP 0\r\na=') ? { ok: true } : useless,
    );
  });

  test('claim M13: codecs that the engine cannot make are told, and refuse', async () => {
    const node = await Node.ready([xcode], (engine) => engine.serveAll());
    expect(await node.ask({ ...request, codecs: ['PCMU', 'G729', 'AMR-WB/16000'] })).toEqual({
      ok: false,
      reason: 'unsupported',
      detail: 'no G729, AMR-WB/16000',
    });
    expect(node.inUse).toBe(0);
  });

  test('an exchange that fails leaves the session, which ends with its lease', async () => {
    const node = await Node.ready([xcode], (engine) => engine.serveAll());
    await node.ask(request);
    const offer = { op: 'offer', allocation, relay: { to: 'b', sdp: sdpOf(1), terms: {} } };
    await node.ask(offer);
    node.engine.failure = 'full';
    expect(await node.ask(offer)).toMatchObject({ ok: false, reason: 'full' });
    node.engine.failure = undefined;
    expect([node.inUse, node.engine.held.size]).toEqual([1, 1]);
    expect(await node.ask(offer)).toMatchObject({ ok: true });
    await node.pass(LEASE_MS);
    expect([node.inUse, node.engine.held.size]).toEqual([0, 0]);
  });

  test.each([
    { op: 'offer' },
    { op: 'offer', relay: { to: 'c', terms: {} } },
    { op: 'connect', answer: 'v=0' },
    { op: 'connect', answer: 'v=0', from: 'c' },
    { op: 'accept', offer: 'v=0' },
    { op: 'control', muted: true },
  ])('what makes no sense is refused: %j', async (body) => {
    const node = await Node.ready([xcode], (engine) => engine.serveAll());
    await node.ask(request);
    expect(await node.ask({ allocation, ...body })).toMatchObject({ ok: false, reason: 'bad-request' });
    expect(node.engine.held.size).toBe(0);
  });
});

describe('conference bridges', () => {
  const bridge: MediaResourceConfig = { ...moh, name: 'conf-1', type: 'conference', engine: 'janus' };
  const request = {
    op: 'allocate',
    allocation: 'acme-2-9-1',
    type: 'conference',
    holder: 'alice',
    room: 'r1',
  } as const;
  const allocation = 'acme-2-9-1';

  test('claim M3: a participant comes with an offer, or is offered, into the room of its lease', async () => {
    const node = new Node(
      [bridge],
      (engine) => engine.serveAll(),
      () => true,
    );
    await settle();
    expect(await node.ask(request)).toMatchObject({ ok: true });
    const room = 'r1';
    expect(await node.ask({ op: 'accept', allocation, offer: sdpOf(1) })).toMatchObject({
      sdp: madeOf('mixer-accept', { room, offer: sdpOf(1) }),
    });
    expect(await node.ask({ op: 'offer', allocation, peer: sdpOf(2) })).toMatchObject({
      sdp: madeOf('mixer-offer', { room, peer: sdpOf(2) }),
    });
    expect(await node.ask({ op: 'connect', allocation, answer: sdpOf(3) })).toEqual({ ok: true, leaseMs: LEASE_MS });
    expect(await node.ask({ op: 'control', allocation, muted: true })).toEqual({ ok: true, leaseMs: LEASE_MS });
    expect(node.engine.log.at(-1)).toBe('mixer-mute acme-1-500-1');
  });

  test('who talks is told of the leases of the process alone, and of no one where the engine cannot tell', async () => {
    const node = new Node(
      [bridge],
      (engine) => engine.serveAll(),
      () => true,
    );
    await settle();
    await node.ask(request);
    await node.ask({ ...request, allocation: 'acme-2-9-2' });
    const allocations = [allocation, 'acme-2-9-2', 'acme-2-9-3'];
    expect(await node.ask({ op: 'talkers', allocations })).toEqual({ ok: true });
    node.engine.mixer = { ...node.engine.mixer!, talks: (session) => session === 'acme-1-500-2' };
    expect(await node.ask({ op: 'talkers', allocations })).toEqual({ ok: true, talking: ['acme-2-9-2'] });
    for (const wrong of [undefined, 'acme-2-9-2', ['nonsense'], new Array(1001).fill(allocation)])
      expect(await node.ask({ op: 'talkers', allocations: wrong })).toMatchObject({ ok: false, reason: 'bad-request' });
  });

  test('without a room, and by an engine that does not mix, it is refused', async () => {
    const node = new Node(
      [bridge],
      (engine) => engine.serveAll(),
      () => true,
    );
    await settle();
    expect(await node.ask({ ...request, room: undefined })).toMatchObject({ ok: false, reason: 'bad-request' });
    node.engine.mixer = undefined;
    expect(await node.ask(request)).toMatchObject({ ok: false, reason: 'unsupported' });
  });
});

describe('supervision of an engine', () => {
  test('a device is registered when its engine first answers', async () => {
    const node = await Node.ready(undefined, (engine) => (engine.down = true));
    await node.pass(5000);
    expect(node.health).toEqual([]);
    expect(await node.allocate()).toMatchObject({ ok: false, reason: 'down' });
    node.engine.down = false;
    await node.pass(1000);
    expect(node.health).toEqual([['moh-1', true]]);
    expect(await node.allocate()).toMatchObject({ ok: true });
  });

  test('two pings without an answer: down; one answer: up', async () => {
    const node = await Node.ready();
    await node.connected();
    node.engine.down = true;
    await node.pass(1000);
    expect(node.health).toEqual([['moh-1', true]]);
    await node.pass(1000);
    expect(node.health.at(-1)).toEqual(['moh-1', false]);
    // Its process is gone from the tables: whoever held something of it looks elsewhere.
    expect(await node.ask({ op: 'renew', allocation: 'acme-2-9-1' })).toMatchObject({ reason: 'unknown-process' });
    expect([node.inUse, node.engine.held.size]).toEqual([0, 1]);
    node.engine.down = false;
    await node.pass(1000);
    expect(node.health.at(-1)).toEqual(['moh-1', true]);
    expect(node.processes.processes[0]?.pid).toBe('1.mp.2');
    expect(node.engine.held.size).toBe(0);
  });

  test('resources with one control address share one engine; those of other nodes and unknown products are left out', async () => {
    const node = await Node.ready([
      moh,
      { ...moh, name: 'moh-b' },
      { ...moh, name: 'elsewhere', node: 2 },
      { ...moh, name: 'other', engine: 'janus' },
    ]);
    expect(node.engines).toBe(2);
    expect(node.processes.describe().map(({ name }) => name)).toEqual(['moh-1', 'moh-b']);
  });

  test('the audit ends sessions of this cluster and node that no lease knows, also of earlier incarnations, and no others', async () => {
    const session = { file: '/x', playing: true };
    const others = ['acme-2-400-1', 'acme-10-400-1', 'other-1-400-1', 'acme-1-2-400-1', 'x-acme-1-4-1', 'some-call'];
    const node = await Node.ready(undefined, (engine) => {
      for (const id of ['acme-1-400-1', 'acme-1-500-99', ...others]) engine.held.set(id, { ...session });
    });
    expect([...node.engine.held.keys()]).toEqual(others);
    await node.connected();
    node.engine.held.set('acme-1-450-7', { ...session });
    await node.pass(20_000);
    await node.ask({ op: 'renew', allocation: 'acme-2-9-1' });
    await node.pass(AUDIT_MS - 20_000);
    expect([...node.engine.held.keys()]).toEqual([...others, 'acme-1-500-1']);
    expect(node.inUse).toBe(1);
  });

  test('an engine that is restarted between two pings is noticed with the next one: every holder hears that its process is gone', async () => {
    const node = await Node.ready([moh, { ...moh, name: 'moh-b' }]);
    await node.connected(1);
    await node.connected(2);
    node.engine.held.clear();
    await node.pass(1000);
    expect(node.health.slice(2)).toEqual([
      ['moh-1', false],
      ['moh-1', true],
      ['moh-b', false],
      ['moh-b', true],
    ]);
    expect(node.processes.processes.map(({ pid }) => pid)).toEqual(['1.mp.3', '1.mp.4']);
    expect(await node.ask({ op: 'renew', allocation: 'acme-2-9-1' })).toMatchObject({ reason: 'unknown-process' });
    expect(node.inUse).toBe(0);
    expect(
      await node.ask({ op: 'allocate', allocation: 'acme-2-9-3', type: 'moh', holder: 'x' }, '1.mp.3'),
    ).toMatchObject({ ok: true });
  });

  test('an engine that lost one session and kept another was not restarted: only the one is told, when it renews', async () => {
    const node = await Node.ready();
    await node.connected(1);
    await node.connected(2);
    node.engine.held.delete('acme-1-500-1');
    await node.pass(2000);
    expect(node.health).toEqual([['moh-1', true]]);
    expect(await node.ask({ op: 'renew', allocation: 'acme-2-9-1' })).toMatchObject({ reason: 'unknown-allocation' });
    expect(await node.ask({ op: 'renew', allocation: 'acme-2-9-2' })).toMatchObject({ ok: true });
  });

  test('an engine that tells its age is believed: one that runs since before was not restarted, whatever it lost', async () => {
    const node = await Node.ready(undefined, (engine) => (engine.uptime = 100_000));
    await node.connected();
    node.engine.held.clear();
    node.engine.uptime = 101_000;
    await node.pass(1000);
    expect([node.inUse, node.health.length]).toEqual([0, 1]);
    await node.connected(2);
    node.engine.held.clear();
    node.engine.uptime = 500;
    await node.pass(1000);
    expect([node.inUse, node.health.length]).toEqual([0, 3]);
  });

  test('a list of sessions that is cut off costs no lease, and no session that nobody wants stays', async () => {
    const node = await Node.ready([{ ...moh, capacity: 10 }]);
    for (let n = 1; n <= 4; n++) await node.connected(n);
    node.engine.listLimit = 2;
    node.engine.failure = 'error';
    await node.ask({ op: 'release', allocation: 'acme-2-9-4' });
    node.engine.failure = undefined;
    await node.pass(20_000);
    for (let n = 1; n <= 3; n++) await node.ask({ op: 'renew', allocation: `acme-2-9-${n}` });
    await node.pass(AUDIT_MS - 19_000);
    expect([node.inUse, node.engine.held.size]).toEqual([3, 3]);
  });

  test('a release that the engine did not hear is made good by the audit', async () => {
    const node = await Node.ready();
    await node.connected();
    node.engine.failure = 'error';
    await node.ask({ op: 'release', allocation: 'acme-2-9-1' });
    expect(node.engine.held.size).toBe(1);
    node.engine.failure = undefined;
    await node.pass(AUDIT_MS + 1000);
    expect(node.engine.held.size).toBe(0);
  });
});
