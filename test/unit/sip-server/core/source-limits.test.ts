import { SimulatedClock } from '../../../../src/process/clock';
import type { SipMessage } from '../../../../src/sip-message/message';
import { parseNetwork } from '../../../../src/process/networks';
import { DEFAULT_SOURCE_LIMITS, SourceLimits } from '../../../../src/sip-server/core/source-limits';

const request: SipMessage = { kind: 'request', method: 'OPTIONS', uri: 'sip:a', headers: [], body: Buffer.alloc(0) };
const response: SipMessage = { kind: 'response', status: 200, reason: 'OK', headers: [], body: Buffer.alloc(0) };

function limits(options: Partial<typeof DEFAULT_SOURCE_LIMITS>, clock = new SimulatedClock()) {
  const logged: string[] = [];
  const made = new SourceLimits({ ...DEFAULT_SOURCE_LIMITS, ...options }, clock, (event) => logged.push(event));
  const admitted = (address: string, count: number): number => {
    let yes = 0;
    for (let sent = 0; sent < count; sent += 1) if (made.admits(address, request)) yes += 1;
    return yes;
  };
  return { made, clock, logged, admitted };
}

describe('limits of a source', () => {
  test('a burst of four seconds is taken, then so many requests as the rate says', () => {
    const { admitted, clock, logged } = limits({ requestsPerSecond: 10 });
    expect(admitted('192.0.2.1', 100)).toBe(40);
    clock.advance(1000);
    expect(admitted('192.0.2.1', 100)).toBe(10);
    expect(logged).toEqual(['sip.source.limited']);
  });

  test('each address has its own share, and responses cost nothing', () => {
    const { admitted, made } = limits({ requestsPerSecond: 1 });
    expect(admitted('192.0.2.1', 9)).toBe(4);
    expect(admitted('192.0.2.2', 9)).toBe(4);
    expect(made.admits('192.0.2.1', response)).toBe(true);
    expect(made.admits('192.0.2.1', undefined)).toBe(false);
  });

  test.each(['127.0.0.1', '127.9.9.9', '::1'])('%s is ourselves, and never limited', (address) => {
    expect(limits({ requestsPerSecond: 1 }).admitted(address, 1000)).toBe(1000);
  });

  test('0 is no limit', () => {
    expect(limits({ requestsPerSecond: 0 }).admitted('192.0.2.1', 100_000)).toBe(100_000);
  });

  test('by default a site of a thousand phones that all register at once is served', () => {
    expect(limits({}).admitted('192.0.2.1', 4000)).toBe(4000);
  });

  test('forged addresses do not fill the memory', () => {
    const { admitted, made, clock } = limits({ requestsPerSecond: 1 });
    for (let index = 0; index < 100_000; index += 1)
      made.admits(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, request);
    expect(made.size).toBeLessThanOrEqual(20_000);
    clock.advance(5000);
    expect(admitted('192.0.2.1', 9)).toBe(4);
  });

  test('what is banned is not heard, whatever it says', () => {
    const { made } = limits({ banned: ['192.0.2.0/24', '2001:db8::/32', '198.51.100.7'] });
    const heard = (address: string): boolean => made.admits(address, response);
    expect(['192.0.2.9', '2001:db8::1', '198.51.100.7'].map(heard)).toEqual([false, false, false]);
    expect(['192.0.3.9', '2001:db9::1', '198.51.100.8', '127.0.0.1'].map(heard)).toEqual([true, true, true, true]);
  });

  test.each([
    ['192.0.2.1', { address: '192.0.2.1', bits: 32 }],
    ['192.0.2.0/24', { address: '192.0.2.0', bits: 24 }],
    ['::/0', { address: '::', bits: 0 }],
    ['192.0.2.0/33', undefined],
    ['192.0.2/24', undefined],
    ['example.com', undefined],
    ['192.0.2.0/', undefined],
    ['192.0.2.0/24/1', undefined],
  ])('%s is read as %j', (text, network) => {
    expect(parseNetwork(text)).toEqual(network);
  });

  test('a network that is none is an error', () => {
    expect(() => limits({ banned: ['everybody'] })).toThrow('"everybody" is no ADDRESS/BITS');
  });
});
