import fc from 'fast-check';
import type { Target } from '../../../src/digit-analysis/analysis';
import type { Pid } from '../../../src/process/pid';
import { type FakeSession, sdp, target, World } from './kit';

type Kind = 'station' | 'gateway' | 'node';

const kind = fc.constantFrom<Kind>('station', 'gateway', 'node');
const route = fc.array(fc.array(kind, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 });

interface Event {
  /** Which of the sessions that were started; taken modulo their number. */
  readonly at: number;
  readonly what: 'rings' | 'early' | 'answers' | 'rejects' | 'not-mine' | 'lost' | 'wait' | 'caller-cancels';
  readonly status: number;
}

const event: fc.Arbitrary<Event> = fc.record({
  at: fc.nat(9),
  what: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('rings' as const, 'early' as const, 'rejects' as const) },
    { weight: 2, arbitrary: fc.constantFrom('answers' as const, 'not-mine' as const, 'lost' as const) },
    { weight: 2, arbitrary: fc.constant('wait' as const) },
    { weight: 1, arbitrary: fc.constant('caller-cancels' as const) },
  ),
  status: fc.constantFrom(300, 401, 404, 408, 410, 480, 486, 487, 500, 503, 600, 603),
});

/** Puts a process behind each target of the route. */
function lay(world: World, branches: readonly (readonly Kind[])[]): void {
  let instance = 0;
  const targets = branches.map((branch) =>
    branch.map((which): Target => {
      instance += 1;
      const pid: Pid =
        which === 'node' ? `2.dp.${instance}` : which === 'gateway' ? `1.gp.${instance}` : `1.dp.${instance}`;
      world.device(which === 'node' ? 'node-2' : `device-${instance}`, pid, which);
      return target(pid, `device-${instance}`, { kind: which === 'gateway' ? 'gateway' : 'station' });
    }),
  );
  world.route('2000', ...targets);
}

function started(world: World): FakeSession[] {
  return [...world.devices.values()].flatMap((device) => device.calls.map((call) => call.session));
}

function play(world: World, a: FakeSession, { at, what, status }: Event): void {
  if (what === 'wait') return world.clock.advance(status);
  if (what === 'caller-cancels') {
    if (!a.over) a.emit({ type: 'cancelled', reason: undefined });
    return;
  }
  const sessions = started(world);
  const session = sessions[at % sessions.length];
  if (session === undefined || session.over) return;
  switch (what) {
    case 'rings':
      return session.rings(180 + (at % 4));
    case 'early':
      return session.rings(183, sdp('bob', { port: 4000 + at * 2 }));
    case 'answers':
      return session.answers(at === 9 ? undefined : sdp('bob'));
    case 'rejects':
      return session.rejects(status);
    case 'not-mine':
      return session.rejects(410, { 'X-Not-Mine': 'signed' });
    case 'lost':
      return session.emit({ type: 'ended', by: 'server', reason: 'SIP server lost' });
  }
}

describe('random set-ups', () => {
  test('the caller gets one final answer, one callee at most is left, and nothing leaks', async () => {
    await fc.assert(
      fc.asyncProperty(
        route,
        fc.array(event, { maxLength: 30, size: 'max' }),
        fc.boolean(),
        async (branches, events, delayed) => {
          const world = new World();
          lay(world, branches);
          const a = world.call({ sdp: delayed ? null : sdp('alice') });
          for (const next of events) {
            play(world, a, next);
            // Once its call is answered or over, the caller has had its one final answer.
            const finals = a.all('answer').length + a.all('reject').length;
            expect(finals).toBeLessThanOrEqual(1);
            if (a.over) break;
          }
          const alive = started(world).filter((session) => !session.over);
          if (a.over) expect(alive).toEqual([]);
          else if (a.all('answer').length === 1) expect(alive).toHaveLength(1);
          for (const { sdp: early } of a.all('progress')) if (delayed) expect(early).toBeUndefined();
          // RFC 3261 §13.2.1: in its one dialog the caller is told one thing; what holds in the end it is offered.
          const told = [...a.all('progress'), ...a.all('answer')].flatMap((command) => command.sdp ?? []);
          expect(new Set(told).size).toBeLessThanOrEqual(1);
          const [callee] = alive;
          if (!delayed && a.all('answer').length === 1 && callee !== undefined && !a.over) {
            a.acks();
            const last = a.all('reinvite').at(-1)?.sdp ?? told[0];
            expect(last).toContain('m=audio 4000 ');
          }
          for (const device of world.devices.values()) expect(device.calls.length).toBeLessThanOrEqual(1);
          if (!a.over && a.all('answer').length === 0) world.clock.advance(180_000);
          await world.close();
          expect(world.records).toHaveLength(1);
        },
      ),
      { numRuns: 500 },
    );
  }, 120_000);
});
