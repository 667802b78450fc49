import { createMediaResourceManager } from '../../../src/media-resource/manager';
import { EngineError, type MediaResourceManager, type MediaResourceType } from '../../../src/media-resource/ports';
import { createResourceProcesses } from '../../../src/media-resource/resource-processes';
import type { MediaResourceConfig } from '../../../src/config/types';
import type { DeviceProfile } from '../../../src/device/device-process';
import type { Clock } from '../../../src/process/clock';
import { SimulatedClock } from '../../../src/process/clock';
import { PidAllocator } from '../../../src/process/pid';
import { silentLogger } from '../../../src/telemetry/logger';
import { silentMetrics } from '../../../src/telemetry/metrics';
import { FakeEngine, madeOf, sdpOf } from '../media-resource/fake-engine';
import { FakeDevice, type FakeSession, profile, sdp, target, World } from './kit';

/** What an engine may do wrong when it is asked for a description. */
const FAULTS: Readonly<Record<string, () => string>> = {
  'gives an empty text': () => '',
  'gives nonsense': () => 'nonsense',
  'gives an audio line without codecs': () => sdpOf(40_000).replace('RTP/AVP 0', 'RTP/AVP'),
  'gives an audio line with digits only': () =>
    sdpOf(40_000).replace('RTP/AVP 0', 'RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000'),
  'refuses the audio': () => sdpOf(0),
  'gives no stream': () => sdpOf(40_000).replace(/m=[^]*/, ''),
  'gives one stream too many': () => `${sdpOf(40_000)}m=audio 40002 RTP/AVP 8\r\n`,
  'reports an error': () => {
    throw new EngineError('error', 'told to fail');
  },
  'cannot do it': () => {
    throw new EngineError('unsupported', 'told to fail');
  },
  'is full': () => {
    throw new EngineError('full', 'told to fail');
  },
  breaks: () => {
    throw new TypeError('undefined is not a function');
  },
};

type Operation = 'offer' | 'answer';

async function settle(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A node with two media resources of a type, each with an engine of its own. */
class Resources {
  readonly engines = ['one', 'two'].map((name) => new UselessEngine(name));
  readonly manager: MediaResourceManager;

  constructor(type: MediaResourceType, clock: Clock) {
    const mediaResources = this.engines.map(({ label }, at): MediaResourceConfig => ({
      ...{ name: label, type, engine: 'rtpengine', node: 1, site: undefined, capacity: 50 },
      control: { protocol: 'udp', address: '127.0.0.1', port: 22222 + at },
    }));
    const common = { clusterName: 'acme', nodeId: 1, boot: 500, clock, log: silentLogger, metrics: silentMetrics };
    const pids = new Map<string, string>();
    const processes = createResourceProcesses({
      ...common,
      mediaResources,
      pids: new PidAllocator(1),
      music: { choose: () => Promise.resolve('/music.wav') },
      createEngine: ({ name }) => this.engines.find(({ label }) => label === name),
      onHealth: ({ pid, resource }, up) => {
        if (up) pids.set(resource.name, pid);
        else pids.delete(resource.name);
      },
    });
    this.manager = createMediaResourceManager({
      ...common,
      config: {
        mediaResources,
        mediaResourceGroups: [],
        mediaResourceGroupLists: [],
        sites: {},
        devices: [],
        gateways: [],
      },
      directory: {
        find: (device) => {
          const pid = pids.get(device);
          return pid === undefined ? undefined : { pid, boot: 500, node: 1 };
        },
        onGone: () => undefined,
        isLive: () => true,
      },
      messenger: { request: (to, body) => processes.handle(to, body) },
      endOrphan: () => undefined,
    });
  }
}

class UselessEngine extends FakeEngine {
  /** What it does instead of this operation. */
  fault: { readonly operation: Operation; readonly made: () => string } | undefined;

  constructor(readonly label: string) {
    super();
    const make = async (operation: Operation, session: string, made: string): Promise<string> => {
      await Promise.resolve();
      if (!this.held.has(session)) this.held.set(session, { file: '', playing: false });
      return this.fault?.operation === operation ? this.fault.made() : made.replace('s=', `s=${label} `);
    };
    this.relay = {
      codecs: ['PCMU', 'PCMA', 'G722'],
      offer: (session) => make('offer', session, madeOf('offer', label)),
      answer: (session, { from }) => make('answer', session, madeOf('answer', `${label} ${from}`)),
    };
    this.mixer = {
      accept: (session) => make('answer', session, madeOf('accept', label)),
      offer: (session) => make('offer', session, madeOf('offer', label)),
      connect: () => Promise.resolve(),
      mute: () => Promise.resolve(),
    };
  }

  override async musicOffer(session: string, options: { readonly file: string }): Promise<string> {
    const offer = await super.musicOffer(session, options);
    return this.fault?.operation === 'offer' ? this.fault.made() : offer.replace('s=-', `s=${this.label}`);
  }

  override async musicConnect(
    session: string,
    options: { readonly file: string; readonly answer: string },
  ): Promise<void> {
    if (this.fault?.operation === 'answer') this.fault.made();
    await super.musicConnect(session, options);
  }
}

/** A call of Alice to Bob; re-INVITEs are answered by both at once. */
class Call {
  readonly world: World;
  readonly resources: Resources;
  readonly clock = new SimulatedClock();
  bob!: FakeDevice;
  a!: FakeSession;

  constructor(type: MediaResourceType) {
    this.resources = new Resources(type, this.clock);
    this.world = new World({ resources: this.resources.manager, clock: this.clock });
  }

  break(count: number, operation: Operation, made: () => string): void {
    for (const engine of this.resources.engines.slice(0, count)) engine.fault = { operation, made };
  }

  async dial(alice: Partial<DeviceProfile>, bob: Partial<DeviceProfile>, offer = sdp('alice')): Promise<void> {
    await settle();
    this.bob = new FakeDevice({ ...profile('SEP-bob'), ...bob }, '1.dp.2');
    this.world.devices.set('1.dp.2', this.bob);
    this.world.route('2000', [target('1.dp.2', 'SEP-bob')]);
    this.a = this.world.call({ from: { ...profile('SEP-alice'), ...alice }, sdp: offer });
    await settle();
  }

  async pickUp(): Promise<void> {
    if (this.bob.calls.length === 0) return;
    this.bob.session.answers(this.spoken('bob'));
    await settle();
    if (this.a.all('answer').length > 0) this.a.acks();
    await this.pass(90);
  }

  private spoken(who: 'alice' | 'bob', direction = 'sendrecv', version = 1): string {
    const { codecs, security } = this.bob.profile;
    const bobs = {
      ...(codecs === undefined ? {} : { codecs: [9] }),
      ...(security === 'sdes' ? { protocol: 'RTP/SAVP' } : {}),
    };
    return sdp(who, { direction, version, ...(who === 'alice' ? {} : bobs) });
  }

  /** So many seconds, in which both answer what they are offered. */
  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      for (const session of [this.a, ...this.bob.calls.map((call) => call.session)]) {
        const { offered } = session;
        if (offered === undefined || session.over) continue;
        const direction = /a=sendonly/.test(offered.sdp ?? '') ? 'recvonly' : 'sendrecv';
        session.answersReinvite(this.spoken(session === this.a ? 'alice' : 'bob', direction, second + 2));
      }
      await settle();
      this.clock.advance(1000);
      await settle();
    }
  }

  get state(): string | undefined {
    return this.world.control.calls()[0]?.state;
  }

  /** What became of the caller: `200`, or the status that it was refused with, or the reason of its end. */
  get outcome(): string {
    const [refused] = this.a.all('reject');
    if (refused !== undefined) return `${refused.status ?? ''}`;
    const [ended] = this.a.all('bye');
    if (ended !== undefined) return `ended ${ended.reason ?? ''}`;
    return this.a.all('answer').length > 0 ? '200' : 'nothing';
  }
}

/** Who must be joined by what. */
const JOINED: readonly (readonly [MediaResourceType, Partial<DeviceProfile>, Partial<DeviceProfile>])[] = [
  ['transcoder', {}, { codecs: ['G722'] }],
  ['mtp', {}, { security: 'sdes' }],
];

describe.each(Object.entries(FAULTS))('an engine that %s', (fault, made) => {
  describe.each(JOINED)('as %s', (type, alice, bob) => {
    it.each(['offer', 'answer'] as const)('of one: the next one does it (%s)', async (operation) => {
      const call = new Call(type);
      call.break(1, operation, made);
      await call.dial(alice, bob);
      await call.pickUp();
      expect([call.outcome, call.state]).toEqual(['200', 'established']);
      const said = call.a.commands.flatMap((one) => one.sdp ?? []).at(-1);
      expect(said).toContain('m=audio 40002');
      expect(call.world.detail.media).toMatchObject({ path: 'through', resource: 'two' });
      await end(call);
    });

    it.each(['offer', 'answer'] as const)('of all: a clear refusal or end, no silence (%s)', async (operation) => {
      const call = new Call(type);
      call.break(2, operation, made);
      await call.dial(alice, bob);
      await call.pickUp();
      expect(call.outcome).toMatch(operation === 'offer' ? /^488$/ : /^(488|503|ended .*503)/);
      expect(call.state).toBeUndefined();
      await end(call);
    });
  });

  it.each(['offer', 'answer'] as const)(
    'as music: the next one plays; when there is none the held party is told so (%s)',
    async (operation) => {
      // It is asked for no description then; of how many streams it offers nobody has said anything.
      if (operation === 'answer' ? !/throw/.test(made.toString()) : fault.includes('too many')) return;
      for (const broken of [1, 2]) {
        const call = new Call('moh');
        call.break(broken, operation, made);
        await call.dial({}, {});
        await call.pickUp();
        expect(call.state).toBe('established');
        call.bob.session.reinvitesAndAcks(sdp('bob', { direction: 'sendonly', version: 9 }));
        await call.pass(10);
        expect(call.state).toBe('held');
        const told = call.a.all('reinvite').at(-1)?.sdp ?? '';
        if (broken === 1) expect(told).toMatch(/^s=two[^]*a=sendonly/m);
        else expect(told).toMatch(operation === 'offer' ? /a=inactive/ : /^s=two|a=inactive/m);
        // It is asked for again, and plays as soon as one can.
        call.break(2, operation, () => sdpOf(40_000, 'sendonly').replace('s=-', 's=again'));
        for (const engine of call.resources.engines) if (operation === 'answer') engine.fault = undefined;
        await call.pass(60);
        expect(call.a.all('reinvite').at(-1)?.sdp).toMatch(/a=sendonly/);
        expect(call.resources.engines.flatMap(({ held }) => [...held.values()]).some(({ playing }) => playing)).toBe(
          true,
        );
        await end(call);
      }
    },
  );

  it.each(['calls', 'is called'])(
    'before a browser that %s: the next one stands there, or the call is refused',
    async (who) => {
      for (const broken of [1, 2]) {
        const call = new Call('mtp');
        call.break(broken, 'offer', made);
        const browser = sdp('alice', { protocol: 'UDP/TLS/RTP/SAVPF' });
        if (who === 'calls') await call.dial({}, {}, browser);
        else await call.dial({}, { security: 'dtls' });
        await call.pickUp();
        if (broken === 1) expect([call.outcome, call.state]).toEqual(['200', 'established']);
        else expect([call.outcome, call.state]).toEqual([expect.stringMatching(/^(488|503)$/), undefined]);
        await end(call);
      }
    },
  );
});

/** Nothing is left, at whichever engine. */
async function end(call: Call): Promise<void> {
  // Told, and no more.
  for (const text of call.world.warnings.splice(0)) expect(text).toMatch(/^call: (no|a) media termination point/);
  await call.world.close();
  await call.pass(1);
  expect(call.resources.manager.open).toBe(0);
  expect(call.resources.engines.map(({ held }) => held.size)).toEqual([0, 0]);
}
