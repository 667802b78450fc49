import fc from 'fast-check';
import { audioCodecs } from '../../../src/sdp';
import { FakeDevice, profile, sdp, settled, target, World } from './kit';
import { Phone, type Who } from './phone';

/** `CALL_SEQUENCES=1000` for the long form. */
const RUNS = Number(process.env['CALL_SEQUENCES'] ?? 150);

const CODECS: readonly (readonly number[])[] = [[0], [8], [9], [0, 8]];

type Step =
  | { readonly do: 'hold' | 'resume' | 'move' | 'offer' | 'answer' | 'glare' | 'hear'; readonly who: Who }
  | { readonly do: 'recode'; readonly who: Who; readonly codecs: readonly number[] }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'lose' | 'fail' | 'none' | 'some' | 'slow' | 'fast' | 'settle' };

const who = fc.constantFrom<Who>('alice', 'bob');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('hold' as const, 'resume' as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('recode' as const), who, codecs: fc.constantFrom(...CODECS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const), who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('offer' as const), who }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('answer' as const, 'hear' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('glare' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 12_000 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('lose', 'fail', 'none', 'some', 'slow', 'fast') }),
  },
);

type Phones = Record<Who, Phone>;

function act({ resources, clock }: World, phones: Phones, what: Step): Promise<void> | void {
  switch (what.do) {
    case 'hold':
    case 'resume':
      return phones[what.who].want(what.do === 'hold');
    case 'recode':
      return phones[what.who].recode(what.codecs);
    case 'wait':
      return clock.advance(what.ms);
    case 'lose':
      resources.joining += 1;
      return resources.granted.at(-1)?.lost();
    case 'fail': {
      const last = resources.granted.at(-1);
      const how = resources.granted.length % 3;
      if (how === 2) return last?.lost('unknown-allocation');
      if (last !== undefined) last.failing = how === 0 ? 'offer' : 'connect';
      return;
    }
    case 'none':
      for (const type of ['moh', 'transcoder', 'mtp']) resources.none.add(type);
      return;
    case 'some':
      return resources.none.clear();
    case 'slow':
      resources.slow = true;
      return;
    case 'fast':
      return resources.answer();
    case 'settle':
      return settled();
    case 'move':
    case 'offer':
    case 'answer':
    case 'glare':
    case 'hear':
      return phones[what.who][what.do]();
  }
}

/** Everything is there again, and phones and timers go on until nothing is under way. */
async function rest(world: World, phones: Phones): Promise<void> {
  world.resources.servers = 1000;
  world.resources.none.clear();
  world.resources.answer();
  for (const allocation of world.resources.granted) allocation.failing = undefined;
  for (let turn = 0; turn < 60; turn += 1) {
    for (const phone of Object.values(phones)) {
      phone.answer();
      await settled();
      phone.hear();
      phone.offer();
      phone.hear();
    }
    world.clock.advance(500);
    world.resources.answer();
    await settled();
    if (Object.values(phones).every((phone) => phone.idle) && turn > 30) return;
  }
}

/** Alice speaks PCMU and Bob G.722, which is known: their call goes through a transcoder. */
async function begin(): Promise<{ world: World; phones: Phones }> {
  const world = new World();
  world.resources.servers = 1000;
  const bob = new FakeDevice({ ...profile('SEP-bob'), codecs: ['G722'] }, '1.dp.2');
  world.devices.set('1.dp.2', bob);
  world.route('2000', [target('1.dp.2', 'SEP-bob')]);
  const a = world.call({ sdp: sdp('alice', { codecs: [0] }) });
  await settled();
  bob.session.answers(sdp('bob', { codecs: [9] }), { 'Session-Expires': '1800;refresher=uac' });
  await settled();
  a.acks();
  const phones = { alice: new Phone('alice', a), bob: new Phone('bob', bob.session) };
  phones.alice.codecs = [0];
  phones.bob.codecs = [9];
  return { world, phones };
}

function shareCodec({ alice, bob }: Phones): boolean {
  return alice.codecs.some((codec) => bob.codecs.includes(codec));
}

describe('random calls whose phones change codecs and whose resources die', () => {
  test('at rest both ends talk, through a resource when they must, and every resource is released exactly once', async () => {
    let alive = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        const { world, phones } = await begin();
        for (const what of steps) await act(world, phones, what);
        await rest(world, phones);
        if (world.control.calls().length > 0) {
          alive += 1;
          const [a, b] = world.detail.legs;
          expect([a?.holds, b?.holds]).toEqual([phones.alice.holding, phones.bob.holding]);
          if (!phones.alice.holding && !phones.bob.holding) {
            expect([a?.connection, b?.connection]).toEqual(['peer', 'peer']);
            for (const { knows, codecs } of Object.values(phones))
              if (knows !== undefined) {
                expect(knows.includes('10.0.8.')).toBe(world.detail.media?.path === 'through');
                expect(audioCodecs(knows).some(({ payload }) => codecs.includes(payload))).toBe(true);
              }
            if (!shareCodec(phones)) expect(world.detail.media).toMatchObject({ path: 'through', step: 'joined' });
          }
          // One for the path, one for the music.
          expect(world.resources.open).toBeLessThanOrEqual(2);
        }
        await world.close();
      }),
      { numRuns: RUNS },
    );
    expect(alive).toBeGreaterThan(RUNS / 2);
  }, 600_000);
});

type SetupStep =
  | 'ring'
  | 'early'
  | 'answer'
  | 'refuse'
  | 'busy'
  | 'lose'
  | 'fail'
  | 'none'
  | 'some'
  | 'slow'
  | 'fast'
  | 'settle'
  | 'wait'
  | 'cancel'
  | 'gone';

const setupStep: fc.Arbitrary<SetupStep> = fc.constantFrom<SetupStep>(
  ...(['ring', 'early', 'answer', 'answer', 'refuse', 'refuse', 'busy', 'lose', 'fail', 'none', 'some'] as const),
  ...(['slow', 'fast', 'settle', 'settle', 'settle', 'wait', 'cancel', 'gone'] as const),
);

describe('random set-ups through resources', () => {
  test('whatever phones and resources do before the answer, a hang-up leaves nothing', async () => {
    const about = fc.record({
      delayed: fc.boolean(),
      takesDelayed: fc.boolean(),
      codecs: fc.constantFrom(undefined, ['G722'], ['PCMU']),
      mtpRequired: fc.boolean(),
    });
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(about, fc.array(setupStep, { maxLength: 25, size: 'max' }), async (how, steps) => {
        const { delayed, takesDelayed: delayedOffer, codecs, mtpRequired } = how;
        const world = new World();
        const device = new FakeDevice({ ...profile('SEP-bob'), codecs, mtpRequired, delayedOffer }, '1.dp.2');
        world.devices.set('1.dp.2', device);
        world.route('2000', [target('1.dp.2', 'SEP-bob'), target('1.dp.2', 'SEP-bob')]);
        const a = world.call({ sdp: delayed ? null : sdp('alice', { codecs: [0] }) });
        for (const what of steps) {
          const session = device.calls.at(-1)?.session;
          const callee = session?.over === false ? session : undefined;
          if (what === 'ring') callee?.rings();
          else if (what === 'early') callee?.rings(183, sdp('bob', { codecs: [9] }));
          else if (what === 'answer' && callee?.answered === false) callee.answers(sdp('bob', { codecs: [9] }));
          else if (what === 'refuse' && callee?.answered === false) callee.rejects(488);
          else if (what === 'busy' && callee?.answered === false) callee.rejects(486);
          else if (what === 'gone') callee?.hangsUp();
          else if (what === 'cancel' && !a.over && a.all('answer').length === 0)
            a.emit({ type: 'cancelled', reason: undefined });
          else if (what === 'wait') world.clock.advance(3000);
          else await act(world, { alice: new Phone('alice', a), bob: new Phone('bob', a) }, { do: resourceStep(what) });
          if (a.all('answer').length === 1 && a.all('reinvite').length === 0) answered += 1;
        }
        world.resources.answer();
        await settled();
        await world.close();
      }),
      { numRuns: RUNS * 2 },
    );
    expect(answered).toBeGreaterThan(0);
  }, 600_000);
});

function resourceStep(what: SetupStep): 'lose' | 'fail' | 'none' | 'some' | 'slow' | 'fast' | 'settle' {
  switch (what) {
    case 'lose':
    case 'fail':
    case 'none':
    case 'some':
    case 'slow':
    case 'fast':
      return what;
    default:
      return 'settle';
  }
}
