import { systemClock } from '../../../src/process/clock';
import { DrachtioUserAgent } from '../../../src/sip/drachtio';
import type { IncomingInvite, Session, SessionSignal } from '../../../src/sip/user-agent';
import { type RunningSipServer, runSipServer } from '../../../src/sip-server';
import { silentLogger } from '../../../src/telemetry/logger';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, methodOf } from '../../support/sip-text';

const LOOPBACK = '127.0.0.1';
const SDP = 'v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

let scope: Scope;
let server: RunningSipServer;
let invites: IncomingInvite[];

beforeEach(async () => {
  scope = new Scope();
  invites = [];
  const listen = [{ protocol: 'udp', address: LOOPBACK, port: 0 }] as const;
  server = await runSipServer({ listen, control: { address: LOOPBACK, port: 0 }, secret: 's' });
  scope.defer(() => server.stop());
  const agent = new DrachtioUserAgent({
    server: () => Promise.resolve({ host: LOOPBACK, port: server.control.port, secret: 's' }),
    namesFlows: true,
    clock: systemClock,
    log: silentLogger,
  });
  scope.defer(() => agent.stop());
  const nothing = (): void => undefined;
  await agent.start({ invited: (invite) => invites.push(invite), requested: nothing, serverChanged: nothing }, 5000);
});
afterEach(() => scope.close());

/** An end of a dialog that the peer has begun, and what it does there. */
interface Dialog {
  readonly session: Session;
  readonly signals: readonly SessionSignal[];
  /** 200 to the re-INVITE that has come. */
  accept(): void;
  readonly peer: SipPeer;
}

async function dialog(): Promise<Dialog> {
  const peer = await SipPeer.udp(scope, LOOPBACK, server.points[0]?.port ?? 0);
  const from = '<sip:a@acme.example>;tag=a';
  const invite = { method: 'INVITE', uri: 'sip:1@127.0.0.1', from, body: SDP, callId: 'last-ack' };
  const answer = peer.ask(invite, 5000);
  await eventuallyTrue('its INVITE', () => invites.length > 0);
  const [{ session } = { session: undefined }] = invites;
  if (session === undefined) throw new Error('no session');
  const signals: SessionSignal[] = [];
  session.listen((signal) => signals.push(signal));
  session.answer({ sdp: SDP });
  const place = { uri: invite.uri, from, to: headerOf(await answer, 'To') ?? '', callId: invite.callId };
  peer.send(peer.request({ ...place, method: 'ACK' }));
  await eventuallyTrue('the ACK', () => signals.some(({ type }) => type === 'acknowledged'));
  session.reinvite('ours', {});
  await eventuallyTrue('our re-INVITE', () => peer.requests('INVITE').length > 0);
  return {
    ...{ session, signals, peer },
    accept: () => {
      const [request = ''] = peer.requests('INVITE');
      const same = ['Via', 'From', 'To', 'Call-ID', 'CSeq'].map((name) => `${name}: ${headerOf(request, name) ?? ''}`);
      const own = [`Contact: ${peer.contact('a')}`, 'Content-Type: application/sdp', `Content-Length: ${SDP.length}`];
      peer.send(['SIP/2.0 200 OK', ...same, ...own, '', SDP].join('\r\n'));
    },
  };
}

const offered = ({ signals }: Dialog): Promise<void> =>
  eventuallyTrue('the offer of the peer', () => signals.some(({ type }) => type === 'reinvite-answered'));

/** When we end the dialog. The peer may not while its 200 waits for the ACK (§15). */
const endings: readonly (readonly [string, (dialog: Dialog) => Promise<void>])[] = [
  [
    'we end it while its offer waits',
    async (dialog) => {
      dialog.accept();
      await offered(dialog);
      dialog.session.bye();
    },
  ],
  [
    'we have ended it before the 200 comes',
    async (dialog) => {
      dialog.session.bye();
      await eventuallyTrue('our BYE', () => dialog.peer.requests('BYE').length > 0);
      dialog.accept();
    },
  ],
];

describe('RFC 3261 §13.2.2.4: each 2xx to a re-INVITE without an offer is acknowledged, also in a dialog that ends', () => {
  it.each(endings)('%s', async (_when, end) => {
    const ours = await dialog();
    await end(ours);
    await eventually(
      'an ACK',
      () => ours.peer.requests('ACK').length,
      (count) => count === 1,
      { cap: 3000 },
    );
    await eventuallyTrue('our BYE', () => ours.peer.requests('BYE').length > 0);
    const sent = ours.peer.received.map((message) => methodOf(message));
    expect(sent.filter((method) => method === 'INVITE' || method === 'ACK')).toEqual(['INVITE', 'ACK']);
  });
});
