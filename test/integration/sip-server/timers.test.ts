import { SimulatedClock } from '../../../src/process/clock';
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
  RawApplication,
  SECRET,
  startServer,
  toTag,
  udpPeer,
  type AppDialog,
} from './harness';

let scope: Scope;
let clock: SimulatedClock;
beforeEach(() => {
  scope = new Scope();
  clock = new SimulatedClock();
});
afterEach(() => scope.close());

describe('timers', () => {
  test('RFC 3261 §13.3.1.4: a 200 is sent again at 0.5, 1.5, 3.5 s ... and after 32 s without ACK the call ends', async () => {
    const running = await startServer(scope, { clock });
    const reasons: string[] = [];
    await connectApp(scope, running, (app) =>
      app.use('invite', (req, res) => {
        void app.createUAS(req, res, { localSdp: ANSWER }).then((dialog) => {
          dialog.on('destroy', (_bye, reason) => reasons.push(String(reason)));
        });
      }),
    );
    const peer = await udpPeer(scope, running);
    await placeCall(peer, 'sip:b@127.0.0.1', 'never-acked');
    const count = (): number => peer.received.filter(is.response(200, 'INVITE')).length;
    let sent = 1;
    for (const wait of [500, 1000, 2000, 4000, 4000]) {
      clock.advance(wait - 1);
      clock.advance(1);
      sent += 1;
      await eventually(`${sent} times`, count, (seen) => seen === sent, { cap: 5000, every: 5 });
    }
    clock.advance(32_000);
    const bye = await peer.message('BYE', is.request('BYE'));
    expect(headerOf(bye, 'Reason')).toBe('SIP;cause=408;text="ACK timeout"');
    await eventually(
      'destroy',
      () => reasons,
      (list) => list.includes('ACK timeout'),
    );
    expect(running.server.size.dialogs).toBe(0);
  });

  test('an application that says nothing for 32 s: INVITE 480, others 500', async () => {
    const running = await startServer(scope, { clock });
    const raw = await RawApplication.connect(scope, running, SECRET);
    await raw.ask('route|invite');
    await raw.ask('route|message');
    const peer = await udpPeer(scope, running);
    peer.send(peer.request({ method: 'INVITE', uri: 'sip:x@127.0.0.1', from: '<sip:a@127.0.0.1>', body: OFFER }));
    peer.send(peer.request({ method: 'MESSAGE', uri: 'sip:x@127.0.0.1', from: '<sip:a@127.0.0.1>' }));
    await raw.frame('MESSAGE', (frame) => frame.includes('MESSAGE sip:x'));
    await raw.frame('INVITE', (frame) => frame.includes('INVITE sip:x'));
    clock.advance(32_000);
    await peer.message('480', is.response(480, 'INVITE'));
    await peer.message('500', is.response(500, 'MESSAGE'));
  });

  test('RFC 4028 §10: a session that the caller does not refresh ends', async () => {
    const running = await startServer(scope, { clock });
    const reasons: string[] = [];
    await connectApp(scope, running, (app) =>
      app.use('invite', (req, res) => {
        void app.createUAS(req, res, { localSdp: ANSWER }).then((dialog) => {
          dialog.on('destroy', (_bye, reason) => reasons.push(String(reason)));
        });
      }),
    );
    const peer = await udpPeer(scope, running);
    const from = '<sip:a@127.0.0.1>;tag=a';
    peer.send(
      peer.request({
        method: 'INVITE',
        uri: 'sip:b@127.0.0.1',
        from,
        callId: 'session',
        headers: ['Supported: timer', 'Session-Expires: 100;refresher=uac'],
        body: OFFER,
      }),
    );
    const accepted = await peer.message('200', is.response(200, 'INVITE'));
    expect(headerOf(accepted, 'Session-Expires')).toBe('100;refresher=uac');
    const target = `sip:127.0.0.1:${running.udp}`;
    const call = { callId: 'session', from, to: headerOf(accepted, 'To') ?? '', target };
    peer.send(inCall(peer, call, 'ACK', 1));
    peer.send(inCall(peer, call, 'UPDATE', 2, { headers: ['Session-Expires: 30'] }));
    const small = await peer.message('422', is.response(422, 'UPDATE'));
    expect(headerOf(small, 'Min-SE')).toBe('90');
    clock.advance(68_000);
    const bye = await peer.message('BYE', is.request('BYE'));
    expect(headerOf(bye, 'Reason')).toContain('Session timer expired');
    await eventually(
      'destroy',
      () => reasons,
      (list) => list.includes('Session timer expired'),
    );
  });

  test('RFC 4028 §7.1: the server refreshes by itself when that is its part, and the application is not told', async () => {
    const running = await startServer(scope, { clock });
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    const placed = app.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: OFFER });
    const invite = await peer.message('INVITE', is.request('INVITE'));
    peer.answer(invite, '200 OK', { body: ANSWER, headers: ['Session-Expires: 120;refresher=uac'] });
    const dialog = await placed;
    await peer.message('ACK', is.request('ACK'));
    clock.advance(66_000);
    const refresh = await peer.message(
      're-INVITE',
      (message) => is.request('INVITE')(message) && toTag(message) === 'peer',
    );
    expect(headerOf(refresh, 'Session-Expires')).toBe('120;refresher=uac');
    expect(bodyOf(refresh)).toBe(OFFER);
    peer.answer(refresh, '200 OK', { body: ANSWER, headers: ['Session-Expires: 120;refresher=uac'] });
    await eventually(
      'second ACK',
      () => peer.requests('ACK').length,
      (count) => count === 2,
    );
    expect(dialog.id).toContain('from-tag=');
    expect(running.server.size.dialogs).toBe(1);
    clock.advance(66_000);
    const second = await eventually(
      'refresh again',
      () =>
        peer
          .requests('INVITE')
          .filter((one) => toTag(one) === 'peer' && headerOf(one, 'CSeq') !== headerOf(refresh, 'CSeq')),
      (list) => list.length > 0,
    );
    peer.answer(second[0] ?? '', '481 Call/Transaction Does Not Exist');
    await peer.message('BYE', is.request('BYE'));
  });
});

describe('a session refresh of the server that is refused (RFC 3261 §14.1, RFC 4028 §10)', () => {
  async function refreshed() {
    const running = await startServer(scope, { clock });
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    const placed = app.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: OFFER });
    const invite = await peer.message('INVITE', is.request('INVITE'));
    peer.answer(invite, '200 OK', { body: ANSWER, headers: ['Session-Expires: 90;refresher=uac'] });
    await placed;
    await peer.message('ACK', is.request('ACK'));
    // Each once: what is not answered at once is sent again.
    const refreshes = (): string[] => {
      const all = peer.requests('INVITE').filter((one) => toTag(one) === 'peer');
      return [...new Map(all.map((one) => [headerOf(one, 'CSeq'), one])).values()];
    };
    const refresh = async (count: number): Promise<string> => {
      const all = await eventually(`refresh ${count}`, refreshes, (list) => list.length === count, { cap: 3000 });
      return all.at(-1) ?? '';
    };
    clock.advance(50_000);
    return { running, peer, refresh, refreshes };
  }

  const settled = (peer: Awaited<ReturnType<typeof udpPeer>>, count: number) =>
    eventually(
      'the ACK of the refusal',
      () => peer.requests('ACK').length,
      (acks) => acks === count,
    );

  test.each([
    '500 Server Internal Error',
    '488 Not Acceptable Here',
    '403 Forbidden',
    '503 Service Unavailable',
    '407 Proxy Authentication Required',
  ])(
    '%s: the call goes on, it is tried again after 10 s, and ends shortly before the session expires',
    async (refusal) => {
      const { running, peer, refresh, refreshes } = await refreshed();
      peer.answer(await refresh(1), refusal);
      await settled(peer, 2);
      clock.advance(10_000);
      peer.answer(await refresh(2), refusal);
      await settled(peer, 3);
      clock.advance(10_000);
      peer.answer(await refresh(3), refusal);
      await settled(peer, 4);
      expect(peer.requests('BYE')).toEqual([]);
      expect(running.server.size.dialogs).toBe(1);
      clock.advance(11_000);
      await peer.message('BYE', is.request('BYE'));
      expect(running.server.size.dialogs).toBe(0);
      expect(refreshes().length).toBeGreaterThanOrEqual(3);
    },
  );

  test('a second one that is accepted keeps the call; Retry-After is waited for', async () => {
    const { running, peer, refresh, refreshes } = await refreshed();
    peer.answer(await refresh(1), '500 Server Internal Error', { headers: ['Retry-After: 20'] });
    await settled(peer, 2);
    clock.advance(19_000);
    expect(refreshes()).toHaveLength(1);
    clock.advance(1000);
    peer.answer(await refresh(2), '200 OK', { body: ANSWER, headers: ['Session-Expires: 90;refresher=uac'] });
    await settled(peer, 3);
    clock.advance(39_000);
    expect(running.server.size.dialogs).toBe(1);
    expect(peer.requests('BYE')).toEqual([]);
  });

  test('422: again at once with Min-SE', async () => {
    const { peer, refresh } = await refreshed();
    peer.answer(await refresh(1), '422 Session Interval Too Small', { headers: ['Min-SE: 300'] });
    await settled(peer, 2);
    clock.advance(0);
    expect(headerOf(await refresh(2), 'Session-Expires')).toBe('300;refresher=uac');
  });

  test('one that gets a 100 and nothing else: the call ends when the session expires', async () => {
    const { peer, refresh } = await refreshed();
    peer.answer(await refresh(1), '100 Trying');
    clock.advance(30_000);
    expect(peer.requests('BYE')).toEqual([]);
    clock.advance(2000);
    await peer.message('BYE', is.request('BYE'));
  });

  test('481: the call ends at once', async () => {
    const { running, peer, refresh } = await refreshed();
    peer.answer(await refresh(1), '481 Call/Transaction Does Not Exist');
    await peer.message('BYE', is.request('BYE'));
    expect(running.server.size.dialogs).toBe(0);
  });
});

describe('forks and early dialogs', () => {
  test('RFC 3261 §13.2.2.4: a second fork that answers is acknowledged with its own tag, then ended', async () => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    const placed = app.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: OFFER });
    const invite = await peer.message('INVITE', is.request('INVITE'));
    peer.answer(invite, '200 OK', { body: ANSWER, tag: 'one' });
    await placed;
    await peer.message('ACK', (message) => is.request('ACK')(message) && toTag(message) === 'one');
    peer.answer(invite, '200 OK', { body: ANSWER, tag: 'two' });
    await peer.message('ACK of the second', (message) => is.request('ACK')(message) && toTag(message) === 'two');
    const bye = await peer.message('BYE', is.request('BYE'));
    expect(toTag(bye)).toBe('two');
    expect(running.server.size.dialogs).toBe(1);
  });

  test('RFC 3262: a reliable 183 is sent until PRACK; the 200 waits for it', async () => {
    const running = await startServer(scope, { clock });
    const events: string[] = [];
    let up: AppDialog | undefined;
    await connectApp(scope, running, (app) =>
      app.use('invite', (req, res) => {
        res.send(
          183,
          { headers: { Require: '100rel' }, body: ANSWER },
          () => events.push('sent'),
          () => {
            events.push('prack');
          },
        );
        void app.createUAS(req, res, { localSdp: ANSWER }).then((dialog) => (up = dialog));
      }),
    );
    const peer = await udpPeer(scope, running);
    const from = '<sip:a@127.0.0.1>;tag=a';
    peer.send(
      peer.request({
        method: 'INVITE',
        uri: 'sip:b@127.0.0.1',
        from,
        callId: 'reliable',
        headers: ['Supported: 100rel'],
        body: OFFER,
      }),
    );
    const progress = await peer.message('183', is.response(183, 'INVITE'));
    const sequence = headerOf(progress, 'RSeq') ?? '';
    expect(Number(sequence)).toBeGreaterThan(0);
    await eventually(
      'sent',
      () => events,
      (list) => list.includes('sent'),
    );
    clock.advance(500);
    await eventually(
      'again',
      () => peer.received.filter(is.response(183, 'INVITE')).length,
      (n) => n === 2,
    );
    expect(peer.received.filter(is.response(200, 'INVITE'))).toHaveLength(0);
    const call = {
      callId: 'reliable',
      from,
      to: headerOf(progress, 'To') ?? '',
      target: `sip:127.0.0.1:${running.udp}`,
    };
    peer.send(inCall(peer, call, 'PRACK', 2, { headers: [`RAck: ${sequence} 1 INVITE`] }));
    await peer.message('200 to PRACK', is.response(200, 'PRACK'));
    const accepted = await peer.message('200', is.response(200, 'INVITE'));
    expect(toTag(accepted)).toBe(toTag(progress));
    peer.send(inCall(peer, call, 'ACK', 1));
    await eventually('up', () => up, Boolean);
  });

  test('RFC 3262 §3: without PRACK the INVITE is rejected with 504', async () => {
    const running = await startServer(scope, { clock });
    await connectApp(scope, running, (app) =>
      app.use('invite', (_req, res) => res.send(183, { headers: { Require: '100rel' }, body: ANSWER })),
    );
    const peer = await udpPeer(scope, running);
    peer.send(
      peer.request({
        method: 'INVITE',
        uri: 'sip:b@127.0.0.1',
        from: '<sip:a@127.0.0.1>',
        headers: ['Supported: 100rel'],
        body: OFFER,
      }),
    );
    await peer.message('183', is.response(183, 'INVITE'));
    clock.advance(32_000);
    await peer.message('504', is.response(504, 'INVITE'));
    expect(running.server.size.dialogs).toBe(0);
  });

  test('RFC 3262 §4: a reliable 183 of the peer makes a dialog in which PRACK goes out', async () => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    const placed = app.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: OFFER });
    const invite = await peer.message('INVITE', is.request('INVITE'));
    peer.answer(invite, '183 Session Progress', { headers: ['Require: 100rel', 'RSeq: 55'], body: ANSWER });
    const prack = await peer.message('PRACK', is.request('PRACK'));
    expect(headerOf(prack, 'RAck')).toBe(`55 ${headerOf(invite, 'CSeq')}`);
    expect(toTag(prack)).toBe('peer');
    peer.answer(prack, '200 OK');
    peer.answer(invite, '200 OK', { body: ANSWER });
    await placed;
    await peer.message('ACK', is.request('ACK'));
  });

  test('RFC 3261 §12.1: each fork has an early dialog of its own; PRACK goes in that of its response, once', async () => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    const placed = app.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: OFFER });
    const invite = await peer.message('INVITE', is.request('INVITE'));
    const prackOf = (tag: string): Promise<string> =>
      peer.message(`PRACK to ${tag}`, (message) => is.request('PRACK')(message) && toTag(message) === tag);
    for (const tag of ['x', 'y']) {
      const early = { tag, headers: ['Require: 100rel', 'RSeq: 1'], body: ANSWER };
      peer.answer(invite, '183 Session Progress', early);
      const prack = await prackOf(tag);
      expect(headerOf(prack, 'RAck')).toBe(`1 ${headerOf(invite, 'CSeq')}`);
      // It was sent again before our PRACK was there.
      peer.answer(invite, '183 Session Progress', early);
      peer.answer(prack, '200 OK');
    }
    peer.answer(invite, '200 OK', { tag: 'y', body: ANSWER });
    const dialog = await placed;
    expect(toTag(await peer.message('ACK', is.request('ACK')))).toBe('y');
    void dialog.destroy();
    const bye = await peer.message('BYE', is.request('BYE'));
    expect(toTag(bye)).toBe('y');
    const number = (message: string): number => Number.parseInt(headerOf(message, 'CSeq') ?? '', 10);
    expect(number(bye)).toBeGreaterThan(number(await prackOf('y')));
    expect(peer.requests('PRACK')).toHaveLength(2);
  });

  test('RFC 3311: UPDATE in a plain early dialog reaches the application of the INVITE', async () => {
    const running = await startServer(scope);
    await connectApp(scope, running, (app) =>
      app.use('invite', (req, res) => {
        res.send(183, { body: ANSWER });
        req.on('update', () => undefined);
      }),
    );
    const peer = await udpPeer(scope, running);
    const from = '<sip:a@127.0.0.1>;tag=a';
    peer.send(peer.request({ method: 'INVITE', uri: 'sip:b@127.0.0.1', from, callId: 'early', body: OFFER }));
    const progress = await peer.message('183', is.response(183, 'INVITE'));
    const call = { callId: 'early', from, to: headerOf(progress, 'To') ?? '', target: `sip:127.0.0.1:${running.udp}` };
    peer.send(inCall(peer, call, 'UPDATE', 2, { body: OFFER }));
    peer.send(inCall(peer, call, 'UPDATE', 3, { body: OFFER }));
    await peer.message('500 to the second', is.response(500, 'UPDATE'));
  });
});

describe('subscriptions', () => {
  test('SUBSCRIBE in, NOTIFY out, refresh, and the terminating NOTIFY ends it', async () => {
    const running = await startServer(scope);
    let dialog: AppDialog | undefined;
    await connectApp(scope, running, (app) =>
      app.use('subscribe', (req, res) => {
        void app.createUAS(req, res, { headers: { Expires: '60' } }).then((made) => {
          dialog = made;
          made.on('subscribe', (_req, answer) => answer.send(202));
        });
      }),
    );
    const peer = await udpPeer(scope, running);
    const from = '<sip:a@127.0.0.1>;tag=a';
    const base = { uri: 'sip:svc@127.0.0.1', from, callId: 'sub', headers: ['Event: presence', 'Expires: 60'] };
    const accepted = await peer.ask({ method: 'SUBSCRIBE', ...base });
    expect(headerOf(accepted, 'Contact')).toBe(`<sip:127.0.0.1:${running.udp}>`);
    const call = { callId: 'sub', from, to: headerOf(accepted, 'To') ?? '', target: `sip:127.0.0.1:${running.udp}` };
    peer.send(inCall(peer, call, 'SUBSCRIBE', 2, { headers: ['Event: presence', 'Expires: 60'] }));
    await peer.message('202 to refresh', (one) => is.response(202, 'SUBSCRIBE')(one) && one.includes('CSeq: 2 '));
    await eventually('dialog', () => dialog, Boolean);
    const ended = dialog!.destroy();
    const notify = await peer.message('NOTIFY', is.request('NOTIFY'));
    expect(headerOf(notify, 'Subscription-State')).toBe('terminated');
    peer.answer(notify, '200 OK');
    await ended;
    await eventually(
      'no dialog',
      () => running.server.size.dialogs,
      (size) => size === 0,
    );
  });

  test('RFC 6665 §4.1.2.4: a NOTIFY before the 2xx to our SUBSCRIBE waits for it; the last one is answered by the application', async () => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    const seen: string[] = [];
    const placed = app
      .createUAC(`sip:bob@127.0.0.1:${peer.port}`, { method: 'SUBSCRIBE', headers: { Event: 'dialog' } })
      .then((dialog) =>
        dialog.on('notify', (req, res) => {
          seen.push(req.get('Subscription-State'));
          res.send(200);
        }),
      );
    const subscribe = await peer.message('SUBSCRIBE', is.request('SUBSCRIBE'));
    const call = {
      callId: headerOf(subscribe, 'Call-ID') ?? '',
      from: `${headerOf(subscribe, 'To')};tag=peer`,
      to: headerOf(subscribe, 'From') ?? '',
      target: `sip:127.0.0.1:${running.udp}`,
    };
    peer.send(inCall(peer, call, 'NOTIFY', 1, { headers: ['Event: dialog', 'Subscription-State: active'] }));
    peer.answer(subscribe, '202 Accepted');
    await placed;
    await peer.message('200 to NOTIFY', is.response(200, 'NOTIFY'));
    peer.send(inCall(peer, call, 'NOTIFY', 2, { headers: ['Event: dialog', 'Subscription-State: terminated'] }));
    await peer.message('200 to the last', (one) => is.response(200, 'NOTIFY')(one) && one.includes('CSeq: 2 '));
    expect(seen).toContain('terminated');
    await eventually(
      'no dialog',
      () => running.server.size.dialogs,
      (size) => size === 0,
    );
  });
});
