import { SimulatedClock } from '../../../src/process/clock';
import { eventually } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { headerOf } from '../../support/sip-text';
import type { SipPeer } from '../../support/sip-peer';
import {
  ANSWER,
  connectApp,
  is,
  OFFER,
  RawApplication,
  SECRET,
  startServer,
  tcpPeer,
  toTag,
  udpPeer,
  type Running,
} from './harness';

let scope: Scope;
beforeEach(() => {
  scope = new Scope();
});
afterEach(() => scope.close());

interface ProxyResult {
  readonly connected: boolean;
  readonly finalStatus?: number;
  readonly responses: readonly { readonly port: number; readonly msgs: readonly { readonly status: number }[] }[];
}

/** An application that passes every request of a method on. */
async function proxying(
  running: Running,
  destinations: () => readonly string[],
  options: object = {},
  method = 'invite',
): Promise<(ProxyResult | string)[]> {
  const results: (ProxyResult | string)[] = [];
  await connectApp(scope, running, (app) => {
    app.use(method, (req) => {
      const proxied = (req as unknown as { proxy(options: object): Promise<ProxyResult> }).proxy({
        ...options,
        destination: [...destinations()],
      });
      proxied.then(
        (result) => results.push(result),
        (error: unknown) => results.push(String(error)),
      );
    });
  });
  return results;
}

const at = (peer: SipPeer): string => `sip:127.0.0.1:${peer.port}`;
const statuses = (result: ProxyResult | string | undefined): number[] =>
  typeof result === 'object' ? result.responses.flatMap(({ msgs }) => msgs.map(({ status }) => status)) : [];
const viasOf = (message: string): string[] => message.split('\r\n').filter((line) => line.startsWith('Via:'));

async function setUp(count: number, options: Parameters<typeof startServer>[1] = {}) {
  const running = await startServer(scope, options);
  const alice = await udpPeer(scope, running);
  const targets: SipPeer[] = [];
  for (let made = 0; made < count; made += 1) targets.push(await udpPeer(scope, running));
  return { running, alice, targets };
}

function invite(alice: SipPeer, callId: string, extra: { headers?: string[]; uri?: string } = {}): string {
  return alice.request({
    method: 'INVITE',
    uri: extra.uri ?? 'sip:bob@example.com',
    from: '<sip:alice@127.0.0.1>;tag=alice',
    callId,
    body: OFFER,
    ...(extra.headers === undefined ? {} : { headers: extra.headers }),
  });
}

function one(peers: readonly SipPeer[], index: number): SipPeer {
  const peer = peers[index];
  if (peer === undefined) throw new Error(`no peer ${index}`);
  return peer;
}

describe('proxy', () => {
  test('RFC 3261 §16.6, §16.7: the request goes on with a Via more and a hop less, responses come back without it', async () => {
    const { running, alice, targets } = await setUp(1);
    const bob = one(targets, 0);
    const results = await proxying(running, () => [at(bob)], {
      headers: { 'X-Add': 'yes', subject: 'by the application' },
    });
    alice.send(invite(alice, 'plain', { headers: ['Subject: mine'] }));
    const request = await bob.message('INVITE', is.request('INVITE'));
    expect(request).toMatch(/^INVITE sip:bob@example\.com SIP/);
    expect(viasOf(request)).toHaveLength(2);
    expect(headerOf(request, 'Max-Forwards')).toBe('69');
    expect(headerOf(request, 'Subject')).toBe('by the application');
    expect(headerOf(request, 'X-Add')).toBe('yes');
    expect(headerOf(request, 'Record-Route')).toBeUndefined();
    bob.answer(request, '180 Ringing');
    bob.answer(request, '200 OK', { body: ANSWER });
    const ringing = await alice.message('180', is.response(180, 'INVITE'));
    expect(viasOf(ringing)).toHaveLength(1);
    expect(toTag(ringing)).toBe('peer');
    await alice.message('200', is.response(200, 'INVITE'));
    const [result] = await eventually(
      'result',
      () => results,
      (seen) => seen.length > 0,
    );
    expect(result).toMatchObject({ connected: true, finalStatus: 200 });
    expect(statuses(result)).toEqual([200]);
    expect(running.server.size.incoming).toBe(0);
  });

  test('RFC 3261 §16.6: with remainInDialog, ACK, INFO and BYE of both sides come through the proxy', async () => {
    const { running, alice, targets } = await setUp(1);
    const bob = one(targets, 0);
    await proxying(running, () => [at(bob)], { remainInDialog: true });
    alice.send(invite(alice, 'recorded'));
    const request = await bob.message('INVITE', is.request('INVITE'));
    const route = `<sip:127.0.0.1:${running.udp};lr>`;
    expect(headerOf(request, 'Record-Route')).toBe(route);
    bob.answer(request, '200 OK', { body: ANSWER });
    const accepted = await alice.message('200', is.response(200, 'INVITE'));
    const to = headerOf(accepted, 'To') ?? '';
    const inside = (method: string, cseq: number): string =>
      alice.request({
        method,
        uri: `sip:peer@127.0.0.1:${bob.port}`,
        from: '<sip:alice@127.0.0.1>;tag=alice',
        to,
        callId: 'recorded',
        cseq,
        headers: [`Route: ${route}`],
      });
    alice.send(inside('ACK', 1));
    const ack = await bob.message('ACK', is.request('ACK'));
    expect(headerOf(ack, 'Route')).toBeUndefined();
    expect(viasOf(ack)).toHaveLength(2);
    alice.send(inside('INFO', 2));
    bob.answer(await bob.message('INFO', is.request('INFO')), '200 OK');
    await alice.message('200 to INFO', is.response(200, 'INFO'));
    bob.send(
      bob.request({
        method: 'BYE',
        uri: `sip:peer@127.0.0.1:${alice.port}`,
        from: to,
        to: '<sip:alice@127.0.0.1>;tag=alice',
        callId: 'recorded',
        headers: [`Route: ${route}`],
      }),
    );
    alice.answer(await alice.message('BYE', is.request('BYE')), '200 OK');
    await bob.message('200 to BYE', is.response(200, 'BYE'));
  });

  test('RFC 5658: between two transports the proxy is in the route twice, and the callee reaches the caller on its connection', async () => {
    const { running, targets } = await setUp(1);
    const bob = one(targets, 0);
    const alice = await tcpPeer(scope, running);
    await proxying(running, () => [at(bob)], { remainInDialog: true });
    alice.send(
      invite(alice, 'two-transports').replace(/Contact: [^\r]*/, 'Contact: <sip:alice@alice.invalid;transport=tcp>'),
    );
    const request = await bob.message('INVITE', is.request('INVITE'));
    const routes = [`<sip:127.0.0.1:${running.udp};lr>`, `<sip:127.0.0.1:${running.tcp};transport=tcp;lr>`];
    expect(request.split('\r\n').filter((line) => line.startsWith('Record-Route:'))).toEqual(
      routes.map((route) => `Record-Route: ${route}`),
    );
    bob.answer(request, '200 OK', { body: ANSWER });
    const accepted = await alice.message('200', is.response(200, 'INVITE'));
    bob.send(
      bob.request({
        method: 'BYE',
        uri: 'sip:alice@alice.invalid;transport=tcp',
        from: headerOf(accepted, 'To') ?? '',
        to: '<sip:alice@127.0.0.1>;tag=alice',
        callId: 'two-transports',
        headers: routes.map((route) => `Route: ${route}`),
      }),
    );
    const bye = await alice.message('BYE', is.request('BYE'));
    expect(headerOf(bye, 'Route')).toBeUndefined();
    alice.answer(bye, '200 OK');
    await bob.message('200 to BYE', is.response(200, 'BYE'));
  });

  test('who is in no proxied dialog cannot use the server as a relay', async () => {
    const { running, alice, targets } = await setUp(1);
    const victim = one(targets, 0);
    const answer = await alice.ask({
      method: 'INFO',
      uri: at(victim),
      from: '<sip:alice@127.0.0.1>',
      to: '<sip:victim@127.0.0.1>;tag=guess',
      headers: [`Route: <sip:127.0.0.1:${running.udp};lr>`],
    });
    expect(answer).toMatch(/^SIP\/2\.0 481 /);
    expect(victim.received).toEqual([]);
  });

  test('serial: the second target is tried after the first has refused; the best refusal goes upstream', async () => {
    const { running, alice, targets } = await setUp(2);
    const [bob, carol] = [one(targets, 0), one(targets, 1)];
    const results = await proxying(running, () => [at(bob), at(carol)]);
    alice.send(invite(alice, 'serial'));
    bob.answer(await bob.message('INVITE', is.request('INVITE')), '503 No');
    carol.answer(await carol.message('INVITE', is.request('INVITE')), '486 Busy Here');
    await bob.message('ACK', is.request('ACK'));
    await alice.message('486', is.response(486, 'INVITE'));
    const [result] = await eventually(
      'result',
      () => results,
      (seen) => seen.length > 0,
    );
    expect(statuses(result)).toEqual([503, 486]);
  });

  test('simultaneous: a 200 cancels the other target', async () => {
    const { running, alice, targets } = await setUp(2);
    const [bob, carol] = [one(targets, 0), one(targets, 1)];
    await proxying(running, () => [at(bob), at(carol)], { forking: 'simultaneous' });
    alice.send(invite(alice, 'parallel'));
    const toBob = await bob.message('INVITE', is.request('INVITE'));
    bob.answer(toBob, '180 Ringing', { tag: 'bob' });
    await alice.message('180', is.response(180, 'INVITE'));
    carol.answer(await carol.message('INVITE', is.request('INVITE')), '200 OK', { body: ANSWER, tag: 'carol' });
    const cancel = await bob.message('CANCEL', is.request('CANCEL'));
    bob.answer(cancel, '200 OK');
    bob.answer(toBob, '487 Request Terminated');
    await bob.message('ACK', is.request('ACK'));
    expect(toTag(await alice.message('200', is.response(200, 'INVITE')))).toBe('carol');
    expect(alice.received.some(is.response(487, 'INVITE'))).toBe(false);
  });

  test('RFC 3261 §16.10: CANCEL is answered with 200, passed on, and the INVITE ends with 487', async () => {
    const { running, alice, targets } = await setUp(1);
    const bob = one(targets, 0);
    const results = await proxying(running, () => [at(bob)]);
    const request = invite(alice, 'cancelled');
    alice.send(request);
    const received = await bob.message('INVITE', is.request('INVITE'));
    bob.answer(received, '180 Ringing');
    await alice.message('180', is.response(180, 'INVITE'));
    alice.send(
      request
        .replace(/^INVITE/, 'CANCEL')
        .replace('CSeq: 1 INVITE', 'CSeq: 1 CANCEL')
        .replace(/Content-Type[^]*$/, 'Content-Length: 0\r\n\r\n'),
    );
    await alice.message('200 to CANCEL', is.response(200, 'CANCEL'));
    bob.answer(await bob.message('CANCEL', is.request('CANCEL')), '200 OK');
    bob.answer(received, '487 Request Terminated');
    await alice.message('487', is.response(487, 'INVITE'));
    const [result] = await eventually(
      'result',
      () => results,
      (seen) => seen.length > 0,
    );
    expect(statuses(result)).toEqual([487]);
  });

  test.each([true, false])('a redirect is followed when the application says so: %s', async (followRedirects) => {
    const { running, alice, targets } = await setUp(2);
    const [bob, carol] = [one(targets, 0), one(targets, 1)];
    await proxying(running, () => [at(bob)], { followRedirects });
    alice.send(invite(alice, 'redirected'));
    bob.answer(await bob.message('INVITE', is.request('INVITE')), '302 Moved', {
      headers: [`Contact: <sip:carol@127.0.0.1:${carol.port}>`],
    });
    if (!followRedirects) {
      await alice.message('302', is.response(302, 'INVITE'));
      return;
    }
    // The peer puts its own Contact first.
    const again = (message: string): boolean => message.startsWith('INVITE sip:peer@');
    bob.answer(await bob.message('INVITE to its Contact', again), '404 Not Found');
    const request = await carol.message('INVITE', is.request('INVITE'));
    expect(request.startsWith(`INVITE sip:carol@127.0.0.1:${carol.port} SIP/2.0`)).toBe(true);
    carol.answer(request, '200 OK', { body: ANSWER });
    await alice.message('200', is.response(200, 'INVITE'));
  });

  test('provisionalTimeout: a target that says nothing is left for the next one', async () => {
    const clock = new SimulatedClock();
    const { running, alice, targets } = await setUp(2, { clock });
    const [bob, carol] = [one(targets, 0), one(targets, 1)];
    await proxying(running, () => [at(bob), at(carol)], { provisionalTimeout: '1s' });
    alice.send(invite(alice, 'silent'));
    await bob.message('INVITE', is.request('INVITE'));
    clock.advance(999);
    expect(carol.received).toEqual([]);
    clock.advance(1);
    carol.answer(await carol.message('INVITE', is.request('INVITE')), '200 OK', { body: ANSWER });
    await alice.message('200', is.response(200, 'INVITE'));
  });

  test('finalTimeout: a target that rings too long is cancelled, and the next one is tried', async () => {
    const clock = new SimulatedClock();
    const { running, alice, targets } = await setUp(2, { clock });
    const [bob, carol] = [one(targets, 0), one(targets, 1)];
    await proxying(running, () => [at(bob), at(carol)], { finalTimeout: '20s' });
    alice.send(invite(alice, 'rings'));
    bob.answer(await bob.message('INVITE', is.request('INVITE')), '180 Ringing');
    await alice.message('180', is.response(180, 'INVITE'));
    clock.advance(20_000);
    await bob.message('CANCEL', is.request('CANCEL'));
    await carol.message('INVITE', is.request('INVITE'));
  });

  test('RFC 3261 §16.8: Timer C cancels a call that rings for three minutes', async () => {
    const clock = new SimulatedClock();
    const { running, alice, targets } = await setUp(1, { clock });
    const bob = one(targets, 0);
    await proxying(running, () => [at(bob)]);
    alice.send(invite(alice, 'timer-c'));
    const request = await bob.message('INVITE', is.request('INVITE'));
    bob.answer(request, '180 Ringing');
    await alice.message('180', is.response(180, 'INVITE'));
    clock.advance(180_000);
    expect(bob.requests('CANCEL')).toHaveLength(0);
    clock.advance(5000);
    bob.answer(await bob.message('CANCEL', is.request('CANCEL')), '200 OK');
    bob.answer(request, '487 Request Terminated');
    await alice.message('487', is.response(487, 'INVITE'));
  });

  test('no answer at all is 408 after 32 s', async () => {
    const clock = new SimulatedClock();
    const { running, alice, targets } = await setUp(1, { clock });
    const results = await proxying(running, () => [at(one(targets, 0))]);
    alice.send(invite(alice, 'nobody'));
    await one(targets, 0).message('INVITE', is.request('INVITE'));
    clock.advance(32_000);
    await alice.message('408', is.response(408, 'INVITE'));
    const [result] = await eventually(
      'result',
      () => results,
      (seen) => seen.length > 0,
    );
    expect(result).toMatchObject({ connected: false });
  });

  test('a challenge ends the search; the answer to it goes straight to the target that asked', async () => {
    const { running, alice, targets } = await setUp(2);
    const [bob, carol] = [one(targets, 0), one(targets, 1)];
    await proxying(running, () => [at(bob), at(carol)]);
    alice.send(invite(alice, 'challenged'));
    bob.answer(await bob.message('INVITE', is.request('INVITE')), '480 Gone');
    carol.answer(await carol.message('INVITE', is.request('INVITE')), '407 Proxy Authentication Required', {
      headers: ['Proxy-Authenticate: Digest realm="x", nonce="n1"'],
    });
    await alice.message('407', is.response(407, 'INVITE'));
    alice.send(
      invite(alice, 'challenged-2', {
        headers: [
          'Proxy-Authorization: Digest username="a", realm="x", nonce="n1", uri="sip:bob@example.com", response="00"',
        ],
      }),
    );
    await carol.message('answer', (message) => headerOf(message, 'Call-ID') === 'challenged-2');
    expect(bob.requests('INVITE').filter((message) => message.includes('challenged-2'))).toEqual([]);
  });

  test('RFC 3327: a proxied REGISTER has our Path when the proxy remains in the way', async () => {
    const { running, alice, targets } = await setUp(1);
    const registrar = one(targets, 0);
    await proxying(running, () => [at(registrar)], { path: true }, 'register');
    const asked = alice.ask({ method: 'REGISTER', uri: 'sip:example.com', from: '<sip:a@example.com>' });
    const request = await registrar.message('REGISTER', is.request('REGISTER'));
    expect(headerOf(request, 'Path')).toBe(`<sip:127.0.0.1:${running.udp};lr>`);
    expect(headerOf(request, 'Require')).toBe('path');
    registrar.answer(request, '200 OK');
    expect(await asked).toMatch(/^SIP\/2\.0 200 /);
  });

  test('a Request-URI that is our own is replaced by the destination', async () => {
    const { running, alice, targets } = await setUp(1);
    const bob = one(targets, 0);
    await proxying(running, () => [`sip:bob@127.0.0.1:${bob.port}`]);
    alice.send(invite(alice, 'own-uri', { uri: `sip:someone@127.0.0.1:${running.udp}` }));
    const request = await bob.message('INVITE', is.request('INVITE'));
    expect(request.startsWith(`INVITE sip:bob@127.0.0.1:${bob.port} SIP/2.0`)).toBe(true);
  });
});

describe('proxy refused', () => {
  async function offered(headers: string[] = []) {
    const running = await startServer(scope);
    const raw = await RawApplication.connect(scope, running, SECRET);
    await raw.ask('route|message');
    const alice = await udpPeer(scope, running);
    const text = alice.request({ method: 'MESSAGE', uri: 'sip:b@example.com', from: '<sip:a@example.com>', headers });
    alice.send(text);
    const frame = await raw.frame('MESSAGE', (one) => one.includes('|sip|network|'));
    return { running, raw, alice, id: frame.split('|')[8] ?? '' };
  }
  const dummy = 'MESSAGE sip:b SIP/2.0\r\n\r\n';

  test('a transaction that nobody knows', async () => {
    const { raw } = await offered();
    const { tokens } = await raw.ask('proxy|nope||fullResponse||serial|||sip:127.0.0.1:9', dummy);
    expect(tokens).toEqual(['NOK', 'Unknown transaction id: nope']);
  });

  test('a destination that is no address: the caller gets 500', async () => {
    const { raw, alice, id, running } = await offered();
    const command = `proxy|${id}||fullResponse||serial|||sip:127.0.0.1:${running.udp}`;
    expect((await raw.ask(command, dummy)).tokens).toEqual(['NOK', 'error proxying request to ']);
    await alice.message('500', is.response(500, 'MESSAGE'));
  });

  test('RFC 3261 §16.3: Proxy-Require is answered with 420', async () => {
    const { raw, alice, id } = await offered(['Proxy-Require: magic']);
    const reply = await raw.ask(`proxy|${id}||fullResponse||serial|||sip:127.0.0.1:9`, dummy);
    expect(reply.tokens[0]).toBe('NOK');
    expect(headerOf(await alice.message('420', is.response(420, 'MESSAGE')), 'Unsupported')).toBe('magic');
  });

  test('without fullResponse the application hears only that it was sent', async () => {
    const { raw, alice, id, running } = await offered();
    const target = await udpPeer(scope, running);
    const reply = await raw.ask(`proxy|${id}||||serial|||${at(target)}`, dummy);
    expect(reply.tokens).toEqual(['OK', 'done']);
    target.answer(await target.message('MESSAGE', is.request('MESSAGE')), '200 OK');
    await alice.message('200', is.response(200, 'MESSAGE'));
    expect(raw.frames.filter((frame) => frame.includes('continue'))).toEqual([]);
  });
});

describe('call detail events', () => {
  test('a call: attempts, starts and stops, each to one of the applications that asked', async () => {
    const running = await startServer(scope);
    const raws = [
      await RawApplication.connect(scope, running, SECRET),
      await RawApplication.connect(scope, running, SECRET),
    ];
    for (const raw of raws) for (const event of ['attempt', 'start', 'stop']) await raw.ask(`route|cdr:${event}`);
    const alice = await udpPeer(scope, running);
    const bob = await udpPeer(scope, running);
    await proxying(running, () => [at(bob)], { remainInDialog: true });
    alice.send(invite(alice, 'recorded'));
    bob.answer(await bob.message('INVITE', is.request('INVITE')), '200 OK', { body: ANSWER });
    await alice.message('200', is.response(200, 'INVITE'));
    const events = (): string[] =>
      raws
        .flatMap((raw) => raw.frames)
        .filter((frame) => frame.includes('|cdr:'))
        .map((frame) => (frame.split('\r\n')[0] ?? '').split('|').slice(1))
        .map(([event, source, , more]) => [event, source, more].filter((word) => word !== undefined).join(' '));
    const seen = await eventually('events', events, (list) => list.length === 4);
    expect([...seen].sort()).toEqual([
      'cdr:attempt application',
      'cdr:attempt network',
      'cdr:start application proxy-uas',
      'cdr:start network proxy-uac',
    ]);
    expect(raws.map((raw) => raw.frames.filter((frame) => frame.includes('|cdr:')).length)).toEqual([2, 2]);
  });
});
