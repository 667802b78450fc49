/** What a call of a party writes and reads beside its descriptions. */

import { getHeader } from '../../src/sip-message/headers';
import type { SipMessage, SipRequest, SipResponse } from '../../src/sip-message/message';
import { branchOf, contactUriOf, newBranch, type PhoneAddress, requestText } from './fleet/messages';

export interface Place {
  readonly callId: string;
  /** From and To as this end writes them. */
  readonly local: string;
  readonly remote: string;
  readonly target: string;
}

/** The name of a dialog (RFC 3261 §12). */
export interface DialogName {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
}

export function tagOf(address: string): string {
  return /;\s*tag=([^;>\s]+)/i.exec(address)?.[1] ?? '';
}

export function dialogOf({ callId, local, remote }: Place): DialogName {
  return { callId, localTag: tagOf(local), remoteTag: tagOf(remote) };
}

/** A Replaces header for whom the other end of this dialog is to be called by (RFC 3891 §6.1): the tags as that other end sees them. */
export function replacesOf({ callId, localTag, remoteTag }: DialogName, more = ''): string {
  return `${callId};to-tag=${remoteTag};from-tag=${localTag}${more}`;
}

/** The dialog of ours that a request wants to take the place of. */
export function replacedBy(message: SipMessage): DialogName | undefined {
  const value = getHeader(message, 'Replaces');
  if (value === undefined) return undefined;
  const tag = (name: string): string => new RegExp(`;\\s*${name}\\s*=\\s*([^;\\s]+)`, 'i').exec(value)?.[1] ?? '';
  return { callId: value.split(';')[0]?.trim() ?? '', localTag: tag('to-tag'), remoteTag: tag('from-tag') };
}

/** ACK of a 2xx. */
export function ackOf(
  phone: PhoneAddress,
  { local: from, remote, callId, target }: Place,
  response: SipResponse,
  cseq: number,
): string {
  const to = getHeader(response, 'To') ?? remote;
  const uri = contactUriOf(response) ?? target;
  return requestText(phone, { method: 'ACK', uri, branch: newBranch(), from, to, callId, cseq });
}

/** ACK of a refusal: same branch, the To of the response (RFC 3261 §17.1.1.3). */
export function ackOfRefusal(
  phone: PhoneAddress,
  { local: from, remote, callId }: Place,
  invite: string,
  response: SipResponse,
): string {
  const to = getHeader(response, 'To') ?? remote;
  const uri = invite.split(' ')[1] ?? '';
  const cseq = Number.parseInt(getHeader(response, 'CSeq') ?? '0', 10);
  return requestText(phone, { method: 'ACK', uri, branch: branchOf(response), from, to, callId, cseq });
}

/** What became of a REFER of ours, NOTIFY by NOTIFY (RFC 3515 §2.4.5). */
export class Referral {
  readonly statuses: number[] = [];
  /** The NOTIFYs, as they came. */
  readonly notifies: SipRequest[] = [];
  /** The subscription is over. */
  ended = false;

  notified(request: SipRequest): void {
    this.notifies.push(request);
    const status = /^SIP\/2\.0 (\d{3})/.exec(request.body.toString())?.[1];
    if (status !== undefined) this.statuses.push(Number(status));
    if (/^\s*terminated/i.test(getHeader(request, 'Subscription-State') ?? '')) this.ended = true;
  }

  get last(): number {
    return this.statuses.at(-1) ?? 0;
  }
}
