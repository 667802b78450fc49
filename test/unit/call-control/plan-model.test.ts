import fc from 'fast-check';
import { TEMPORARILY_UNAVAILABLE } from '../../../src/call-control/ringing/best-response';
import type { PlanEvent } from '../../../src/call-control/ringing/plan';
import { NO_ANSWER_MS } from '../../../src/call-control/ringing/branches';
import type { Target } from '../../../src/digit-analysis/analysis';
import type { Pid } from '../../../src/process/pid';
import { statusTowardsCaller } from '../../../src/sip/status';
import { type FakeSession, sdp, target, World } from './kit';
import { inOrder, type NamedPlan, Player, stepOf, together } from './plan-kit';

/** Whoever is called by it: what its refusals mean differs (`isUnreachable`). */
type Kind = 'station' | 'gateway';

interface Step {
  /** Which of those that ring; taken modulo their number. */
  readonly at: number;
  readonly what: 'answers' | 'rejects' | 'lost' | 'time' | 'cancels';
  readonly status: number;
}

const branches = fc.array(fc.array(fc.constantFrom<Kind>('station', 'gateway'), { minLength: 1, maxLength: 3 }), {
  maxLength: 4,
});
const steps = fc.array(
  fc.record<Step>({
    at: fc.nat(9),
    what: fc.oneof(
      { weight: 8, arbitrary: fc.constant('rejects' as const) },
      { weight: 2, arbitrary: fc.constant('lost' as const) },
      { weight: 1, arbitrary: fc.constantFrom('answers' as const, 'time' as const, 'cancels' as const) },
    ),
    status: fc.constantFrom(300, 404, 408, 410, 430, 480, 486, 487, 500, 503, 600, 603),
  }),
  { maxLength: 14, size: 'max' },
);

/** Branches ring together; the targets of one are tried in order while nobody decides; and all of it for so long. */
function planOf(names: readonly (readonly string[])[]): NamedPlan {
  const plans = names.map((targets) => inOrder(...targets.map((name) => stepOf(name, ['unreachable']))));
  return inOrder(stepOf(together(...plans), [], NO_ANSWER_MS));
}

/** A call in the fake world, and beside it the plan that says the same. */
class Both {
  readonly world = new World();
  readonly plan: Player;
  private readonly kinds = new Map<string, Kind>();
  private readonly caller: FakeSession;

  constructor(route: readonly (readonly Kind[])[]) {
    let instance = 0;
    const targets = route.map((branch) =>
      branch.map((kind): Target => {
        instance += 1;
        const pid: Pid = kind === 'gateway' ? `1.gp.${instance}` : `1.dp.${instance}`;
        const name = `device-${instance}`;
        this.world.device(name, pid, kind);
        this.kinds.set(name, kind);
        return target(pid, name, { kind });
      }),
    );
    this.world.route('2000', ...targets);
    this.plan = new Player(planOf(targets.map((branch) => branch.map(({ device }) => device))));
    this.plan.start();
    this.caller = this.world.call();
  }

  get isOver(): boolean {
    return this.caller.over || this.caller.all('answer').length > 0;
  }

  private get sessions(): FakeSession[] {
    return [...this.world.devices.values()].flatMap(({ calls }) => calls.map(({ session }) => session));
  }

  play({ at, what, status }: Step): void {
    const ringing = this.sessions.filter((session) => !session.over);
    const session = ringing[at % ringing.length];
    if (session === undefined || this.isOver) return;
    switch (what) {
      case 'answers':
        this.plan.answers(session.who);
        return session.answers(sdp('bob'));
      case 'rejects':
        this.plan.tell(this.refusal(session.who, status));
        return session.rejects(status);
      case 'lost':
        this.plan.fails(session.who, TEMPORARILY_UNAVAILABLE.status, true);
        return session.emit({ type: 'ended', by: 'server', reason: 'SIP server lost' });
      case 'time':
        this.plan.passes(1);
        return this.world.clock.advance(NO_ANSWER_MS);
      case 'cancels':
        this.plan.tell({ type: 'cancelled', reason: 'SIP;cause=487' });
        return this.caller.emit({ type: 'cancelled', reason: undefined });
    }
  }

  private refusal(who: string, status: number): PlanEvent {
    const [ring = 0] = [...this.plan.names].find(([, name]) => name === who) ?? [];
    const isOutside = this.kinds.get(who) === 'gateway' && status >= 500 && status < 600;
    const tryAnother = [408, 430, 503].includes(status) || isOutside;
    const told = status === 408 ? TEMPORARILY_UNAVAILABLE.status : statusTowardsCaller(status);
    return { type: 'failed', ring, failure: { status: told, reason: undefined, headers: {}, tryAnother } };
  }

  /** Who was rung, in order; who was cancelled, with which reason; what the caller was told at last. */
  get done(): unknown {
    const cancelled = this.sessions.flatMap((session) =>
      session.all('cancel').map(({ reason }) => `cancel ${session.who} ${reason}`),
    );
    const final = this.caller.all('reject').map(({ status }) => status);
    return { rung: this.sessions.map(({ who }) => who).sort(), cancelled: cancelled.sort(), final };
  }

  get meant(): unknown {
    const named = (ring: number): string => this.plan.names.get(ring) ?? '';
    const cancelled = this.plan.actions.flatMap((action) =>
      action.type === 'cancel' ? [`cancel ${named(action.ring)} ${action.reason}`] : [],
    );
    const gaveUp = this.plan.actions.flatMap((action) =>
      action.type === 'give-up' ? [(action.failure ?? TEMPORARILY_UNAVAILABLE).status] : [],
    );
    return { rung: [...this.plan.names.values()].sort(), cancelled: cancelled.sort(), final: gaveUp };
  }
}

describe('the plan of a call', () => {
  test('rings, cancels and gives up as call control does, whatever the targets say', async () => {
    await fc.assert(
      fc.asyncProperty(branches, steps, async (route, all) => {
        const both = new Both(route);
        expect(both.done).toEqual(both.meant);
        for (const step of all) {
          both.play(step);
          expect(both.done).toEqual(both.meant);
        }
        await both.world.close();
      }),
      { numRuns: 1000 },
    );
  }, 60_000);
});
