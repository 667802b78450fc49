import type { IctEvent, IctState } from '../../../../src/sip-server/transaction/ict';
import { ict, ictInitial } from '../../../../src/sip-server/transaction/ict';
import type { IstEvent, IstState } from '../../../../src/sip-server/transaction/ist';
import { ist, istInitial } from '../../../../src/sip-server/transaction/ist';
import type { NictEvent, NictState } from '../../../../src/sip-server/transaction/nict';
import { nict, nictInitial } from '../../../../src/sip-server/transaction/nict';
import type { NistEvent, NistState } from '../../../../src/sip-server/transaction/nist';
import { nist, nistInitial } from '../../../../src/sip-server/transaction/nist';
import { RFC_TIMERS, type Setup } from '../../../../src/sip-server/transaction/timers';

const udp: Setup = { timers: RFC_TIMERS, reliable: false };
const tcp: Setup = { timers: RFC_TIMERS, reliable: true };

interface AnyEffect {
  readonly type: string;
  readonly timer?: string;
  readonly ms?: number;
  readonly cause?: string;
  readonly acked?: boolean;
}

function effectText(effect: AnyEffect): string {
  if (effect.type === 'set-timer') return `${effect.timer ?? ''}=${effect.ms ?? ''}`;
  if (effect.type === 'cancel-timer') return `-${effect.timer ?? ''}`;
  if (effect.type === 'failed') return `failed ${effect.cause ?? ''}`;
  if (effect.type === 'over') return effect.acked === true ? 'over acked' : 'over';
  return effect.type;
}

function eventText(event: { readonly type: string; readonly class?: string; readonly timer?: string }): string {
  return [event.type, event.class ?? event.timer].filter((part) => part !== undefined).join(' ');
}

/**
 * Runs every event in every state and shows the answers that do something, as `event -> state: effects`.
 * What is not listed in an expectation must do nothing at all.
 */
function answers<State extends { readonly name: string }, Event extends { readonly type: string }>(
  machine: (state: State, event: Event) => { readonly state: State; readonly effects: readonly AnyEffect[] },
  state: State,
  events: readonly Event[],
): string[] {
  const out: string[] = [];
  for (const event of events) {
    const step = machine(state, event);
    if (step.state.name === state.name && step.effects.length === 0) expect(step.state).toEqual(state);
    else out.push(`${eventText(event)} -> ${step.state.name}: ${step.effects.map(effectText).join(', ')}`);
  }
  return out;
}

const responses = (['provisional', 'success', 'failure'] as const).map((name) => ({
  type: 'response' as const,
  class: name,
}));
const responds = (['provisional', 'success', 'failure'] as const).map((name) => ({
  type: 'respond' as const,
  class: name,
}));

describe('RFC 3261 §17.1.1 and RFC 6026 §7.2: INVITE client transaction', () => {
  const events: IctEvent[] = [
    { type: 'start' },
    ...responses,
    ...(['A', 'B', 'D', 'M', 'cancel'] as const).map((timer) => ({ type: 'timer' as const, timer })),
    { type: 'cancel-sent' },
    { type: 'transport-error' },
  ];
  const at = (name: IctState['name'], setup = udp): IctState => ({ ...ictInitial(setup), name });
  const table: readonly (readonly [IctState, readonly string[]])[] = [
    [at('initial'), ['start -> calling: send-request, A=500, B=32000']],
    [at('initial', tcp), ['start -> calling: send-request, B=32000']],
    [
      at('calling'),
      [
        'response provisional -> proceeding: -A, -B, pass-response',
        'response success -> accepted: -A, -B, M=32000, pass-response',
        'response failure -> completed: -A, -B, send-ack, D=32000, pass-response',
        'timer A -> calling: send-request, A=1000',
        'timer B -> terminated: failed timeout, terminated',
        'transport-error -> terminated: failed transport, terminated',
      ],
    ],
    [
      at('proceeding', tcp),
      [
        'response provisional -> proceeding: pass-response',
        'response success -> accepted: -cancel, M=32000, pass-response',
        'response failure -> completed: -cancel, send-ack, D=0, pass-response',
        'timer cancel -> terminated: failed timeout, terminated',
        'cancel-sent -> proceeding: cancel=32000',
        'transport-error -> terminated: failed transport, terminated',
      ],
    ],
    [
      at('completed'),
      [
        'response failure -> completed: send-ack',
        'timer D -> terminated: terminated',
        'transport-error -> terminated: terminated',
      ],
    ],
    [at('accepted'), ['response success -> accepted: pass-response', 'timer M -> terminated: terminated']],
    [at('terminated'), []],
  ];
  test.each(table)('%j', (state, expected) => expect(answers(ict, state, events)).toEqual(expected));

  test('§17.1.1.2: Timer A doubles without an upper bound', () => {
    let state = ict(ictInitial(udp), { type: 'start' }).state;
    const intervals = [1, 2, 3, 4, 5, 6].map(() => {
      const step = ict(state, { type: 'timer', timer: 'A' });
      state = step.state;
      return step.effects.map(effectText)[1];
    });
    expect(intervals).toEqual(['A=1000', 'A=2000', 'A=4000', 'A=8000', 'A=16000', 'A=32000']);
  });
});

describe('RFC 3261 §17.1.2: non-INVITE client transaction', () => {
  const events: NictEvent[] = [
    { type: 'start' },
    ...responses,
    ...(['E', 'F', 'K'] as const).map((timer) => ({ type: 'timer' as const, timer })),
    { type: 'transport-error' },
  ];
  const at = (name: NictState['name'], setup = udp): NictState => ({ ...nictInitial(setup), name });
  const open = (timerE: string, wait: string): string[] => [
    'response provisional -> proceeding: pass-response',
    `response success -> completed: -E, -F, ${wait}, pass-response`,
    `response failure -> completed: -E, -F, ${wait}, pass-response`,
    timerE,
    'timer F -> terminated: failed timeout, terminated',
    'transport-error -> terminated: failed transport, terminated',
  ];
  const table: readonly (readonly [NictState, readonly string[]])[] = [
    [at('initial'), ['start -> trying: send-request, E=500, F=32000']],
    [at('initial', tcp), ['start -> trying: send-request, F=32000']],
    [at('trying'), open('timer E -> trying: send-request, E=1000', 'K=5000')],
    [at('proceeding'), open('timer E -> proceeding: send-request, E=4000', 'K=5000')],
    [at('trying', tcp), open('timer E -> trying: send-request, E=1000', 'K=0')],
    [at('completed'), ['timer K -> terminated: terminated', 'transport-error -> terminated: terminated']],
    [at('terminated'), []],
  ];
  test.each(table)('%j', (state, expected) => expect(answers(nict, state, events)).toEqual(expected));

  test('§17.1.2.2: Timer E doubles up to T2', () => {
    let state = nict(nictInitial(udp), { type: 'start' }).state;
    const intervals = [1, 2, 3, 4, 5].map(() => {
      const step = nict(state, { type: 'timer', timer: 'E' });
      state = step.state;
      return step.effects.map(effectText)[1];
    });
    expect(intervals).toEqual(['E=1000', 'E=2000', 'E=4000', 'E=4000', 'E=4000']);
  });
});

describe('RFC 3261 §17.2.1 and RFC 6026 §7.1: INVITE server transaction', () => {
  const events: IstEvent[] = [
    { type: 'start' },
    { type: 'retransmission' },
    { type: 'ack' },
    ...responds,
    { type: 'resend' },
    ...(['G', 'H', 'I', 'L'] as const).map((timer) => ({ type: 'timer' as const, timer })),
    { type: 'transport-error' },
  ];
  const at = (name: IstState['name'], setup = udp): IstState => ({ ...istInitial(setup), name });
  const late = responds.map((event) => `${eventText(event)} -> `);
  const refused = (name: string): string[] => late.map((text) => `${text}${name}: reject-response`);
  const table: readonly (readonly [IstState, readonly string[]])[] = [
    [at('initial'), ['start -> proceeding: send-trying, pass-request', ...refused('initial')]],
    [
      at('proceeding'),
      [
        'retransmission -> proceeding: resend-last',
        'respond provisional -> proceeding: send-response',
        'respond success -> accepted: send-response, L=32000',
        'respond failure -> completed: send-response, G=500, H=32000',
      ],
    ],
    [
      at('proceeding', tcp),
      [
        'retransmission -> proceeding: resend-last',
        'respond provisional -> proceeding: send-response',
        'respond success -> accepted: send-response, L=32000',
        'respond failure -> completed: send-response, H=32000',
      ],
    ],
    [
      at('completed'),
      [
        'retransmission -> completed: resend-last',
        'ack -> confirmed: -G, -H, I=5000, over acked',
        ...refused('completed'),
        'timer G -> completed: resend-last, G=1000',
        'timer H -> terminated: over, terminated',
        'transport-error -> terminated: over, terminated',
      ],
    ],
    [
      at('completed', tcp),
      [
        'retransmission -> completed: resend-last',
        'ack -> confirmed: -G, -H, I=0, over acked',
        ...refused('completed'),
        'timer G -> completed: resend-last, G=1000',
        'timer H -> terminated: over, terminated',
        'transport-error -> terminated: over, terminated',
      ],
    ],
    [at('confirmed'), [...refused('confirmed'), 'timer I -> terminated: terminated']],
    [
      at('accepted'),
      [
        'ack -> accepted: pass-ack',
        'respond provisional -> accepted: reject-response',
        'respond success -> accepted: send-response',
        'respond failure -> accepted: reject-response',
        'resend -> accepted: resend-last',
        'timer L -> terminated: over acked, terminated',
      ],
    ],
    [at('terminated'), refused('terminated')],
  ];
  test.each(table)('%j', (state, expected) => expect(answers(ist, state, events)).toEqual(expected));

  test('§17.2.1: Timer G doubles up to T2', () => {
    let { state } = ist(at('proceeding'), { type: 'respond', class: 'failure' });
    const intervals = [1, 2, 3, 4, 5].map(() => {
      const step = ist(state, { type: 'timer', timer: 'G' });
      state = step.state;
      return step.effects.map(effectText)[1];
    });
    expect(intervals).toEqual(['G=1000', 'G=2000', 'G=4000', 'G=4000', 'G=4000']);
  });
});

describe('RFC 3261 §17.2.2: non-INVITE server transaction', () => {
  const events: NistEvent[] = [
    { type: 'start' },
    { type: 'retransmission' },
    ...responds,
    ...(['J', 'unanswered'] as const).map((timer) => ({ type: 'timer' as const, timer })),
    { type: 'room-needed' },
    { type: 'transport-error' },
  ];
  const at = (name: NistState['name'], setup = udp): NistState => ({ ...nistInitial(setup), name });
  const refused = (name: string): string[] =>
    responds.map((event) => `${eventText(event)} -> ${name}: reject-response`);
  const open = (name: string, wait: string): string[] => [
    'respond provisional -> proceeding: send-response',
    `respond success -> completed: -unanswered, send-response, ${wait}`,
    `respond failure -> completed: -unanswered, send-response, ${wait}`,
    `timer unanswered -> terminated: over, terminated`,
    ...(name === 'proceeding' ? ['transport-error -> terminated: over, terminated'] : []),
  ];
  const table: readonly (readonly [NistState, readonly string[]])[] = [
    [at('initial'), ['start -> trying: unanswered=32000, pass-request', ...refused('initial')]],
    [at('trying'), open('trying', 'J=32000')],
    [at('trying', tcp), open('trying', 'J=0')],
    [at('proceeding'), ['retransmission -> proceeding: resend-last', ...open('proceeding', 'J=32000')]],
    [
      at('completed'),
      [
        'retransmission -> completed: resend-last',
        ...refused('completed'),
        'timer J -> terminated: over acked, terminated',
        'room-needed -> terminated: over acked, terminated',
        'transport-error -> terminated: over, terminated',
      ],
    ],
    [at('terminated'), refused('terminated')],
  ];
  test.each(table)('%j', (state, expected) => expect(answers(nist, state, events)).toEqual(expected));
});
