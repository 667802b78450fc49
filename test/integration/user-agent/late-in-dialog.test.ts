import { systemClock } from '../../../src/process/clock';
import { DrachtioUserAgent } from '../../../src/sip/drachtio';
import type { IncomingInvite, SessionSignal } from '../../../src/sip/user-agent';
import { type RunningSipServer, runSipServer } from '../../../src/sip-server';
import { silentLogger } from '../../../src/telemetry/logger';
import { eventuallyTrue } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, statusOf } from '../../support/sip-text';

const LOOPBACK = '127.0.0.1';
const SDP = 'v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

let scope: Scope;
let server: RunningSipServer;
let invites: IncomingInvite[];
/** So long a request has waited between the SIP server and the call manager, ms. */
let waitedMs: number;

beforeEach(async () => {
  scope = new Scope();
  [invites, waitedMs] = [[], 0];
  const listen = [{ protocol: 'udp', address: LOOPBACK, port: 0 }] as const;
  server = await runSipServer({ listen, control: { address: LOOPBACK, port: 0 }, secret: 's' });
  scope.defer(() => server.stop());
  const agent = new DrachtioUserAgent({
    server: () => Promise.resolve({ host: LOOPBACK, port: server.control.port, secret: 's' }),
    namesFlows: true,
    clock: { ...systemClock, now: () => Date.now() + waitedMs },
    log: silentLogger,
  });
  scope.defer(() => {
    agent.stop();
  });
  const nothing = (): void => undefined;
  await agent.start({ invited: (invite) => invites.push(invite), requested: nothing, serverChanged: nothing }, 5000);
});
afterEach(() => scope.close());

const methods = ['INVITE', 'UPDATE', 'INFO', 'MESSAGE', 'BYE'] as const;
const cases = methods.flatMap((method) => [0, 31_000, 33_000, 600_000].map((waited) => ({ method, waited })));

describe('a request in a dialog that has waited for the call manager', () => {
  it.each(cases)(
    '$method, $waited ms: it is acted upon in the time of its transaction, and a BYE always',
    async (each) => {
      const { method, waited } = each;
      const peer = await SipPeer.udp(scope, LOOPBACK, server.points[0]?.port ?? 0);
      const from = '<sip:a@acme.example>;tag=a';
      const invite = { method: 'INVITE', uri: 'sip:1@127.0.0.1', from, body: SDP, callId: `late-${method}-${waited}` };
      const answer = peer.ask(invite, 5000);
      await eventuallyTrue('its INVITE', () => invites.length > 0);
      const session = invites[0]?.session;
      const signals: SessionSignal[] = [];
      session?.listen((signal) => {
        signals.push(signal);
        if (signal.type === 'reinvited') session.respond(signal.id, 200, { sdp: SDP });
        else if (signal.type === 'requested')
          session.respond(signal.id, 200, signal.method === 'UPDATE' ? { sdp: SDP } : {});
      });
      session?.answer({ sdp: SDP });
      const accepted = await answer;
      const dialog = { uri: 'sip:1@127.0.0.1', from, to: headerOf(accepted, 'To') ?? '', callId: invite.callId };
      peer.send(peer.request({ ...dialog, method: 'ACK' }));
      await eventuallyTrue('the ACK', () => signals.some(({ type }) => type === 'acknowledged'));
      signals.length = 0;

      waitedMs = waited;
      const body = method === 'INVITE' || method === 'UPDATE' ? { body: SDP } : {};
      const status = statusOf(await peer.ask({ ...dialog, ...body, method, cseq: 7 }, 5000));
      const dead = waited >= 32_000 && method !== 'BYE';
      expect(status).toBe(dead ? 408 : 200);
      const told = method === 'BYE' ? 'ended' : method === 'INVITE' ? 'reinvited' : 'requested';
      expect(signals.map(({ type }) => type).filter((type) => type !== 'acknowledged')).toEqual(dead ? [] : [told]);

      // What is not acted upon costs the call nothing.
      if (method === 'BYE') return;
      if (method === 'INVITE') peer.send(peer.request({ ...dialog, method: 'ACK', cseq: 7 }));
      waitedMs = 0;
      expect(statusOf(await peer.ask({ ...dialog, method: 'INFO', cseq: 8 }, 5000))).toBe(200);
    },
  );
});
