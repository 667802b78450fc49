import { parseUri, type SipUri } from '../sip-message/uri';
import { isHeaderSafe } from './header-values';

const MAX_DIALLED_LENGTH = 128;

/** The parts of a request URI that the call manager decides by. */
export interface RequestTarget {
  /** User part, unescaped, without user parameters and visual separators of numbers. */
  readonly dialled: string;
  /** Empty for a `tel:` URI. */
  readonly host: string;
  /** Where a local number means what it says: a domain, or a prefix of global numbers; undefined: that is not said. */
  readonly context: string | undefined;
  /** Claim R14: without `;pid=` the node does its own digit analysis. */
  readonly pid: string | undefined;
  readonly boot: string | undefined;
}

/**
 * Reads a request URI (RFC 3261 section 19.1, RFC 3966 section 5.1.1: visual separators mean nothing).
 * `undefined`: not a URI that can be routed.
 */
export function readRequestUri(uri: string): RequestTarget | undefined {
  const parsed = parseUri(uri);
  if (parsed === undefined) return undefined;
  const dialled = normaliseDigits(parsed.user ?? '');
  if (dialled === undefined) return undefined;
  return {
    dialled,
    host: parsed.host,
    context: contextOf(parsed),
    pid: parsed.params.get('pid'),
    boot: parsed.params.get('boot'),
  };
}

/**
 * The `phone-context` of a local number, in a `tel:` URI or in the user part of another. It says of whom the number is, and is no prefix
 * that makes a number of ours of it (RFC 3966 section 5.1.5). A global number needs none.
 */
export function contextOf({ scheme, user = '', params }: SipUri): string | undefined {
  if (user.startsWith('+')) return undefined;
  if (scheme === 'tel') return params.has('phone-context') ? (params.get('phone-context') ?? '') : undefined;
  for (const parameter of user.split(';').slice(1)) {
    const [name = '', value = ''] = parameter.split('=', 2);
    if (name.toLowerCase() === 'phone-context') return value;
  }
  return undefined;
}

/** A user part as digits for digit analysis; `undefined` when it is too long or has control characters. */
export function normaliseDigits(user: string): string | undefined {
  const bare = user.split(';', 1)[0] ?? '';
  if (bare.length > MAX_DIALLED_LENGTH || !isHeaderSafe(bare)) return undefined;
  return /^\+?[\d().-]*\d[\d().-]*$/.test(bare) ? bare.replace(/[().-]/g, '') : bare;
}
