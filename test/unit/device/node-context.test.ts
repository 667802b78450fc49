import fc from 'fast-check';
import {
  type FarHalf,
  formatContext,
  formatProcessId,
  formatWord,
  type NodeContext,
  type NodeWord,
  parseContext,
  parseProcessId,
  parseWord,
  WHYS,
} from '../../../src/device/node-context';
import { JUDGEMENTS } from '../../../src/device/device-process';
import type { Pid } from '../../../src/process/pid';

/** Texts as they may come from anywhere: nothing is asked of them. */
const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.string({ maxLength: 20 }));
/** What is carried as it is. */
const text = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((value) => !/[\p{Cc}\p{Cs}]/u.test(value) && encodeURIComponent(value).length <= 192);
const processId = fc.record({
  pid: fc
    .tuple(fc.integer({ min: 1, max: 999 }), fc.integer({ min: 1, max: 1e6 }))
    .map(([n, i]): Pid => `${n}.cp.${i}`),
  boot: fc.integer({ min: 0, max: 2e12 }),
});

function halfOf(word: fc.Arbitrary<string>): fc.Arbitrary<FarHalf> {
  const party = fc.record(
    {
      ...{ number: word, displayName: fc.option(word, { nil: undefined }), device: word, site: word, userClass: word },
      ...{ outside: fc.constant(true as const), privacy: word, node: fc.integer({ min: 1, max: 999_999 }) },
      process: processId,
    },
    { requiredKeys: ['number', 'displayName', 'device', 'node', 'process'] },
  );
  const serving = { type: word, name: word, why: word, between: fc.constant(true as const) };
  const resource = fc.record(serving, { requiredKeys: ['type', 'name', 'why'] });
  const resources = fc.array(resource, { maxLength: 8 });
  const hops = fc.integer({ min: 1, max: 99 });
  const version = fc.integer({ min: 0, max: 999_999_999 });
  const parked = fc.constant(true as const);
  const token = fc.stringMatching(/^[A-Za-z0-9.!%*_+`'~-]{1,40}$/);
  const callId = fc.stringMatching(/^[A-Za-z0-9.@:<>{}?-]{1,60}$/);
  const dialog = fc.record({ callId, toTag: token, fromTag: token, earlyOnly: fc.constant(false) });
  return fc.record(
    { version, process: processId, party, resources, hops, parked, dialog },
    { requiredKeys: ['version', 'process', 'party', 'resources'] },
  );
}

function contextWith(word: fc.Arbitrary<string>): fc.Arbitrary<NodeContext> {
  return fc.record({
    call: processId.map(formatProcessId),
    why: fc.constantFrom(...WHYS),
    forwardedFrom: fc.array(word, { maxLength: 10 }),
    passed: fc.array(fc.integer({ min: 1, max: 999_999 }), { maxLength: 16 }),
    half: halfOf(word),
  });
}

const token = fc.stringMatching(/^[A-Za-z0-9._~-]{1,40}$/);
const shorter = fc.record({
  process: processId,
  replaces: fc.record({
    callId: fc.stringMatching(/^[A-Za-z0-9@%+"'()-]{1,60}$/),
    ...{ toTag: token, fromTag: token, earlyOnly: fc.boolean() },
  }),
});

function wordWith(word: fc.Arbitrary<string>): fc.Arbitrary<NodeWord> {
  const fields = { half: halfOf(word), shorter, judged: fc.constantFrom(...JUDGEMENTS), tried: word };
  return fc.record(fields, { requiredKeys: [] });
}

const good =
  'call=1.cp.7-1700000000000;why=call;passed=1;process=1.cp.7-1700000000000;version=1;number=1000;name=Alice;device=SEP-alice;site=dallas;node=1';

describe('what nodes tell each other of a call', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(contextWith(text), (context) => expect(parseContext(formatContext(context))).toEqual(context)),
    );
    fc.assert(fc.property(wordWith(text), (word) => expect(parseWord(formatWord(word))).toEqual(word)));
  });

  test('can be told whatever the names are: one line of visible ASCII, bounded, and it can be read', () => {
    const wild = fc.oneof(contextWith(anyText), contextWith(fc.constant('\u{1f4de}'.repeat(300))));
    fc.assert(
      fc.property(wild, (context) => {
        const written = formatContext({ ...context, passed: [...context.passed, ...context.passed] });
        expect(written).toMatch(/^[!-~]*$/);
        expect(written.length).toBeLessThan(20_000);
        expect(parseContext(written)).toMatchObject({ call: context.call });
      }),
    );
  });

  test('what is read of any text does not throw', () => {
    fc.assert(
      fc.property(anyText, (any) => [parseContext(any), parseWord(any)].every((read) => typeof read === 'object')),
    );
  });

  test('the party of the sender has the node and the call process of the sender', () => {
    const process = { pid: '1.cp.7', boot: 1_700_000_000_000 };
    const party = { number: '1000', displayName: 'Alice', device: 'SEP-alice', site: 'dallas', node: 1, process };
    expect(parseContext(good)).toEqual({
      ...{ call: '1.cp.7-1700000000000', why: 'call', forwardedFrom: [], passed: [1] },
      half: { version: 1, process, party, resources: [] },
    });
    expect(parseContext(good.replace(';node=1', ''))).toEqual(parseContext(good));
  });

  test.each<[string, string]>([
    ['nothing', ''],
    ['no fields', 'hello'],
    ['a missing call', good.replace(/call=[^;]*;/, '')],
    ['a missing reason', good.replace('why=call;', '')],
    ['a missing process', good.replace(/process=[^;]*;/, '')],
    ['a missing number', good.replace(/number=[^;]*;/, '')],
    ['a missing device', good.replace(/device=[^;]*;/, '')],
    ['a missing version', good.replace(/version=[^;]*;/, '')],
    ['a field that nobody knows', `${good};colour=red`],
    ['a field twice', `${good};number=2000`],
    ['an empty field', `${good};`],
    ['a reason that nobody knows', good.replace('why=call', 'why=fun')],
    ['a call that is none', good.replace('call=1.cp.7', 'call=seven')],
    ['a process that is no call', good.replace('process=1.cp.7', 'process=1.dp.7')],
    ['a node that is none', good.replace('node=1', 'node=one')],
    ['a node 0', good.replace('passed=1', 'passed=0')],
    ['an incarnation that is no number', good.replace(/process=[^;]*/, 'process=1.cp.7-99999999999999999')],
    ['a version that is no number', good.replace('version=1', 'version=-1')],
    ['a broken escape', good.replace('Alice', '%E0%A4%A')],
    ['the end of a line in a name', good.replace('Alice', 'Alice%0D%0AVia:%20x')],
    ['a name that is too long', good.replace('Alice', 'A'.repeat(193))],
    ['too many numbers', `${good};forwarded=${Array(11).fill('1').join('+')}`],
    ['too many nodes', good.replace('passed=1', `passed=${Array(17).fill('1').join('+')}`)],
    ['too many media resources', `${good};resources=${Array(9).fill('mtp:m:why').join('+')}`],
    ['half a media resource', `${good};resources=mtp:m`],
    ['a media resource in a strange place', `${good};resources=mtp:m:why:above`],
    ['more than a media resource', `${good};resources=mtp:m:why:between:x`],
    ['a flag that is none', `${good};outside=yes`],
    ['two of them', `${good}, ${good}`],
    ['a flood', `${good};name=${'A'.repeat(100_000)}`],
  ])('%s is an error', (_, written) => {
    expect(parseContext(written)).toEqual({ unreadable: expect.any(String) as string });
    const [ofCall = '', half] = written.split(';process');
    const word = `process${half ?? ''}`;
    if (half !== undefined && good.startsWith(ofCall))
      expect(parseWord(word)).toEqual({ unreadable: expect.any(String) as string });
  });

  test.each(['1.cp.7', '1.cp.7-', '-1', '1.cp.7-1-1', '1.xx.7-1', '1.cp.7-1e3', '1.cp.7- 1'])(
    '%s names no process',
    (name) => {
      expect(parseProcessId(name)).toBeUndefined();
    },
  );
});
