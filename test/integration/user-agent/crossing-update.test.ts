import { systemClock } from '../../../src/process/clock';
import { DrachtioUserAgent } from '../../../src/sip/drachtio';
import type { IncomingInvite, SessionSignal } from '../../../src/sip/user-agent';
import { runSipServer } from '../../../src/sip-server';
import { silentLogger } from '../../../src/telemetry/logger';
import { eventuallyTrue } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, statusOf } from '../../support/sip-text';

const LOOPBACK = '127.0.0.1';
const SDP = 'v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
const scope = new Scope();
afterAll(() => scope.close());

describe('an UPDATE of the peer that crosses a request of ours in the dialog', () => {
  it.each(['INVITE', 'INFO', 'MESSAGE', 'UPDATE'])('%s: it is heard, and answered', async (method) => {
    const listen = [{ protocol: 'udp', address: LOOPBACK, port: 0 }] as const;
    const server = await runSipServer({ listen, control: { address: LOOPBACK, port: 0 }, secret: 's' });
    scope.defer(() => server.stop());
    const control = { host: LOOPBACK, port: server.control.port, secret: 's' };
    const agent = new DrachtioUserAgent({
      server: () => Promise.resolve(control),
      namesFlows: true,
      clock: systemClock,
      log: silentLogger,
    });
    scope.defer(() => agent.stop());
    const invites: IncomingInvite[] = [];
    const nothing = (): void => undefined;
    await agent.start({ invited: (one) => invites.push(one), requested: nothing, serverChanged: nothing }, 5000);

    const peer = await SipPeer.udp(scope, LOOPBACK, server.points[0]?.port ?? 0);
    const from = '<sip:a@acme.example>;tag=a';
    const invite = { method: 'INVITE', uri: 'sip:1@127.0.0.1', from, body: SDP, callId: `crossing-${method}` };
    const answer = peer.ask(invite, 5000);
    await eventuallyTrue('its INVITE', () => invites.length > 0);
    const session = invites[0]?.session;
    const signals: SessionSignal[] = [];
    session?.listen((signal) => {
      signals.push(signal);
      if (signal.type === 'requested') session.respond(signal.id, 200);
    });
    session?.answer({ sdp: SDP });
    const to = headerOf(await answer, 'To') ?? '';
    const dialog = { uri: invite.uri, from, to, callId: invite.callId };
    peer.send(peer.request({ ...dialog, method: 'ACK' }));
    await eventuallyTrue('the ACK', () => signals.some(({ type }) => type === 'acknowledged'));

    // The peer does not answer it: it is open all the time.
    if (method === 'INVITE') session?.reinvite('ours', { sdp: SDP });
    else session?.request('ours', { method, body: 'x', contentType: 'text/plain' });
    await eventuallyTrue('our request', () => peer.requests(method).length > 0);
    for (const cseq of [2, 3]) expect(statusOf(await peer.ask({ ...dialog, method: 'UPDATE', cseq }, 3000))).toBe(200);
    expect(signals.filter(({ type }) => type === 'requested')).toHaveLength(2);
  });
});
