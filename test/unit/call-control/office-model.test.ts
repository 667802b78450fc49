import fc from 'fast-check';
import type { Codec } from '../../support/media-stream';
import type { Hold } from '../../support/party-sdp';
import { settled } from './kit';
import { type Equipment, OfficeModel, SLOTS } from './office';
import type { Wish } from './wired-phone';

/** `CALL_SEQUENCES=10000` for the long form, which draws anew each time; the short one is the same each time. `CALL_SHRINK=no` tells what was drawn first. */
const LONG = process.env['CALL_SEQUENCES'];
const OPTIONS = {
  numRuns: Number(LONG ?? 300),
  ...(LONG === undefined ? { seed: 4711 } : {}),
  ...(process.env['CALL_SHRINK'] === 'no' ? { endOnFailure: true } : {}),
};

type Step =
  | { readonly do: 'dial'; readonly who: number; readonly whom: number }
  | { readonly do: 'want'; readonly line: number; readonly wish: Wish }
  | { readonly do: 'refer'; readonly line: number; readonly whom: number }
  /** Picks up, parks, retrieves: by dialling, or by a transfer to there. */
  | { readonly do: 'dial-code'; readonly who: number; readonly code: string }
  | { readonly do: 'park'; readonly line: number; readonly code: string }
  | { readonly do: 'join'; readonly line: number; readonly other: number }
  | { readonly do: 'pick-up' | 'refuse' | 'hang-up'; readonly line: number }
  | { readonly do: 'deliver'; readonly way: number; readonly ahead: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'lose'; readonly node: number; readonly which: number }
  | { readonly do: 'settle' | 'calm' | 'rest' | 'slow' | 'fast' };

function chosen<T>(all: readonly T[], at: number): T | undefined {
  return all.length === 0 ? undefined : all[at % all.length];
}

async function act(office: OfficeModel, what: Step): Promise<void> {
  switch (what.do) {
    case 'dial': {
      const [who, whom] = [chosen(office.stations, what.who)!, chosen(office.stations, what.whom)!];
      return who === whom ? undefined : office.dial(who, whom.number);
    }
    case 'dial-code':
      return office.dial(chosen(office.stations, what.who)!, what.code);
    case 'park':
      return chosen(office.up, what.line)?.phone.refer(what.code);
    case 'want':
      return chosen(office.talking, what.line)?.phone.want(what.wish);
    case 'refer': {
      const line = chosen(office.up, what.line);
      const whom = chosen(office.stations, what.whom)!;
      return line === undefined || line.station === whom ? undefined : line.phone.refer(whom.number);
    }
    case 'join': {
      const line = chosen(office.up, what.line);
      const mine = office.up.filter((other) => other !== line && other.station === line?.station);
      const named = chosen(mine, what.other)?.phone.named;
      return named === undefined ? undefined : line?.phone.refer('9', named);
    }
    case 'pick-up':
    case 'refuse': {
      const line = chosen(office.ringing, what.line);
      if (line === undefined) return;
      return what.do === 'refuse' ? office.refuse(line) : office.pickUp(line);
    }
    case 'hang-up':
      return chosen(office.up, what.line)?.phone.hangUp();
    case 'deliver':
      return office.wire.deliver(what.way, what.ahead);
    case 'wait':
      return office.wait(what.ms);
    case 'lose':
      return office.lose(what.node, what.which);
    case 'settle':
      return settled();
    case 'calm':
      return office.calm();
    case 'rest':
      await office.rest();
      office.expectLegs();
      office.expectShort();
      return office.expectSound();
    case 'slow':
      for (const { resources } of office.worlds) resources.slow = true;
      return;
    case 'fast':
      for (const { resources } of office.worlds) resources.answer();
      return;
  }
}

const CODECS: readonly (readonly Codec[])[] = [['PCMU'], ['PCMA'], ['G722'], ['PCMA', 'PCMU']];
const codecs = fc.constantFrom(...CODECS);
const equipment: fc.Arbitrary<Equipment> = fc.record({
  node: fc.nat(2),
  codecs,
  configured: fc.boolean(),
  polite: fc.boolean(),
});
const hold = fc.constantFrom<Hold>('none', 'none', 'none', 'sendonly', 'sendonly', 'inactive', 'blackhole');
const line = fc.nat(11);
const CODES = ['**1000', '**2000', '**3000', '*8', '*8', '*68', ...SLOTS, ...SLOTS, '*88701'];
const whom = fc.nat(5);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('dial' as const), who: whom, whom }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('pick-up' as const), line }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('want' as const), line, wish: fc.record({ hold }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('refer' as const), line, whom }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('join' as const), line, other: line }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('dial-code' as const), who: whom, code: fc.constantFrom(...CODES) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('park' as const), line, code: fc.constantFrom('*68', ...SLOTS) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('refuse' as const, 'hang-up' as const), line }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      way: fc.nat(23),
      ahead: fc.constantFrom(0, 0, 0, 0, 1, 2),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2000 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'calm' as const, 'rest' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), node: fc.nat(2), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('slow' as const, 'fast' as const) }) },
);

test('whatever two to six phones do, and however messages cross, at rest everybody hears who they should, and at the end nothing is left', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(equipment, { minLength: 2, maxLength: 6 }),
      fc.array(step, { maxLength: 70, size: 'max' }),
      async (nodes, phones, steps) => {
        const office = new OfficeModel(nodes, phones);
        for (const what of steps) await act(office, what);
        await office.rest();
        for (const ringing of office.ringing) office.pickUp(ringing);
        await office.rest();
        office.expectLegs();
        office.expectShort();
        office.expectSound();
        await office.close();
      },
    ),
    OPTIONS,
  );
}, 900_000);
