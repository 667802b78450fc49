import { type BridgeId, type CallFacts, type CallState, initialState } from '../../../src/call-control/core/call-state';
import type { LegId } from '../../../src/call-control/core/leg';
import type { CallEffect, CallSignal, TimerName } from '../../../src/call-control/core/signals';
import { transition } from '../../../src/call-control/core/transition';
import type { SessionSignal } from '../../../src/sip/user-agent';
import { headers, profile, sdp, target } from './kit';

const moment = { now: 1_700_000_000_000, random: 0.5 };
const leg = (id: LegId, signal: SessionSignal): CallSignal => ({ type: 'session', leg: id, signal });
const explanation = {
  type: 'moh',
  why: '',
  device: 'SEP-bob',
  list: undefined,
  listFrom: 'none',
  trials: [],
  winner: undefined,
  at: 0,
  ms: 0,
} as const;

/** One signal of each kind that a session can send, and some that do not fit anywhere. */
const sessionSignals: readonly SessionSignal[] = [
  ...[100, 180, 183, 199].map((status) => ({
    type: 'provisional' as const,
    status,
    reason: '',
    sdp: status === 183 ? sdp('bob') : undefined,
    header: headers(),
  })),
  { type: 'answered', sdp: sdp('bob'), header: headers() },
  { type: 'answered', sdp: undefined, header: headers() },
  { type: 'answered', sdp: 'nonsense', header: headers() },
  ...[302, 408, 410, 486, 503, 603].map((status) => ({
    type: 'rejected' as const,
    status,
    reason: '',
    header: headers(),
  })),
  { type: 'cancelled', reason: undefined },
  ...[undefined, 'nonsense', sdp('alice')].map((text) => ({ type: 'acknowledged' as const, sdp: text })),
  ...[undefined, 'nonsense', sdp('alice', { direction: 'sendonly' }), sdp('alice', { port: 4444 })].map((text, at) => ({
    type: 'reinvited' as const,
    id: `r${at}`,
    sdp: text,
    header: headers({ 'Session-Expires': 'x;;refresher=', Supported: ',timer,' }),
  })),
  ...['OPTIONS', 'INFO', 'UPDATE', 'REFER', 'NOTIFY', 'FOO'].map((method) => ({
    type: 'requested' as const,
    id: `q-${method}`,
    method,
    body: method === 'UPDATE' ? sdp('alice', { port: 4446 }) : '',
    contentType: undefined,
    header: headers(),
  })),
  ...['1.cp.1/1', '1.cp.1/2', 'nobody'].flatMap((id) => [
    ...[undefined, 'nonsense', sdp('bob')].map((text) => ({ type: 'reinvite-answered' as const, id, sdp: text })),
    ...[481, 488, 491].map((status) => ({ type: 'reinvite-rejected' as const, id, status, reason: '' })),
    {
      type: 'request-answered' as const,
      id,
      method: 'INFO',
      status: 200,
      reason: '',
      body: '',
      contentType: undefined,
      header: headers(),
    },
  ]),
  { type: 'ended', by: 'peer', reason: undefined },
  { type: 'ended', by: 'server', reason: 'SIP server lost' },
];

const legIds: readonly LegId[] = ['a', 'b1', 'b2', 'b99'];
const bridgeIds: readonly BridgeId[] = ['bridge1', 'bridge2', 'bridge99'];
const timers: readonly TimerName[] = [
  'no-answer:1',
  'reconnect',
  'route-again',
  ...legIds.flatMap((id) =>
    (['life', 'ack', 'reinvite', 'retry', 'refresh', 'music'] as const).map((kind): TimerName => `${kind}:${id}`),
  ),
  ...bridgeIds.flatMap((id) => `path:${id}` as const),
];

const everySignal: readonly CallSignal[] = [
  { type: 'routed', route: { type: 'refused', status: 404 } },
  { type: 'routed', route: { type: 'targets', branches: [[target('1.dp.2', 'SEP-bob')]], matched: '2000' } },
  { type: 'routed', route: { type: 'targets', branches: [], matched: '2000' } },
  ...legIds.flatMap((id): CallSignal[] => [
    ...sessionSignals.map((signal) => leg(id, signal)),
    {
      type: 'session',
      leg: id,
      signal: { type: 'rejected', status: 410, reason: '', header: headers() },
      notMine: { pid: '2.dp.1', boot: 1 },
    },
    { type: 'branch-started', leg: id, profile: profile('SEP-bob'), pid: '1.dp.2', callId: 'x' },
    { type: 'branch-unreachable', leg: id },
    { type: 'allocated', leg: id, token: 1, granted: true, explanation },
    { type: 'allocated', leg: id, token: 2, granted: false, explanation },
  ]),
  ...[1, 2].flatMap((token): CallSignal[] => [
    ...bridgeIds.flatMap((bridge): CallSignal[] => [
      { type: 'path-allocated', bridge, token, resource: 'xcode', explanation },
      { type: 'path-allocated', bridge, token, resource: undefined, explanation },
      { type: 'path-replied', bridge, number: token, reply: { ok: true, sdp: sdp('relay') } },
      { type: 'path-replied', bridge, number: token, reply: { ok: true } },
      { type: 'path-replied', bridge, number: token, reply: { ok: false, reason: 'down' } },
    ]),
    { type: 'resource-lost', token, reason: 'down' },
    ...(['offer', 'connect'] as const).flatMap((op): CallSignal[] => [
      { type: 'resource-replied', token, op, reply: { ok: true, sdp: sdp('music') } },
      { type: 'resource-replied', token, op, reply: { ok: true } },
      { type: 'resource-replied', token, op, reply: { ok: false, reason: 'down' } },
    ]),
  ]),
  ...timers.map((timer): CallSignal => ({ type: 'timer', timer })),
  { type: 'end', reason: 'Stopping' },
];

const facts = (offer: string | undefined): CallFacts => ({
  pid: '1.cp.1',
  call: '1.cp.1-1',
  passed: [],
  forwardedFrom: [],
  caller: { number: '1000', displayName: undefined, device: 'SEP-alice' },
  from: profile('SEP-alice'),
  dialled: '2000',
  offer,
  maxForwards: 70,
  startedAt: moment.now,
  mediaAddress: { 4: '192.0.2.1', 6: '2001:db8::1' },
  refreshSeconds: 1800,
  timerHeaders: {},
});

/** The state that these signals lead to. */
function after(offer: string | undefined, signals: readonly CallSignal[]): CallState {
  return signals.reduce(
    (state, signal) => transition(state, signal, moment).state,
    initialState(facts(offer), { pid: '1.dp.1', callId: 'a' }),
  );
}

const routed: CallSignal = {
  type: 'routed',
  route: {
    type: 'targets',
    branches: [[target('1.dp.2', 'SEP-bob'), target('2.dp.2', 'SEP-bob')], [target('1.dp.3', 'SEP-carol')]],
    matched: '2000',
  },
};
const started: CallSignal = {
  type: 'branch-started',
  leg: 'b1',
  profile: profile('SEP-bob'),
  pid: '1.dp.2',
  callId: 'b',
};
const answered = leg('b1', { type: 'answered', sdp: sdp('bob'), header: headers() });
const acked = leg('a', { type: 'acknowledged', sdp: undefined });
const hold = leg('a', {
  type: 'reinvited',
  id: 'h',
  sdp: sdp('alice', { direction: 'sendonly' }),
  header: headers(),
});
const granted: CallSignal = { type: 'allocated', leg: 'b1', token: 1, granted: true, explanation };
const offered: CallSignal = {
  type: 'resource-replied',
  token: 1,
  op: 'offer',
  reply: { ok: true, sdp: sdp('music') },
};
const taken = leg('b1', { type: 'reinvite-answered', id: '1.cp.1/1', sdp: sdp('bob', { direction: 'recvonly' }) });
const connected: CallSignal = { type: 'resource-replied', token: 1, op: 'connect', reply: { ok: true } };
const resume = leg('a', { type: 'reinvited', id: 'u', sdp: sdp('alice', { port: 4444 }), header: headers() });
const wish = leg('a', { type: 'reinvited', id: 'w', sdp: undefined, header: headers() });
const talking = [routed, started, answered, acked];
const offering = [...talking, hold, acked, granted, offered];
const playing = [...offering, taken, connected];

/** A callee that speaks G.729 only, so that a transcoder must make the offers. */
const transcoding: CallSignal = {
  type: 'routed',
  route: {
    type: 'targets',
    branches: [[{ ...target('1.dp.2', 'SEP-bob'), profile: { ...profile('SEP-bob'), codecs: ['G729'] } }]],
    matched: '2000',
  },
};
const transcoder: CallSignal = {
  type: 'path-allocated',
  bridge: 'bridge1',
  token: 1,
  resource: 'xcode',
  explanation,
};
const replied = (number: number): CallSignal => ({
  type: 'path-replied',
  bridge: 'bridge1',
  number,
  reply: { ok: true, sdp: sdp('relay', { codecs: [18] }) },
});
const spoken = leg('b1', { type: 'answered', sdp: sdp('bob', { codecs: [18] }), header: headers() });
const through = [transcoding, transcoder, replied(1), spoken, replied(2), acked];

const states: readonly (readonly [name: string, state: CallState])[] = [
  ['new', after(sdp('alice'), [])],
  ['ringing', after(sdp('alice'), [routed, started])],
  ['ringing, delayed offer', after(undefined, [routed, started])],
  ['answered', after(sdp('alice'), [routed, started, answered])],
  ['answered, delayed offer', after(undefined, [routed, started, answered])],
  ['talking', after(sdp('alice'), talking)],
  ['an offer on its way', after(sdp('alice'), [...talking, resume])],
  ['a wish on its way', after(sdp('alice'), [...talking, wish])],
  ['held, allocating', after(sdp('alice'), [...talking, hold, acked])],
  ['held, asking', after(sdp('alice'), [...talking, hold, acked, granted])],
  ['held, offering', after(sdp('alice'), [...talking, hold, acked, granted, offered])],
  [
    'held, the server lost while its offer is on its way',
    after(sdp('alice'), [...offering, { type: 'resource-lost', token: 1, reason: 'down' }]),
  ],
  ['resumed while the offer of music is on its way', after(sdp('alice'), [...offering, resume])],
  ['held, connecting', after(sdp('alice'), [...talking, hold, acked, granted, offered, taken])],
  ['held, playing', after(sdp('alice'), playing)],
  ['resuming', after(sdp('alice'), [...playing, resume])],
  ['transcoder allocating', after(sdp('alice'), [transcoding])],
  ['transcoder asked', after(sdp('alice'), [transcoding, transcoder])],
  ['ringing through a transcoder', after(sdp('alice'), [transcoding, transcoder, replied(1)])],
  ['answered, not told', after(sdp('alice'), [transcoding, transcoder, replied(1), spoken])],
  ['transcoded', after(sdp('alice'), through)],
  ['transcoder lost', after(sdp('alice'), [...through, { type: 'resource-lost', token: 1, reason: 'down' }])],
  ['transcoded, an offer translated', after(sdp('alice'), [...through, resume])],
  ['transcoded, an offer on its way', after(sdp('alice'), [...through, resume, replied(3)])],
  ['ended', after(sdp('alice'), [...talking, { type: 'end', reason: 'over' }])],
];

const count = (effects: readonly CallEffect[], type: CallEffect['type']): number =>
  effects.filter((effect) => effect.type === type).length;

describe('transition', () => {
  test.each(states)('is defined for every signal: %s', (_name, state) => {
    const text = (): string => JSON.stringify([[...state.legs], [...state.bridges]]);
    const before = text();
    for (const signal of everySignal) {
      expect(() => transition(state, signal, moment)).not.toThrow();
      expect(text()).toBe(before);
    }
  });

  test.each(states)('after every signal an end still releases and ends everything once: %s', (_name, state) => {
    for (const signal of everySignal) {
      const first = transition(state, signal, moment);
      const last = transition(first.state, { type: 'end', reason: 'over' }, moment);
      const effects = [...first.effects, ...last.effects];
      expect(last.state.kind).toBe('ended');
      expect([last.state.legs.size, last.state.bridges.size]).toEqual([0, 0]);
      expect(count(effects, 'finish')).toBe(state.kind === 'ended' ? 0 : 1);
      const released = effects.flatMap((effect) => (effect.type === 'release-resource' ? [effect.token] : []));
      for (const token of state.tokens) expect(released.filter((other) => other === token)).toHaveLength(1);
    }
  });

  test('the states of the table are what they are called', () => {
    const music = (name: string): string | undefined =>
      states.find(([other]) => other === name)?.[1].legs.get('b1')?.music.step;
    expect(states.map(([, state]) => state.kind)).toEqual([
      ...Array<string>(3).fill('setup'),
      ...Array<string>(13).fill('established'),
      ...Array<string>(4).fill('setup'),
      ...Array<string>(4).fill('established'),
      'ended',
    ]);
    const path = (name: string): string | undefined =>
      states.find(([other]) => other === name)?.[1].bridges.get('bridge1')?.path.step;
    expect(['transcoder allocating', 'transcoded', 'transcoder lost'].map(path)).toEqual([
      'allocating',
      'joined',
      'allocating',
    ]);
    expect(music('held, offering')).toBe('offering');
    expect(music('held, the server lost while its offer is on its way')).toBe('allocating');
    expect(music('resumed while the offer of music is on its way')).toBe('offering');
    expect(music('held, playing')).toBe('playing');
    expect(states.find(([name]) => name === 'resuming')?.[1].bridges.get('bridge1')?.exchange?.step).toBe('offered');
  });
});
