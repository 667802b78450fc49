import { SimulatedClock } from '../../../src/process/clock';
import { eventually } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { connectApp, is, OFFER, RawApplication, SECRET, startServer, tcpPeer, udpPeer } from './harness';

let scope: Scope;
beforeEach(() => {
  scope = new Scope();
});
afterEach(() => scope.close());

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the server under load', () => {
  test('INVITEs that nobody completes: all of them are over 32 s later, and the memory is free again', async () => {
    const clock = new SimulatedClock();
    const running = await startServer(scope, { clock });
    let asked = 0;
    await connectApp(scope, running, (app) =>
      app.use('invite', (_req, res) => {
        asked += 1;
        // Some are challenged, some ring for ever, some are forgotten by the application.
        if (asked % 3 === 0) res.send(407, { headers: { 'Proxy-Authenticate': 'Digest realm="x", nonce="n"' } });
        else if (asked % 3 === 1) res.send(180);
      }),
    );
    const peer = await tcpPeer(scope, running);
    const flood = 3000;
    for (let sent = 0; sent < flood; sent += 1) {
      peer.send(peer.request({ method: 'INVITE', uri: 'sip:b@127.0.0.1', from: '<sip:a@127.0.0.1>', body: OFFER }));
      if (sent % 100 === 99) await turn();
    }
    await eventually(
      'all seen',
      () => asked,
      (count) => count === flood,
      { every: 20 },
    );
    const answered = (status: number): number => peer.received.filter(is.response(status, 'INVITE')).length;
    await eventually(
      'challenges',
      () => answered(407),
      (count) => count === flood / 3,
      { every: 20 },
    );
    await eventually(
      'ringing',
      () => answered(180),
      (count) => count === flood / 3,
      { every: 20 },
    );
    clock.advance(33_000);
    expect(running.server.size.incoming).toBe(flood / 3);
    await eventually(
      '480',
      () => answered(480),
      (count) => count === flood / 3,
      { every: 20 },
    );
    clock.advance(60 * 60_000);
    clock.advance(33_000);
    expect(running.server.size).toEqual({ dialogs: 0, incoming: 0, outgoing: 0, proxied: 0 });
  });

  test('an application that does not read holds nobody else up', async () => {
    const running = await startServer(scope);
    const slow = await RawApplication.connect(scope, running, SECRET);
    await slow.ask('route|message');
    slow.pause();
    await connectApp(scope, running, (app) => app.use('options', (_req, res) => res.send(200)));
    const noisy = await tcpPeer(scope, running);
    const body = 'x'.repeat(200_000);
    for (let count = 0; count < 120; count += 1) {
      noisy.send(noisy.request({ method: 'MESSAGE', uri: 'sip:x@127.0.0.1', from: '<sip:a@127.0.0.1>', body }));
    }
    await noisy.message('503', is.response(503, 'MESSAGE'));
    const peer = await udpPeer(scope, running);
    const before = Date.now();
    const asked = Array.from({ length: 20 }, () =>
      peer.ask({ method: 'OPTIONS', uri: 'sip:x@127.0.0.1', from: '<sip:a@127.0.0.1>' }, 5000),
    );
    for (const answer of await Promise.all(asked)) expect(answer).toMatch(/^SIP\/2\.0 200 /);
    expect(Date.now() - before).toBeLessThan(3000);
  });

  test('new requests go to the applications in turn; one that is gone is left out', async () => {
    const running = await startServer(scope);
    const raws = [1, 2, 3].map(() => RawApplication.connect(scope, running, SECRET));
    const [first, second, third] = await Promise.all(raws);
    const applications = [first, second, third].filter((application) => application !== undefined);
    for (const application of applications) await application.ask('route|options');
    const peer = await udpPeer(scope, running);
    const send = (): void =>
      peer.send(peer.request({ method: 'OPTIONS', uri: 'sip:x@127.0.0.1', from: '<sip:a@127.0.0.1>' }));
    const counts = (): number[] =>
      applications.map(({ frames }) => frames.filter((frame) => frame.includes('|sip|network|')).length);
    for (let count = 0; count < 9; count += 1) send();
    await eventually('in turn', counts, (seen) => seen.every((count) => count === 3));
    second?.close();
    await peer.message('500 for what it had', is.response(500, 'OPTIONS'));
    for (let count = 0; count < 8; count += 1) send();
    await eventually('the others', counts, (seen) => seen[0] === 7 && seen[2] === 7);
  });

  test('a banned network is not answered', async () => {
    const running = await startServer(scope, { limits: { banned: ['127.0.0.66/32'] } });
    await connectApp(scope, running, (app) => app.use('options', (_req, res) => res.send(200)));
    const banned = await SipPeer.udp(scope, '127.0.0.1', running.udp, '127.0.0.66');
    const peer = await udpPeer(scope, running);
    banned.send(banned.request({ method: 'OPTIONS', uri: 'sip:x@127.0.0.1', from: '<sip:a@127.0.0.1>' }));
    await peer.ask({ method: 'OPTIONS', uri: 'sip:x@127.0.0.1', from: '<sip:a@127.0.0.1>' });
    expect(banned.received).toEqual([]);
  });
});

describe('REGISTER that no application should see', () => {
  test.each([
    ['RFC 3261 §10.2.2: * with Expires other than 0', ['Contact: *', 'Expires: 60']],
    ['RFC 3261 §10.2.2: * without Expires', ['Contact: *']],
    ['RFC 3261 §10.3 step 6: * beside others', ['Contact: *, <sip:a@127.0.0.1>', 'Expires: 0']],
    ['a Contact that is none', ['Contact: <sip:a@127.0.0.1']],
    ['a Contact without host', ['Contact: <sip:>']],
  ])('%s is answered with 400', async (_what, headers) => {
    const running = await startServer(scope);
    let seen = 0;
    await connectApp(scope, running, (app) =>
      app.use('register', (_req, res) => {
        seen += 1;
        res.send(200);
      }),
    );
    const peer = await udpPeer(scope, running);
    const text = peer
      .request({ method: 'REGISTER', uri: 'sip:127.0.0.1', from: '<sip:a@127.0.0.1>', headers })
      .replace(/Contact: <sip:peer@[^\r]*\r\n/, '');
    peer.send(text);
    await peer.message('400', is.response(400, 'REGISTER'));
    expect(seen).toBe(0);
  });

  test.each([
    ['* with Expires: 0', ['Contact: *', 'Expires: 0']],
    ['no Contact', []],
    ['an address that is no SIP URI', ['Contact: <mailto:a@example.com>']],
  ])('%s is for the application', async (_what, headers) => {
    const running = await startServer(scope);
    await connectApp(scope, running, (app) => app.use('register', (_req, res) => res.send(200)));
    const peer = await udpPeer(scope, running);
    peer.send(
      peer
        .request({ method: 'REGISTER', uri: 'sip:127.0.0.1', from: '<sip:a@127.0.0.1>', headers })
        .replace(/Contact: <sip:peer@[^\r]*\r\n/, ''),
    );
    await peer.message('200', is.response(200, 'REGISTER'));
  });
});
