import type { Flow } from '../layers';
import { getHeader } from '../../sip-message/headers';
import type { SipRequest, SipResponse } from '../../sip-message/message';
import { parseNameAddr } from '../../sip-message/name-addr';
import { parseUri, type SipUri } from '../../sip-message/uri';

interface Entry {
  readonly flow: Flow;
  readonly connection: number;
  readonly expiresAt: number;
}

function keyOf(uri: SipUri): string {
  return `${uri.user ?? ''}@${uri.host.toLowerCase()}`;
}

/**
 * Contacts registered over a connection, by `user@host`: the only way to reach a client behind a NAT, or a browser
 * (RFC 5626, RFC 7118), is the connection that it opened.
 */
export class RegisteredContacts {
  private readonly entries = new Map<string, Entry>();

  /** A REGISTER or SUBSCRIBE that was accepted. `now` in ms. */
  learn(request: SipRequest, response: SipResponse, flow: Flow, now: number): void {
    const given = parseNameAddr(getHeader(request, 'Contact') ?? '');
    const uri = given === undefined ? undefined : parseUri(given.uri);
    if (uri === undefined) return;
    const key = keyOf(uri);
    const seconds = expiresOf(response);
    if (flow.connection === undefined || seconds <= 0) {
      this.entries.delete(key);
      return;
    }
    this.entries.set(key, { flow, connection: flow.connection, expiresAt: now + seconds * 1000 });
  }

  /** The flow on which this contact registered, whether it is still open or not. */
  find(uri: SipUri, now: number): { readonly flow: Flow; readonly connection: number } | undefined {
    const entry = this.entries.get(keyOf(uri));
    return entry === undefined || entry.expiresAt <= now ? undefined : entry;
  }

  sweep(now: number): void {
    for (const [key, entry] of this.entries) if (entry.expiresAt <= now) this.entries.delete(key);
  }
}

function expiresOf(response: SipResponse): number {
  const contact = parseNameAddr(getHeader(response, 'Contact') ?? '');
  const seconds = Number.parseInt(contact?.params.get('expires') ?? getHeader(response, 'Expires') ?? '0', 10);
  return Number.isFinite(seconds) ? seconds : 0;
}
