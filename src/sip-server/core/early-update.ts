import { createResponse } from '../../sip-message/response';
import { serialize } from '../../sip-message/serialize';
import type { Application } from '../control/application';
import { valueOf, type ApplicationResponseText } from '../control/application-text';
import { responseSent, sipFrame } from '../control/tokens';
import type { ServerTransaction } from '../layers';
import { ownContact, replaceLocalhost } from './addresses';
import { remoteOf, type CoreContext } from './context';

/** UPDATE in the early dialog of an INVITE (RFC 3311): for the application it goes by the INVITE's transaction id. */

export function deliverEarlyUpdate(
  context: CoreContext,
  application: Application,
  update: ServerTransaction,
  inviteId: string,
  dialogId: string,
): void {
  const message = serialize(update.request);
  const now = context.clock.now();
  const rest = sipFrame('network', message.length, remoteOf(update.flow), now, inviteId, dialogId);
  application.deliver(rest, message);
}

const FROM_REQUEST = new Set(['From', 'To', 'Call-ID', 'CSeq']);

/** Sends the application's response to it, and answers the application's command. */
export function answerEarlyUpdate(
  context: CoreContext,
  application: Application,
  update: ServerTransaction,
  inviteId: string,
  commandId: string,
  text: ApplicationResponseText,
): void {
  const { local } = update.flow;
  const response = createResponse(update.request, text.status, { reason: text.reason || undefined });
  const given = text.headers.filter((field) => !FROM_REQUEST.has(field.name));
  const accepted = text.status >= 200 && text.status < 300;
  if (accepted && valueOf(given, 'Contact') === undefined) {
    response.headers.push({ name: 'Contact', value: ownContact(local, update.request.uri) });
  }
  response.headers.push(...given.map((field) => replaceLocalhost(field, local) ?? field));
  if (text.body.length > 0 && valueOf(given, 'Content-Type') === undefined) {
    response.headers.push({ name: 'Content-Type', value: 'application/sdp' });
  }
  response.body = text.body;
  update.respond(response);
  const bytes = serialize(response);
  const rest = responseSent(bytes.length, remoteOf(update.flow), context.clock.now(), inviteId, '');
  application.reply(commandId, rest, bytes);
}
