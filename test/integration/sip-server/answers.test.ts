import { createSocket } from 'node:dgram';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, statusOf } from '../../support/sip-text';
import { connectApp, startServer, tcpPeer, udpPeer, type Running } from './harness';

let scope: Scope;
let running: Running;
beforeEach(() => {
  scope = new Scope();
  return start();
});

async function start(options: Parameters<typeof startServer>[1] = {}): Promise<void> {
  running = await startServer(scope, options);
  await connectApp(scope, running, (app) => {
    app.use('options', (_req, res) => res.send(200));
    app.use('invite', (_req, res) => res.send(486));
  });
}
afterEach(() => scope.close());

const request = (peer: SipPeer, method = 'OPTIONS'): string =>
  peer.request({ method, uri: 'sip:x@127.0.0.1', from: '<sip:a@127.0.0.1>' });

describe('answers go the way the request came', () => {
  const named = ['UDP', 'TCP', 'TLS', 'WS', 'WSS', 'SCTP'];
  test.each(named.flatMap((name) => [name, name.toLowerCase()]))('whatever the Via names: %s', async (name) => {
    for (const peer of [await udpPeer(scope, running), await tcpPeer(scope, running)]) {
      peer.send(request(peer).replace(/^(Via: SIP\/2\.0\/)\w+/m, `$1${name}`));
      const answer = await peer.message('200', (message) => statusOf(message) === 200, 5_000);
      expect(headerOf(answer, 'Via')).toMatch(new RegExp(`^SIP/2.0/${name} `, 'i'));
      peer.send(
        request(peer)
          .replace(/^(Via: SIP\/2\.0\/)\w+/m, `$1${name}`)
          .replace(/^CSeq: .*/m, 'CSeq: x'),
      );
      await peer.message('400', (message) => statusOf(message) === 400, 5_000);
    }
  });

  /** A phone that sends from one port and listens at another. */
  const silent = (text: string): string => text.replace(';rport', '');
  test.each([
    ['at the port of sent-by', silent, 'listening', false],
    ['at the source port when that is configured', silent, 'sending', true],
    ['at the source port with rport', (text: string) => text, 'sending', false],
    // Behind a translator sent-by is another host: only the source port leads back.
    [
      'at the source port when sent-by is elsewhere',
      (text: string) => silent(text).replace(/^(Via: \S+ )[^:]+/m, '$1192.0.2.9'),
      'sending',
      false,
    ],
  ])('a UDP phone hears them %s', async (_what, change, where, forceRport) => {
    if (forceRport) await start({ forceRport });
    const listening = await udpPeer(scope, running);
    const sending = createSocket('udp4');
    scope.defer(() => sending.close());
    const heard: string[] = [];
    sending.on('message', (bytes) => heard.push(bytes.toString()));
    sending.send(change(request(listening, 'INVITE')), running.udp, '127.0.0.1');
    const at = where === 'listening' ? listening.received : heard;
    const deadline = Date.now() + 5_000;
    while (at.length === 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(at.map(statusOf)).toContain(486);
    expect((where === 'listening' ? heard : listening.received).length).toBe(0);
  });
});

describe('transactions of clients with the same branch and sent-by', () => {
  test.each([
    ['from another source', false],
    ['from another source, with another Call-ID', true],
  ])('%s are told apart, and each gets its answer', async (_what, otherCallId) => {
    const one = await udpPeer(scope, running);
    const two = await SipPeer.udp(scope, '127.0.0.1', running.udp, '127.0.0.2');
    for (const method of ['OPTIONS', 'INVITE']) {
      const text = request(one, method);
      one.send(text);
      two.send(otherCallId ? text.replace(/^Call-ID: .*/m, `Call-ID: other-${method}`) : text);
      for (const peer of [one, two]) {
        const final = await peer.message(
          'a final response',
          (message) => statusOf(message) >= 200 && headerOf(message, 'CSeq') === `1 ${method}`,
          5_000,
        );
        expect([200, 486, ...(otherCallId ? [] : [482])]).toContain(statusOf(final));
      }
    }
  });
});
