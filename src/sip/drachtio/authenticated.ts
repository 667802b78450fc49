import { isIP } from 'node:net';
import { parseUri } from '../../sip-message/uri';
import { type Attempts, type Authorized, type DigestClient, FIRST_ATTEMPT } from '../digest-client';
import { headerReader } from './messages';
import type { SrfAck, SrfApplication, SrfRequest, SrfRequestOptions, SrfResponse } from './srf';

/** What becomes of a request of ours. */
export interface Sending {
  /** The SIP server has it; called again for each repetition with credentials. */
  sent?(request: SrfRequest): void;
  /** The SIP server refuses it. */
  failed(error: unknown): void;
  /** Every response but a challenge that is answered. `ack` repeats the credentials of the request. */
  response(response: SrfResponse, ack: SrfAck): void;
  /** Asked before a challenge is answered; false: nobody wants the request any more, and the challenge is its response. */
  isWanted?(): boolean;
}

export interface Authentication {
  /** Undefined: challenges are responses like any other. */
  readonly digest?: DigestClient | undefined;
  /** In a dialog: the request URI that the SIP server writes, where it is known. */
  readonly knownUri?: string | undefined;
}

/**
 * Sends a request, and sends it again with credentials when it is challenged (RFC 3261 §22.2, §22.3): same Call-ID, tags and
 * body, a higher CSeq. Throws when the SIP server cannot be reached at the first sending; later that is `failed`.
 */
export function sendAuthenticated(
  application: SrfApplication,
  options: SrfRequestOptions,
  { digest, knownUri }: Authentication,
  sending: Sending,
): void {
  const challenged = (sent: SrfRequest, authorized: Authorized, response: SrfResponse): boolean => {
    if (digest === undefined || (response.status !== 401 && response.status !== 407)) return false;
    if (sending.isWanted?.() === false) return false;
    const next = digest.challenged(authorized.attempts, headerReader(response));
    if (next === undefined) return false;
    try {
      send(next, sent.uri, again(options, sent, response));
    } catch (error) {
      sending.failed(error);
    }
    return true;
  };

  const send = (attempts: Attempts, uri: string | undefined, more: Partial<SrfRequestOptions>): void => {
    const { method, body = '' } = options;
    const authorized =
      digest === undefined || uri === undefined ? NOTHING : digest.authorize(attempts, { method, uri, body });
    const credentials = headerLines(authorized);
    const headers = { ...options.headers, ...more.headers, ...credentials };
    application.app.request({ ...options, ...more, headers }, (error, sent) => {
      if (sent === undefined) return sending.failed(error);
      sending.sent?.(sent);
      sent.on('response', (response, ack) => {
        if (challenged(sent, authorized, response)) return;
        // RFC 3261 §22.1: what was accepted in the INVITE must be accepted in its ACK.
        sending.response(response, (given) => ack({ ...given, headers: { ...given?.headers, ...credentials } }));
      });
    });
  };

  send(FIRST_ATTEMPT, options.uri ?? knownUri, {});
}

const NOTHING: Authorized = { attempts: FIRST_ATTEMPT, headers: [] };

/** Several of one name are several lines (RFC 3261 §7.3.1); drachtio-srf writes what it is given. */
function headerLines({ headers }: Authorized): Record<string, string> {
  const lines: Record<string, string> = {};
  for (const [name, value] of headers) {
    const before = lines[name];
    lines[name] = before === undefined ? value : `${before}\r\n${name}: ${value}`;
  }
  return lines;
}

/** What makes a repetition the same request; in a dialog the SIP server knows all of it. */
function again(options: SrfRequestOptions, sent: SrfRequest, response: SrfResponse): Partial<SrfRequestOptions> {
  if (options.stackDialogId !== undefined) return {};
  const sequence = Number.parseInt(sent.get('CSeq') ?? '0', 10) + 1;
  const challenger = challengerOf(options, response);
  return {
    headers: {
      'Call-ID': sent.get('Call-ID') ?? '',
      From: sent.get('From') ?? '',
      CSeq: `${sequence} ${options.method}`,
    },
    ...(challenger === undefined ? {} : { proxy: challenger }),
  };
}

/** A name may lead to another server the next time, which knows nothing of the nonce. Over TLS the name must stand. */
function challengerOf(options: SrfRequestOptions, response: SrfResponse): string | undefined {
  const target = parseUri(options.proxy ?? options.uri ?? '');
  const { source_address: address, source_port: port } = response;
  if (target === undefined || target.scheme === 'tel' || isIP(target.host.replace(/[[\]]/g, '')) !== 0)
    return undefined;
  const transport = target.params.get('transport')?.toLowerCase();
  if (target.scheme === 'sips' || transport === 'tls' || transport === 'wss' || isIP(address) === 0) return undefined;
  const host = address.includes(':') ? `[${address}]` : address;
  return `sip:${host}:${port}${transport === undefined ? '' : `;transport=${transport}`}`;
}
