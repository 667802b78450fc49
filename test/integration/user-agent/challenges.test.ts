import { systemClock } from '../../../src/process/clock';
import { DigestClient } from '../../../src/sip/digest-client';
import { DrachtioUserAgent } from '../../../src/sip/drachtio';
import type { IncomingInvite, Session, SessionSignal } from '../../../src/sip/user-agent';
import { silentLogger } from '../../../src/telemetry/logger';
import { ChallengingGateway, type Challenge } from '../../support/challenging-gateway';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { startSipServer } from '../../support/sip-server';
import { headerOf, methodOf } from '../../support/sip-text';

const SDP = 'v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
const account = { username: 'trunk', password: 'se"cret' };
const headers = { From: '<sip:1000@localhost>', Contact: '<sip:1000@localhost>' };

/** One challenge for each request, or several one after the other. */
const DEMANDS: [string, readonly Challenge[]][] = [
  ['407, MD5, qop=auth', [{ status: 407, realm: 'carrier', algorithm: 'MD5', qop: 'auth' }]],
  ['401, RFC 2617 without algorithm and qop', [{ status: 401, realm: 'carrier' }]],
  [
    '401, SHA-256, auth-int,auth, comma and quotes in the realm',
    [{ status: 401, realm: 'A "b", c', algorithm: 'SHA-256', qop: 'auth-int,auth' }],
  ],
  [
    '407, SHA-512-256-sess, auth-int only',
    [{ status: 407, realm: 'x', algorithm: 'SHA-512-256-sess', qop: 'auth-int' }],
  ],
  ['407, MD5-sess', [{ status: 407, realm: 'x', algorithm: 'MD5-sess', qop: 'auth' }]],
  ['a nonce that has expired', [{ status: 407, realm: 'x', qop: 'auth', expires: true }]],
  [
    '407 of a proxy, then 401',
    [
      { status: 407, realm: 'p', qop: 'auth' },
      { status: 401, realm: 'u', algorithm: 'SHA-256', qop: 'auth' },
    ],
  ],
  [
    '407 of two proxies',
    [
      { status: 407, realm: 'p', qop: 'auth' },
      { status: 407, realm: 'q' },
    ],
  ],
];

/** Signals of a session. */
class Heard {
  readonly signals: SessionSignal[] = [];

  constructor(readonly session: Session) {
    session.listen((signal) => this.signals.push(signal));
  }

  async next<Type extends SessionSignal['type']>(type: Type): Promise<Extract<SessionSignal, { type: Type }>> {
    const isWanted = (signal: SessionSignal): signal is Extract<SessionSignal, { type: Type }> => signal.type === type;
    await eventually(
      `signal ${type}`,
      () => this.signals,
      (all) => all.some(isWanted),
      { cap: 5000 },
    );
    const found = this.signals.find(isWanted);
    if (found === undefined) throw new Error(type);
    this.signals.splice(this.signals.indexOf(found), 1);
    return found;
  }
}

describe('a gateway that challenges every request', () => {
  const scope = new Scope();
  const invites: IncomingInvite[] = [];
  let agent: DrachtioUserAgent;
  let gateway: ChallengingGateway;
  let sipPort: number;

  beforeAll(async () => {
    const server = await startSipServer(scope);
    sipPort = server.sipPort;
    agent = new DrachtioUserAgent({
      server: () => Promise.resolve(server),
      namesFlows: false,
      clock: systemClock,
      log: silentLogger,
    });
    scope.defer(() => {
      agent.stop();
    });
    const nothing = (): void => undefined;
    await agent.start({ invited: (invite) => invites.push(invite), requested: nothing, serverChanged: nothing }, 5000);
    gateway = await ChallengingGateway.start(scope, account, []);
  });
  afterAll(() => scope.close());
  beforeEach(() => {
    gateway.accepted.length = 0;
    gateway.wrong.length = 0;
    gateway.challenges = 0;
    gateway.onProved = (request) => {
      const body = methodOf(request) === 'INVITE' ? { body: SDP } : {};
      gateway.peer.answer(request, '200 OK', body);
    };
  });

  const uri = (): string => `sip:5551234@127.0.0.1:${gateway.port}`;

  function call(digest: DigestClient | undefined = new DigestClient(account)): Heard {
    return new Heard(agent.invite({ uri: uri(), headers, sdp: SDP, digest }));
  }

  /** Every request of a call, each answered with 200 in the end. */
  async function everyRequest(leg: Heard): Promise<void> {
    leg.session.reinvite('r1', { sdp: SDP });
    expect(await leg.next('reinvite-answered')).toMatchObject({ id: 'r1' });
    for (const method of ['INFO', 'UPDATE', 'MESSAGE']) {
      const body = method === 'UPDATE' ? SDP : 'Signal=5';
      const contentType = method === 'UPDATE' ? 'application/sdp' : 'application/dtmf-relay';
      leg.session.request(method, { method, body, contentType });
      expect(await leg.next('request-answered')).toMatchObject({ id: method, status: 200 });
    }
    leg.session.reinvite('r2', { sdp: SDP });
    expect(await leg.next('reinvite-answered')).toMatchObject({ id: 'r2' });
    leg.session.bye();
    await eventuallyTrue('a BYE that is proved', () => gateway.accepted.includes('BYE'), { cap: 2000 });
  }

  const REQUESTS = ['INVITE', 'INFO', 'UPDATE', 'MESSAGE', 'INVITE', 'BYE'];

  test.each(DEMANDS)('%s: each request of a call to it is proved', async (_what, demands) => {
    gateway.demand(...demands);
    const leg = call();
    expect(await leg.next('answered')).toMatchObject({ sdp: SDP });
    await everyRequest(leg);
    expect(gateway.wrong).toEqual([]);
    expect(gateway.accepted).toEqual(['INVITE', ...REQUESTS]);
    expect(leg.signals).toEqual([]);
    // RFC 3261 §22.1: its ACK has what the INVITE had.
    const callId = leg.session.callId;
    const own = (method: string) =>
      gateway.peer.requests(method).filter((text) => headerOf(text, 'Call-ID') === callId);
    const proofs = (text: string): string[] =>
      text.split('\r\n').filter((line) => /^(proxy-)?authorization:/i.test(line));
    const invite = own('INVITE')
      .filter((text) => !/^To:.*;tag=/im.test(text))
      .at(-1);
    const ack = own('ACK').find(
      (text) =>
        Number.parseInt(headerOf(text, 'CSeq') ?? '', 10) === Number.parseInt(headerOf(invite ?? '', 'CSeq') ?? '', 10),
    );
    expect(proofs(invite ?? '')).toHaveLength(demands.length);
    expect(ack === undefined ? undefined : proofs(ack)).toEqual(proofs(invite ?? ''));
    for (const text of own('CANCEL')) expect(proofs(text)).toEqual([]);
  });

  test.each(DEMANDS)('%s: each request of ours in a call that it made', async (_what, demands) => {
    gateway.demand(...demands);
    const peer = gateway.peer.towards(sipPort);
    const from = `<sip:out@127.0.0.1:${gateway.port}>;tag=gw`;
    const asked = peer.ask({ method: 'INVITE', uri: `sip:1000@127.0.0.1:${sipPort}`, from, body: SDP }, 5000);
    await eventuallyTrue('the INVITE', () => invites.length > 0);
    const invite = invites.shift();
    if (invite === undefined) throw new Error('no INVITE');
    const leg = new Heard(invite.session);
    invite.session.useCredentials?.(new DigestClient(account));
    invite.session.progress(180);
    const ringing = await peer.message('180', (text) => text.startsWith('SIP/2.0 180'), 3000);
    expect(headerOf(ringing, 'Contact')).toMatch(new RegExp(`^<sip:.*127.0.0.1:${sipPort}>$`));
    invite.session.answer({ sdp: SDP });
    const response = await asked;
    const to = headerOf(response, 'To') ?? '';
    const target = /<([^>]+)>/.exec(headerOf(response, 'Contact') ?? '')?.[1] ?? '';
    const callId = headerOf(response, 'Call-ID') ?? '';
    peer.send(peer.request({ method: 'ACK', uri: target, from, to, callId }));
    await leg.next('acknowledged');
    await everyRequest(leg);
    expect(gateway.wrong).toEqual([]);
    expect(gateway.accepted).toEqual(REQUESTS);
  });

  test('polls are proved', async () => {
    gateway.demand({ status: 401, realm: 'carrier', qop: 'auth' });
    const digest = new DigestClient(account);
    const poll = () => agent.request({ method: 'OPTIONS', uri: uri(), headers, digest, deadlineMs: 3000 });
    expect(await poll()).toMatchObject({ status: 200 });
    expect(await poll()).toMatchObject({ status: 200 });
    expect(gateway.wrong).toEqual([]);
  });

  test('PRACK is proved', async () => {
    gateway.demand({ status: 407, realm: 'carrier', qop: 'auth' });
    let invite: string | undefined;
    gateway.onProved = (request) => {
      if (methodOf(request) !== 'INVITE') return gateway.peer.answer(request, '200 OK');
      invite = request;
      gateway.peer.answer(request, '183 Session Progress', { headers: ['Require: 100rel', 'RSeq: 7'], body: SDP });
    };
    const leg = call();
    await leg.next('provisional');
    await eventuallyTrue('a PRACK that is proved', () => gateway.accepted.includes('PRACK'), { cap: 3000 });
    const prack = gateway.peer.requests('PRACK').at(-1) ?? '';
    expect(headerOf(prack, 'RAck')).toBe(`7 ${headerOf(invite ?? '', 'CSeq') ?? ''}`);
    gateway.peer.answer(invite ?? '', '200 OK', { body: SDP });
    await leg.next('answered');
    leg.session.bye();
    await eventuallyTrue('the BYE', () => gateway.accepted.includes('BYE'), { cap: 2000 });
    expect(gateway.wrong).toEqual([]);
  });

  test('wrong credentials: one answer for each request, and the refusal stands', async () => {
    gateway.demand({ status: 407, realm: 'carrier', qop: 'auth' });
    const refused: string[] = [];
    const leg = call(new DigestClient({ ...account, password: 'other' }, { onRefused: (why) => refused.push(why) }));
    expect(await leg.next('rejected')).toMatchObject({ status: 407 });
    expect(gateway.challenges).toBe(2);
    expect(refused).toHaveLength(1);
  });

  test.each([
    ['without an account', undefined],
    ['for another realm', new DigestClient({ ...account, realms: ['acme.example'] })],
  ])('%s nothing is proved', async (_what, digest) => {
    gateway.demand({ status: 407, realm: 'carrier', qop: 'auth' });
    const leg = new Heard(agent.invite({ uri: uri(), headers, sdp: SDP, ...(digest === undefined ? {} : { digest }) }));
    expect(await leg.next('rejected')).toMatchObject({ status: 407 });
    expect(gateway.challenges).toBe(1);
    expect(gateway.peer.received.at(-1)).not.toMatch(/authorization:/i);
  });

  test('a CANCEL that crosses the challenge ends the call', async () => {
    gateway.demand({ status: 407, realm: 'carrier', qop: 'auth' });
    gateway.onProved = (request) => gateway.peer.answer(request, '180 Ringing');
    for (const when of ['at once', 'while it rings'] as const) {
      const leg = call();
      if (when === 'while it rings') await leg.next('provisional');
      leg.session.cancel();
      const seen = gateway.peer.requests('CANCEL').length;
      await eventuallyTrue(
        'a CANCEL, or nothing to cancel',
        () => gateway.peer.requests('CANCEL').length > seen || leg.signals.some((signal) => signal.type === 'rejected'),
        { cap: 3000 },
      );
      const invite = gateway.peer.requests('INVITE').at(-1) ?? '';
      if (/authorization:/i.test(invite)) gateway.peer.answer(invite, '487 Request Terminated');
      expect(await leg.next('rejected')).toMatchObject({ status: 487 });
    }
  });
});
