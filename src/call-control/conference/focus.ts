import { parseNameAddr } from '../../sip-message/name-addr';
import { parseUri } from '../../sip-message/uri';
import type { Headers } from '../../sip/user-agent';

/** The number of the conference whose focus has answered with this Contact (RFC 4579 §4.2); undefined: it is none. */
export function focusIn(contact: string | undefined): string | undefined {
  const address = contact === undefined ? undefined : parseNameAddr(contact);
  if (address?.params.has('isfocus') !== true) return undefined;
  const uri = parseUri(address.uri);
  const user = uri === undefined || uri.scheme === 'tel' ? undefined : uri.user;
  return user !== undefined && /^[0-9A-Za-z+*#._-]{1,64}$/.test(user) ? user : undefined;
}

/** For our 200 to the participant: the conference can be called by what its Contact says. */
export function focusHeaders(focus: string | undefined): Headers {
  return focus === undefined ? {} : { Contact: `<sip:${focus}@localhost>;isfocus` };
}

/** Binding key of a conference: one number is one conference, wherever it is. */
export function conferenceKey(number: string): string {
  return `conference:${number}`;
}
