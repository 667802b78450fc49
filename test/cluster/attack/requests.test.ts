import { Cluster } from '../../support/cluster';
import { addGateway, domain, passwordOf } from '../../support/cluster-config';
import { itUnless } from '../../support/drachtio-limits';
import { freePort } from '../../support/ports';
import { plainSdp, RawLine, type RawCall } from '../../support/raw-line';
import { headerOf, statusOf } from '../../support/sip-text';

jest.setTimeout(60_000);

let cluster: Cluster;
let alice: RawLine;
let bob: RawLine;
let gateway: RawLine;

beforeAll(async () => {
  const port = await freePort();
  cluster = await Cluster.start({ engines: [], change: (file) => addGateway(file, port) });
  const sip = (node: number): number => cluster.node(node).place.sipPort;
  gateway = await RawLine.gateway(cluster.scope, port, sip(1));
  alice = await RawLine.phone(cluster.scope, 'alice', sip(1));
  bob = await RawLine.phone(cluster.scope, 'bob', sip(2));
  for (const number of ['1000', '2000']) await cluster.everybodyKnows(number);
});
afterAll(() => cluster.close());

const from = `<sip:alice@${domain}>`;

/** The final status of a request of alice's, outside any dialog, with her credentials. */
async function asked(method: string, uri: string, headers: readonly string[] = [], body = ''): Promise<string> {
  const to = method === 'REGISTER' ? { to: from } : {};
  const contact = headers.some((line) => line.startsWith('Contact:')) ? {} : { contact: alice.contact };
  const request = { method, uri, from, ...to, headers, body, ...contact };
  return alice.peer.askWithDigest(request, 'alice', passwordOf('alice'), 5000);
}

/** A call of alice's to bob at the other node. */
async function established(): Promise<readonly [RawCall, RawCall]> {
  const before = bob.invites.length;
  const call = await alice.call('2000');
  const called = await bob.called(before);
  called.answer('200 OK', { body: plainSdp() });
  expect(statusOf(await call.final())).toBe(200);
  await called.got('ACK');
  return [call, called];
}

async function ended([call, called]: readonly [RawCall, RawCall]): Promise<void> {
  expect(statusOf(await call.ask('BYE'))).toBe(200);
  await called.got('BYE');
  await cluster.nothingIsLeft();
}

const callBob = `sip:2000@${domain}`;
/** Of a header, lines that are wrong. */
const wrong = (name: string, values: readonly string[]): readonly string[] =>
  values.map((value) => `${name}: ${value}`);
const everywhere = [
  ...wrong('Max-Forwards', ['-1', '256', 'abc', '']),
  ...wrong('Require', ['']),
  ...wrong('Contact', ['']),
];
const inOffers = [...wrong('Session-Expires', ['-1', 'x;refresher=uac', '']), ...wrong('Min-SE', ['abc', ''])];

describe('RFC 3261 §21.4.1: a header that is there and cannot be read gets 400', () => {
  it.each<[string, string, readonly string[]]>([
    ['INVITE', callBob, [...everywhere, ...inOffers, ...wrong('Expires', ['-1', 'soon', ''])]],
    ['REGISTER', `sip:${domain}`, everywhere],
    ['OPTIONS', callBob, everywhere],
    ['MESSAGE', callBob, everywhere],
  ])('%s outside a dialog', async (method, uri, lines) => {
    const before = bob.invites.length;
    for (const line of lines) {
      const response = await asked(method, uri, [line], method === 'INVITE' ? plainSdp() : '');
      expect([line, statusOf(response)]).toEqual([line, 400]);
    }
    expect(bob.invites).toHaveLength(before);
  });

  it.each(['INVITE', 'UPDATE', 'INFO', 'MESSAGE', 'OPTIONS'])('%s in a call, which goes on', async (method) => {
    const ends = await established();
    const body = method === 'INVITE' || method === 'UPDATE' ? plainSdp() : '';
    for (const end of ends)
      for (const line of body === '' ? everywhere : [...everywhere, ...inOffers])
        expect([line, statusOf(await end.ask(method, { headers: [line], body }))]).toEqual([line, 400]);
    expect(statusOf(await ends[0].ask('OPTIONS'))).toBe(200);
    await ended(ends);
  });
});

describe('RFC 3261 §7.1, §21.5.2: what is no method gets 501 with Allow', () => {
  const methods = ['invite', 'Invite', 'message', 'bye', 'FOO'];

  itUnless('noMethods')('outside a dialog, without a question for credentials', async () => {
    for (const method of methods) {
      const response = await alice.peer.ask({ method, uri: callBob, from }, 5000);
      expect([method, statusOf(response)]).toEqual([method, 501]);
      expect(headerOf(response, 'Allow')).toContain('INVITE');
    }
  });

  it('in a call, which goes on', async () => {
    const ends = await established();
    for (const end of ends)
      for (const method of methods) {
        const response = await end.ask(method);
        expect([method, statusOf(response)]).toEqual([method, 501]);
        expect(headerOf(response, 'Allow')).toContain('INVITE');
      }
    await ended(ends);
  });
});

describe('RFC 3966 §5.1.5: a number of another context is none of ours', () => {
  const foreign = ['tel:2000;phone-context=+44', `sip:2000;phone-context=+44@${domain};user=phone`];

  it.each(foreign)('%s', async (uri) => {
    const before = bob.invites.length;
    expect(statusOf(await asked('INVITE', uri, [], plainSdp()))).toBe(404);
    const response = await gateway.peer.ask(
      { method: 'INVITE', uri, from: '<sip:+14085550100@carrier.example>' },
      5000,
    );
    expect(statusOf(response)).toBe(404);
    expect(bob.invites).toHaveLength(before);
  });

  it.each([`tel:2000;phone-context=${domain}`, `sip:2000;phone-context=${domain}@${domain};user=phone`])(
    '%s is one of ours',
    async (uri) => {
      const before = bob.invites.length;
      const answer = asked('INVITE', uri, [], plainSdp());
      (await bob.called(before)).answer('486 Busy Here');
      expect(statusOf(await answer)).toBe(486);
      await cluster.nothingIsLeft();
    },
  );
});

describe('RFC 3323 §5: privacy that is critical and not done gets 500', () => {
  const headers = ['Privacy: session;critical'];

  it('to a call of a phone, and of a gateway', async () => {
    const before = bob.invites.length;
    const response = await asked('INVITE', callBob, headers, plainSdp());
    expect(response).toMatch(/^SIP\/2\.0 500 Privacy Not Provided: session\r\n/);
    const outside = { method: 'INVITE', uri: callBob, from: '<sip:+14085550100@carrier.example>', headers };
    expect(statusOf(await gateway.peer.ask({ ...outside, body: plainSdp() }, 5000))).toBe(500);
    expect(bob.invites).toHaveLength(before);
  });

  it('in a call, which goes on', async () => {
    const ends = await established();
    for (const end of ends)
      for (const method of ['INVITE', 'INFO', 'MESSAGE']) {
        const body = method === 'INVITE' ? plainSdp() : '';
        expect([method, statusOf(await end.ask(method, { headers, body }))]).toEqual([method, 500]);
      }
    await ended(ends);
  });
});

describe('RFC 5630 §3.1: sips without TLS is refused', () => {
  it('a request by UDP, and a Contact', async () => {
    const before = bob.invites.length;
    for (const [method, body] of [
      ['INVITE', plainSdp()],
      ['OPTIONS', ''],
      ['MESSAGE', ''],
    ] as const) {
      const response = await asked(method, `sips:2000@${domain}`, [], body);
      expect(statusOf(response)).toBe(480);
      expect(headerOf(response, 'Warning')).toBe(`380 ${domain} "SIPS Not Allowed"`);
    }
    const contact = [`Contact: <sips:alice@127.0.0.1:${alice.peer.port}>`];
    expect(statusOf(await asked('INVITE', callBob, contact, plainSdp()))).toBe(400);
    expect(statusOf(await asked('REGISTER', `sip:${domain}`, contact))).toBe(400);
    expect(bob.invites).toHaveLength(before);
  });
});
