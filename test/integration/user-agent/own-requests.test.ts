import { SimulatedClock, systemClock } from '../../../src/process/clock';
import { DrachtioUserAgent } from '../../../src/sip/drachtio';
import type { IncomingInvite, SessionSignal } from '../../../src/sip/user-agent';
import { type RunningSipServer, runSipServer } from '../../../src/sip-server';
import { silentLogger } from '../../../src/telemetry/logger';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, methodOf, statusOf } from '../../support/sip-text';

const SDP = 'v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
const LOOPBACK = '127.0.0.1';

let scope: Scope;
let clock: SimulatedClock;
let server: RunningSipServer;
let agent: DrachtioUserAgent;
let invites: IncomingInvite[];
/** Of the last REGISTER, by the name that the SIP server gives it. */
let flow: string | undefined;
/** The call manager stands still. */
let silent: boolean;

beforeEach(async () => {
  scope = new Scope();
  clock = new SimulatedClock();
  [invites, flow, silent] = [[], undefined, false];
  const listen = [{ protocol: 'tcp', address: LOOPBACK, port: 0 }] as const;
  server = await runSipServer({
    listen,
    control: { address: LOOPBACK, port: 0 },
    secret: 's',
    clock,
    askForFlow: (id, dialog) => {
      // At once: the clock goes on by leaps.
      if (!silent) server.flowFound(id, agent.flowOf(dialog));
    },
  });
  scope.defer(() => server.stop());
  agent = new DrachtioUserAgent({
    server: () => Promise.resolve({ host: LOOPBACK, port: server.control.port, secret: 's' }),
    namesFlows: true,
    clock: systemClock,
    log: silentLogger,
  });
  scope.defer(() => {
    agent.stop();
  });
  await agent.start(
    {
      invited: (invite) => invites.push(invite),
      requested: (transaction) => {
        flow = transaction.request.source.flow;
        transaction.respond(200);
      },
      serverChanged: () => undefined,
    },
    5000,
  );
});
afterEach(() => scope.close());

/** A phone on a new connection; its REGISTER has named the flow. */
async function connected(): Promise<{ readonly peer: SipPeer; readonly name: string }> {
  const peer = await SipPeer.tcp(scope, LOOPBACK, server.points[0]?.port ?? 0);
  const register = { method: 'REGISTER', uri: 'sip:acme.example', from: '<sip:a@acme.example>' };
  expect(statusOf(await peer.ask(register, 5000))).toBe(200);
  return { peer, name: flow ?? '' };
}

/** A call in either direction, with an interval of 90 s, that is to be refreshed by us, or by the phone, which never does. */
async function established(
  role: 'caller' | 'callee',
  refresher: 'us' | 'phone',
  at: { readonly peer: SipPeer; readonly name: string },
  movedTo: () => string | undefined,
): Promise<SessionSignal[]> {
  const signals: SessionSignal[] = [];
  const uac = (role === 'caller') === (refresher === 'phone');
  const timer = `90;refresher=${uac ? 'uac' : 'uas'}`;
  const { peer, name } = at;
  if (role === 'callee') {
    peer.onRequest = (request) => {
      const answered = methodOf(request) === 'INVITE';
      if (methodOf(request) !== 'ACK')
        peer.answer(
          request,
          '200 OK',
          answered ? { body: SDP, headers: ['Require: timer', `Session-Expires: ${timer}`] } : {},
        );
    };
    const headers = { From: '<sip:1000@localhost>', Contact: '<sip:1000@localhost>', Supported: 'timer' };
    const session = agent.invite({ uri: 'sip:a@gone.invalid', nextHop: name, headers, sdp: SDP, movedTo });
    session.listen((signal) => signals.push(signal));
    await eventuallyTrue('its ACK', () => peer.requests('ACK').length > 0);
  } else {
    const invite = {
      method: 'INVITE',
      uri: 'sip:1@127.0.0.1',
      from: '<sip:a@acme.example>',
      body: SDP,
      headers: ['Supported: timer'],
    };
    const answer = peer.ask(invite, 5000);
    await eventuallyTrue('its INVITE', () => invites.length > 0);
    const session = invites[0]?.session;
    session?.listen((signal) => signals.push(signal));
    session?.followPeer?.(movedTo);
    session?.answer({ sdp: SDP, headers: { 'Session-Expires': timer, Require: 'timer' } });
    const accepted = await answer;
    const ends = { from: headerOf(accepted, 'From') ?? '', to: headerOf(accepted, 'To') ?? '' };
    peer.send(
      peer.request({ method: 'ACK', uri: 'sip:1@127.0.0.1', ...ends, callId: headerOf(accepted, 'Call-ID') ?? '' }),
    );
    await new Promise((done) => setTimeout(done, 50));
  }
  return signals;
}

describe('what the SIP server sends in a dialog by itself', () => {
  const cases = (['caller', 'callee'] as const).flatMap((role) =>
    (['closed', 'open'] as const).map((first) => ({ role, first })),
  );

  it.each(cases)(
    'a session refresh follows the $role to its new connection, the first being $first, and the session goes on',
    async ({ role, first }) => {
      const before = await connected();
      const moved: { to?: string } = {};
      const signals = await established(role, 'us', before, () => moved.to);
      const after = await connected();
      after.peer.onRequest = (request) => {
        const headers = ['Require: timer', 'Session-Expires: 90;refresher=uac'];
        if (methodOf(request) !== 'ACK') after.peer.answer(request, '200 OK', { body: SDP, headers });
      };
      moved.to = after.name;
      if (first === 'closed') before.peer.close();
      for (let refreshes = 1; refreshes <= 3; refreshes++) {
        clock.advance(50_000);
        await eventually(
          'the refresh and its ACK',
          () => [after.peer.requests('INVITE').length, after.peer.requests('ACK').length].join(),
          (counts) => counts === `${refreshes},${refreshes}`,
          { cap: 8000 },
        );
      }
      expect(before.peer.requests('INVITE')).toHaveLength(role === 'callee' ? 1 : 0);
      expect(after.peer.requests('BYE')).toEqual([]);
      expect(signals.filter(({ type }) => type === 'ended')).toEqual([]);
    },
  );

  it.each(cases)(
    'the BYE of a session that nobody refreshes follows the $role, the first being $first',
    async ({ role, first }) => {
      const before = await connected();
      const moved: { to?: string } = {};
      const signals = await established(role, 'phone', before, () => moved.to);
      const after = await connected();
      moved.to = after.name;
      if (first === 'closed') before.peer.close();
      clock.advance(91_000);
      await eventuallyTrue('the BYE', () => after.peer.requests('BYE').length > 0);
      expect(before.peer.requests('BYE')).toEqual([]);
      await eventuallyTrue('the session is told', () => signals.some(({ type }) => type === 'ended'));
    },
  );

  it('a phone that is where it was gets it there', async () => {
    const before = await connected();
    await established('callee', 'us', before, () => undefined);
    clock.advance(50_000);
    await eventuallyTrue('the refresh', () => before.peer.requests('INVITE').length === 2);
  });

  it('of a call manager that stands still nobody waits for long', async () => {
    const before = await connected();
    await established('callee', 'us', before, () => undefined);
    silent = true;
    clock.advance(50_000);
    clock.advance(2_000);
    await eventuallyTrue('the refresh', () => before.peer.requests('INVITE').length === 2);
  });
});
