import { createSocket, type Socket } from 'node:dgram';
import { domain } from '../support/cluster-config';
import { contactOf, identityOf, newBranch, newToken, requestText } from '../support/fleet/messages';
import type { Scope } from '../support/scope';
import { digestAnswer, headerOf, statusOf } from '../support/sip-text';
import { password } from './load';
import { monotonicMs } from './probe';

/** Also how soon an answer is noticed of who was not there yet. */
const RESEND_MS = 50;
const PATIENCE_MS = 5_000;

/** Registers users, and asks registrars about them, many at a time over one socket; what gets lost is sent again. */
export class Asker {
  private readonly open = new Map<string, (response: string) => void>();

  private constructor(private readonly socket: Socket) {
    socket.on('message', (message) => {
      const text = message.toString('utf8');
      const branch = /branch=([^;\s]+)/.exec(headerOf(text, 'Via') ?? '')?.[1] ?? '';
      this.open.get(branch)?.(text);
    });
  }

  static async start(scope: Scope): Promise<Asker> {
    const socket = createSocket('udp4');
    await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound));
    scope.defer(async () => new Promise<void>((closed) => socket.close(() => closed())));
    return new Asker(socket);
  }

  /** REGISTER, with digest when it is challenged; when the 200 came, on the machine's clock. */
  async register(port: number, user: string): Promise<number> {
    const callId = newToken();
    const uri = `sip:${domain}`;
    const contact = `Contact: <${contactOf({ dn: user, port: this.port })}>;expires=3600`;
    let headers = [contact];
    for (let cseq = 1; cseq <= 3; cseq++) {
      const { response, at } = await this.ask(port, { method: 'REGISTER', uri, user, callId, cseq, headers });
      if (statusOf(response) === 200) return at;
      const challenge = headerOf(response, 'WWW-Authenticate');
      if (challenge === undefined) throw new Error(`REGISTER of ${user}: ${response.slice(0, 60)}`);
      headers = [contact, `Authorization: ${digestAnswer(challenge, 'REGISTER', uri, user, password)}`];
    }
    throw new Error(`REGISTER of ${user} is challenged for ever`);
  }

  /** Whether the user is registered there, when it was asked, and how long the answer took, ms. */
  async knows(port: number, user: string): Promise<{ readonly known: boolean; readonly asked: number; took: number }> {
    const asked = monotonicMs();
    const uri = `sip:${user}@${domain}`;
    const { response, at } = await this.ask(port, { method: 'OPTIONS', uri, user, callId: newToken(), cseq: 1 });
    return { known: statusOf(response) === 200, asked, took: at - asked };
  }

  /** How many users are registered there. */
  async count(port: number): Promise<number> {
    const uri = `sip:127.0.0.1:${port}`;
    const { response } = await this.ask(port, { method: 'OPTIONS', uri, user: 'bench', callId: newToken(), cseq: 1 });
    return Number(/^SIP\/2\.0 200 (\d+)/.exec(response)?.[1]);
  }

  private get port(): number {
    return this.socket.address().port;
  }

  private ask(
    port: number,
    request: { method: string; uri: string; user: string; callId: string; cseq: number; headers?: readonly string[] },
  ): Promise<{ readonly response: string; readonly at: number }> {
    const { user, ...parts } = request;
    const branch = newBranch();
    const [from, to] = [`${identityOf(user)};tag=${newToken()}`, identityOf(user)];
    const text = requestText({ dn: user, port: this.port }, { ...parts, branch, from, to });
    return new Promise((resolve, reject) => {
      const began = monotonicMs();
      const send = () => {
        if (monotonicMs() - began > PATIENCE_MS) done(() => reject(new Error(`no answer to ${parts.method}`)));
        else this.socket.send(text, port, '127.0.0.1');
      };
      const resend = setInterval(send, RESEND_MS);
      const done = (settle: () => void) => {
        clearInterval(resend);
        this.open.delete(branch);
        settle();
      };
      this.open.set(branch, (response) => {
        const at = monotonicMs();
        if (statusOf(response) >= 200) done(() => resolve({ response, at }));
      });
      send();
    });
  }
}
