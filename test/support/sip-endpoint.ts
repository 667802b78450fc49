import { domain } from './cluster-config';
import { eventually } from './eventually';
import type { Scope } from './scope';
import { SipPeer } from './sip-peer';
import { bodyOf, headerOf, methodOf, randomToken, statusOf } from './sip-text';

export interface EndpointOptions {
  readonly username: string;
  readonly password: string;
  /** Its own address; default 127.0.0.1. */
  readonly address?: string;
  /** Its UDP port; left out: a free one. */
  readonly port?: number;
}

/** A node: its SIP port, when it is on the loopback address. */
export type SipPlace = number | { readonly address: string; readonly port: number };

/** A call that an endpoint has made. */
export interface EndpointCall {
  readonly status: number;
  /** The final response to the INVITE. */
  readonly response: string;
  readonly sdp: string;
}

/**
 * A phone or gateway of plain SIP over UDP, without media, that answers by itself: OPTIONS, INVITE and what comes in a dialog.
 * Many of them cost nothing, and what they are sent can be read word for word.
 */
export class SipEndpoint {
  /** How an INVITE is answered: 200 with a description, a refusal, or nothing at all (`silent`: to nothing). */
  behaviour: 'answers' | 'rings' | 'silent' | `${number} ${string}` = 'answers';
  private cseq = 1;
  private readonly registrationId = randomToken();

  private constructor(
    readonly peer: SipPeer,
    readonly options: EndpointOptions,
  ) {
    peer.onRequest = (request) => this.answer(request);
  }

  static async start(scope: Scope, options: EndpointOptions): Promise<SipEndpoint> {
    const { address = '127.0.0.1', port = 0 } = options;
    return new SipEndpoint(await SipPeer.udp(scope, address, 9, address, port), options);
  }

  get port(): number {
    return this.peer.port;
  }

  /** INVITEs of calls to it, each once. */
  get invites(): string[] {
    const first = this.peer.requests('INVITE').filter((invite) => !/;tag=/i.test(headerOf(invite, 'To') ?? ''));
    return [...new Map(first.map((invite) => [headerOf(invite, 'Call-ID'), invite])).values()];
  }

  /** Request URIs of the INVITEs. */
  get dialled(): string[] {
    return this.invites.map((invite) => invite.split(' ')[1] ?? '');
  }

  /** Ports that have asked by OPTIONS since `from`, an index of `peer.received`. */
  pollers(from = 0): Set<number | undefined> {
    const polls = this.peer.received.slice(from).filter((message) => methodOf(message) === 'OPTIONS');
    return new Set(polls.map((poll) => this.peer.sourceOf(poll)));
  }

  /** Registers with the node; the final answer. */
  async register(
    node: SipPlace,
    options: { expires?: number; user?: string; contact?: string; headers?: readonly string[] } = {},
  ): Promise<string> {
    const { expires = 120, user = this.options.username, contact, headers = [] } = options;
    const { peer } = this;
    const address = `<sip:${user}@${domain}>`;
    const request = {
      method: 'REGISTER',
      uri: `sip:${domain}`,
      from: address,
      to: address,
      callId: this.registrationId,
      cseq: (this.cseq += 2),
      headers: [`Expires: ${expires}`, ...headers],
      contact: contact ?? `<sip:${user}@${peer.address}:${peer.port}>`,
    };
    return this.towards(node).askWithDigest(request, this.options.username, this.options.password);
  }

  /** Calls a number through the node, and ends the call when it was answered. */
  async call(
    node: SipPlace,
    number: string,
    options: { from?: string; whileItLasts?: () => Promise<void> } = {},
  ): Promise<EndpointCall> {
    const { from = this.options.username } = options;
    const to = this.towards(node);
    const uri = `sip:${number}@${domain}`;
    const invite = {
      method: 'INVITE',
      uri,
      from: `<sip:${from}@${domain}>`,
      body: description(this.peer.address, this.port),
    };
    const response = await to.askWithDigest(invite, this.options.username, this.options.password);
    const status = statusOf(response);
    if (status < 300) {
      this.inDialog(to, response, 'ACK');
      await options.whileItLasts?.();
      await this.bye(to, response);
    }
    return { status, response, sdp: bodyOf(response) };
  }

  private towards(node: SipPlace): SipPeer {
    return typeof node === 'number' ? this.peer.towards(node) : this.peer.towards(node.port, node.address);
  }

  private async bye(to: SipPeer, response: string): Promise<void> {
    const callId = headerOf(response, 'Call-ID');
    this.inDialog(to, response, 'BYE');
    await eventually(
      'the BYE is answered',
      () => this.peer.received,
      (messages) =>
        messages.some(
          (message) =>
            statusOf(message) === 200 &&
            headerOf(message, 'Call-ID') === callId &&
            headerOf(message, 'CSeq')?.endsWith('BYE') === true,
        ),
    );
  }

  private inDialog(to: SipPeer, response: string, method: 'ACK' | 'BYE'): void {
    const target = /<([^>]+)>/.exec(headerOf(response, 'Contact') ?? '')?.[1] ?? '';
    const cseq = Number(headerOf(response, 'CSeq')?.split(' ')[0]) + (method === 'BYE' ? 1 : 0);
    to.send(
      to.request({
        method,
        uri: target,
        from: headerOf(response, 'From') ?? '',
        to: headerOf(response, 'To') ?? '',
        callId: headerOf(response, 'Call-ID') ?? '',
        cseq,
      }),
    );
  }

  private answer(request: string): void {
    const method = methodOf(request);
    if (this.behaviour === 'silent' || method === 'ACK') return;
    const inDialog = /;tag=/i.test(headerOf(request, 'To') ?? '');
    if (method !== 'INVITE' || inDialog || this.behaviour === 'answers') {
      const body = method === 'INVITE' ? { body: description(this.peer.address, this.port) } : {};
      this.peer.answer(request, '200 OK', { ...body, tag: `t${this.port}` });
    } else this.peer.answer(request, this.behaviour === 'rings' ? '180 Ringing' : this.behaviour);
  }
}

function description(address: string, port: number): string {
  return [
    'v=0',
    `o=endpoint ${port} 1 IN IP4 ${address}`,
    's=-',
    `c=IN IP4 ${address}`,
    't=0 0',
    `m=audio ${port + 1} RTP/AVP 0`,
    '',
  ].join('\r\n');
}
