import type {
  DeviceConfig,
  MediaResourceConfig,
  MediaResourceGroupConfig,
  SiteConfig,
} from '../../../src/config/types';
import { ALLOCATE_MS, createMediaResourceManager, WALK_MS } from '../../../src/media-resource/manager';
import type { LossReason, MediaResourceManager, ResourceNeed, ResourceReply } from '../../../src/media-resource/ports';
import { planWalk, type WalkConfig } from '../../../src/media-resource/walk';
import { SimulatedClock } from '../../../src/process/clock';
import { silentLogger } from '../../../src/telemetry/logger';
import { createMetrics, type Metrics, silentMetrics } from '../../../src/telemetry/metrics';

function resource(name: string, parts: Partial<MediaResourceConfig> = {}): MediaResourceConfig {
  const control = { protocol: 'udp', address: '127.0.0.1', port: 22222 } as const;
  return { name, type: 'moh', engine: 'rtpengine', control, node: 1, site: undefined, capacity: 10, ...parts };
}

function group(
  name: string,
  devices: string[],
  parts: Partial<MediaResourceGroupConfig> = {},
): MediaResourceGroupConfig {
  return { name, devices, site: undefined, userClasses: undefined, selection: 'ordered', ...parts };
}

function phone(name: string, parts: Partial<DeviceConfig> = {}): DeviceConfig {
  return {
    name,
    username: name,
    password: 'x',
    lines: ['1'],
    site: 'dallas',
    displayName: undefined,
    mediaResourceGroupList: undefined,
    userClass: undefined,
    codecs: undefined,
    mtpRequired: false,
    digest: ['MD5'],
    mac: undefined,
    acceptListFromDevice: false,
    musicSource: undefined,
    ...parts,
  };
}

const site = (list: string | undefined): SiteConfig => ({
  mediaResourceGroupList: list,
  codecs: undefined,
  nodes: [],
  musicSource: undefined,
});

const base: WalkConfig = {
  mediaResources: [
    resource('moh-1'),
    resource('xcode-1', { type: 'transcoder' }),
    resource('moh-2', { node: 2, site: 'san-jose' }),
    resource('moh-3'),
    resource('moh-loose'),
  ],
  mediaResourceGroups: [group('near', ['xcode-1', 'moh-1']), group('far', ['moh-2', 'moh-3'])],
  mediaResourceGroupLists: [
    { name: 'near-first', groups: ['near', 'far'] },
    { name: 'far-first', groups: ['far', 'near'] },
  ],
  sites: { dallas: site('near-first'), 'san-jose': site('far-first') },
  devices: [phone('alice'), phone('bob', { mediaResourceGroupList: 'far-first' })],
  gateways: [],
};

const need = (parts: Partial<ResourceNeed> = {}): ResourceNeed => ({
  type: 'moh',
  device: 'alice',
  site: 'dallas',
  ...parts,
});

function order(config: WalkConfig, wanted: ResourceNeed, turn = 0): string[] {
  return planWalk(config, wanted, () => turn)
    .candidates.filter((candidate) => candidate.passedOver === undefined)
    .map((candidate) => candidate.device);
}

describe('the walk', () => {
  test('claims M6, M7: groups in order, devices in order, the default group last', () => {
    expect(order(base, need())).toEqual(['moh-1', 'moh-2', 'moh-3', 'moh-loose']);
    expect(order(base, need({ site: 'san-jose', device: 'carol' }))).toEqual(['moh-2', 'moh-3', 'moh-1', 'moh-loose']);
  });

  test("claim M14: the list that came with the device goes before its own, and that before its site's", () => {
    expect(planWalk(base, need({ device: 'bob' }), () => 0)).toMatchObject({ list: 'far-first', listFrom: 'device' });
    expect(planWalk(base, need({ device: 'bob', list: 'near-first' }), () => 0)).toMatchObject({
      list: 'near-first',
      listFrom: 'request',
    });
    expect(planWalk(base, need(), () => 0)).toMatchObject({ list: 'near-first', listFrom: 'site' });
  });

  test('a list that does not exist is passed by', () => {
    expect(planWalk(base, need({ list: 'gone' }), () => 0)).toMatchObject({ list: 'near-first', listFrom: 'site' });
  });

  test('without any list only the resources in no group are left', () => {
    expect(order(base, need({ device: 'nobody', site: undefined }))).toEqual(['moh-loose']);
  });

  test('claim M7: only devices of the wanted type are asked, and the others are named with the reason', () => {
    expect(order(base, need({ type: 'transcoder' }))).toEqual(['xcode-1']);
    expect(order(base, need({ type: 'conference' }))).toEqual([]);
    const { candidates } = planWalk(base, need(), () => 0);
    expect(candidates[0]).toEqual({ group: 'near', device: 'xcode-1', passedOver: 'type is transcoder' });
  });

  test('claim M8: a group of one place holds nothing from elsewhere', () => {
    const config = { ...base, mediaResourceGroups: [group('near', ['moh-1', 'moh-2'], { site: 'san-jose' })] };
    expect(order(config, need())).toEqual(['moh-2', 'moh-3', 'moh-loose']);
  });

  test('claim M9: a group for a class of users serves nobody else', () => {
    const groups = [group('near', ['moh-1'], { userClasses: ['executive'] }), group('far', ['moh-2', 'moh-3'])];
    const config = { ...base, mediaResourceGroups: groups };
    expect(order(config, need())).toEqual(['moh-2', 'moh-3', 'moh-loose']);
    expect(order(config, need({ userClass: 'executive' }))).toEqual(['moh-1', 'moh-2', 'moh-3', 'moh-loose']);
  });

  test('round-robin: able devices of the group take turns', () => {
    const groups = [group('near', ['xcode-1', 'moh-1', 'moh-2', 'moh-3'], { selection: 'round-robin' })];
    const config = { ...base, mediaResourceGroups: groups };
    expect([0, 1, 2, 3].map((turn) => order(config, need(), turn)[0])).toEqual(['moh-1', 'moh-2', 'moh-3', 'moh-1']);
  });

  test('a device in two groups is asked once, and one that failed for the call is not asked', () => {
    const config = { ...base, mediaResourceGroups: [group('near', ['moh-1']), group('far', ['moh-1', 'moh-2'])] };
    expect(order(config, need())).toEqual(
      ['moh-1', 'moh-2', 'xcode-1', 'moh-3', 'moh-loose'].filter((d) => d !== 'xcode-1'),
    );
    expect(order(config, need({ exclude: ['moh-1'] }))[0]).toBe('moh-2');
  });
});

interface Request {
  readonly pid: string;
  readonly body: { readonly op: string; readonly allocation: string };
  readonly deadlineMs: number;
}

class Cluster {
  readonly clock = new SimulatedClock();
  readonly requests: Request[] = [];
  readonly registered = new Map([
    ['moh-1', '1.mp.1'],
    ['moh-2', '2.mp.1'],
    ['moh-3', '1.mp.2'],
    ['moh-loose', '1.mp.3'],
  ]);
  gone: (process: { readonly pid: string; readonly boot: number }) => void = () => undefined;
  readonly lostNodes = new Set<number>();
  readonly orphans: string[] = [];
  answers: (pid: string, op: string) => unknown = () => ({ ok: true, leaseMs: 30_000 });
  readonly manager: MediaResourceManager;

  constructor(config = base, metrics: Metrics = silentMetrics) {
    this.manager = createMediaResourceManager({
      config,
      directory: {
        find: (device) => {
          const pid = this.registered.get(device);
          return pid === undefined ? undefined : { pid, boot: 7, node: Number(pid[0]) };
        },
        onGone: (listener) => (this.gone = listener),
        isLive: (node) => !this.lostNodes.has(node),
      },
      messenger: {
        request: async (target, body, deadlineMs) => {
          const request = body as Request['body'];
          this.requests.push({ pid: target.pid, body: request, deadlineMs });
          const answer = this.answers(target.pid, request.op);
          if (answer === undefined) this.clock.advance(deadlineMs);
          return answer;
        },
      },
      clock: this.clock,
      log: silentLogger,
      metrics,
      clusterName: 'acme',
      nodeId: 1,
      boot: 42,
      endOrphan: (device, session) => this.orphans.push(`${device} ${session}`),
    });
  }
}

const full: ResourceReply = { ok: false, reason: 'full', detail: '10 sessions are in use' };

describe('media resource manager', () => {
  test('claims M10, M11, M12: the device name leads to a PID, the request goes there, and the answer grants', async () => {
    const cluster = new Cluster();
    const { allocation, explanation } = await cluster.manager.allocate(need({ musicSource: 'jazz' }), 'held by bob');
    expect(cluster.requests).toEqual([
      {
        pid: '1.mp.1',
        body: { op: 'allocate', allocation: 'acme-1-42-1', type: 'moh', holder: 'alice', musicSource: 'jazz' },
        deadlineMs: ALLOCATE_MS,
      },
    ]);
    expect(allocation).toMatchObject({ id: 'acme-1-42-1', device: 'moh-1', pid: '1.mp.1', boot: 7 });
    expect(explanation).toMatchObject({ why: 'held by bob', winner: 'moh-1', list: 'near-first', listFrom: 'site' });
    expect(cluster.manager.open).toBe(1);
  });

  test('claim M13: unavailable, silent and not registered devices are passed by, and all of it is explained', async () => {
    const cluster = new Cluster();
    cluster.registered.delete('moh-3');
    cluster.answers = (pid, op) => {
      if (op === 'release') return { ok: true };
      if (pid === '1.mp.1') return full;
      return pid === '2.mp.1' ? undefined : { ok: true };
    };
    const { allocation, explanation } = await cluster.manager.allocate(need(), 'hold');
    expect(allocation?.device).toBe('moh-loose');
    expect(
      explanation.trials.map(({ group: at, device, outcome, node, ms }) => [at, device, outcome, node, ms]),
    ).toEqual([
      ['near', 'xcode-1', 'skipped', undefined, 0],
      ['near', 'moh-1', 'unavailable', 1, 0],
      ['far', 'moh-2', 'silent', 2, ALLOCATE_MS],
      ['far', 'moh-3', 'not-registered', undefined, 0],
      ['default', 'moh-loose', 'granted', 1, 0],
    ]);
    expect(explanation.trials[1]?.reason).toBe('full: 10 sessions are in use');
    expect(explanation.ms).toBe(ALLOCATE_MS);
  });

  test('claim M13: what a silent device may have granted is given back', async () => {
    const cluster = new Cluster();
    cluster.answers = (pid, op) => (op === 'release' || pid !== '1.mp.1' ? { ok: true } : undefined);
    await cluster.manager.allocate(need(), 'hold');
    expect(cluster.requests.filter(({ body }) => body.op === 'release')).toEqual([
      expect.objectContaining({ pid: '1.mp.1', body: { op: 'release', allocation: 'acme-1-42-1' } }),
    ]);
  });

  test('nobody available: no allocation, and an explanation without a winner', async () => {
    const cluster = new Cluster();
    cluster.answers = () => full;
    const { allocation, explanation } = await cluster.manager.allocate(need(), 'hold');
    expect(allocation).toBeUndefined();
    expect(explanation.winner).toBeUndefined();
    expect(cluster.manager.open).toBe(0);
  });

  test('the walk ends in bounded time however many devices are silent', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `moh-${index + 1}`);
    const cluster = new Cluster({
      ...base,
      mediaResources: names.map((name) => resource(name)),
      mediaResourceGroups: [],
    });
    for (const name of names) cluster.registered.set(name, '1.mp.1');
    cluster.answers = (_, op) => (op === 'release' ? { ok: true } : undefined);
    const { explanation } = await cluster.manager.allocate(need(), 'hold');
    expect(explanation.ms).toBe(WALK_MS);
    expect(explanation.trials.at(-1)).toMatchObject({ device: 'moh-20', outcome: 'skipped', reason: 'no time left' });
  });

  test.each([null, 'yes', { ok: 'true' }, { ok: false, reason: 'whatever' }, { ok: true, leaseMs: -1 }, []])(
    'a reply that is none counts as unavailable: %j',
    async (reply) => {
      const cluster = new Cluster();
      cluster.answers = (pid) => (pid === '1.mp.1' ? reply : { ok: true });
      const { allocation, explanation } = await cluster.manager.allocate(need(), 'hold');
      expect(allocation?.device).toBe('moh-2');
      expect(explanation.trials[1]).toMatchObject({ device: 'moh-1', outcome: 'unavailable' });
    },
  );

  test('a messenger that throws does not get through', async () => {
    const cluster = new Cluster();
    cluster.answers = () => {
      throw new Error('broken');
    };
    await expect(cluster.manager.allocate(need(), 'hold')).resolves.toMatchObject({ allocation: undefined });
  });

  test('commands go to the granting process; after release there are none', async () => {
    const cluster = new Cluster();
    const { allocation } = await cluster.manager.allocate(need(), 'hold');
    cluster.answers = (_, op) => (op === 'offer' ? { ok: true, sdp: 'v=0' } : { ok: true });
    await expect(allocation!.offer({ peer: 'peer' })).resolves.toEqual({ ok: true, sdp: 'v=0' });
    await expect(allocation!.connect({ answer: 'answer' })).resolves.toEqual({ ok: true });
    await Promise.all([allocation!.release(), allocation!.release()]);
    expect(cluster.requests.map(({ body }) => body.op)).toEqual(['allocate', 'offer', 'connect', 'release']);
    await expect(allocation!.offer({})).resolves.toMatchObject({ ok: false, reason: 'unknown-allocation' });
    expect(cluster.manager.open).toBe(0);
  });

  describe('the lease of a resource', () => {
    /** What becomes of it in so many thirds, and how often it was renewed. */
    async function held(thirds: number, answer: (renewal: number) => unknown) {
      const cluster = new Cluster();
      const { allocation } = await cluster.manager.allocate(need(), 'hold');
      const losses: LossReason[] = [];
      allocation!.onLost((reason) => losses.push(reason));
      let renewals = 0;
      cluster.answers = (_, op) => (op === 'renew' ? answer(++renewals) : { ok: true });
      const pass = async (count: number): Promise<void> => {
        for (let third = 0; third < count; third++) {
          cluster.clock.advance(10_000);
          for (let turn = 0; turn < 10; turn++) await Promise.resolve();
        }
      };
      await pass(thirds);
      return { allocation: allocation!, losses, pass, renewals: () => renewals, clock: cluster.clock };
    }

    test('is renewed at each third of its time, until it is released', async () => {
      const { allocation, losses, pass, renewals, clock } = await held(5, () => ({ ok: true, leaseMs: 30_000 }));
      expect([renewals(), losses]).toEqual([5, []]);
      await allocation.release();
      await pass(5);
      expect([renewals(), losses, clock.pending]).toEqual([5, [], 0]);
    });

    test.each<[string, unknown]>([
      ['no answer', undefined],
      ['an answer that nobody understands', { ok: 'perhaps' }],
      ['an engine that does not answer at the moment', { ok: false, reason: 'down' }],
    ])('%s is no loss: the next renewal may succeed', async (_, answer) => {
      const { losses, renewals } = await held(4, (renewal) => (renewal < 3 ? answer : { ok: true }));
      expect(losses).toEqual([]);
      expect(renewals()).toBeGreaterThanOrEqual(3);
    });

    test('that its process does not know is lost: its holder is told once, and it is not renewed any more', async () => {
      const unknown = { ok: false, reason: 'unknown-allocation' };
      const { losses, renewals, clock } = await held(4, (renewal) => (renewal === 2 ? unknown : { ok: true }));
      expect([renewals(), losses, clock.pending]).toEqual([2, ['unknown-allocation'], 0]);
    });
  });

  test('claim M13: who holds a resource is told once when its device process is gone from the tables', async () => {
    const cluster = new Cluster();
    const { allocation } = await cluster.manager.allocate(need(), 'hold');
    const lost = jest.fn();
    allocation!.onLost(lost);
    cluster.gone({ pid: '1.mp.1', boot: 6 });
    cluster.gone({ pid: '2.mp.1', boot: 7 });
    expect(lost).not.toHaveBeenCalled();
    cluster.gone({ pid: '1.mp.1', boot: 7 });
    cluster.gone({ pid: '1.mp.1', boot: 7 });
    expect(lost).toHaveBeenCalledTimes(1);
  });

  test('claim M13: a process that goes while it answers is lost at once', async () => {
    const cluster = new Cluster();
    cluster.answers = (pid) => {
      cluster.registered.delete('moh-1');
      cluster.gone({ pid, boot: 7 });
      return { ok: true };
    };
    const { allocation } = await cluster.manager.allocate(need(), 'hold');
    const lost = jest.fn();
    allocation!.onLost(lost);
    expect(lost).toHaveBeenCalledTimes(1);
  });

  test('claim M13: the other devices of a node that was silent once are asked last', async () => {
    const names = ['moh-1', 'moh-2', 'moh-3', 'moh-4'];
    const config = { ...base, mediaResources: names.map((name) => resource(name)), mediaResourceGroups: [] };
    const cluster = new Cluster(config);
    for (const name of names) cluster.registered.set(name, name === 'moh-4' ? '2.mp.1' : '1.mp.1');
    cluster.answers = (pid, op) => (op === 'release' || pid === '2.mp.1' ? { ok: true } : undefined);
    const { explanation } = await cluster.manager.allocate(need(), 'hold');
    expect(explanation.trials.map(({ device, outcome }) => [device, outcome])).toEqual([
      ['moh-1', 'silent'],
      ['moh-4', 'granted'],
    ]);
    cluster.answers = (_, op) => (op === 'release' ? { ok: true } : undefined);
    const none = await cluster.manager.allocate(need(), 'hold');
    expect(none.explanation.trials.map(({ device }) => device)).toEqual(['moh-1', 'moh-4', 'moh-2', 'moh-3']);
  });

  test('claim M2: a transcoder that cannot make a codec is passed by, with the codec named', async () => {
    const names = ['xcode-1', 'xcode-2'];
    const mediaResources = names.map((name) => resource(name, { type: 'transcoder' }));
    const cluster = new Cluster({ ...base, mediaResources, mediaResourceGroups: [] });
    names.forEach((name, index) => cluster.registered.set(name, `1.mp.${index + 1}`));
    cluster.answers = (pid) =>
      pid === '1.mp.1' ? { ok: false, reason: 'unsupported', detail: 'no G729' } : { ok: true };
    const ends = [
      { device: 'alice', codecs: ['PCMU'] },
      { device: 'bob', codecs: ['G729'] },
    ];
    const asked = { ...need({ codecs: ['PCMU', 'G729'], ends }), type: 'transcoder' as const };
    const { explanation } = await cluster.manager.allocate(asked, 'no common codec');
    expect(cluster.requests[0]?.body).toMatchObject({ codecs: ['PCMU', 'G729'] });
    expect(explanation).toMatchObject({ ends, winner: 'xcode-2' });
    expect(explanation.trials[0]).toMatchObject({ outcome: 'unavailable', reason: 'unsupported: no G729' });
  });

  test('claim M14: a list that came with the device and does not exist leaves the configured one, and a trace', async () => {
    const cluster = new Cluster();
    const { explanation } = await cluster.manager.allocate(need({ list: 'nowhere' }), 'hold');
    expect(explanation).toMatchObject({ list: 'near-first', listFrom: 'site', unknownList: 'nowhere' });
    const known = await cluster.manager.allocate(need({ list: 'far-first' }), 'hold');
    expect(known.explanation).toMatchObject({ list: 'far-first', listFrom: 'request' });
    expect(known.explanation.unknownList).toBeUndefined();
  });

  test('what was granted and what was refused is counted, with the reason that matters most', async () => {
    const metrics = createMetrics();
    const cluster = new Cluster(base, metrics);
    await cluster.manager.allocate(need(), 'hold');
    cluster.registered.delete('moh-3');
    cluster.answers = () => full;
    await cluster.manager.allocate(need(), 'hold');
    cluster.registered.clear();
    await cluster.manager.allocate(need(), 'hold');
    await cluster.manager.allocate({ ...need(), type: 'conference' }, 'conference');
    const text = await metrics.text();
    for (const labels of [
      'type="moh",outcome="granted",reason="none"',
      'type="moh",outcome="refused",reason="full"',
      'type="moh",outcome="refused",reason="not-registered"',
      'type="conference",outcome="refused",reason="no-candidate"',
    ])
      expect(text).toContain(`tandem_media_allocations_total{${labels}} 1`);
  });

  test('release is tried again while the process is silent, and then left to the lease', async () => {
    const cluster = new Cluster();
    const { allocation } = await cluster.manager.allocate(need(), 'hold');
    cluster.answers = () => undefined;
    await allocation!.release();
    expect(cluster.requests.filter(({ body }) => body.op === 'release')).toHaveLength(3);
    expect(cluster.orphans).toEqual([]);
  });

  describe('a resource whose node is lost', () => {
    const grant = { ok: true, session: 'acme-1-7-3' };

    test('is not asked any more: who held it ends its session at the engine', async () => {
      const cluster = new Cluster();
      cluster.answers = () => grant;
      const { allocation } = await cluster.manager.allocate(need(), 'hold');
      await allocation!.offer({});
      cluster.lostNodes.add(1);
      cluster.gone({ pid: '1.mp.1', boot: 7 });
      expect(cluster.orphans).toEqual([]);
      await Promise.all([allocation!.release(), allocation!.release()]);
      expect(cluster.orphans).toEqual(['moh-1 acme-1-7-3']);
      expect(cluster.requests.filter(({ body }) => body.op === 'release')).toEqual([]);
    });

    test('while it was asked to take back what it had granted: the same', async () => {
      const cluster = new Cluster();
      cluster.answers = () => grant;
      const { allocation } = await cluster.manager.allocate(need(), 'hold');
      await allocation!.offer({});
      cluster.answers = () => {
        cluster.lostNodes.add(1);
        return undefined;
      };
      await allocation!.release();
      expect(cluster.orphans).toEqual(['moh-1 acme-1-7-3']);
    });

    test('and whose engine was never asked for anything has nothing to end', async () => {
      const cluster = new Cluster();
      cluster.answers = () => grant;
      const { allocation } = await cluster.manager.allocate(need(), 'hold');
      cluster.lostNodes.add(1);
      await allocation!.release();
      expect(cluster.orphans).toEqual([]);
    });

    test('does not matter when its process is gone and its node lives: that one ends its sessions itself', async () => {
      const cluster = new Cluster();
      cluster.answers = () => grant;
      const { allocation } = await cluster.manager.allocate(need(), 'hold');
      await allocation!.offer({});
      cluster.gone({ pid: '1.mp.1', boot: 7 });
      await allocation!.release();
      expect(cluster.orphans).toEqual([]);
    });
  });
});

describe('who talks', () => {
  const bridge = { pid: '1.mp.9', boot: 7 };
  const some = Array.from({ length: 1200 }, (_, n) => `acme-1-42-${n}`);

  test('is asked of the bridge, in messages that are not too long', async () => {
    const cluster = new Cluster();
    cluster.answers = () => ({ ok: true, talking: [`acme-1-42-${cluster.requests.length}`] });
    expect(await cluster.manager.talkers(bridge, some)).toEqual(new Set(['acme-1-42-1', 'acme-1-42-2', 'acme-1-42-3']));
    expect(cluster.requests.map(({ pid, body }) => [pid, body.op])).toEqual(Array(3).fill(['1.mp.9', 'talkers']));
    expect(await cluster.manager.talkers(bridge, [])).toEqual(new Set());
  });

  test.each([
    ['it cannot tell', { ok: true }],
    ['it does not answer', undefined],
    ['it is gone', { ok: false, reason: 'unknown-process' }],
    ['it answers nonsense', { ok: true, talking: ['nobody'] }],
  ])('is not known when %s', async (_why, answer) => {
    const cluster = new Cluster();
    cluster.answers = () => answer;
    expect(await cluster.manager.talkers(bridge, some.slice(0, 3))).toBeUndefined();
  });
});
