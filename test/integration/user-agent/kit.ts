import { systemClock } from '../../../src/process/clock';
import { DrachtioUserAgent } from '../../../src/sip/drachtio';
import type {
  IncomingInvite,
  ListenAddress,
  Session,
  SessionSignal,
  ServerTransaction,
} from '../../../src/sip/user-agent';
import { silentLogger } from '../../../src/telemetry/logger';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { type SipServerPlace, startSipServer } from '../../support/sip-server';

export const OFFER =
  'v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
export const ANSWER = OFFER.replace('o=a', 'o=b').replace('4000', '4002');

/** What a session has told, and the session. */
export class Heard {
  readonly signals: SessionSignal[] = [];

  constructor(readonly session: Session) {
    session.listen((signal) => this.signals.push(signal));
  }

  /** The first signal of a type, when it has come. */
  async next<Type extends SessionSignal['type']>(type: Type): Promise<Extract<SessionSignal, { type: Type }>> {
    const isWanted = (signal: SessionSignal): signal is Extract<SessionSignal, { type: Type }> => signal.type === type;
    const all = await eventually(
      `signal ${type}`,
      () => this.signals.map((signal) => signal.type),
      (types) => types.includes(type),
    );
    const found = this.signals.find(isWanted);
    if (found === undefined) throw new Error(`no ${type} among ${all.join()}`);
    this.signals.splice(this.signals.indexOf(found), 1);
    return found;
  }
}

/** A SIP server and a user agent on it. */
export class End {
  readonly invites: IncomingInvite[] = [];
  readonly transactions: ServerTransaction[] = [];
  readonly listens: (readonly ListenAddress[])[] = [];
  readonly agent: DrachtioUserAgent;
  private life = new Scope();
  private place: SipServerPlace | undefined;

  /** `number`: its server's, where running ones are named. */
  private constructor(private readonly number: number) {
    const server = (): Promise<SipServerPlace> =>
      this.place === undefined ? Promise.reject(new Error('not running')) : Promise.resolve(this.place);
    this.agent = new DrachtioUserAgent({ server, namesFlows: false, clock: systemClock, log: silentLogger });
  }

  static async start(number = 1): Promise<End> {
    const end = new End(number);
    await end.startServer();
    await end.agent.start(
      {
        invited: (invite) => end.invites.push(invite),
        requested: (transaction) => end.transactions.push(transaction),
        serverChanged: (listen) => end.listens.push(listen),
      },
      5000,
    );
    return end;
  }

  /** Where its server takes SIP; another port after each start. */
  get sipPort(): number {
    if (this.place === undefined) throw new Error('its server does not run');
    return this.place.sipPort;
  }

  async startServer(): Promise<void> {
    this.life = new Scope();
    this.place = await startSipServer(this.life, this.number);
  }

  async stopServer(): Promise<void> {
    this.place = undefined;
    await this.life.close();
  }

  async invited(): Promise<{ invite: IncomingInvite; heard: Heard }> {
    await eventuallyTrue('an INVITE', () => this.invites.length > 0);
    const invite = this.invites.shift();
    if (invite === undefined) throw new Error('no INVITE');
    return { invite, heard: new Heard(invite.session) };
  }

  async stop(): Promise<void> {
    this.agent.stop();
    await this.stopServer();
  }
}
