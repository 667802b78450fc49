import fc from 'fast-check';
import { SipDomain } from '../../../src/sip/domain';
import { register, type Binding, type RegistrarPolicy } from '../../../src/sip/registrar';
import { deviceConfig, receivedRequest } from './support';

const alice = deviceConfig('SEP-alice', 'alice', ['1000']);
const policy: RegistrarPolicy = {
  domain: new SipDomain('acme.example'),
  expiry: { minExpires: 60, defaultExpires: 120, maxExpires: 3600 },
  maxContacts: 4,
  device: alice,
  owner: (user) => (user === 'alice' ? alice : undefined),
  nonceIssuedAt: 0,
  random: Math.random,
};

const contact = fc
  .record({
    user: fc.constantFrom('a', 'b', 'A'),
    host: fc.constantFrom('h1', 'H1', 'h2'),
    expires: fc.constantFrom('', ';expires=0', ';expires=60', ';expires=30', ';expires=9999', ';expires=x'),
    instance: fc.constantFrom('', ';+sip.instance="<urn:1>"', ';+sip.instance="<urn:2>"'),
  })
  .map(({ user, host, expires, instance }) => `<sip:${user}@${host}>${expires}${instance}`);

const step = fc.record({
  contacts: fc.oneof(fc.constant(undefined), fc.constant('*'), fc.array(contact, { minLength: 1, maxLength: 5 })),
  expires: fc.constantFrom(undefined, '0', '60', '59', '7200', 'soon'),
  callId: fc.constantFrom('x', 'y'),
  cseq: fc.integer({ min: 0, max: 5 }),
  waitMs: fc.integer({ min: 0, max: 200_000 }),
});

function headersOf({ contacts, expires, cseq }: { contacts?: string | string[]; expires?: string; cseq: number }) {
  const value = Array.isArray(contacts) ? contacts.join(', ') : contacts;
  return {
    To: '<sip:alice@acme.example>',
    CSeq: `${cseq} REGISTER`,
    ...(value === undefined ? {} : { Contact: value }),
    ...(expires === undefined ? {} : { Expires: expires }),
  };
}

/** The longest that any contact of a request may be granted, seconds. */
function longest(expires: string | undefined, contacts: string | string[] | undefined): number {
  const asked = [expires, ...(Array.isArray(contacts) ? contacts : [])].flatMap((text) => {
    const number = /^(\d+)$|expires=(\d+)/.exec(text ?? '');
    return number === null ? [3600] : [Number(number[1] ?? number[2])];
  });
  return Math.min(3600, Math.max(...asked));
}

describe('RFC 3261 §10.3: whatever a device sends', () => {
  test('changes come with a 200 only, the 200 lists exactly what then is, and nobody gets more than he may', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let bindings: Binding[] = [];
        let now = 1_700_000_000_000;
        for (const each of steps) {
          now += each.waitMs;
          bindings = bindings.filter((binding) => binding.expiresAt > now);
          const request = receivedRequest({ callId: each.callId, headers: headersOf(each) });
          const { response, changes } = register(request, bindings, policy, now);
          if (response.status !== 200) {
            expect(changes).toEqual([]);
            continue;
          }
          const after = new Map(bindings.map((binding) => [binding.identity, binding]));
          for (const change of changes) {
            if (change.type === 'unbind') expect(after.delete(change.binding.identity)).toBe(true);
            else {
              expect(change.previous).toEqual(after.get(change.binding.identity));
              expect(change.binding.expiresAt - now).toBeLessThanOrEqual(longest(each.expires, each.contacts) * 1000);
              expect(change.binding.expiresAt).toBeGreaterThan(now);
              after.set(change.binding.identity, change.binding);
            }
          }
          expect(after.size).toBeLessThanOrEqual(Math.max(policy.maxContacts, bindings.length));
          expect((response.headers.Contact ?? '').split('<sip:').length - 1).toBe(after.size);
          bindings = [...after.values()];
        }
      }),
      {
        numRuns: 500,
        examples: [
          // One contact tells its instance, another is the same address without it.
          [
            [
              { contacts: ['<sip:a@h1>'], expires: undefined, callId: 'x', cseq: 0, waitMs: 0 },
              {
                contacts: ['<sip:a@h1>;+sip.instance="<urn:2>"', '<sip:a@h1>'],
                expires: undefined,
                callId: 'x',
                cseq: 1,
                waitMs: 0,
              },
            ],
          ],
        ],
      },
    );
  });

  test('no header text makes it throw', () => {
    const text = fc.oneof(fc.string({ maxLength: 60 }), fc.constantFrom('<', '*', '"', '<sip:a@b>;expires', ',,,'));
    fc.assert(
      fc.property(text, text, text, text, (to, contacts, expires, cseq) => {
        const headers = { To: to, Contact: contacts, Expires: expires, CSeq: cseq };
        const { response } = register(receivedRequest({ headers }), [], policy, 0);
        expect([200, 400, 403, 404, 423]).toContain(response.status);
        const known = { ...headers, To: '<sip:alice@acme.example>', CSeq: '1 REGISTER' };
        expect([200, 400, 423]).toContain(register(receivedRequest({ headers: known }), [], policy, 0).response.status);
      }),
    );
  });
});
