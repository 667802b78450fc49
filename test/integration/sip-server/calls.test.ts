import { eventually } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { bodyOf, headerOf } from '../../support/sip-text';
import {
  ANSWER,
  connectApp,
  inCall,
  is,
  OFFER,
  placeCall,
  startServer,
  tcpPeer,
  toTag,
  udpPeer,
  type AppDialog,
  type AppRequest,
  type AppResponse,
} from './harness';

let scope: Scope;
beforeEach(() => {
  scope = new Scope();
});
afterEach(() => scope.close());

describe('drachtio-srf on the embedded server', () => {
  test.each(['udp', 'tcp'])('REGISTER over %s is challenged and accepted', async (protocol) => {
    const running = await startServer(scope);
    const seen: AppRequest[] = [];
    await connectApp(scope, running, (app) =>
      app.use('register', (req, res) => {
        seen.push(req);
        if (!req.has('Authorization')) {
          return res.send(401, { headers: { 'WWW-Authenticate': 'Digest realm="held", nonce="abc", qop="auth"' } });
        }
        res.send(200, { headers: { Contact: `${req.get('Contact')};expires=60`, 'some-thing': 'v' } });
      }),
    );
    const peer = await (protocol === 'udp' ? udpPeer : tcpPeer)(scope, running);
    const answer = await peer.askWithDigest(
      { method: 'REGISTER', uri: 'sip:127.0.0.1', from: '<sip:alice@127.0.0.1>', to: '<sip:alice@127.0.0.1>' },
      'alice',
      'secret',
    );
    expect(answer).toMatch(/^SIP\/2\.0 200 OK/);
    expect(headerOf(answer, 'Some-Thing')).toBe('v');
    expect(toTag(answer)).not.toBe('');
    expect(seen).toHaveLength(2);
    expect(seen[0]?.protocol).toBe(protocol);
    expect(seen[0]?.source_address).toBe('127.0.0.1');
    expect(seen[0]?.source_port).toBe(peer.port);
    expect(seen[0]?.receivedOn).toBe(`127.0.0.1:${protocol === 'udp' ? running.udp : running.tcp}`);
  });

  test('a call that the application answers: 180, 200, ACK, INFO both ways, BYE', async () => {
    const running = await startServer(scope);
    const dialogs: AppDialog[] = [];
    const events: string[] = [];
    await connectApp(scope, running, (app) =>
      app.use('invite', (req, res) => {
        res.send(180);
        void app.createUAS(req, res, { localSdp: ANSWER }).then((dialog) => {
          dialogs.push(dialog);
          dialog.on('ack', () => events.push('ack'));
          dialog.on('destroy', () => events.push('destroy'));
          dialog.on('info', (info, answer) => {
            events.push(`info ${info.body}`);
            answer.send(200);
          });
        });
      }),
    );
    const peer = await udpPeer(scope, running);
    const call = await placeCall(peer, 'sip:bob@127.0.0.1', 'uas-call');
    await peer.message('100', is.response(100, 'INVITE'));
    const ringing = await peer.message('180', is.response(180, 'INVITE'));
    expect(toTag(ringing)).not.toBe('');
    // RFC 3261 section 12.1.1: it makes an early dialog.
    expect(headerOf(ringing, 'Contact')).toBe(`<sip:127.0.0.1:${running.udp}>`);
    expect(call.target).toBe(`sip:127.0.0.1:${running.udp}`);
    peer.send(inCall(peer, call, 'ACK', 1));
    await eventually(
      'ack',
      () => events,
      (list) => list.includes('ack'),
    );
    peer.send(inCall(peer, call, 'INFO', 2, { body: 'Signal=5', headers: ['Content-Type: application/dtmf-relay'] }));
    await peer.message('200 to INFO', is.response(200, 'INFO'));
    expect(events).toContain('info Signal=5');

    const answered = dialogs[0]!.request({ method: 'INFO', headers: { 'Content-Type': 'text/plain' }, body: 'x' });
    const info = await peer.message('INFO', is.request('INFO'));
    expect(info).toMatch(new RegExp(`^INFO sip:peer@127.0.0.1:${peer.port}`));
    expect(headerOf(info, 'CSeq')).toBe('2 INFO');
    expect(headerOf(info, 'To')).toBe(call.from);
    peer.answer(info, '200 OK');
    expect((await answered).status).toBe(200);

    peer.send(inCall(peer, call, 'BYE', 3));
    await peer.message('200 to BYE', is.response(200, 'BYE'));
    await eventually(
      'destroy',
      () => events,
      (list) => list.includes('destroy'),
    );
    expect(running.server.size.dialogs).toBe(0);
  });

  test('a call that the application places, and ends', async () => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    const placed = app.createUAC(`sip:bob@127.0.0.1:${peer.port}`, {
      localSdp: OFFER,
      headers: { From: 'sip:100@localhost', Contact: 'sip:100@localhost' },
    });
    const invite = await peer.message('INVITE', is.request('INVITE'));
    expect(headerOf(invite, 'Contact')).toBe(`<sip:100@127.0.0.1:${running.udp}>`);
    expect(headerOf(invite, 'From')).toMatch(new RegExp(`^<sip:100@127.0.0.1:${running.udp}>;tag=\\w+$`));
    expect(headerOf(invite, 'Content-Type')).toBe('application/sdp');
    expect(bodyOf(invite)).toBe(OFFER);
    peer.answer(invite, '180 Ringing');
    peer.answer(invite, '200 OK', { body: ANSWER });
    const dialog = await placed;
    expect(dialog.remote.sdp).toBe(ANSWER);
    const ack = await peer.message('ACK', is.request('ACK'));
    expect(headerOf(ack, 'CSeq')).toBe((headerOf(invite, 'CSeq') ?? '').replace('INVITE', 'ACK'));
    peer.answer(invite, '200 OK', { body: ANSWER });
    await eventually(
      'the ACK again',
      () => peer.requests('ACK'),
      (list) => list.length === 2,
    );
    expect(peer.requests('ACK')[1]).toBe(ack);
    const ended = dialog.destroy();
    const bye = await peer.message('BYE', is.request('BYE'));
    expect(headerOf(bye, 'To')).toMatch(/;tag=peer$/);
    peer.answer(bye, '200 OK');
    await ended;
    await eventually(
      'no dialog',
      () => running.server.size.dialogs,
      (size) => size === 0,
    );
  });

  test('the caller cancels: 200, 487, and the application is told', async () => {
    const running = await startServer(scope);
    let cancelled: unknown;
    await connectApp(scope, running, (app) =>
      app.use('invite', (req, res) => {
        res.send(180);
        req.on('cancel', (cancel) => {
          cancelled = cancel.get('Reason');
        });
      }),
    );
    const peer = await udpPeer(scope, running);
    const invite = peer.request({
      method: 'INVITE',
      uri: 'sip:b@127.0.0.1',
      from: '<sip:a@127.0.0.1>;tag=a',
      body: OFFER,
    });
    peer.send(invite);
    const ringing = await peer.message('180', is.response(180, 'INVITE'));
    const cancel = invite.split('\r\n\r\n')[0] ?? '';
    peer.send(
      `${cancel
        .replaceAll('INVITE', 'CANCEL')
        .replace(/Content-(Type|Length): .*\r?\n?/g, '')
        .trimEnd()}\r\nReason: SIP;cause=487\r\nContent-Length: 0\r\n\r\n`,
    );
    await peer.message('200 to CANCEL', is.response(200, 'CANCEL'));
    const ended = await peer.message('487', is.response(487, 'INVITE'));
    expect(toTag(ended)).toBe(toTag(ringing));
    await eventually(
      'cancel event',
      () => cancelled,
      (reason) => reason === 'SIP;cause=487',
    );
  });

  test('the application cancels: at once after a provisional response, else when the first one comes', async () => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    let request: AppRequest | undefined;
    const placed = app.createUAC(
      `sip:bob@127.0.0.1:${peer.port}`,
      { localSdp: OFFER },
      { cbRequest: (_error: unknown, req: AppRequest) => (request = req) },
    );
    const outcome = placed.then(
      () => 'up',
      (error: unknown) => (error instanceof Error && 'status' in error ? error.status : error),
    );
    const invite = await peer.message('INVITE', is.request('INVITE'));
    await eventually('request', () => request, Boolean);
    request?.cancel();
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(peer.requests('CANCEL')).toHaveLength(0);
    peer.answer(invite, '180 Ringing');
    const cancel = await peer.message('CANCEL', is.request('CANCEL'));
    expect(headerOf(cancel, 'Via')).toBe(headerOf(invite, 'Via'));
    peer.answer(cancel, '200 OK');
    peer.answer(invite, '487 Request Terminated');
    await peer.message('ACK', is.request('ACK'));
    expect(await outcome).toBe(487);
  });

  test('a 200 that crosses the CANCEL is acknowledged and ended with BYE', async () => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    let request: AppRequest | undefined;
    const placed = app.createUAC(
      `sip:bob@127.0.0.1:${peer.port}`,
      { localSdp: OFFER },
      { cbRequest: (_error: unknown, req: AppRequest) => (request = req) },
    );
    const invite = await peer.message('INVITE', is.request('INVITE'));
    peer.answer(invite, '180 Ringing');
    await eventually('request', () => request, Boolean);
    request?.cancel();
    const cancel = await peer.message('CANCEL', is.request('CANCEL'));
    peer.answer(cancel, '200 OK');
    peer.answer(invite, '200 OK', { body: ANSWER });
    const dialog = await placed;
    const destroyed = new Promise((resolve) => dialog.on('destroy', (_req, reason) => resolve(reason)));
    await peer.message('ACK', is.request('ACK'));
    const bye = await peer.message('BYE', is.request('BYE'));
    expect(headerOf(bye, 'Reason')).toContain('ACK-BYE due to cancel race condition');
    expect(await destroyed).toBe('ACK-BYE due to cancel race condition');
  });

  test('re-INVITE both ways, and the remote target follows', async () => {
    const running = await startServer(scope);
    let dialog: AppDialog | undefined;
    await connectApp(scope, running, (app) =>
      app.use('invite', (req, res) => {
        void app.createUAS(req, res, { localSdp: ANSWER }).then((made) => {
          dialog = made;
          made.on('modify', (_req, answer) => answer.send(200, { body: ANSWER }));
        });
      }),
    );
    const peer = await udpPeer(scope, running);
    const call = await placeCall(peer, 'sip:bob@127.0.0.1', 're-invite');
    peer.send(inCall(peer, call, 'ACK', 1));
    peer.send(inCall(peer, call, 'INVITE', 2, { body: OFFER }).replace(`sip:peer@127.0.0.1:`, `sip:moved@127.0.0.1:`));
    const accepted = await peer.message(
      '200 to re-INVITE',
      (message) => is.response(200, 'INVITE')(message) && headerOf(message, 'CSeq') === '2 INVITE',
    );
    expect(headerOf(accepted, 'Contact')).toBe(`<sip:127.0.0.1:${running.udp}>`);
    peer.send(inCall(peer, call, 'ACK', 2));

    const modified = dialog!.modify(ANSWER.replace('a=x', ''));
    const invite = await peer.message('re-INVITE', is.request('INVITE'));
    expect(invite).toMatch(/^INVITE sip:moved@/);
    peer.answer(invite, '200 OK', { body: OFFER });
    expect(await modified).toBe(OFFER);
    await peer.message('ACK', is.request('ACK'));
  });

  test('a delayed offer: INVITE without, 200 and ACK with a session description', async () => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running, (one) =>
      one.use('invite', (req, res) => {
        void one.createB2BUA(req, res, `sip:bob@127.0.0.1:${bob.port}`, {});
      }),
    );
    expect(app).toBeDefined();
    const bob = await udpPeer(scope, running);
    const alice = await udpPeer(scope, running);
    const from = '<sip:alice@127.0.0.1>;tag=alice';
    alice.send(alice.request({ method: 'INVITE', uri: 'sip:bob@127.0.0.1', from, callId: 'delayed' }));
    const invite = await bob.message('INVITE', is.request('INVITE'));
    expect(bodyOf(invite)).toBe('');
    bob.answer(invite, '200 OK', { body: OFFER });
    const accepted = await alice.message('200', is.response(200, 'INVITE'));
    expect(bodyOf(accepted)).toBe(OFFER);
    const call = {
      callId: 'delayed',
      from,
      to: headerOf(accepted, 'To') ?? '',
      target: `sip:127.0.0.1:${running.udp}`,
    };
    alice.send(inCall(alice, call, 'ACK', 1, { body: ANSWER }));
    const ack = await bob.message('ACK', is.request('ACK'));
    expect(bodyOf(ack)).toBe(ANSWER);
    expect(headerOf(ack, 'Content-Type')).toBe('application/sdp');
  });

  test('digest as client: the second INVITE has the Call-ID, the tag and the next CSeq', async () => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    const placed = app.createUAC(`sip:bob@127.0.0.1:${peer.port}`, {
      localSdp: OFFER,
      auth: { username: 'u', password: 'p' },
    });
    const first = await peer.message('INVITE', is.request('INVITE'));
    peer.answer(first, '407 Proxy Authentication Required', {
      headers: ['Proxy-Authenticate: Digest realm="r", nonce="n", qop="auth"'],
    });
    const second = await peer.message(
      'INVITE with credentials',
      (message) => is.request('INVITE')(message) && message.includes('Proxy-Authorization'),
    );
    expect(headerOf(second, 'Call-ID')).toBe(headerOf(first, 'Call-ID'));
    expect(headerOf(second, 'From')).toBe(headerOf(first, 'From'));
    expect(Number.parseInt(headerOf(second, 'CSeq') ?? '', 10)).toBe(
      Number.parseInt(headerOf(first, 'CSeq') ?? '', 10) + 1,
    );
    peer.answer(second, '200 OK', { body: ANSWER });
    await placed;
    const ack = await peer.message(
      'ACK',
      (message) => is.request('ACK')(message) && message.includes('Proxy-Authorization'),
    );
    expect(headerOf(ack, 'CSeq')).toBe((headerOf(second, 'CSeq') ?? '').replace('INVITE', 'ACK'));
  });

  test('the flow of a REGISTER is named to the application, and named by it leads there; the contact is no way', async () => {
    const running = await startServer(scope);
    let flow = '';
    const app = await connectApp(scope, running, (one) =>
      one.use('register', (req, res: AppResponse) => {
        flow = req.get('X-Tandem-Flow');
        res.send(200, { headers: { Contact: `${req.get('Contact')};expires=60` } });
      }),
    );
    const peer = await tcpPeer(scope, running);
    const register = peer
      .request({
        method: 'REGISTER',
        uri: 'sip:127.0.0.1',
        from: '<sip:tim@127.0.0.1>',
        headers: ['X-Tandem-Flow: sip:127.0.0.1:9;transport=udp;flow'],
      })
      .replace(/Contact: .*/, 'Contact: <sip:tim@abc.invalid;transport=tcp>');
    peer.send(register);
    const ok = await peer.message('200', is.response(200, 'REGISTER'));
    expect(ok).not.toContain('Tandem');
    expect(flow).toContain(`sip:127.0.0.1:${peer.port};transport=tcp;flow=`);
    const headers = { From: 'sip:1@localhost', Contact: 'sip:1@localhost' };
    const call = (proxy?: string) =>
      app.createUAC('sip:tim@abc.invalid;transport=tcp', {
        localSdp: OFFER,
        headers,
        ...(proxy === undefined ? {} : { proxy }),
      });
    await expect(call()).rejects.toThrow();
    expect(peer.requests('INVITE')).toEqual([]);
    const placed = call(flow);
    const invite = await peer.message('INVITE', is.request('INVITE'));
    expect(headerOf(invite, 'Contact')).toBe(`<sip:1@127.0.0.1:${running.tcp};transport=tcp>`);
    expect(headerOf(invite, 'From')).toContain(`sip:1@127.0.0.1:${running.tcp}`);
    peer.answer(invite, '486 Busy Here');
    await expect(placed).rejects.toMatchObject({ status: 486 });
  });

  test('a dialog on a flow keeps to it: Contact, Record-Route and maddr of the callee lead nowhere else', async () => {
    const running = await startServer(scope);
    let flow = '';
    const app = await connectApp(scope, running, (one) =>
      one.use('register', (req, res: AppResponse) => {
        flow = req.get('X-Tandem-Flow');
        res.send(200);
      }),
    );
    const [peer, decoy] = [await udpPeer(scope, running), await udpPeer(scope, running)];
    await peer.ask({ method: 'REGISTER', uri: 'sip:127.0.0.1', from: '<sip:tim@127.0.0.1>' });
    const elsewhere = `sip:tim@127.0.0.1:${decoy.port};maddr=127.0.0.1`;
    const placed = app.createUAC(elsewhere, { localSdp: OFFER, proxy: flow });
    const invite = await peer.message('INVITE', is.request('INVITE'));
    expect(invite).toContain(`INVITE ${elsewhere} SIP/2.0`);
    const headers = [`Record-Route: <sip:127.0.0.1:${decoy.port};lr>`];
    peer.answer(invite, '200 OK', { body: ANSWER, headers, contact: `<${elsewhere}>` });
    await peer.message('ACK', is.request('ACK'));
    const dialog = await placed;
    void dialog.request({ method: 'INFO' }).catch(() => undefined);
    const info = await peer.message('INFO', is.request('INFO'));
    expect(headerOf(info, 'Route')).toBe(`<sip:127.0.0.1:${decoy.port};lr>`);
    void dialog.destroy().catch(() => undefined);
    await peer.message('BYE', is.request('BYE'));
    expect(decoy.received).toEqual([]);
  });

  test('RFC 3261 §15: a BYE of the application waits for the ACK of its 200', async () => {
    const running = await startServer(scope);
    let ended = false;
    await connectApp(scope, running, (app) =>
      app.use('invite', (req, res) => {
        void app
          .createUAS(req, res, { localSdp: ANSWER })
          .then((dialog) => dialog.destroy())
          .then(() => (ended = true));
      }),
    );
    const peer = await udpPeer(scope, running);
    const call = await placeCall(peer, 'sip:bob@127.0.0.1', 'early-bye');
    peer.send(peer.request({ method: 'OPTIONS', uri: 'sip:x@127.0.0.1', from: '<sip:a@127.0.0.1>' }));
    await peer.message('503 to OPTIONS', is.response(503, 'OPTIONS'));
    expect(peer.requests('BYE')).toHaveLength(0);
    peer.send(inCall(peer, call, 'ACK', 1));
    peer.answer(await peer.message('BYE', is.request('BYE')), '200 OK');
    await eventually('the end', () => ended, Boolean);
    expect(running.server.size.dialogs).toBe(0);
  });

  test('through createB2BUA: ringing, cancel by the caller, both legs end', async () => {
    const running = await startServer(scope);
    const failures: unknown[] = [];
    await connectApp(scope, running, (app) =>
      app.use('invite', (req, res) => {
        app.createB2BUA(req, res, `sip:bob@127.0.0.1:${bob.port}`, { localSdpB: req.body }).catch((error: unknown) => {
          failures.push(error);
        });
      }),
    );
    const bob = await udpPeer(scope, running);
    const alice = await udpPeer(scope, running);
    const invite = alice.request({ method: 'INVITE', uri: 'sip:b@127.0.0.1', from: '<sip:a@127.0.0.1>', body: OFFER });
    alice.send(invite);
    const forwarded = await bob.message('INVITE', is.request('INVITE'));
    bob.answer(forwarded, '180 Ringing');
    await alice.message('180', is.response(180, 'INVITE'));
    const head = (invite.split('\r\n\r\n')[0] ?? '')
      .replaceAll('INVITE', 'CANCEL')
      .split('\r\n')
      .filter((line) => !line.startsWith('Content-'));
    alice.send(`${head.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`);
    await alice.message('487', is.response(487, 'INVITE'));
    bob.answer(await bob.message('CANCEL', is.request('CANCEL')), '200 OK');
    bob.answer(forwarded, '487 Request Terminated');
    await bob.message('ACK', is.request('ACK'));
    await eventually(
      'the failure',
      () => failures.length,
      (count) => count === 1,
    );
    expect(running.server.size.dialogs).toBe(0);
  });
});
