import { Cluster } from '../../support/cluster';
import { addGateway, people } from '../../support/cluster-config';
import { describeUnless } from '../../support/drachtio-limits';
import { eventually } from '../../support/eventually';
import { LyingPhone } from '../../support/lying-phone';
import { freePort } from '../../support/ports';
import { plainSdp, RawLine, type RawCall, type RawMessage } from '../../support/raw-line';
import { Scope } from '../../support/scope';
import { SpiralProxy } from '../../support/spiral-proxy';
import { headerOf, statusOf } from '../../support/sip-text';

jest.setTimeout(60_000);

let cluster: Cluster;
let phones: Record<'alice' | 'carol' | 'bob', RawLine>;

beforeAll(async () => {
  const port = await freePort();
  cluster = await Cluster.start({
    engines: [],
    change: (file) => addGateway(file, port),
  });
  const sip = (node: number): number => cluster.node(node).place.sipPort;
  await SpiralProxy.start(cluster.scope, port, sip(1), people.carol.dn);
  phones = {
    alice: await RawLine.phone(cluster.scope, 'alice', sip(1)),
    carol: await RawLine.phone(cluster.scope, 'carol', sip(1)),
    bob: await RawLine.phone(cluster.scope, 'bob', sip(2)),
  };
  for (const number of ['1000', '1001', '2000']) await cluster.everybodyKnows(number);
});
afterAll(() => cluster.close());

/** Both ends of a call that rings. */
async function ring(caller: RawLine, callee: RawLine, number: string): Promise<[RawCall, RawCall]> {
  const before = callee.invites.length;
  const call = await caller.call(number);
  const called = await callee.called(before);
  called.answer('180 Ringing');
  await eventually(
    'ringing',
    () => call.responses,
    (all) => all.some((one) => statusOf(one) === 180),
    { cap: 5000, every: 5 },
  );
  call.hears();
  return [call, called];
}

describeUnless('spirals')('a call that a proxy sends back to the node that it came from', () => {
  it.each(['caller', 'callee'] as const)('is two calls, and the %s ends both', async (who) => {
    const [call, called] = await ring(phones.alice, phones.carol, '9777');
    called.answer('200 OK', { body: plainSdp() });
    expect(statusOf(await call.final())).toBe(200);
    await called.got('ACK');
    for (const [one, other] of [
      [call, called],
      [called, call],
    ] as const) {
      const before = other.requests('INVITE').length;
      expect(statusOf(await one.ask('INVITE', { body: plainSdp(40_100) }))).toBe(200);
      await other.got('INVITE', before);
      expect(statusOf(await one.ask('INFO', { headers: ['Content-Type: text/plain'] }))).toBe(200);
      await other.got('INFO');
    }
    expect(await cluster.node(1).calls()).toHaveLength(2);
    const [one, other] = who === 'caller' ? [call, called] : [called, call];
    expect(statusOf(await one.ask('BYE'))).toBe(200);
    await other.got('BYE');
    await cluster.nothingIsLeft();
  });

  it.each(['cancelled', 'refused'] as const)('ends at both ends when it is %s', async (how) => {
    const [call, called] = await ring(phones.alice, phones.carol, '9777');
    if (how === 'cancelled') {
      call.cancel();
      await called.got('CANCEL');
      called.answer('487 Request Terminated');
    } else called.answer('486 Busy Here');
    expect(statusOf(await call.final())).toBe(how === 'cancelled' ? 487 : 486);
    await cluster.nothingIsLeft();
  });
});

describeUnless('earlyRequests')('a request in a call that still rings', () => {
  const requests: [string, RawMessage, number][] = [
    ['INFO', { body: 'Signal=1', headers: [] }, 500],
    ['MESSAGE', { body: 'hello' }, 500],
    ['OPTIONS', {}, 200],
    ['REFER', { headers: ['Refer-To: <sip:1001@tandem.test>'] }, 603],
    ['SUBSCRIBE', { headers: ['Event: dialog', 'Expires: 60'] }, 489],
    ['NOTIFY', { headers: ['Event: dialog', 'Subscription-State: active'] }, 489],
    ['UPDATE', {}, 200],
  ];

  it.each(['alice', 'bob'] as const)('of %s is answered in it, and is not the end of it', async (who) => {
    const [call, called] = await ring(phones.alice, phones.bob, '2000');
    const end = who === 'alice' ? call : called;
    for (const [method, message, ofCallee] of requests) {
      // What the caller says goes on to who rings; the other way there is no dialog of ours to send it in.
      const status = ofCallee === 500 && who === 'alice' ? 200 : ofCallee;
      const response = await end.ask(method, message);
      expect([method, statusOf(response)]).toEqual([method, status]);
      if (status === 200 && ofCallee === 500) expect(await called.got(method)).toContain(message.body ?? '?');
      // RFC 3261 section 12.2.2: for now.
      if (status === 500) expect(headerOf(response, 'Retry-After')).toMatch(/^\d+$/);
    }
    called.answer('200 OK', { body: plainSdp() });
    expect(statusOf(await call.final())).toBe(200);
    expect(statusOf(await call.ask('BYE'))).toBe(200);
    const bye = await called.got('BYE');
    // RFC 3261 section 12.2.1.1: what came before has counted.
    const sequences = [...called.requests('INFO'), ...called.requests('MESSAGE'), bye].map((one) =>
      Number.parseInt(headerOf(one, 'CSeq') ?? '', 10),
    );
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    await cluster.nothingIsLeft();
  });

  it('of the caller is refused with the word of who rings, and for now when that has no such dialog', async () => {
    const [call, called] = await ring(phones.alice, phones.bob, '2000');
    for (const [status, told] of [
      ['486 Busy Here', 486],
      ['415 Unsupported Media Type', 415],
      ['481 Call/Transaction Does Not Exist', 500],
    ] as const) {
      phones.bob.onRequest = (request) => {
        if (!request.startsWith('INFO ')) return false;
        phones.bob.peer.answer(request, status);
        return true;
      };
      expect([status, statusOf(await call.ask('INFO', { body: 'Signal=1' }))]).toEqual([status, told]);
    }
    phones.bob.onRequest = () => false;
    called.answer('200 OK', { body: plainSdp() });
    expect(statusOf(await call.final())).toBe(200);
    expect(statusOf(await call.ask('BYE'))).toBe(200);
    await called.got('BYE');
    await cluster.nothingIsLeft();
  });

  it('RFC 3261 section 15: the caller may end it by BYE, whatever it has asked before', async () => {
    const [call, called] = await ring(phones.alice, phones.bob, '2000');
    await call.ask('INFO', { body: 'Signal=1' });
    expect(statusOf(await call.ask('BYE'))).toBe(200);
    await called.got('CANCEL');
    called.answer('487 Request Terminated');
    expect(statusOf(await call.final())).toBe(487);
    await cluster.nothingIsLeft();
  });
});

describeUnless('expiresOfInvite')('RFC 3261 section 13.3.1: a call that is meant for so long', () => {
  it.each([people.carol.dn, people.bob.dn])('rings no longer: %s', async (number) => {
    const callee = number === people.bob.dn ? phones.bob : phones.carol;
    const before = callee.invites.length;
    const call = await phones.alice.call(number, { headers: ['Expires: 2'] });
    const called = await callee.called(before);
    called.answer('180 Ringing');
    await called.got('CANCEL');
    called.answer('487 Request Terminated');
    expect(statusOf(await call.final())).toBe(487);
    await cluster.nothingIsLeft();
  });

  it('goes on for as long as it likes when it is answered in time, or says nothing that can be meant', async () => {
    for (const expires of ['1', '0', '4294967295']) {
      const before = phones.bob.invites.length;
      const call = await phones.alice.call('2000', { headers: [`Expires: ${expires}`] });
      const called = await phones.bob.called(before);
      called.answer('200 OK', { body: plainSdp() });
      expect(statusOf(await call.final())).toBe(200);
      if (expires === '1') await new Promise((resolve) => setTimeout(resolve, 1500));
      expect(called.requests('BYE')).toEqual([]);
      expect(statusOf(await call.ask('BYE'))).toBe(200);
      await called.got('BYE');
    }
    await cluster.nothingIsLeft();
  });
});

describe('RFC 3261 section 8.2.2.3: an extension that is not there, required in a call', () => {
  it.each(['INVITE', 'UPDATE', 'INFO', 'MESSAGE', 'OPTIONS'])('by %s: 420, and the call goes on', async (method) => {
    for (const number of [people.carol.dn, people.bob.dn]) {
      const callee = number === people.bob.dn ? phones.bob : phones.carol;
      const [call, called] = await ring(phones.alice, callee, number);
      called.answer('200 OK', { body: plainSdp() });
      expect(statusOf(await call.final())).toBe(200);
      for (const end of [call, called]) {
        const headers = ['Require: timer, x-none', 'Require: y-none'];
        const body = method === 'INVITE' ? { body: plainSdp() } : {};
        const response = await end.ask(method, { headers, ...body });
        expect(statusOf(response)).toBe(420);
        expect(headerOf(response, 'Unsupported')).toBe('x-none, y-none');
      }
      expect(statusOf(await call.ask('OPTIONS', { headers: ['Require: timer'] }))).toBe(200);
      expect(statusOf(await call.ask('BYE'))).toBe(200);
      await called.got('BYE');
    }
    await cluster.nothingIsLeft();
  });
});

describeUnless('floods')('a phone that floods its own call', () => {
  it.each([
    ['INFO', 600, 'x'.repeat(20_000)],
    ['INFO', 3000, ''],
    ['OPTIONS', 3000, ''],
    ['UPDATE', 1000, plainSdp()],
  ])('with %s, %i of them, stands before nobody, and only it is refused', async (method, count, body) => {
    const scope = new Scope();
    const [one, two] = [cluster.node(1), cluster.node(2)];
    try {
      const flooding = await LyingPhone.start(scope, one, { name: 'alice', protocol: 'tcp' });
      const caller = await LyingPhone.start(scope, one, { name: 'carol', protocol: 'udp' });
      for (const name of ['leo', 'dave'] as const) {
        const phone = await LyingPhone.start(scope, two, { name, protocol: 'udp' });
        expect(await phone.register()).toBe(200);
        scope.defer(() => phone.register({ contact: '*', expires: 0 }));
        await cluster.everybodyKnows(people[name].dn);
      }
      expect(await flooding.call(people.leo.dn)).toBe(200);
      flooding.peer.received.length = 0;
      for (let sent = 0; sent < count; sent += 1) flooding.tell(method, body);
      for (let others = 0; others < 4; others += 1) {
        const beganAt = Date.now();
        expect(await caller.call(people.dave.dn, 8000)).toBe(200);
        expect(await caller.hangUp()).toBe(200);
        expect(Date.now() - beganAt).toBeLessThan(6000);
      }
      const answers = await eventually(
        'an answer to each',
        () => flooding.peer.received.filter((one) => statusOf(one) >= 200),
        (all) => all.length >= count,
        { cap: 20_000, every: 100 },
      );
      const refused = answers.filter((one) => statusOf(one) === 500);
      expect(refused.length).toBeGreaterThan(count / 10);
      for (const response of refused.slice(0, 20)) expect(headerOf(response, 'Retry-After')).toMatch(/^\d+$/);
      expect(await flooding.hangUp()).toBe(200);
      await cluster.nothingIsLeft();
    } finally {
      await scope.close();
    }
  });
});
