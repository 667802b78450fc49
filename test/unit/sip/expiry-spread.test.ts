import { register, type Binding } from '../../../src/sip/registrar';
import { SipDomain } from '../../../src/sip/domain';
import { Random } from '../../simulation/random';
import { figure } from '../../support/figures';
import { deviceConfig, receivedRequest } from './support';

const PHONES = 10_000;
const CYCLES = 6;
const ASKED = 120;
const phone = deviceConfig('SEP-alice', 'alice', ['1000']);
const domain = new SipDomain('acme.example');

/** REGISTERs in each second, of phones that all come in the same second and refresh at nine tenths of what they get. */
function arrivals(visiting: boolean): number[] {
  const random = new Random(7);
  const seconds: number[] = [];
  let longest = 0;
  for (let index = 0; index < PHONES; index += 1) {
    let now = random.next() * 1000;
    let bindings: Binding[] = [];
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      seconds[Math.floor(now / 1000)] = (seconds[Math.floor(now / 1000)] ?? 0) + 1;
      const headers = { To: '<sip:alice@acme.example>', CSeq: `${cycle + 1} REGISTER`, Contact: '<sip:a@10.0.0.7>' };
      const policy = {
        domain,
        expiry: { minExpires: 30, defaultExpires: 120, maxExpires: 3600 },
        maxContacts: 1,
        device: phone,
        owner: () => phone,
        nonceIssuedAt: 0,
        random: () => random.next(),
        visiting,
      };
      const request = receivedRequest({ headers: { ...headers, Expires: String(ASKED) } });
      const { changes } = register(request, bindings, policy, now);
      bindings = changes.flatMap((change) => (change.type === 'bind' ? [change.binding] : []));
      const lifetime = (bindings[0]?.expiresAt ?? now) - now;
      longest = Math.max(longest, lifetime);
      now += 0.9 * lifetime;
    }
  }
  expect(longest).toBeLessThanOrEqual(ASKED * 1000);
  return Array.from(seconds, (count: number | undefined) => count ?? 0);
}

describe('claim R15: 10,000 phones that come in one second do not come back in one second', () => {
  test.each([
    ['phones at their node', false, 400],
    ['visiting phones, after the return of their node', true, 400],
  ])('%s', (what, visiting, bound) => {
    const seconds = arrivals(visiting);
    expect(seconds[0]).toBe(PHONES);
    const peaks = [1, 2, 3].map((part) => Math.max(...seconds.slice(1 + (part - 1) * 110, 1 + part * 110)));
    peaks.forEach((peak, index) => figure(`${what}: most REGISTERs in a second of cycle ${index + 1}`, peak, 'per s'));
    expect(Math.max(...seconds.slice(1))).toBeLessThan(bound);
  });
});
