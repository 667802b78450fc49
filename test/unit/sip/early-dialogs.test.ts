import fc from 'fast-check';
import { EarlyDialogs } from '../../../src/sip/early-dialogs';

/** A provisional response, or the 200 at the end: To tag, description, in a reliable response. */
type Response = readonly [tag: string, sdp: string | undefined, reliable?: 'reliable'];

function answer(provisional: readonly Response[], [tag, sdp]: Response): string | undefined {
  const dialogs = new EarlyDialogs();
  for (const [early, description, reliable] of provisional)
    if (description !== undefined) dialogs.told(early, description, reliable !== undefined);
  return dialogs.answer(tag, sdp);
}

describe('the answer of a dialog that a 200 confirms (RFC 3261 §13.2.1, §13.2.2.4, RFC 3262 §5)', () => {
  test.each<[string, readonly Response[], Response, string | undefined]>([
    ['nothing before: what the 200 says', [], ['x', '1'], '1'],
    ['nothing at all', [], ['x', undefined], undefined],
    ['told reliably, 200 without', [['x', '1', 'reliable']], ['x', undefined], '1'],
    ['told unreliably, 200 without', [['x', '1']], ['x', undefined], '1'],
    ['told in another dialog only', [['x', '1']], ['y', undefined], undefined],
    ['told reliably, 200 says something else', [['x', '1', 'reliable']], ['x', '2'], '1'],
    ['told unreliably, 200 says something else', [['x', '1']], ['x', '2'], '2'],
    [
      'each dialog has its own',
      [
        ['x', '1', 'reliable'],
        ['y', '2'],
      ],
      ['y', undefined],
      '2',
    ],
    [
      'the first of several',
      [
        ['x', '1'],
        ['x', '2'],
      ],
      ['x', undefined],
      '1',
    ],
    [
      'a reliable one after an unreliable one',
      [
        ['x', '1'],
        ['x', '2', 'reliable'],
      ],
      ['x', '3'],
      '2',
    ],
    ['a peer without tags (RFC 2543)', [['', '1']], ['', undefined], '1'],
  ])('%s', (_, provisional, final, expected) => expect(answer(provisional, final)).toBe(expected));

  test('what is told of one dialog does not depend on the others, and is never unlearned', () => {
    const response = fc.tuple(
      fc.constantFrom('x', 'y', 'z'),
      fc.constantFrom('1', '2', '3'),
      fc.constantFrom(undefined, 'reliable' as const),
    );
    fc.assert(
      fc.property(fc.array(response), (responses) => {
        const all = new EarlyDialogs();
        const alone = new Map(['x', 'y', 'z'].map((tag) => [tag, new EarlyDialogs()]));
        const binding = new Map<string, string>();
        for (const [tag, sdp, reliable] of responses) {
          const held = all.told(tag, sdp, reliable !== undefined);
          expect(alone.get(tag)?.told(tag, sdp, reliable !== undefined)).toBe(held);
          if (reliable !== undefined && !binding.has(tag)) binding.set(tag, sdp);
          expect(held).toBe(binding.get(tag) ?? held);
        }
        for (const [tag, sdp] of binding) expect(all.answer(tag, 'other')).toBe(sdp);
      }),
    );
  });

  test('a flood of dialogs is not kept', () => {
    const dialogs = new EarlyDialogs();
    for (let tag = 0; tag < 1000; tag++) dialogs.told(`${tag}`, '1', true);
    expect(dialogs.answer('0', undefined)).toBe('1');
    expect(dialogs.answer('999', undefined)).toBeUndefined();
  });
});

describe('RFC 3262 §4: a reliable response is the next one of its dialog, or it is not looked at', () => {
  test.each<[string, readonly (readonly [tag: string, rseq: number])[], readonly boolean[]]>([
    [
      'in order',
      [
        ['x', 7],
        ['x', 8],
        ['x', 9],
      ],
      [true, true, true],
    ],
    [
      'repeated',
      [
        ['x', 7],
        ['x', 7],
        ['x', 8],
        ['x', 7],
      ],
      [true, false, true, false],
    ],
    [
      'with a gap, filled later',
      [
        ['x', 7],
        ['x', 9],
        ['x', 8],
        ['x', 9],
      ],
      [true, false, true, true],
    ],
    [
      'backwards',
      [
        ['x', 7],
        ['x', 6],
      ],
      [true, false],
    ],
    [
      'of several dialogs',
      [
        ['x', 7],
        ['y', 1],
        ['x', 8],
        ['y', 3],
        ['y', 2],
      ],
      [true, true, true, false, true],
    ],
  ])('%s', (_what, responses, taken) => {
    const dialogs = new EarlyDialogs();
    expect(responses.map(([tag, rseq]) => dialogs.takeReliable(tag, '1 INVITE', rseq))).toEqual(taken);
    // The INVITE that is sent again with credentials has responses of its own.
    expect(dialogs.takeReliable('x', '2 INVITE', 1)).toBe(true);
  });
});
