import type { HeaderField, SipResponse } from '../../sip-message/message';
import { getHeader, getHeaders, rawHeaders } from '../../sip-message/headers';
import { createResponse, reasonPhrase } from '../../sip-message/response';
import { valueOf, type ApplicationResponseText } from '../control/application-text';
import { sessionAsServer, type SessionInterval } from '../dialog/session-timer';
import { ownContact, replaceLocalhost } from './addresses';
import { isSdp } from './context';
import type { Incoming } from './incoming';
import { FLOW_HEADER } from './named-flows';
import { BYE_HEADER } from './outgoing-request';

/** Headers of a response that come from the request, never from the application; and what is for the server itself. */
const NOT_FROM_APPLICATION = new Set(['From', 'To', 'Call-ID', 'CSeq', FLOW_HEADER, BYE_HEADER]);
/** Methods whose accepted requests make or refresh a target. */
const WITH_CONTACT_IN_DIALOG = new Set(['INVITE', 'SUBSCRIBE']);

/** The tag an application puts on To in its first response. */
export function chosenTag(text: ApplicationResponseText): string | undefined {
  const match = /;\s*tag=([^\s;>]+)/.exec(valueOf(text.headers, 'To') ?? '');
  return match?.[1];
}

/** Whether the application wants the dialog to keep to the flow of its INVITE. */
export function keepsToFlow(text: ApplicationResponseText): boolean {
  return valueOf(text.headers, FLOW_HEADER) !== undefined;
}

/** Whether the application will end the dialog itself. */
export function byeByApplication(text: ApplicationResponseText): boolean {
  return valueOf(text.headers, BYE_HEADER) !== undefined;
}

/** Whether the caller can do reliable provisional responses (RFC 3262). */
export function offers100rel(incoming: Incoming): boolean {
  const { request } = incoming.transaction;
  return [...getHeaders(request, 'Supported'), ...getHeaders(request, 'Require')].some(
    (option) => option.trim().toLowerCase() === '100rel',
  );
}

export function requires100rel(text: ApplicationResponseText): boolean {
  return text.headers.some((field) => field.name === 'Require' && /(^|[,\s])100rel($|[,\s])/i.test(field.value));
}

/** The response as it goes on the wire, and the session timer that it agrees to. */
export interface BuiltResponse {
  readonly response: SipResponse;
  readonly session: SessionInterval | undefined;
}

/** From the application's text and the request (RFC 3261 section 8.2.6); what the server owns is not taken from the text. */
export function buildResponse(
  incoming: Incoming,
  text: ApplicationResponseText,
  options: { readonly contact: boolean; readonly reliableSequence?: number },
): BuiltResponse {
  const { request, flow } = incoming.transaction;
  const { method } = incoming.head;
  const reason = text.reason === '' ? reasonPhrase(text.status) : text.reason;
  const response = createResponse(request, text.status, { reason, toTag: incoming.localTag });
  const makesDialog = (method === 'INVITE' || method === 'SUBSCRIBE') && text.status > 100 && text.status < 300;
  // The route of the dialog is what the request recorded (RFC 3261 section 12.1.1).
  if (makesDialog)
    for (const value of rawHeaders(request, 'Record-Route')) response.headers.push({ name: 'Record-Route', value });
  const given = text.headers
    .filter((field) => !NOT_FROM_APPLICATION.has(field.name))
    .map((field) => replaceLocalhost(field, flow.local) ?? field);
  if (options.contact && valueOf(given, 'Contact') === undefined) {
    response.headers.push({
      name: 'Contact',
      value: incoming.dialog?.state.localContact ?? ownContact(flow.local, request.uri),
    });
  }
  response.headers.push(...given);
  if (options.reliableSequence !== undefined)
    response.headers.push({ name: 'RSeq', value: String(options.reliableSequence) });
  addContentType(response.headers, text.body);
  response.body = text.body;
  const accepted = text.status >= 200 && text.status < 300 && (method === 'INVITE' || method === 'UPDATE');
  return { response, session: accepted ? addSession(incoming, response) : undefined };
}

function addContentType(headers: HeaderField[], body: Buffer): void {
  if (body.length > 0 && isSdp(body) && valueOf(headers, 'Content-Type') === undefined) {
    headers.push({ name: 'Content-Type', value: 'application/sdp' });
  }
}

function addSession(incoming: Incoming, response: SipResponse): SessionInterval | undefined {
  const requested = getHeader(incoming.transaction.request, 'Session-Expires');
  const session = sessionAsServer(requested, getHeader(response, 'Session-Expires'));
  if (session.add !== undefined) {
    response.headers.push({ name: 'Session-Expires', value: session.add });
    // RFC 4028 section 9: the caller that shall refresh must know that it shall.
    if (session.add.endsWith('uac') && getHeader(response, 'Require') === undefined) {
      response.headers.push({ name: 'Require', value: 'timer' });
    }
  }
  return session.interval;
}

/** Whether the server puts its Contact into a response with this status. */
export function needsContact(incoming: Incoming, status: number, reliable: boolean): boolean {
  const { method, toTag } = incoming.head;
  const success = status >= 200 && status < 300;
  if (reliable) return true;
  if (toTag !== '' && WITH_CONTACT_IN_DIALOG.has(method)) return status > 100;
  // RFC 3261 section 12.1.1: a provisional response with a tag makes a dialog. sip.js drops one that names no target.
  if (method === 'INVITE' && status > 100 && status < 200) return true;
  return success && (method === 'INVITE' || method === 'SUBSCRIBE' || method === 'UPDATE');
}
