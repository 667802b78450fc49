import { unsoundHeader } from '../sip-message/header-rules';
import { canonicalName } from '../sip-message/headers';
import { ALLOW, isKnownMethod } from '../sip-message/methods';
import { unsupportedExtensions } from './extensions';
import { missingPrivacy, privacyFailure } from './privacy';
import type { HeaderReader, Headers } from './user-agent';

/** Why a request is refused, whoever sends it. */
export interface RequestRefusal {
  readonly status: number;
  readonly reason: string;
  readonly headers: Headers;
}

/**
 * What is no request that anybody here could treat: a method that there is not (RFC 3261 sections 7.1 and 21.5.2: methods are case-sensitive),
 * or a header that is there and cannot be read (section 21.4.1). The embedded SIP server has seen to both already.
 */
export function refuseUnreadable(method: string, header: HeaderReader, body: string): RequestRefusal | undefined {
  if (!isKnownMethod(method)) return { status: 501, reason: 'Not Implemented', headers: { Allow: ALLOW } };
  const bad = unsoundHeader(method, header, body);
  return bad === undefined ? undefined : { status: 400, reason: `Bad ${canonicalName(bad)} Header`, headers: {} };
}

/** What a request requires and we do not do: extensions (RFC 3261 section 8.2.2.3), privacy (RFC 3323 section 5). */
export function refuseUnservable(header: HeaderReader): RequestRefusal | undefined {
  const unsupported = unsupportedExtensions(header);
  if (unsupported.length > 0)
    return { status: 420, reason: 'Bad Extension', headers: { Unsupported: unsupported.join(', ') } };
  const missing = missingPrivacy(header('Privacy'));
  return missing.length === 0 ? undefined : { status: 500, reason: privacyFailure(missing), headers: {} };
}
