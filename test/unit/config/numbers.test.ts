import { parseConfig } from '../../../src/config/load';
import { formatProblem } from '../../../src/config/problem';

/** The problems of `numbers` (from line 10 on), or what is made of them. */
function check(...entries: readonly string[]) {
  const file = `
cluster: { name: acme, domain: acme.example, secret: s }
nodes: [{ id: 1, name: one, site: dallas, listen: ['udp:127.0.0.1:5060'] }]
sites: { dallas: {} }
devices:
  - { name: SEP-alice, username: alice, password: p, lines: ['1000', '1900'] }
  - { name: SEP-bob, username: bob, password: p, lines: ['2000', '1900'] }
autoRegistration: { numbers: '3000-3009', from: ['127.0.0.0/8'] }
numbers:${entries.map((entry) => `\n  - ${entry}`).join('')}
`;
  const result = parseConfig(file, { file: 't.yaml', env: {} });
  if (!result.ok) return { numbers: undefined, problems: result.problems.map(formatProblem) };
  return { numbers: result.config.numbers, problems: result.warnings.map(formatProblem) };
}

test('a number says what its line has of its own, of configured devices and of those that are given one', () => {
  const { numbers, problems } = check(
    "{ number: '1900', displayName: Sales, busyTrigger: 3, maxCalls: 4, noAnswerSeconds: 20, pickupGroup: sales }",
    "{ number: '3005', maxCalls: 2, pickupGroup: sales }",
  );
  expect(problems).toEqual([]);
  expect(numbers).toEqual([
    { number: '1900', displayName: 'Sales', busyTrigger: 3, maxCalls: 4, noAnswerSeconds: 20, pickupGroup: 'sales' },
    {
      number: '3005',
      displayName: undefined,
      busyTrigger: 2,
      maxCalls: 2,
      noAnswerSeconds: undefined,
      pickupGroup: 'sales',
    },
  ]);
});

test('a pickup group of one line is told of, and does not keep a node from starting', () => {
  const { numbers, problems } = check(
    "{ number: '1000', pickupGroup: sales }",
    "{ number: '1900', pickupGroup: sales }",
    "{ number: '2000', pickupGroup: sale }",
  );
  expect(numbers).toHaveLength(3);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain('numbers[2].pickupGroup: no other line is in the group "sale" (did you mean "sales"?)');
});

test.each([
  ["{ number: '1000', busytrigger: 1 }", 10, 'unknown key "busytrigger" (did you mean "busyTrigger"?)'],
  ['{ number: 1000 }', 10, 'must be text: put it in quotes'],
  ['{ displayName: Sales }', 10, '"number" is missing'],
  ["{ number: '1901' }", 10, 'no device has the line "1901" (did you mean "1900"?)'],
  ["{ number: '3010' }", 10, 'no device has the line "3010"'],
  ["{ number: '1000', busyTrigger: 0 }", 10, 'must be a whole number from 1 to 200'],
  ["{ number: '1000', maxCalls: many }", 10, 'must be a whole number from 1 to 200'],
  ["{ number: '1000', busyTrigger: 3, maxCalls: 2 }", 10, 'must not be more than maxCalls (2)'],
  ["{ number: '1000', noAnswerSeconds: 0 }", 10, 'must be a whole number from 1 to 3600'],
  ['{ number: \'1000\', displayName: "a\\nb" }', 10, 'must not contain control characters'],
  ["{ number: '1000' }\n  - { number: '1000' }", 11, 'number "1000" is taken by numbers[0]'],
])('%s is refused with its place', (entry, line, message) => {
  const { problems } = check(entry);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(new RegExp(`^t\\.yaml:${line}:\\d+: numbers\\[\\d]`));
  expect(problems[0]).toContain(message);
});
