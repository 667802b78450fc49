import { createFreeswitch } from '../../../src/media-resource/freeswitch/engine';
import { createResourceProcesses, type ResourceProcesses } from '../../../src/media-resource/resource-processes';
import type { ResourceReply, SipCaller } from '../../../src/media-resource/ports';
import { systemClock } from '../../../src/process/clock';
import { PidAllocator } from '../../../src/process/pid';
import { silentLogger } from '../../../src/telemetry/logger';
import { silentMetrics } from '../../../src/telemetry/metrics';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { figure } from '../../support/figures';
import {
  describeFreeswitch,
  Freeswitch,
  type FreeswitchAddress,
  freeswitchApi,
  freeswitchMembers,
} from '../../support/freeswitch';
import { freeAddress } from '../../support/ports';
import { RtpListener } from '../../support/rtp-listener';
import { Scope } from '../../support/scope';
import { startSipCaller } from '../../support/sip-caller';

jest.setTimeout(150_000);

const boot = 500;

/** FreeSWITCH dies, hangs and comes back under a resource of this process. */
describeFreeswitch('a FreeSWITCH that fails', { launched: true }, (like: FreeswitchAddress) => {
  let scope: Scope;
  let caller: SipCaller;
  let freeswitch: Freeswitch;
  let processes: ResourceProcesses;
  let health: boolean[];
  let allocations = 0;

  function start(node = 1): ResourceProcesses {
    const { host, sipPort, eventSocketPort, password } = freeswitch.at;
    const eventSocket = { address: host, port: eventSocketPort, password };
    const control = { protocol: 'udp', address: host, port: sipPort } as const;
    const created = createResourceProcesses({
      clusterName: 'test',
      nodeId: node,
      boot,
      mediaResources: [
        {
          name: 'bridge',
          type: 'conference',
          engine: 'freeswitch',
          control,
          eventSocket,
          node,
          site: undefined,
          capacity: 9,
        },
      ],
      pids: new PidAllocator(node),
      clock: systemClock,
      log: silentLogger,
      metrics: silentMetrics,
      music: { choose: async () => '/none.wav' },
      createEngine: ({ name }) =>
        createFreeswitch({
          name,
          sip: { transport: 'udp', address: host, port: sipPort },
          eventSocket,
          caller,
          owner: `test-${node}`,
          localAddress: '127.0.0.1',
        }),
      onHealth: (_process, up) => health.push(up),
    });
    scope.defer(() => created.stop());
    return created;
  }

  const pid = (): string => processes.processes[0]?.pid ?? '';
  const isUp = (): boolean => processes.processes[0]?.up === true;
  const ask = (body: Record<string, unknown>): Promise<ResourceReply> => processes.handle({ pid: pid(), boot }, body);

  /** A participant in the room; its allocation. */
  async function join(rtp?: RtpListener): Promise<string> {
    const allocation = `test-1-${boot}-${++allocations}`;
    rtp ??= await RtpListener.open(scope);
    expect(await ask({ op: 'allocate', allocation, type: 'conference', room: 'r', holder: 'SEP-a' })).toMatchObject({
      ok: true,
    });
    expect(await ask({ op: 'accept', allocation, offer: rtp.sdp() })).toMatchObject({ ok: true });
    return allocation;
  }

  beforeEach(async () => {
    scope = new Scope();
    health = [];
    caller = await startSipCaller(scope);
    freeswitch = await Freeswitch.start(scope, like, freeAddress());
    processes = start();
    await eventuallyTrue('it is up', isUp);
  });
  afterEach(() => scope.close());

  it('killed: every holder is told by a process that is gone; started again it serves', async () => {
    await join();
    await join();
    const before = pid();
    const killed = Date.now();
    await freeswitch.kill();
    await eventuallyTrue('the process is another one', () => pid() !== before);
    figure('FreeSWITCH: seconds from its death until holders are told', (Date.now() - killed) / 1000, 's');
    expect(health).toEqual([true, false]);
    expect(processes.describe()[0]).toMatchObject({ up: false, inUse: 0 });
    const refusal = await ask({
      op: 'allocate',
      allocation: `test-1-${boot}-99`,
      type: 'conference',
      room: 'r',
      holder: 'SEP-a',
    });
    expect(refusal).toMatchObject({ ok: false, reason: 'down' });
    const started = Date.now();
    await freeswitch.start();
    await eventuallyTrue('it is up again', isUp);
    figure('FreeSWITCH: seconds from its start until it can be used', (Date.now() - started) / 1000, 's');
    const allocation = await join();
    expect(await freeswitchMembers(freeswitch.at)).toHaveLength(1);
    await ask({ op: 'release', allocation });
    expect(await freeswitchMembers(freeswitch.at)).toEqual([]);
  });

  it('frozen: the same; thawed it holds nobody of before', async () => {
    await join();
    const before = pid();
    freeswitch.freeze();
    await eventuallyTrue('the process is another one', () => pid() !== before);
    freeswitch.thaw();
    await eventuallyTrue('it is up again', isUp);
    await eventually(
      'nobody is left',
      () => freeswitchMembers(freeswitch.at),
      (members) => members.length === 0,
    );
    await ask({ op: 'release', allocation: await join() });
  });

  it('shut down: its BYEs and the closed event socket tell everybody', async () => {
    await join();
    const before = pid();
    await freeswitchApi(freeswitch.at, 'fsctl shutdown').catch(() => undefined);
    await eventuallyTrue('the process is another one', () => pid() !== before);
    expect(processes.describe()[0]).toMatchObject({ up: false, inUse: 0 });
  });

  it('who is put out at FreeSWITCH finds its lease gone; the others stay', async () => {
    const [first, second] = [await join(), await join()];
    await freeswitchApi(freeswitch.at, 'conference test-1-r hup last');
    await eventuallyTrue('one lease is left', () => processes.describe()[0]?.inUse === 1);
    expect(await ask({ op: 'renew', allocation: second })).toMatchObject({ ok: false, reason: 'unknown-allocation' });
    expect(await ask({ op: 'renew', allocation: first })).toMatchObject({ ok: true });
    expect(health).toEqual([true]);
  });

  it('sessions of an earlier incarnation are ended when the node starts again; those of other nodes are not touched', async () => {
    await join();
    const others = start(2);
    await eventuallyTrue('it is up', () => others.processes[0]?.up === true);
    const rtp = await RtpListener.open(scope);
    const allocation = `test-2-${boot}-1`;
    const target = { pid: others.processes[0]?.pid ?? '', boot };
    await others.handle(target, { op: 'allocate', allocation, type: 'conference', room: 'r', holder: 'SEP-b' });
    expect(await others.handle(target, { op: 'accept', allocation, offer: rtp.sdp() })).toMatchObject({ ok: true });
    expect(await freeswitchMembers(freeswitch.at)).toHaveLength(2);
    const again = start(1);
    await eventuallyTrue('it is up', () => again.processes[0]?.up === true);
    const left = await eventually(
      'one is left',
      () => freeswitchMembers(freeswitch.at),
      (members) => members.length === 1,
    );
    expect(left[0]).toMatch(/^test-2-/);
  });

  it('RFC 4028 §10: it ends by itself the calls of a node that is gone for good; those of a living node stay', async () => {
    const rtp = await RtpListener.open(scope);
    const allocation = await join(rtp);
    // A phone that was offered something, and rings all the time.
    const ringing = `test-1-${boot}-${++allocations}`;
    await ask({ op: 'allocate', allocation: ringing, type: 'conference', room: 'r', holder: 'SEP-b' });
    expect(await ask({ op: 'offer', allocation: ringing })).toMatchObject({ ok: true });
    const life = new Scope();
    scope.defer(() => life.close());
    const { host, sipPort, eventSocketPort, password } = freeswitch.at;
    const engine = createFreeswitch({
      name: 'bridge',
      sip: { transport: 'udp', address: host, port: sipPort },
      eventSocket: { address: host, port: eventSocketPort, password },
      caller: await startSipCaller(life),
      owner: 'test-2',
      localAddress: '127.0.0.1',
    });
    life.defer(() => engine.close());
    await engine.ping();
    const offer = (await RtpListener.open(scope)).sdp();
    await engine.mixer?.accept(`test-2-${boot}-1`, { room: 'r', offer });
    const gone = Date.now();
    await life.close();
    expect(await freeswitchMembers(freeswitch.at)).toHaveLength(3);
    await eventually(
      'two are left',
      async () => {
        for (const each of [allocation, ringing])
          expect(await ask({ op: 'renew', allocation: each })).toMatchObject({ ok: true });
        return freeswitchMembers(freeswitch.at);
      },
      (members) => members.length === 2,
      { cap: 130_000, every: 200 },
    );
    figure('FreeSWITCH: seconds until it ends the call of a node that is gone', (Date.now() - gone) / 1000, 's');
    const living = expect.stringMatching(/^test-1-/) as string;
    expect(await freeswitchMembers(freeswitch.at)).toEqual([living, living]);
    const late = await RtpListener.open(scope);
    expect(await ask({ op: 'connect', allocation: ringing, answer: late.sdp() })).toMatchObject({ ok: true });
    for (const [who, listener] of Object.entries({ rtp, late })) {
      const { length } = listener.packets;
      await eventuallyTrue(`sound is sent to ${who}`, () => listener.packets.length > length + 20);
    }
  });
});
