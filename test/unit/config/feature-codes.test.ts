import fc from 'fast-check';
import { FEATURE_NAMES, featureCodesOf, FEATURES, readFeature } from '../../../src/config/feature-codes';
import { parseConfig } from '../../../src/config/load';
import { formatProblem } from '../../../src/config/problem';

const CODES = featureCodesOf({});

describe('dialled digits and what they ask for', () => {
  it.each([
    ['**2000', { feature: 'pickup', number: '2000' }],
    ['**+4930123', { feature: 'pickup', number: '+4930123' }],
    ['***21', { feature: 'pickup', number: '*21' }],
    ['**', undefined],
    ['*8', { feature: 'groupPickup', number: undefined }],
    ['*82000', undefined],
    ['*68', { feature: 'park', number: undefined }],
    ['*68701', { feature: 'park', number: '701' }],
    ['*88701', { feature: 'retrieve', number: '701' }],
    ['*88', undefined],
    ['2000', undefined],
    ['', undefined],
    ['*', undefined],
    ['**alice', undefined],
    [`**${'1'.repeat(32)}`, undefined],
    ['12**2000', undefined],
  ])('%s', (dialled, asked) => {
    expect(readFeature(CODES, dialled)).toEqual(asked);
  });

  it('a code that is changed or turned off', () => {
    const codes = featureCodesOf({ pickup: '*7', groupPickup: false });
    expect(readFeature(codes, '*72000')).toEqual({ feature: 'pickup', number: '2000' });
    expect(readFeature(codes, '**2000')).toBeUndefined();
    expect(readFeature(codes, '*8')).toBeUndefined();
  });

  it('no digits ask for two features exactly when the check lets the codes through', () => {
    const code = fc.oneof(
      fc.constant(false as const),
      fc.string({ unit: fc.constantFrom('*', '#', '8'), minLength: 1, maxLength: 3 }),
    );
    const all = fc.record(Object.fromEntries(FEATURE_NAMES.map((name) => [name, code])));
    const off = Object.fromEntries(FEATURE_NAMES.map((name) => [name, false]));
    const behind = fc.string({ unit: fc.constantFrom('*', '#', '8'), maxLength: 4 });
    fc.assert(
      fc.property(all, fc.array(behind, { minLength: 30, maxLength: 30 }), (codes, tails) => {
        const told = problemsWith(`featureCodes: ${JSON.stringify(codes)}`).length > 0;
        const strings = FEATURE_NAMES.flatMap((name) =>
          codes[name] === false ? [] : ['', '8', ...tails].map((tail) => `${codes[name]}${tail}`),
        );
        const means = (dialled: string): number =>
          FEATURE_NAMES.filter((name) => readFeature(featureCodesOf({ ...off, [name]: codes[name] }), dialled)).length;
        expect(strings.some((dialled) => means(dialled) > 1)).toBe(told);
      }),
    );
  });

  it('the codes that nobody has set are in nobody else’s way', () => {
    expect(problemsWith('')).toEqual([]);
    expect(Object.values(FEATURES).map(({ code }) => code)).toHaveLength(FEATURE_NAMES.length);
  });
});

function problemsWith(section: string, more = ''): readonly string[] {
  const file = `
cluster: { name: acme, domain: acme.example, secret: s }
nodes: [{ id: 1, name: one, site: dallas, listen: ['udp:127.0.0.1:5060'] }]
sites: { dallas: {} }
devices: [{ name: SEP-alice, username: alice, password: p, lines: ['1000'] }]
gateways: [{ name: gw, uri: 'sip:192.0.2.9', nodes: [1], site: dallas }]
${more}
${section}
`;
  const result = parseConfig(file, { file: 't.yaml', env: {} });
  return (result.ok ? result.warnings : result.problems).map(formatProblem);
}

describe('what a code would hide is told', () => {
  const route = (pattern: string): string => `routes: [{ pattern: '${pattern}', targets: [gw] }]`;
  it.each([
    ['a line', "featureCodes: { pickup: '10' }", '', 'featureCodes.pickup: 10 is taken: 1000 is a line of SEP-alice'],
    [
      'a username',
      "featureCodes: { groupPickup: '44' }",
      "autoRegistration: { numbers: '44', from: [127.0.0.0/8] }",
      '44 is a number of autoRegistration',
    ],
    ['a conference', '', "conferences: [{ number: '*8', name: meet }]", '*8 is the feature code of groupPickup'],
    ['an emergency number', "featureCodes: { park: '112' }", route('112'), 'the route pattern 112 matches it'],
    [
      'an emergency number behind a code',
      "featureCodes: { pickup: '9' }",
      route('9.112'),
      'the route pattern 9.112 matches it',
    ],
    ['a range', "featureCodes: { park: '55' }", route('XX'), 'the route pattern XX matches it'],
    ['what begins with a variable part', "featureCodes: { pickup: '0' }", route('!'), 'the route pattern ! matches it'],
    ['what ends with one', "featureCodes: { park: '90' }", route('9.@'), 'the route pattern 9.@ matches it'],
    [
      'star codes that a provider has',
      '',
      route('*!'),
      '*68 is the feature code of park: set another one in featureCodes, or "park: false"',
    ],
    [
      'a code that another begins with',
      "featureCodes: { pickup: '*8' }",
      '',
      '*8 can be taken for *88, the code of retrieve',
    ],
    ['the same code twice', "featureCodes: { retrieve: '**' }", '', 'can be taken for'],
    ['no code at all', 'featureCodes: { pickup: 8 }', '', 'must be 1 to 8 of 0-9, "*" and "#", in quotes; or false'],
    ['a letter', "featureCodes: { pickup: 'a' }", '', 'must be 1 to 8 of 0-9'],
    ['a slot that is a line', '', "park: { slots: '1000-1002' }", '1000 is a line of SEP-alice'],
    [
      'a slot that is a route of a few',
      '',
      `park: { slots: '112' }\n${route('112')}`,
      '112 is a park slot, which goes first',
    ],
    ['a slot', "featureCodes: { pickup: '70' }", "park: { slots: '701' }", '701 is a park slot'],
    ['no slots', '', 'park: { recallSeconds: 3 }', 'park.slots: "slots" is missing'],
    ['another name', "featureCodes: { pickUp: '*7' }", '', 'unknown key "pickUp" (did you mean "pickup"?)'],
  ])('%s', (_, section, more, problem) => {
    expect(problemsWith(section, more).join('\n')).toContain(problem);
  });

  it.each([
    [
      'turned off',
      'featureCodes: { park: false, retrieve: false, groupPickup: false, pickup: false, conference: false, resume: false, barge: false }',
      route('*!'),
    ],
    ['of other lengths', "featureCodes: { park: '55', groupPickup: '56' }", route('XXXX').replace('XXXX', '6XXX')],
    ['that no route begins with', '', route('9.@')],
    ['with nothing behind it, where a route has more', "featureCodes: { groupPickup: '9' }", route('9.@')],
    ['one that begins with a code that nothing follows', "featureCodes: { groupPickup: '*6' }", ''],
  ])('and a code is not in the way %s', (_, section, more) => {
    expect(problemsWith(section, more)).toEqual([]);
  });
});
