import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import {
  advance,
  hasNext,
  onlyOneLeft,
  planned,
  PLAN_STEPS,
  type PlanState,
  rungNow,
} from '../../../src/call-control/ringing/advance';
import { bestFailure, rank } from '../../../src/call-control/ringing/best-response';
import { type Cause, type PlanAction, type PlanEvent } from '../../../src/call-control/ringing/plan';
import { inOrder, type NamedPlan, onFailure, Player, ring, stepOf, together } from './plan-kit';

const ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"';
const NO_ANSWER = 'SIP;cause=487;text="No answer"';

describe('a plan', () => {
  it('rings one after another, as long as the causes say so', () => {
    const player = new Player(inOrder(stepOf('one', ['unreachable']), stepOf('two', ['unreachable']), stepOf('three')));
    expect(player.start()).toEqual(['ring one']);
    expect(player.fails('one', 503, true)).toEqual(['ring two']);
    expect(player.fails('two', 404)).toEqual(['give up 404 two']);
  });

  it('rings together, and cancels the others of who answers', () => {
    const player = new Player(together('one', inOrder(stepOf('two', ['busy']), stepOf('three')), 'four'));
    expect(player.start()).toEqual(['ring one', 'ring two', 'ring four']);
    expect(player.answers('two')).toEqual([`cancel one ${ELSEWHERE}`, `cancel four ${ELSEWHERE}`]);
    expect(player.state).toMatchObject({ phase: 'answered', answered: 2 });
  });

  it('goes to the next when the time of a step is over', () => {
    const player = new Player(inOrder(stepOf(together('one', 'two'), ['no-answer'], 20_000), stepOf('three')));
    expect(player.start()).toEqual(['ring one', 'ring two', 'wait 1 for 20000']);
    expect(player.fails('one', 486)).toEqual([]);
    expect(player.passes(1)).toEqual([`cancel two ${NO_ANSWER}`, 'ring three']);
    expect(player.fails('three', 404)).toEqual(['give up 404 three']);
  });

  it('has failed with "no answer" when its time is over, whatever its parts have said', () => {
    const player = new Player(inOrder(stepOf(together('one', 'two'), [], 180_000)));
    player.start();
    player.fails('one', 486);
    expect(player.passes(1)).toEqual([`cancel two ${NO_ANSWER}`, 'give up 480 No Answer']);
  });

  it('forgets the time of a step that has failed or was answered before', () => {
    const player = new Player(inOrder(stepOf('one', ['busy'], 5000), stepOf('two', [], 6000)));
    player.start();
    expect(player.fails('one', 486)).toEqual(['wait 1 no more', 'ring two', 'wait 2 for 6000']);
    expect(player.passes(1)).toEqual([]);
    expect(player.answers('two')).toEqual(['wait 2 no more']);
  });

  it.each<[Cause, number, boolean | undefined]>([
    ['busy', 486, undefined],
    ['busy', 600, undefined],
    ['no-answer', 480, undefined],
    ['no-answer', 487, undefined],
    ['unreachable', 480, true],
    ['unreachable', 503, true],
    ['refused', 503, undefined],
    ['refused', 404, undefined],
    ['declined', 603, undefined],
    ['declined', 606, undefined],
  ])('forwards on %s, which is %i (try another: %s), and on nothing else', (cause, status, tryAnother) => {
    const causes: readonly Cause[] = ['busy', 'no-answer', 'unreachable', 'refused', 'declined'];
    for (const on of causes) {
      const player = new Player(onFailure('bob', { [on]: ring('voicemail') }));
      player.start();
      const expected = on === cause ? ['ring voicemail'] : [`give up ${status} bob`];
      expect(player.fails('bob', status, tryAnother)).toEqual(expected);
    }
  });

  it('forwards when nobody is there at all', () => {
    const player = new Player(onFailure(together(), { unreachable: ring('mobile') }));
    expect(player.start()).toEqual(['ring mobile']);
    const nobody = new Player(together(inOrder(), together()));
    expect(nobody.start()).toEqual(['give up nobody']);
  });

  it('forwards once: what it was forwarded to is not looked up again', () => {
    const player = new Player(onFailure('bob', { busy: ring('carol'), 'no-answer': ring('dave') }));
    player.start();
    player.fails('bob', 486);
    expect(player.fails('carol', 480)).toEqual(['give up 486 bob']);
  });

  it('ends with a 6xx what rings beside it, but not what was made for that case', () => {
    const plain = new Player(together('one', inOrder(stepOf('two', ['busy']), stepOf('three')), 'four'));
    plain.start();
    const cancelled = ['cancel one SIP;cause=603', 'cancel four SIP;cause=603'];
    expect(plain.fails('two', 603)).toEqual([...cancelled, 'give up 603 two']);

    const forwarded = new Player(onFailure(together('one', 'two'), { declined: ring('desk') }));
    forwarded.start();
    expect(forwarded.fails('two', 603)).toEqual(['cancel one SIP;cause=603', 'ring desk']);

    const hunted = new Player(together('one', inOrder(stepOf('two', ['declined']), stepOf('three'))));
    hunted.start();
    expect(hunted.fails('two', 603)).toEqual(['ring three']);
    expect(hunted.fails('three', 486)).toEqual([]);
    expect(hunted.fails('one', 404)).toEqual(['give up 603 two']);
  });

  it('tells the best of all that were tried, the first of equals', () => {
    const player = new Player(together(inOrder(stepOf('one', ['unreachable']), stepOf('two')), 'three', 'four'));
    player.start();
    player.fails('four', 404);
    player.fails('one', 480, true);
    player.fails('two', 503);
    expect(player.fails('three', 410)).toEqual(['give up 404 four']);
  });

  it('knows whether somebody else could be rung, and who is the only one left', () => {
    const player = new Player(together(inOrder(stepOf('one', ['unreachable']), stepOf('two')), 'three'));
    player.start();
    expect([1, 2].map((id) => hasNext(player.state, id))).toEqual([true, false]);
    expect(onlyOneLeft(player.state)).toBeUndefined();
    player.fails('three', 486);
    expect(onlyOneLeft(player.state)).toBeUndefined();
    player.fails('one', 503, true);
    expect(onlyOneLeft(player.state)).toBe(3);
    expect(rungNow(player.state)).toEqual([{ type: 'ring', ring: 3, target: 'two' }]);
  });

  it('leaves the early media of who may be forwarded unheard', () => {
    const player = new Player(onFailure('bob', { busy: ring('carol') }));
    player.start();
    expect(onlyOneLeft(player.state)).toBeUndefined();
    player.fails('bob', 486);
    expect(onlyOneLeft(player.state)).toBe(2);
  });
});

/** Every plan, three deep, of numbered targets. */
const causes = fc.subarray<Cause>(['unreachable', 'busy', 'no-answer', 'declined', 'refused']);
const { plan: anyPlan } = fc.letrec<{ plan: NamedPlan; step: ReturnType<typeof stepOf> }>((tie) => ({
  plan: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'plan' },
    { weight: 3, arbitrary: fc.nat(99).map((n) => ring(`t${n}`)) },
    { weight: 2, arbitrary: fc.array(tie('step'), { maxLength: 3 }).map((steps) => inOrder(...steps)) },
    { weight: 2, arbitrary: fc.array(tie('plan'), { maxLength: 3 }).map((plans) => together(...plans)) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(tie('plan'), causes, tie('plan'))
        .map(([plan, on, other]) => onFailure(plan, Object.fromEntries(on.map((cause) => [cause, other])))),
    },
  ),
  step: fc
    .tuple(tie('plan'), causes, fc.option(fc.integer({ min: 1, max: 99_000 }), { nil: undefined }))
    .map(([plan, goOn, forMs]) => stepOf(plan, goOn, forMs)),
}));

const anyEvent: fc.Arbitrary<PlanEvent> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<PlanEvent>({ type: 'started' }) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('failed' as const),
      ring: fc.integer({ min: 0, max: 12 }),
      failure: fc.record({
        status: fc.constantFrom(404, 408, 480, 486, 487, 500, 503, 600, 603, 606),
        reason: fc.constant(undefined),
        headers: fc.constant({}),
        tryAnother: fc.boolean(),
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('answered' as const), ring: fc.integer({ min: 0, max: 12 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('deadline-passed' as const), deadline: fc.integer({ min: 0, max: 6 }) }),
  },
  { weight: 1, arbitrary: fc.constant<PlanEvent>({ type: 'cancelled', reason: 'SIP;cause=487' }) },
);

/** Keeps account of who is rung and what is waited for, by the actions alone; throws at what must never be. */
class Account {
  readonly ringing = new Set<number>();
  readonly deadlines = new Set<number>();
  private rung = 0;
  private waited = 0;
  ends = 0;

  event(event: PlanEvent): void {
    if (event.type === 'answered' && this.ringing.delete(event.ring)) this.ends += 1;
    if (event.type === 'failed') this.ringing.delete(event.ring);
    if (event.type === 'deadline-passed') this.deadlines.delete(event.deadline);
  }

  action(action: PlanAction<string>): void {
    switch (action.type) {
      case 'ring':
        if (this.ends > 0) throw new Error('rung after the end');
        if (action.ring !== ++this.rung) throw new Error('out of order');
        this.ringing.add(action.ring);
        return;
      case 'cancel':
        if (!this.ringing.delete(action.ring)) throw new Error('cancelled what does not ring');
        if (action.reason === '') throw new Error('cancelled without a reason');
        return;
      case 'set-deadline':
        if (action.deadline !== ++this.waited) throw new Error('out of order');
        this.deadlines.add(action.deadline);
        return;
      case 'cancel-deadline':
        if (!this.deadlines.delete(action.deadline)) throw new Error('cancelled what is not waited for');
        return;
      case 'give-up':
        this.ends += 1;
    }
  }

  /** What the state says is what was done. */
  check(state: PlanState<string>): void {
    const rung = new Set(rungNow(state).map(({ ring: id }) => id));
    const isOver = PLAN_STEPS[state.phase].length === 0;
    if (!isDeepStrictEqual(rung, this.ringing)) throw new Error('it does not know who rings');
    if (this.ends !== (isOver ? 1 : 0)) throw new Error(`${this.ends} ends`);
    if (isOver && this.ringing.size + this.deadlines.size > 0) throw new Error('something is left');
    if (!isOver && this.ringing.size === 0) throw new Error('nobody rings, and there is no end');
    const only = onlyOneLeft(state);
    if (only !== undefined && (rung.size !== 1 || !rung.has(only))) throw new Error('not the only one');
  }
}

describe('every plan, whatever happens', () => {
  const play = (check: (plan: NamedPlan, events: readonly PlanEvent[]) => void): void =>
    fc.assert(
      fc.property(anyPlan, fc.array(anyEvent, { maxLength: 40, size: 'max' }), (plan, events) =>
        check(plan, [{ type: 'started' }, ...events]),
      ),
      { numRuns: 3000 },
    );

  it('has one end; everybody rung is answered, has failed or is cancelled once; no deadline is left', () => {
    play((plan, events) => {
      const account = new Account();
      let state = planned(plan);
      for (const event of events) {
        const before = state;
        const wasOver = PLAN_STEPS[before.phase].length === 0;
        const { actions, state: next } = advance(before, event);
        // The same again: nothing is kept outside of the state.
        if (!isDeepStrictEqual(advance(before, event), { actions, state: next })) throw new Error('not a function');
        if (wasOver && (actions.length > 0 || !isDeepStrictEqual(next, before))) throw new Error('not over');
        account.event(event);
        for (const action of actions) account.action(action);
        if (event.type === 'cancelled' && !wasOver) account.ends += 1;
        state = next;
        account.check(state);
      }
    });
  });

  it('rings nobody else after the only one that was left', () => {
    play((plan, events) => {
      let state = planned(plan);
      for (const event of events) {
        const only = onlyOneLeft(state);
        const after = advance(state, event);
        if (only !== undefined) expect(after.actions.filter(({ type }) => type === 'ring')).toEqual([]);
        ({ state } = after);
      }
    });
  });

  it('tells a failure that somebody has given, and none that a better one was given beside', () => {
    play((plan, events) => {
      const player = new Player(plan);
      const told: Parameters<typeof bestFailure>[0][number][] = [];
      let deadlines = 0;
      for (const event of events) {
        const rung = rungNow(player.state).map(({ ring: id }) => id);
        if (event.type === 'failed' && rung.includes(event.ring)) told.push(event.failure);
        const before = player.actions.length;
        player.tell(event);
        if (event.type === 'deadline-passed' && player.actions.length > before) deadlines += 1;
      }
      const [end] = player.actions.flatMap((action) => (action.type === 'give-up' ? [action] : []));
      if (end === undefined || deadlines > 0) return;
      if (end.failure === undefined) return expect(told).toEqual([]);
      // Of several 6xx, which are equal, it is the one that has ended the others.
      if (end.failure.status < 600) expect(end.failure).toBe(bestFailure(told));
      expect(rank(end.failure.status)).toBe(rank(bestFailure(told).status));
    });
  });
});
