import { checkAccess } from '../../../src/admin/access';
import { parseConfig } from '../../../src/config/load';
import { formatProblem } from '../../../src/config/problem';
import {
  canonicalHost,
  familyOf,
  isLoopback,
  isUnspecified,
  reachedByOthers,
  sameHost,
  sourcePrefix,
} from '../../../src/process/address';
import { SimulatedClock } from '../../../src/process/clock';
import { Networks, parseNetwork } from '../../../src/process/networks';
import type { SipMessage } from '../../../src/sip-message/message';
import { SourceLimits } from '../../../src/sip-server/core/source-limits';

/** Every spelling of an address, all of which are meant wherever one of them is. */
const SPELLINGS: readonly (readonly string[])[] = [
  ['192.0.2.9', '::ffff:192.0.2.9', '::FFFF:c000:209', '0:0:0:0:0:ffff:192.0.2.9', '[::ffff:192.0.2.9]'],
  ['2001:db8::9', '2001:DB8:0:0:0:0:0:9', '2001:0db8::0009', '[2001:db8::9]'],
  ['127.0.0.1', '::ffff:127.0.0.1', '::FFFF:7F00:1'],
  ['::1', '0:0:0:0:0:0:0:1', '[::1]', '0000::0001'],
  ['::', '0:0:0:0:0:0:0:0', '0::0'],
  ['0.0.0.0', '::ffff:0.0.0.0'],
];
const every = SPELLINGS.flatMap((all) => all.map((text) => [text, all[0] ?? ''] as const));

/** Without brackets, as a socket has it. */
const bare = (text: string): string => text.replace(/^\[|\]$/g, '');
const request: SipMessage = { kind: 'request', method: 'OPTIONS', uri: 'sip:a', headers: [], body: Buffer.alloc(0) };

describe('RFC 4291 §2.5.5.2, RFC 5952: one address, however it is written', () => {
  test.each(every)('%s is %s to all who compare addresses', (text, usual) => {
    expect(canonicalHost(text)).toBe(usual);
    for (const [other, of] of every) expect(sameHost(text, other)).toBe(usual === of);
    expect(familyOf(text)).toBe(familyOf(usual));
    expect(sourcePrefix(text)).toBe(sourcePrefix(usual));
    expect(isLoopback(text)).toBe(usual === '127.0.0.1' || usual === '::1');
    expect(isUnspecified(text)).toBe(usual === '::' || usual === '0.0.0.0');
  });

  test.each(every)('%s: who may read the API without a token', (text, usual) => {
    const inUri = text.includes(':') && !text.startsWith('[') ? `[${text}]` : text;
    for (const host of [inUri, `${inUri}:8080`]) {
      const { allowed } = checkAccess({ path: '/api', host, authorization: undefined }, undefined);
      expect(allowed).toBe(usual === '127.0.0.1' || usual === '::1');
    }
  });

  test.each(every)('%s: who is banned, and who is never limited', (text, usual) => {
    const limits = (banned: readonly string[]): SourceLimits =>
      new SourceLimits({ requestsPerSecond: 1, banned }, new SimulatedClock(), () => undefined);
    for (const [other, of] of every) {
      expect(limits([bare(text)]).admits(bare(other), request)).toBe(usual !== of);
      expect(limits([`${bare(text)}/${bare(text).includes(':') ? 128 : 32}`]).admits(bare(other), request)).toBe(
        usual !== of,
      );
    }
    const one = limits([]);
    const admitted = Array.from({ length: 9 }, () => one.admits(bare(text), request)).filter(Boolean).length;
    expect(admitted).toBe(isLoopback(usual) ? 9 : 4);
  });

  const config = (listen: readonly string[], admin: string): string =>
    [
      'cluster: { name: acme, domain: acme.example, secret: cluster-secret, redis: "redis://10.0.0.5:6379" }',
      'sites: { dallas: {} }',
      'nodes:',
      ...listen.map(
        (address, at) =>
          `  - { id: ${at + 1}, name: n${at + 1}, site: dallas, listen: ['udp:${address}:5060'], drachtio: embedded }`,
      ),
      ...(admin === ''
        ? []
        : [
            `  - { id: 9, name: n9, site: dallas, listen: ['udp:10.0.0.9:5060'], drachtio: embedded, admin: '${admin}' }`,
          ]),
    ].join('\n');
  const problems = (text: string): readonly string[] => {
    const result = parseConfig(text, { file: '/etc/tandem/tandem.yaml', env: {} });
    return result.ok ? [] : result.problems.map(formatProblem);
  };
  const inList = (text: string): string => (bare(text).includes(':') ? `[${bare(text)}]` : text);

  test.each(every.filter(([, usual]) => !isUnspecified(usual)))('%s: listeners that clash', (text, usual) => {
    for (const [other, of] of every) {
      if (isUnspecified(of)) continue;
      const found = problems(config([inList(text), inList(other)], '')).filter((line) =>
        line.includes('listens where'),
      );
      expect(found).toHaveLength(usual === of ? 1 : 0);
    }
  });

  test.each(every)('%s: an HTTP API that would be open to everybody', (text, usual) => {
    const found = problems(config([], `${inList(text)}:8080`)).filter((line) => line.includes('loopback'));
    expect(found).toHaveLength(usual === '127.0.0.1' || usual === '::1' ? 0 : 1);
  });
});

describe('networks', () => {
  test.each([
    ['192.0.2.0/24', '192.0.2.0', 24],
    ['::ffff:192.0.2.0/120', '192.0.2.0', 24],
    ['::FFFF:192.0.2.1', '192.0.2.1', 32],
    ['::ffff:0:0/96', '0.0.0.0', 0],
    ['2001:DB8:0::/32', '2001:db8::', 32],
    ['::/0', '::', 0],
  ])('%s is %s/%d', (text, address, bits) => {
    expect(parseNetwork(text)).toEqual({ address, bits });
  });

  test.each([
    '',
    'example.com',
    '192.0.2/24',
    '192.0.2.0/33',
    '::/129',
    '192.0.2.0/',
    '192.0.2.0/-1',
    '192.0.2.0/24/1',
    '[::1]',
  ])('%j is none', (text) => {
    expect(parseNetwork(text)).toBeUndefined();
    expect(() => new Networks([text])).toThrow('is no ADDRESS/BITS');
  });

  test('an address is found in whatever spelling, and a name is in none', () => {
    const networks = new Networks(['192.0.2.0/24', '::ffff:198.51.100.0/120', '2001:db8::/32']);
    for (const inside of ['192.0.2.1', '::ffff:192.0.2.1', '::ffff:c633:6401', '198.51.100.1', '2001:DB8:0:0::1'])
      expect(networks.has(inside)).toBe(true);
    for (const outside of ['192.0.3.1', '::ffff:192.0.3.1', '2001:db9::1', 'phone.example.com', ''])
      expect(networks.has(outside)).toBe(false);
  });
});

describe('the address of a machine that others are told', () => {
  it.each([
    [['127.0.0.1', '192.0.2.9'], '192.0.2.9'],
    [['::1', '127.0.0.1', '2001:db8::9', '192.0.2.9'], '2001:db8::9'],
    [['192.0.2.9', '::1'], '192.0.2.9'],
    [['::1', '127.0.0.1'], '::1'],
    [[], undefined],
  ])('of %j: %s', (all, told) => {
    expect(reachedByOthers(all.map((address) => ({ address })))?.address).toBe(told);
  });
});
