import fc from 'fast-check';
import { sdp, settled, talking, type TwoParties, type World } from './kit';
import { Phone, type Who } from './phone';

const RUNS = Number(process.env['CALL_MODELS'] ?? 300);
type Step =
  | { readonly do: 'hold' | 'resume' | 'move' | 'offer' | 'answer' | 'glare' | 'hear'; readonly who: Who }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'servers'; readonly left: number }
  | { readonly do: 'server-dies' | 'slow' | 'fast' }
  | { readonly do: 'settle' };

const who = fc.constantFrom<Who>('alice', 'bob');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('hold' as const, 'resume' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const), who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('offer' as const), who }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('answer' as const, 'hear' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('glare' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 12_000 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('servers' as const), left: fc.integer({ min: 0, max: 3 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('server-dies' as const, 'slow' as const, 'fast' as const) }),
  },
);

async function act(world: World, phones: Record<Who, Phone>, what: Step): Promise<void> {
  switch (what.do) {
    case 'hold':
    case 'resume':
      return phones[what.who].want(what.do === 'hold');
    case 'wait':
      return world.clock.advance(what.ms);
    case 'servers':
      world.resources.servers = what.left;
      return;
    case 'server-dies':
      return world.resources.granted.at(-1)?.lost('unknown-allocation');
    case 'slow':
      world.resources.slow = true;
      return;
    case 'fast':
      return world.resources.answer();
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

/** Lets phones, servers and timers go on until nothing is under way. */
async function rest(world: World, phones: Record<Who, Phone>): Promise<void> {
  world.resources.servers = 100;
  world.resources.answer();
  for (let turn = 0; turn < 40; turn += 1) {
    for (const phone of Object.values(phones)) {
      phone.answer();
      await settled();
      phone.hear();
      phone.offer();
      phone.hear();
    }
    world.clock.advance(500);
    await settled();
    if (Object.values(phones).every((phone) => phone.idle) && turn > 20) return;
  }
}

/** A phone that answers nothing for 40 s has lost its call. */
function isOver({ control }: World): boolean {
  return control.calls().length === 0;
}

function begin(callee: 'station' | 'node'): TwoParties & { phones: Record<Who, Phone> } {
  const parties = talking({ callee });
  const phones = { alice: new Phone('alice', parties.a), bob: new Phone('bob', parties.b) };
  return { ...parties, phones };
}

describe('random calls', () => {
  test('whatever two phones do, at rest each is connected as their holds say, and nothing leaks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        const { world, phones } = begin('station');
        for (const what of steps) await act(world, phones, what);
        await rest(world, phones);
        if (isOver(world)) return world.close();
        const [a, b] = world.detail.legs;
        expect([a?.holds, b?.holds]).toEqual([phones.alice.holding, phones.bob.holding]);
        for (const [leg, other] of [
          [a!, b!],
          [b!, a!],
        ] as const) {
          if (other.holds && !leg.holds && leg.music !== 'unavailable') {
            expect(leg).toMatchObject({ connection: 'music', music: 'playing' });
          }
          if (!other.holds && !leg.holds) expect(leg).toMatchObject({ connection: 'peer', music: 'none' });
          if (leg.holds) expect(leg.music).toBe('none');
          // A holder is never told of anybody whom it could talk to.
          if (leg.holds && leg.ourDirection !== undefined) expect(leg.ourDirection).not.toBe('sendrecv');
        }
        expect(world.resources.open).toBeLessThanOrEqual(1);
        await world.close();
      }),
      { numRuns: RUNS },
    );
  }, 120_000);

  test('with another node at one end nothing leaks either, and the node is told the last direction', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        const { world, phones } = begin('node');
        for (const what of steps) await act(world, phones, what);
        await rest(world, phones);
        if (isOver(world)) return world.close();
        const [a] = world.detail.legs;
        const told = phones.bob.toldHold;
        if (told !== undefined) expect(told).toBe(a?.holds);
        if (phones.bob.holding && !phones.alice.holding && a?.music !== 'unavailable') {
          expect(a).toMatchObject({ music: 'playing' });
        }
        await world.close();
      }),
      { numRuns: RUNS },
    );
  }, 120_000);

  test('whatever is said in whatever order, a hang-up leaves nothing', async () => {
    const text = fc.constantFrom(undefined, 'nonsense', sdp('alice'), sdp('bob', { direction: 'inactive' }));
    const noise = fc.record({ who, kind: fc.nat(9), text, status: fc.constantFrom(200, 400, 408, 481, 488, 491, 500) });
    await fc.assert(
      fc.asyncProperty(fc.array(noise, { maxLength: 30, size: 'max' }), fc.boolean(), async (said, slow) => {
        const { world, a, b } = talking();
        world.resources.slow = slow;
        for (const [at, { who: from, kind, text: body, status }] of said.entries()) {
          const session = from === 'alice' ? a : b;
          if (session.over) continue;
          if (kind <= 2) session.reinvites(body);
          else if (kind === 3) session.acks(body);
          else if (kind === 4) session.requestsThat(at % 2 === 0 ? 'UPDATE' : 'INFO', body ?? '');
          else if (kind === 5) session.answers(body);
          else if (kind === 6) world.clock.advance(status * 20);
          else if (kind === 7) await settled();
          else if (session.offered !== undefined) {
            if (kind === 8) session.answersReinvite(body);
            else if (status !== 200) session.rejectsReinvite(status);
          }
        }
        if (!a.over) a.hangsUp();
        world.resources.answer();
        await world.close();
      }),
      { numRuns: RUNS },
    );
  }, 120_000);
});
