import type { HeaderField, SipRequest } from '../../sip-message/message';
import { parseNameAddr, formatNameAddr } from '../../sip-message/name-addr';
import { valueOf, type ApplicationRequestText } from '../control/application-text';
import { nok } from '../control/tokens';
import { dialogHeaders, type DialogState } from '../dialog/dialog';
import type { ListenPoint } from '../layers';
import { ownContact, replaceLocalhost, rewriteContact } from './addresses';
import { isSdp, newTag } from './context';

/** Methods an application may send. */
export const REQUEST_METHODS: ReadonlySet<string> = new Set([
  'INVITE',
  'BYE',
  'OPTIONS',
  'REGISTER',
  'PRACK',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'INFO',
  'REFER',
  'MESSAGE',
  'UPDATE',
]);

export type Built = { readonly request: SipRequest } | { readonly nok: string };

/**
 * In an application's INVITE, or its 2xx to one: the server tells the application when the dialog is to be ended, and leaves the BYE
 * to it, for a peer that wants credentials. Never on the wire.
 */
export const BYE_HEADER = 'X-Tandem-Bye';
const ORDERED_SET = new Set(['Max-Forwards', 'From', 'To', 'Call-ID', 'CSeq', 'Contact', BYE_HEADER]);

/** Body and its type: SDP is recognised, anything else has to say what it is. False: it does not. */
function addBodyHeaders(headers: HeaderField[], body: Buffer): boolean {
  if (body.length === 0 || valueOf(headers, 'Content-Type') !== undefined) return true;
  if (!isSdp(body)) return false;
  headers.push({ name: 'Content-Type', value: 'application/sdp' });
  return true;
}

/** A request outside dialogs from what the application gave, with defaults for the rest. Via is not in it. */
export function buildRequest(
  text: ApplicationRequestText,
  point: ListenPoint,
  fresh: { readonly callId: () => string; readonly sequence: () => number },
): Built {
  const given: HeaderField[] = [];
  for (const field of text.headers) {
    const replaced = replaceLocalhost(field, point);
    if (replaced === undefined && field.name === 'From') return { nok: nok.invalidFrom(field.value) };
    given.push(replaced ?? field);
  }
  const from = valueOf(given, 'From') ?? ownContact(point);
  const makesDialog = text.method === 'INVITE' || text.method === 'SUBSCRIBE';
  const contact = valueOf(given, 'Contact') ?? (makesDialog ? ownContact(point, text.uri) : undefined);
  const tagged = taggedFrom(from);
  if (tagged === undefined) return { nok: nok.invalidFrom(from) };
  const headers: HeaderField[] = [
    { name: 'Max-Forwards', value: valueOf(given, 'Max-Forwards') ?? '70' },
    { name: 'From', value: tagged },
    { name: 'To', value: addressed(valueOf(given, 'To')) ?? `<${text.uri}>` },
    { name: 'Call-ID', value: valueOf(given, 'Call-ID') ?? fresh.callId() },
    { name: 'CSeq', value: sequenceOf(given, text.method) ?? `${fresh.sequence()} ${text.method}` },
  ];
  if (contact !== undefined) {
    headers.push({ name: 'Contact', value: text.method === 'REGISTER' ? contact : rewriteContact(contact, point) });
  }
  headers.push(...given.filter((field) => !ORDERED_SET.has(field.name)));
  if (!addBodyHeaders(headers, text.body)) return { nok: nok.missingContentType };
  return { request: { kind: 'request', method: text.method, uri: text.uri, headers, body: text.body } };
}

/** The number is the application's (a digest retry counts on); the method is that of the request. */
function sequenceOf(headers: readonly HeaderField[], method: string): string | undefined {
  const number = /^\s*(\d{1,10})\b/.exec(valueOf(headers, 'CSeq') ?? '')?.[1];
  return number === undefined || Number(number) >= 2 ** 31 ? undefined : `${Number(number)} ${method}`;
}

function taggedFrom(value: string): string | undefined {
  const address = parseNameAddr(value);
  if (address === undefined || address.uri === '*') return undefined;
  if (!address.params.has('tag')) address.params.set('tag', newTag());
  return formatNameAddr(address);
}

/** With angle brackets, so that URI parameters stay apart from a tag. */
function addressed(value: string | undefined): string | undefined {
  if (value === undefined || value.includes('<')) return value;
  const address = parseNameAddr(value);
  return address === undefined ? value : formatNameAddr(address);
}

const CONTACT_IN_DIALOG = new Set(['INVITE', 'SUBSCRIBE', 'REFER', 'UPDATE']);
const OWNED_BY_DIALOG = new Set(['Max-Forwards', 'From', 'To', 'Call-ID', 'CSeq']);

/** A request inside a dialog: URI, route, To, Call-ID and CSeq are the dialog's. Via is not in it. */
export function buildInDialog(
  state: DialogState,
  text: Pick<ApplicationRequestText, 'method' | 'headers' | 'body'>,
  sequence: number,
  point: ListenPoint,
): Built {
  const { uri, headers } = dialogHeaders(state, text.method, sequence, valueOf(text.headers, 'Max-Forwards'));
  const from = partyOf(valueOf(text.headers, 'From'), state.localTag);
  const fromIndex = headers.findIndex((field) => field.name === 'From');
  if (from !== undefined) headers[fromIndex] = { name: 'From', value: from };
  if (CONTACT_IN_DIALOG.has(text.method) && valueOf(text.headers, 'Contact') === undefined) {
    headers.push({ name: 'Contact', value: state.localContact });
  }
  for (const field of text.headers) {
    if (OWNED_BY_DIALOG.has(field.name)) continue;
    const replaced = replaceLocalhost(field, point) ?? field;
    if (field.name !== 'Contact') headers.push(replaced);
    else headers.push({ name: 'Contact', value: rewriteContact(replaced.value, point) });
  }
  if (!addBodyHeaders(headers, text.body)) return { nok: nok.missingContentTypeInDialog };
  return { request: { kind: 'request', method: text.method, uri, headers, body: text.body } };
}

/** The application may change what From shows, not its tag. */
function partyOf(value: string | undefined, tag: string): string | undefined {
  if (value === undefined || value.includes('localhost')) return undefined;
  const address = parseNameAddr(value);
  if (address === undefined || address.uri === '*') return undefined;
  address.params.set('tag', tag);
  return formatNameAddr(address);
}

/** ACK for a 2xx: CSeq number and credentials are those of the INVITE (RFC 3261 section 13.2.2.4). */
export function buildAck(
  state: DialogState,
  invite: SipRequest,
  sequence: number,
  text: ApplicationRequestText | undefined,
): Built {
  const { uri, headers } = dialogHeaders(state, 'ACK', sequence);
  for (const field of invite.headers) {
    if (field.name === 'Authorization' || field.name === 'Proxy-Authorization') headers.push(field);
  }
  for (const field of text?.headers ?? []) {
    if (!OWNED_BY_DIALOG.has(field.name) && !field.name.endsWith('uthorization')) headers.push(field);
  }
  const body = text?.body ?? Buffer.alloc(0);
  if (!addBodyHeaders(headers, body)) return { nok: nok.missingContentTypeInDialog };
  return { request: { kind: 'request', method: 'ACK', uri, headers, body } };
}

/** Why the server ends a dialog, as a status (RFC 3326 section 2). */
const OWN_CAUSES: ReadonlyMap<string, number> = new Map([
  ['Session timer expired', 408],
  ['ACK timeout', 408],
  ['ACK-BYE due to cancel race condition', 487],
]);

/** BYE of the server's own accord. */
export function buildOwnBye(state: DialogState, sequence: number, reason: string | undefined): SipRequest {
  const { uri, headers } = dialogHeaders(state, 'BYE', sequence);
  if (reason !== undefined)
    headers.push({ name: 'Reason', value: `SIP;cause=${OWN_CAUSES.get(reason) ?? 503};text="${reason}"` });
  return { kind: 'request', method: 'BYE', uri, headers, body: Buffer.alloc(0) };
}

/** A re-INVITE that only keeps the session alive (RFC 4028 section 7). */
export function buildRefresh(state: DialogState, sequence: number, sdp: Buffer, seconds: number): SipRequest {
  const { uri, headers } = dialogHeaders(state, 'INVITE', sequence);
  headers.push(
    { name: 'Contact', value: state.localContact },
    { name: 'Supported', value: 'timer' },
    { name: 'Session-Expires', value: `${seconds};refresher=uac` },
    { name: 'Min-SE', value: '90' },
  );
  addBodyHeaders(headers, sdp);
  return { kind: 'request', method: 'INVITE', uri, headers, body: sdp };
}

/** Of what an application puts on a CANCEL only this is taken. */
export function cancelHeaders(text: ApplicationRequestText): HeaderField[] {
  return text.headers.filter((field) => field.name === 'Reason' || /^x-/i.test(field.name));
}
