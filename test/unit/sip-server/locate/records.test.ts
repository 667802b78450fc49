import fc from 'fast-check';
import { isDenied, orderSrv, type SrvRecord, usableServices } from '../../../../src/sip-server/locate/records';

const srv = (priority: number, weight: number, target: string): SrvRecord => ({ priority, weight, port: 5060, target });
const names = (records: readonly SrvRecord[]): string => records.map(({ target }) => target).join(' ');

describe('order of SRV records', () => {
  test('RFC 2782: the lower priority comes first, whatever the weights', () => {
    expect(names(orderSrv([srv(20, 100, 'c'), srv(10, 0, 'a'), srv(15, 1, 'b')], () => 0.99))).toBe('a b c');
  });

  test('RFC 2782: within a priority each comes first as often as its weight says', () => {
    let seed = 1;
    const random = (): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    };
    const first = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) {
      const target = orderSrv([srv(1, 60, 'a'), srv(1, 30, 'b'), srv(1, 10, 'c')], random)[0]?.target ?? '';
      first.set(target, (first.get(target) ?? 0) + 1);
    }
    for (const [target, weight] of Object.entries({ a: 60, b: 30, c: 10 })) {
      expect(Math.abs((first.get(target) ?? 0) / 100 - weight)).toBeLessThan(3);
    }
  });

  test('RFC 2782: weight 0 has a chance, a very small one', () => {
    const records = [srv(1, 0, 'rare'), srv(1, 100, 'usual')];
    expect(names(orderSrv(records, () => 0))).toBe('rare usual');
    expect(names(orderSrv(records, () => 0.5))).toBe('usual rare');
  });

  test('all records stay, each once, in order of priority', () => {
    const record = fc.record({
      priority: fc.integer({ min: 0, max: 65_535 }),
      weight: fc.integer({ min: 0, max: 65_535 }),
      port: fc.integer({ min: 0, max: 65_535 }),
      target: fc.string(),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 12 }), fc.double({ min: 0, max: 0.999999, noNaN: true }), (all, at) => {
        const ordered = orderSrv(all, () => at);
        expect([...ordered].sort(byText)).toEqual([...all].sort(byText));
        expect(ordered.map((one) => one.priority)).toEqual(all.map((one) => one.priority).sort((a, b) => a - b));
      }),
    );
  });

  test('RFC 2782: a lone dot says that the service is not there', () => {
    expect(isDenied([srv(0, 0, '.')])).toBe(true);
    expect(isDenied([srv(0, 0, '')])).toBe(true);
    expect(isDenied([])).toBe(false);
  });
});

const byText = (a: unknown, b: unknown): number => JSON.stringify(a).localeCompare(JSON.stringify(b));

describe('services of NAPTR records', () => {
  const record = (order: number, preference: number, service: string, flags = 's') => ({
    order,
    preference,
    flags,
    service,
    replacement: `${service}.example`,
  });

  test('RFC 3263 §4.1: those that we can use, of the lowest order, by preference', () => {
    const records = [
      record(50, 50, 'SIPS+D2T'),
      record(90, 60, 'sip+d2u'),
      record(90, 50, 'SIP+D2T'),
      record(100, 1, 'SIP+D2U'),
    ];
    expect(usableServices(records, ['udp', 'tcp']).map((one) => one.protocol)).toEqual(['tcp', 'udp']);
    expect(usableServices(records, ['udp', 'tcp', 'tls']).map((one) => one.protocol)).toEqual(['tls']);
    expect(usableServices(records, ['ws'])).toEqual([]);
  });

  test('other services, other flags and no replacement are passed over', () => {
    const none = { ...record(1, 1, 'SIP+D2U'), replacement: '' };
    expect(usableServices([record(1, 1, 'E2U+sip'), record(1, 1, 'SIP+D2U', 'u'), none], ['udp'])).toEqual([]);
  });
});
