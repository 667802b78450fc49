import {
  type ConferencePolicy,
  type ConferenceSignal,
  type ConferenceState,
  type ConferenceStep,
  EMPTY,
  step,
} from '../../../src/call-control/conference/state';
import { hear, isSettled, SPEAKER, type Voice, type VoiceSignal } from '../../../src/call-control/conference/voice';

const policy: ConferencePolicy = { maxMembers: 2, endPolicy: 'last-leaves' };

function run(signals: readonly ConferenceSignal[], under = policy): ConferenceState {
  return signals.reduce((state, signal) => step(state, signal, under).state, EMPTY);
}

const a = { member: 'a' } as const;
const called = { type: 'called', ...a } as const;
const lock = { type: 'lock', locked: true } as const;
const unlock = { type: 'lock', locked: false } as const;
const drain = { type: 'drain' } as const;

const states: Readonly<Record<string, ConferenceState>> = {
  empty: EMPTY,
  one: run([called]),
  full: run([called, { type: 'called', member: 'b' }]),
  locked: run([called, lock]),
  draining: run([called, drain]),
  'locked and draining': run([called, lock, drain]),
  'without its opener': run([called, { type: 'called', member: 'b' }, { type: 'left', member: 'a' }]),
};

/** A step in short: what is done, and what the conference is then. */
function short({ state, effects }: ConferenceStep): string {
  const done = effects.map((effect) => {
    switch (effect.type) {
      case 'admit':
        return effect.opens ? `opened by ${effect.member}` : `admit ${effect.member}`;
      case 'refuse':
        return `${effect.status} for ${effect.member}`;
      case 'mute':
        return `${effect.muted ? 'mute' : 'unmute'} ${effect.member}`;
      case 'end':
        return `end ${effect.member} ${effect.status}`;
      case 'decline':
        return effect.why;
      case 'over':
        return 'over';
    }
  });
  const flags = [...(state.locked ? ['locked'] : []), ...(state.draining ? ['draining'] : [])];
  return `${done.join(', ') || '-'} | ${[[...state.members].join(''), ...flags].join(' ').trim()}`.trim();
}

const signals: Readonly<Record<string, ConferenceSignal>> = {
  'c calls': { type: 'called', member: 'c' },
  'a left': { type: 'left', ...a },
  'c left': { type: 'left', member: 'c' },
  lock,
  unlock,
  'mute a': { type: 'mute', ...a, muted: true },
  'unmute c': { type: 'mute', member: 'c', muted: false },
  'kick a': { type: 'kick', ...a },
  'kick c': { type: 'kick', member: 'c' },
  drain,
};

const expected: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  empty: {
    'c calls': 'opened by c | c',
    'a left': '- |',
    'c left': '- |',
    lock: 'empty |',
    unlock: '- |',
    'mute a': 'unknown-member |',
    'unmute c': 'unknown-member |',
    'kick a': 'unknown-member |',
    'kick c': 'unknown-member |',
    drain: '- | draining',
  },
  one: {
    'c calls': 'admit c | ac',
    'a left': 'over |',
    'c left': '- | a',
    lock: '- | a locked',
    unlock: '- | a',
    'mute a': 'mute a | a',
    'unmute c': 'unknown-member | a',
    'kick a': 'end a 403 | a',
    'kick c': 'unknown-member | a',
    drain: '- | a draining',
  },
  full: {
    'c calls': '486 for c | ab',
    'a left': '- | b',
    'c left': '- | ab',
    lock: '- | ab locked',
    unlock: '- | ab',
    'mute a': 'mute a | ab',
    'unmute c': 'unknown-member | ab',
    'kick a': 'end a 403 | ab',
    'kick c': 'unknown-member | ab',
    drain: '- | ab draining',
  },
  locked: {
    'c calls': '403 for c | a locked',
    'a left': 'over |',
    'c left': '- | a locked',
    lock: '- | a locked',
    unlock: '- | a',
    'mute a': 'mute a | a locked',
    'unmute c': 'unknown-member | a locked',
    'kick a': 'end a 403 | a locked',
    'kick c': 'unknown-member | a locked',
    drain: '- | a locked draining',
  },
  draining: {
    'c calls': '503 for c | a draining',
    'a left': 'over | draining',
    'c left': '- | a draining',
    lock: '- | a locked draining',
    unlock: '- | a draining',
    'mute a': 'mute a | a draining',
    'unmute c': 'unknown-member | a draining',
    'kick a': 'end a 403 | a draining',
    'kick c': 'unknown-member | a draining',
    drain: '- | a draining',
  },
  'locked and draining': {
    'c calls': '503 for c | a locked draining',
    'a left': 'over | draining',
    'c left': '- | a locked draining',
    lock: '- | a locked draining',
    unlock: '- | a draining',
    'mute a': 'mute a | a locked draining',
    'unmute c': 'unknown-member | a locked draining',
    'kick a': 'end a 403 | a locked draining',
    'kick c': 'unknown-member | a locked draining',
    drain: '- | a locked draining',
  },
  'without its opener': {
    'c calls': 'admit c | bc',
    'a left': '- | b',
    'c left': '- | b',
    lock: '- | b locked',
    unlock: '- | b',
    'mute a': 'unknown-member | b',
    'unmute c': 'unknown-member | b',
    'kick a': 'unknown-member | b',
    'kick c': 'unknown-member | b',
    drain: '- | b draining',
  },
};

describe('what becomes of a conference', () => {
  const pairs = Object.keys(states).flatMap((state) => Object.keys(signals).map((signal) => [state, signal] as const));
  it.each(pairs)('%s, and %s', (state, signal) => {
    expect(short(step(states[state]!, signals[signal]!, policy))).toBe(expected[state]?.[signal]);
  });

  it('initiator-leaves: who opened it leaves, and the others are ended; another one leaves, and they stay', () => {
    const under: ConferencePolicy = { maxMembers: 3, endPolicy: 'initiator-leaves' };
    const three = run([called, { type: 'called', member: 'b' }, { type: 'called', member: 'c' }], under);
    expect(short(step(three, { type: 'left', member: 'a' }, under))).toBe('end b 503, end c 503 | bc');
    expect(short(step(three, { type: 'left', member: 'b' }, under))).toBe('- | ac');
  });

  it('in every state that can be reached: nobody is let in who may not, and no lock outlives its conference', () => {
    const everything: ConferenceSignal[] = [drain, lock, unlock];
    for (const member of ['a', 'b', 'c']) {
      everything.push({ type: 'called', member }, { type: 'left', member }, { type: 'kick', member });
      everything.push({ type: 'mute', member, muted: true }, { type: 'mute', member, muted: false });
    }
    const nameOf = (state: ConferenceState): string =>
      JSON.stringify([...state.members].sort()) + JSON.stringify(state);
    for (const endPolicy of ['last-leaves', 'initiator-leaves'] as const) {
      const found = new Map([[nameOf(EMPTY), EMPTY]]);
      for (const state of found.values()) {
        expect(state.members.size).toBeLessThanOrEqual(policy.maxMembers);
        if (state.members.size === 0) expect(state).toMatchObject({ locked: false, opener: undefined });
        for (const signal of everything) {
          const { state: next, effects } = step(state, signal, { ...policy, endPolicy });
          const admitted = effects.some(({ type }) => type === 'admit');
          if (admitted) expect([state.locked, state.draining]).toEqual([false, false]);
          if (effects.some(({ type }) => type === 'decline' || type === 'refuse')) expect(next).toEqual(state);
          if (signal.type !== 'lock' && next.members.size > 0) expect(next.locked).toBe(state.locked);
          if (!found.has(nameOf(next))) found.set(nameOf(next), next);
        }
      }
      expect(found.size).toBeGreaterThan(30);
    }
  });
});

describe('a conference that was made of calls', () => {
  const gathered: ConferencePolicy = { maxMembers: 9, endPolicy: 'last-leaves', endsAlone: true };
  const enter = (who: string): ConferenceSignal[] =>
    Array.from(who, (member) => ({ type: 'called', member, outside: member === member.toUpperCase() }));
  const leave = (who: string): ConferenceSignal[] => Array.from(who, (member) => ({ type: 'left', member }));

  // Capitals are from outside.
  it.each([
    ['goes on among ours', 'abc', 'a', '- | bc'],
    ['goes on while one of ours is there', 'aBC', 'B', '- | aC'],
    ['is over for strangers whom nobody of ours talks to any more', 'aBC', 'a', 'end B 503, end C 503 | BC'],
    ['is over when the last of ours of several leaves', 'abCD', 'ab', 'end C 503, end D 503 | CD'],
    ['is over for one who is left alone', 'ab', 'b', 'end a 503 | a'],
    ['is over when everybody has left', 'aB', 'aB', 'over |'],
  ])('%s', (_, who, gone, then) => {
    const before = run([...enter(who), ...leave(gone.slice(0, -1))], gathered);
    expect(short(step(before, { type: 'left', member: gone.slice(-1) }, gathered))).toBe(then);
  });

  it('with a number of its own is not: who dials in from outside may be alone there', () => {
    expect(short(step(run(enter('aBC'), { ...policy, maxMembers: 9 }), { type: 'left', member: 'a' }, policy))).toBe(
      '- | BC',
    );
  });
});

describe('whether a participant is heard', () => {
  const both = [false, true];
  const voices = both.flatMap((muted) =>
    both.flatMap((held) =>
      (['absent', 'heard', 'muted', 'unknown'] as const).map((there): Voice => ({ muted, held, there })),
    ),
  );
  const all: readonly VoiceSignal[] = [
    ...both.flatMap((value): VoiceSignal[] => [
      { type: 'mute', muted: value },
      { type: 'described', held: value },
      { type: 'confirmed', muted: value },
    ]),
    { type: 'joined' },
    { type: 'gone' },
    { type: 'failed' },
    { type: 'retry' },
  ];

  it.each(voices.flatMap((voice) => all.map((signal) => [voice, signal] as const)))(
    '%j, and %j: a moderator alone takes a mute back, and the bridge is asked for what is missing',
    (voice, signal) => {
      const { voice: next, command } = hear(voice, signal);
      expect(next.muted).toBe(signal.type === 'mute' ? signal.muted : voice.muted);
      expect(next.held).toBe(signal.type === 'described' ? signal.held : voice.held);
      const there = {
        mute: voice.there,
        described: voice.there,
        retry: voice.there,
        gone: 'absent',
        joined: voice.there === 'absent' ? 'heard' : voice.there,
        failed: voice.there === 'absent' ? 'absent' : 'unknown',
        confirmed:
          voice.there === 'absent' ? 'absent' : signal.type === 'confirmed' && signal.muted ? 'muted' : 'heard',
      }[signal.type];
      expect(next.there).toBe(there);
      const silent = next.muted || next.held;
      const quiet = signal.type === 'gone' || signal.type === 'failed' || there === 'absent';
      expect(command).toBe(quiet || there === (silent ? 'muted' : 'heard') ? undefined : silent);
    },
  );

  it.each(voices)('%j: once the bridge does what it is asked, all is as it is wanted', (voice) => {
    let { voice: now, command } = hear(voice, { type: 'joined' });
    for (let asked = 0; command !== undefined; asked++) {
      expect(asked).toBeLessThan(2);
      ({ voice: now, command } = hear(now, { type: 'confirmed', muted: command }));
    }
    expect(isSettled(now)).toBe(true);
    expect(now.there).toBe(voice.muted || voice.held ? 'muted' : 'heard');
  });

  it('begins as one who is heard', () => {
    expect(hear(SPEAKER, { type: 'joined' })).toEqual({
      voice: { muted: false, held: false, there: 'heard' },
      command: undefined,
    });
  });
});
