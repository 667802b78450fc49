import { ALLOW } from '../sip-message/methods';
import { ACCEPT } from '../sip/body';
import type { SipDomain } from '../sip/domain';
import { SUPPORTED, unsupportedExtensions } from '../sip/extensions';
import { readRequestUri } from '../sip/request-uri';
import type { ReceivedRequest, ResponseOptions } from '../sip/user-agent';

type Answer = ResponseOptions & { readonly status: number };

const CAPABILITIES = { Allow: ALLOW, Accept: ACCEPT, Supported: SUPPORTED };

/**
 * OPTIONS is refused for what would be refused in an INVITE (RFC 3261 sections 8.2 and 11.2): a Request-URI that is none, of
 * another scheme or not ours, an extension that we do not have. Undefined: it is not.
 */
export function refuseOptions({ method, uri, header }: ReceivedRequest, domain: SipDomain): Answer | undefined {
  if (method !== 'OPTIONS') return undefined;
  const target = readRequestUri(uri);
  if (target === undefined) {
    if (/^(sips?|tel):/i.test(uri)) return { status: 400, reason: 'Bad Request URI' };
    return { status: 416, reason: 'Unsupported URI Scheme' };
  }
  if (target.host !== '' && !domain.hasHost(target.host)) return { status: 404, reason: 'Not Our Domain' };
  if (!domain.hasContext(target.context)) return { status: 404, reason: 'Number Of Another Context' };
  const unsupported = unsupportedExtensions(header);
  if (unsupported.length === 0) return undefined;
  return { status: 420, reason: 'Bad Extension', headers: { Unsupported: unsupported.join(', ') } };
}

/** OPTIONS to the node itself, whoever asks; one to a user is authenticated, since its answer would tell who there is. */
export function asksWhetherWeLive({ method, uri }: ReceivedRequest): boolean {
  return method === 'OPTIONS' && readRequestUri(uri)?.dialled === '';
}

/** Requests outside a dialog that are neither REGISTER nor INVITE. */
export function answerOther(request: ReceivedRequest): Answer {
  switch (request.method) {
    case 'OPTIONS':
      return { status: 200, headers: CAPABILITIES };
    case 'SUBSCRIBE':
      return { status: 489, reason: 'Bad Event' };
    case 'REFER':
      // A call is transferred in its own dialog; nobody is called on the word of a stranger to it.
      return { status: 603, reason: 'Only In The Dialog Of A Call' };
    default:
      return { status: 405, reason: 'Method Not Allowed', headers: { Allow: ALLOW } };
  }
}
