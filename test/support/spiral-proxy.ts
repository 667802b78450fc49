import type { Scope } from './scope';
import { SipPeer } from './sip-peer';
import { headerOf, methodOf, statusOf } from './sip-text';

/** Of its Vias. */
const BRANCH = 'z9hG4bKspiral';

/**
 * A proxy in the place of a gateway: it sends each call of a node back to that node, to another number, with Call-ID and From as they
 * are (RFC 3261 section 16.6), and stays in the way of all that follows in the call.
 */
export class SpiralProxy {
  private constructor(
    private readonly peer: SipPeer,
    private readonly number: string,
    private readonly node: number,
  ) {
    peer.onRequest = (request) => this.take(request);
  }

  /** On this port; `node`: the SIP port of the node. */
  static async start(scope: Scope, port: number, node: number, number: string): Promise<SpiralProxy> {
    const peer = await SipPeer.udp(scope, '127.0.0.1', node, '127.0.0.1', port);
    const proxy = new SpiralProxy(peer, number, node);
    let seen = 0;
    const timer = setInterval(() => {
      for (const message of peer.received.slice(seen)) if (statusOf(message) > 100) proxy.sendOn(message);
      seen = peer.received.length;
    }, 2);
    scope.defer(() => clearInterval(timer));
    return proxy;
  }

  private take(request: string): void {
    if (methodOf(request) === 'OPTIONS') return this.peer.answer(request, '200 OK');
    const branch = /branch=([^;\s]+)/.exec(request)?.[1] ?? '';
    const via = `Via: SIP/2.0/UDP 127.0.0.1:${this.peer.port};branch=${BRANCH}${branch}`;
    const isFirst = methodOf(request) === 'INVITE' && !/;tag=/i.test(headerOf(request, 'To') ?? '');
    const own = isFirst ? `${via}\r\nRecord-Route: <sip:127.0.0.1:${this.peer.port};lr>` : via;
    const forwarded = request.replace('\r\n', `\r\n${own}\r\n`).replace(/^Route: .*\r\n/im, '');
    const target = `INVITE sip:${this.number}@127.0.0.1:${this.node}`;
    this.peer.send(isFirst ? forwarded.replace(/^INVITE \S+/, target) : forwarded);
  }

  private sendOn(response: string): void {
    this.peer.send(response.replace(new RegExp(`^Via: .*${BRANCH}.*\r\n`, 'im'), ''));
  }
}
