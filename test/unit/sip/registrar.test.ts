import { SipDomain } from '../../../src/sip/domain';
import {
  refuseBeforeAuthentication,
  register,
  type Binding,
  type RegisterResult,
  type RegistrarPolicy,
} from '../../../src/sip/registrar';
import { deviceConfig, receivedRequest } from './support';

const NOW = 1_700_000_000_000;
const domain = new SipDomain('acme.example', ['10.0.0.1', '10.0.0.2']);
const alice = deviceConfig('SEP-alice', 'alice', ['1000', '1001']);
const bob = deviceConfig('SEP-bob', 'bob', ['2000']);
const URN = 'urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF';

const policy: RegistrarPolicy = {
  domain,
  expiry: { minExpires: 60, defaultExpires: 120, maxExpires: 3600 },
  maxContacts: 3,
  device: alice,
  owner: (user) => [alice, bob].find(({ username, lines }) => username === user || lines.includes(user)),
  nonceIssuedAt: 0,
  random: () => 0,
};

interface Ask {
  readonly contact?: string;
  readonly expires?: string;
  readonly to?: string;
  readonly callId?: string;
  readonly cseq?: number | string;
  readonly require?: string;
}

function ask(options: Ask, bindings: readonly Binding[] = [], changed: Partial<RegistrarPolicy> = {}, now = NOW) {
  const { contact, expires, to, callId, cseq, require } = options;
  const request = receivedRequest({
    callId,
    headers: {
      To: to ?? '<sip:alice@acme.example>',
      CSeq: typeof cseq === 'string' ? cseq : `${cseq ?? 1} REGISTER`,
      ...(contact === undefined ? {} : { Contact: contact }),
      ...(expires === undefined ? {} : { Expires: expires }),
      ...(require === undefined ? {} : { Require: require }),
    },
  });
  return register(request, bindings, { ...policy, ...changed }, now);
}

function after(result: RegisterResult, before: readonly Binding[] = []): Binding[] {
  const bindings = new Map(before.map((binding) => [binding.identity, binding]));
  for (const change of result.changes)
    if (change.type === 'bind') bindings.set(change.binding.identity, change.binding);
    else bindings.delete(change.binding.identity);
  return [...bindings.values()];
}

function registered(...contacts: string[]): Binding[] {
  const result = ask({ contact: contacts.join(', '), callId: 'first', cseq: 10 }, [], { maxContacts: 100 });
  expect(result.response.status).toBe(200);
  return after(result);
}

const granted = (result: RegisterResult): number[] => after(result).map((binding) => (binding.expiresAt - NOW) / 1000);

describe('RFC 3261 §10.3: before authentication', () => {
  test.each(['sip:acme.example', 'sip:ACME.EXAMPLE:5062;transport=tcp', 'sip:10.0.0.1', 'sip:10.0.0.2:5070'])(
    'the request URI %s is of our domain',
    (uri) => expect(refuseBeforeAuthentication(receivedRequest({ uri }), domain)).toBeUndefined(),
  );

  test.each(['sip:elsewhere.example', 'tel:1000', 'nonsense', ''])('the request URI %j is not', (uri) => {
    expect(refuseBeforeAuthentication(receivedRequest({ uri }), domain)).toMatchObject({ status: 404 });
  });

  test('step 2: a required extension gets 420 and Unsupported', () => {
    const request = receivedRequest({ headers: { Require: 'gruu, outbound' } });
    expect(refuseBeforeAuthentication(request, domain)).toEqual({
      status: 420,
      reason: 'Bad Extension',
      headers: { Unsupported: 'gruu, outbound' },
    });
  });
});

describe('RFC 3261 §10.3: the address-of-record', () => {
  test.each([
    ['the username', '<sip:alice@acme.example>'],
    ['a line', '"Alice" <sip:1001@acme.example>;tag=ignored'],
    ['an escaped user', '<sip:%61lice@acme.example;transport=udp>'],
    ['another address of ours', '<sip:alice@10.0.0.2:5070>'],
  ])('%s of the device is its own', (_, to) => {
    expect(ask({ to, contact: '<sip:alice@10.0.0.7>' }).response.status).toBe(200);
  });

  test.each([
    ['step 4: the number of another device gets 403', '<sip:2000@acme.example>', 403],
    ['step 4: the username of another device gets 403', '<sip:bob@acme.example>', 403],
    ['step 5: an unknown one gets 404', '<sip:carol@acme.example>', 404],
    ['the user part is case-sensitive', '<sip:Alice@acme.example>', 404],
    ['another domain gets 404', '<sip:alice@elsewhere.example>', 404],
    ['a malformed To gets 400', 'alice <', 400],
  ])('%s', (_, to, status) => {
    const result = ask({ to, contact: '<sip:alice@10.0.0.7>' });
    expect(result.response.status).toBe(status);
    expect(result.changes).toEqual([]);
  });
});

describe('RFC 3261 §10.3: contacts', () => {
  test('no Contact: the 200 lists the bindings and changes nothing', () => {
    const before = registered('<sip:alice@10.0.0.7>', '<sip:alice@10.0.0.8>;expires=600');
    const result = ask({ callId: 'first', cseq: 1 }, before, {}, NOW + 20_000);
    expect(result.response.status).toBe(200);
    expect(result.response.headers.Contact).toBe('<sip:alice@10.0.0.7>;expires=100, <sip:alice@10.0.0.8>;expires=580');
    expect(result.changes).toEqual([]);
  });

  test('no Contact and no binding: 200 without Contact, with Date', () => {
    const { response } = ask({});
    expect(response).toEqual({ status: 200, headers: { Date: 'Tue, 14 Nov 2023 22:13:20 GMT' } });
  });

  test("the requester's own contact comes first in the 200", () => {
    const before = registered('<sip:alice@10.0.0.7>', '<sip:alice@10.0.0.8>');
    const { response } = ask({ contact: '<sip:alice@10.0.0.8>', callId: 'second', expires: '300' }, before);
    expect(response.headers.Contact).toMatch(/^<sip:alice@10\.0\.0\.8>;expires=300, <sip:alice@10\.0\.0\.7>/);
  });

  test('the 200 tells the instance with its contact', () => {
    const { response } = ask({ contact: `<sip:alice@10.0.0.7>;+sip.instance="<${URN}>"` });
    expect(response.headers.Contact).toBe(`<sip:alice@10.0.0.7>;expires=120;+sip.instance="<${URN}>"`);
  });

  test.each([
    ['a malformed Contact', '<sip:alice@10.0.0.7'],
    ['an empty Contact', ''],
    ['a Contact of nothing but commas', ' , '],
    ['a telephone number', '<tel:1000>'],
    ['a web address', '<http://10.0.0.7/>'],
    ['URI headers', '<sip:alice@10.0.0.7?X-Tandem-Node=1>'],
    ['an endless URI', `<sip:${'a'.repeat(2000)}@10.0.0.7>`],
    ['too many contacts at once', Array.from({ length: 40 }, (_, at) => `<sip:a@10.0.0.${at}>`).join(',')],
  ])('%s gets 400', (_, contact) => {
    const result = ask({ contact });
    expect(result.response.status).toBe(400);
    expect(result.changes).toEqual([]);
  });

  test.each(['', 'REGISTER', 'x REGISTER', '-1 REGISTER'])('a malformed CSeq (%j) gets 400', (cseq) => {
    expect(ask({ contact: '<sip:alice@10.0.0.7>', cseq }).response.status).toBe(400);
  });

  test('§19.1.4: contacts are compared as URIs, not as text', () => {
    const before = registered('<sip:alice@HOST.example;transport=TCP>');
    const result = ask({ contact: '<sip:%61lice@host.example;transport=tcp>', cseq: 11 }, before);
    expect(result.changes).toMatchObject([{ type: 'bind', previous: before[0] }]);
    expect(after(result, before)).toHaveLength(1);
  });

  test('§19.1.4: another user, port or transport is another binding', () => {
    const before = registered('<sip:alice@10.0.0.7>', '<sip:Alice@10.0.0.7>', '<sip:alice@10.0.0.7:5062>');
    expect(before).toHaveLength(3);
  });

  test('RFC 5626 §6: the same instance at another contact is the same binding', () => {
    const before = registered(`<sip:alice@10.0.0.7>;+sip.instance="<${URN}>"`);
    const result = ask({ contact: `<sip:alice@10.0.0.99>;+sip.instance="<${URN}>"`, callId: 'second' }, before);
    expect(after(result, before)).toMatchObject([{ identity: URN, contact: 'sip:alice@10.0.0.99' }]);
    expect(result.changes).toMatchObject([{ type: 'bind', previous: before[0] }]);
  });

  test('a phone may add its new address and remove the old one with one instance in one request', () => {
    const before = registered(`<sip:alice@10.0.0.7>;+sip.instance="<${URN}>"`);
    const instance = `+sip.instance="<${URN}>"`;
    const contact = `<sip:alice@10.0.0.7>;${instance};expires=0, <sip:alice@10.0.0.99>;${instance}`;
    const result = ask({ contact, callId: 'second' }, before);
    expect(after(result, before)).toMatchObject([{ contact: 'sip:alice@10.0.0.99' }]);
  });

  test('a binding whose phone begins to tell its instance is replaced', () => {
    const before = registered('<sip:alice@10.0.0.7>');
    const result = ask({ contact: `<sip:alice@10.0.0.7>;+sip.instance="<${URN}>"`, callId: 'second' }, before);
    expect(after(result, before)).toMatchObject([{ identity: URN }]);
  });

  test('more contacts than a device may have get 403, and nothing changes', () => {
    const before = registered('<sip:a@10.0.0.1>', '<sip:a@10.0.0.2>', '<sip:a@10.0.0.3>');
    const result = ask({ contact: '<sip:a@10.0.0.4>', callId: 'second' }, before);
    expect(result).toMatchObject({ response: { status: 403 }, changes: [] });
    expect(ask({ contact: '<sip:a@10.0.0.3>', callId: 'second' }, before).response.status).toBe(200);
  });
});

describe('RFC 3261 §10.3: Contact: *', () => {
  const before = registered('<sip:alice@10.0.0.7>', '<sip:alice@10.0.0.8>');

  test('with Expires: 0 it removes everything', () => {
    const result = ask({ contact: '*', expires: '0', callId: 'second' }, before);
    expect(result.response.status).toBe(200);
    expect(result.response.headers).not.toHaveProperty('Contact');
    expect(after(result, before)).toEqual([]);
  });

  test.each([
    ['without Expires', { contact: '*' }],
    ['with another Expires', { contact: '*', expires: '60' }],
    ['with a malformed Expires', { contact: '*', expires: 'none' }],
    ['with a contact beside it', { contact: '*, <sip:alice@10.0.0.7>', expires: '0' }],
    ['twice', { contact: '*, *', expires: '0' }],
  ])('%s it gets 400', (_, options) => {
    expect(ask(options, before)).toMatchObject({ response: { status: 400 }, changes: [] });
  });

  test('with the Call-ID of the bindings and no higher CSeq the whole request fails', () => {
    expect(ask({ contact: '*', expires: '0', callId: 'first', cseq: 10 }, before)).toMatchObject({
      response: { status: 500 },
      changes: [],
      outcome: 'stale-cseq',
    });
    const higher = ask({ contact: '*', expires: '0', callId: 'first', cseq: 11 }, before);
    expect(after(higher, before)).toEqual([]);
  });
});

describe('RFC 3261 §10.3: expiry', () => {
  const contact = '<sip:alice@10.0.0.7>';

  test.each([
    ['the parameter of the contact', { contact: `${contact};expires=600` }, 600],
    ['the parameter before the header', { contact: `${contact};expires=600`, expires: '900' }, 600],
    ['the header', { contact, expires: '900' }, 900],
    ['the default when nothing is asked', { contact }, 120],
    ['a malformed parameter as 3600', { contact: `${contact};expires=soon` }, 3600],
    ['a parameter without value as 3600', { contact: `${contact};expires` }, 3600],
    ['a malformed header as 3600', { contact, expires: '-1' }, 3600],
    ['a number beyond 2**32 as 3600', { contact, expires: '99999999999' }, 3600],
    ['the maximum for more than it', { contact, expires: '7200' }, 3600],
    ['exactly the minimum', { contact, expires: '60' }, 60],
  ])('%s is granted', (_, options, seconds) => {
    expect(granted(ask(options))).toEqual([seconds]);
  });

  test('each contact has its own', () => {
    expect(granted(ask({ contact: '<sip:a@h>;expires=100, <sip:b@h>', expires: '200' }))).toEqual([100, 200]);
  });

  test('what is shorter than the minimum gets 423 and Min-Expires, for the whole request', () => {
    const result = ask({ contact: '<sip:a@h>;expires=600, <sip:b@h>;expires=59' });
    expect(result).toMatchObject({ response: { status: 423, headers: { 'Min-Expires': '60' } }, changes: [] });
  });

  test('§10.3 step 7: an hour is never too brief, whatever the minimum', () => {
    const expiry = { minExpires: 7200, defaultExpires: 7200, maxExpires: 9000 };
    expect(granted(ask({ contact, expires: '3600' }, [], { expiry }))).toEqual([3600]);
    expect(ask({ contact, expires: '3599' }, [], { expiry }).response.status).toBe(423);
  });

  test('0 removes the contact, and only it', () => {
    const before = registered('<sip:alice@10.0.0.7>', '<sip:alice@10.0.0.8>');
    const result = ask({ contact: '<sip:alice@10.0.0.7>;expires=0', cseq: 11, callId: 'first' }, before);
    expect(result.response.headers.Contact).toBe('<sip:alice@10.0.0.8>;expires=120');
    expect(after(result, before)).toMatchObject([{ contact: 'sip:alice@10.0.0.8' }]);
  });

  test('0 for a contact that is not there is no error', () => {
    expect(ask({ contact, expires: '0' })).toMatchObject({ response: { status: 200 }, changes: [] });
  });

  test.each([
    ['nothing', undefined, 60, 108],
    ['more than the maximum', '7200', 1800, 3240],
    ['exactly what may be', '3600', 1800, 3240],
    ['little', '61', 60, 60],
  ])('§10.3 step 7: jitter shortens a first grant by half at most, a refresh by a tenth: asked %s', (...row) => {
    const [, expires, first, refresh] = row;
    const random = (): number => 0.9999999;
    expect(granted(ask({ contact, expires }, [], { random }))[0]).toBe(first);
    const before = registered(contact);
    expect(granted(ask({ contact, expires, cseq: 11 }, before, { random }))[0]).toBe(refresh);
  });

  test.each([
    [0, '3600', 120],
    [0.5, '3600', 90],
    [0.9999999, '3600', 60],
    [0.9999999, '60', 60],
    [0.5, undefined, 90],
  ])(
    'claim R15: a visiting phone is granted between the minimum and the default (random %s)',
    (value, expires, seconds) => {
      const visitor = { random: () => value, visiting: true };
      expect(granted(ask({ contact, expires }, [], visitor))[0]).toBe(seconds);
      expect(granted(ask({ contact, expires, cseq: 11 }, registered(contact), visitor))[0]).toBe(seconds);
    },
  );
});

describe('RFC 3261 §10.3 step 7: order', () => {
  const contact = '<sip:alice@10.0.0.7>';
  const before = registered(contact);

  test.each([9, 10])('CSeq %i after 10 with the same Call-ID is refused, and nothing changes', (cseq) => {
    expect(ask({ contact, callId: 'first', cseq }, before)).toMatchObject({
      response: { status: 500 },
      changes: [],
      outcome: 'stale-cseq',
    });
  });

  test('a higher CSeq, or another Call-ID, is in order', () => {
    expect(ask({ contact, callId: 'first', cseq: 11 }, before).response.status).toBe(200);
    expect(ask({ contact, callId: 'second', cseq: 1 }, before).response.status).toBe(200);
  });

  test('a low CSeq with a nonce that was issued after the binding is a phone that has rebooted', () => {
    const result = ask({ contact, callId: 'first', cseq: 1 }, before, { nonceIssuedAt: NOW + 1 });
    expect(result).toMatchObject({ response: { status: 200 }, outcome: 'reboot-accepted' });
    expect(after(result, before)).toMatchObject([{ cseq: 1 }]);
  });

  test('a nonce that was issued before the binding, or with it, proves nothing', () => {
    for (const nonceIssuedAt of [NOW - 1, NOW])
      expect(ask({ contact, callId: 'first', cseq: 1 }, before, { nonceIssuedAt }).response.status).toBe(500);
  });

  test('one contact out of order fails them all', () => {
    const result = ask({ contact: `<sip:new@10.0.0.9>, ${contact}`, callId: 'first', cseq: 10 }, before);
    expect(result).toMatchObject({ response: { status: 500 }, changes: [] });
  });

  test('a removal out of order is refused too', () => {
    const result = ask({ contact: `${contact};expires=0`, callId: 'first', cseq: 10 }, before);
    expect(result).toMatchObject({ response: { status: 500 }, changes: [] });
  });
});
