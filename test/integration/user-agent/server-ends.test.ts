import { SimulatedClock, systemClock } from '../../../src/process/clock';
import { DigestClient } from '../../../src/sip/digest-client';
import { DrachtioUserAgent } from '../../../src/sip/drachtio';
import { ClientSession } from '../../../src/sip/drachtio/client-session';
import type { IncomingInvite, SessionSignal } from '../../../src/sip/user-agent';
import { type RunningSipServer, runSipServer } from '../../../src/sip-server';
import { silentLogger } from '../../../src/telemetry/logger';
import { ChallengingGateway } from '../../support/challenging-gateway';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { headerOf, methodOf, statusOf } from '../../support/sip-text';

const SDP = 'v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
const account = { username: 'trunk', password: 'secret' };
const TIMER = ['Require: timer', 'Session-Expires: 90;refresher=uas'];

let scope: Scope;
let clock: SimulatedClock;
let server: RunningSipServer;
let gateway: ChallengingGateway;
let agent: DrachtioUserAgent;
let invites: IncomingInvite[];

beforeEach(async () => {
  scope = new Scope();
  clock = new SimulatedClock();
  invites = [];
  const listen = [{ protocol: 'udp', address: '127.0.0.1', port: 0 }] as const;
  server = await runSipServer({ listen, control: { address: '127.0.0.1', port: 0 }, secret: 's', clock });
  scope.defer(() => server.stop());
  agent = new DrachtioUserAgent({
    server: () => Promise.resolve({ host: '127.0.0.1', port: server.control.port, secret: 's' }),
    namesFlows: true,
    clock: systemClock,
    log: silentLogger,
  });
  scope.defer(() => {
    agent.stop();
  });
  const nothing = (): void => undefined;
  await agent.start({ invited: (invite) => invites.push(invite), requested: nothing, serverChanged: nothing }, 5000);
  gateway = await ChallengingGateway.start(scope, account, [{ status: 407, realm: 'carrier', qop: 'auth' }]);
  gateway.onProved = (request) =>
    gateway.peer.answer(request, '200 OK', methodOf(request) === 'INVITE' ? { body: SDP, headers: TIMER } : {});
});
afterEach(() => scope.close());

/** A call to the gateway, which is to refresh it and never does. */
async function called(digest: DigestClient | undefined): Promise<SessionSignal[]> {
  const signals: SessionSignal[] = [];
  const headers = { From: '<sip:1000@localhost>', Contact: '<sip:1000@localhost>', Supported: 'timer' };
  const session = agent.invite({ uri: `sip:1@127.0.0.1:${gateway.port}`, headers, sdp: SDP, digest });
  session.listen((signal) => signals.push(signal));
  await eventuallyTrue('it is answered', () => signals.some(({ type }) => type === 'answered'));
  const sequence = (request: string | undefined): string | undefined => headerOf(request ?? '', 'CSeq')?.split(' ')[0];
  const accepted = sequence(gateway.peer.requests('INVITE').at(-1));
  await eventually(
    // That of the challenge comes before.
    'the ACK of its 200',
    () => gateway.peer.requests('ACK').map(sequence),
    (acks) => acks.includes(accepted),
  );
  signals.length = 0;
  return signals;
}

/** A call of the gateway, answered; `asks`: more headers of its INVITE. */
async function calling(digest: DigestClient | undefined, asks: readonly string[] = []): Promise<SessionSignal[]> {
  const signals: SessionSignal[] = [];
  const to = gateway.peer.towards(server.points[0]?.port ?? 0);
  const invite = { method: 'INVITE', uri: 'sip:1@127.0.0.1', from: '<sip:g@127.0.0.1>', body: SDP, headers: asks };
  const answer = to.ask(invite, 5000);
  const [incoming] = await eventually(
    'its INVITE',
    () => invites,
    (all) => all.length > 0,
  );
  const session = incoming?.session;
  session?.listen((signal) => signals.push(signal));
  if (digest !== undefined) session?.useCredentials?.(digest);
  session?.answer({ sdp: SDP, headers: { 'Session-Expires': '90;refresher=uac', Require: 'timer' } });
  expect(statusOf(await answer)).toBe(200);
  return signals;
}

function ended(signals: readonly SessionSignal[]): Promise<unknown> {
  return eventually(
    'the session is told',
    () => signals,
    (all) => all.some((signal) => signal.type === 'ended' && signal.by === 'server'),
    { cap: 5000 },
  );
}

const nothingIsLeft = (): Promise<void> =>
  eventuallyTrue('no dialog is left', () => server.size.dialogs === 0, { cap: 5000 });

describe('a call that the SIP server ends by itself, to a gateway that challenges the BYE', () => {
  const provedBye = (): Promise<void> =>
    eventuallyTrue('a BYE that is proved', () => gateway.accepted.includes('BYE'), { cap: 5000 });

  it('session timer, we have called', async () => {
    const signals = await called(new DigestClient(account));
    clock.advance(61_000);
    await provedBye();
    await ended(signals);
    const bye = gateway.peer.requests('BYE').at(-1) ?? '';
    expect(headerOf(bye, 'Reason')).toBe('SIP;cause=408;text="Session timer expired"');
    for (const request of gateway.peer.received) expect(request).not.toContain('X-Tandem');
    expect(gateway.wrong).toEqual([]);
    await nothingIsLeft();
  });

  it('session timer, it has called', async () => {
    const signals = await calling(new DigestClient(account), ['Supported: timer']);
    const [accepted = ''] = gateway.peer.received.filter((one) => statusOf(one) === 200);
    const ends = { from: headerOf(accepted, 'From') ?? '', to: headerOf(accepted, 'To') ?? '' };
    const to = gateway.peer.towards(server.points[0]?.port ?? 0);
    to.send(
      to.request({ method: 'ACK', uri: 'sip:1@127.0.0.1', ...ends, callId: headerOf(accepted, 'Call-ID') ?? '' }),
    );
    await new Promise((done) => setTimeout(done, 50));
    clock.advance(61_000);
    await provedBye();
    await ended(signals);
    expect(accepted).not.toContain('X-Tandem');
    await nothingIsLeft();
  });

  it('no ACK comes for our 200', async () => {
    const signals = await calling(new DigestClient(account));
    clock.advance(32_000);
    await provedBye();
    await ended(signals);
    await nothingIsLeft();
  });

  it('a call manager that does not send the BYE: the server does after two seconds', async () => {
    await called(new DigestClient(account));
    const told = jest.spyOn(ClientSession.prototype, 'receive').mockImplementation(() => undefined);
    clock.advance(61_000);
    await eventuallyTrue('it is told', () => told.mock.calls.length > 0);
    told.mockRestore();
    expect(gateway.peer.requests('BYE')).toEqual([]);
    clock.advance(2000);
    await eventually(
      'BYE',
      () => gateway.peer.requests('BYE'),
      (byes) => byes.length > 0,
    );
    await nothingIsLeft();
  });

  it('without an account its refusal of the BYE is the end: of ours at once, of one of the call manager after 32 s', async () => {
    gateway.demand();
    const own = await called(undefined);
    gateway.demand({ status: 407, realm: 'carrier' });
    clock.advance(61_000);
    await ended(own);
    await nothingIsLeft();

    gateway.demand();
    gateway.peer.received.length = 0;
    const headers = { From: '<sip:1000@localhost>', Contact: '<sip:1000@localhost>' };
    const session = agent.invite({ uri: `sip:1@127.0.0.1:${gateway.port}`, headers, sdp: SDP });
    const signals: SessionSignal[] = [];
    session.listen((signal) => signals.push(signal));
    await eventuallyTrue('it is answered', () => signals.some(({ type }) => type === 'answered'));
    gateway.demand({ status: 407, realm: 'carrier' });
    const before = gateway.challenges;
    session.bye();
    await eventuallyTrue('the BYE is challenged', () => gateway.challenges > before);
    await new Promise((done) => setTimeout(done, 100));
    expect(server.size.dialogs).toBe(1);
    clock.advance(32_000);
    await nothingIsLeft();
  });
});
