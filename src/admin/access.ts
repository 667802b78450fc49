import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopback } from '../process/address';

export type Access =
  { readonly allowed: true } | { readonly allowed: false; readonly status: 401 | 403; readonly error: string };

/** Paths that a health probe may read without a token: they tell nothing but whether the node works. */
const OPEN_PATHS = new Set(['/healthz', '/readyz']);

/**
 * Who may read, and command: with a token, who has it. Without one the API listens on loopback only, and a request must have been
 * meant for loopback: its Host names no other machine (else a web page could read the API through a name of its own
 * that resolves to 127.0.0.1).
 */
export function checkAccess(
  request: { readonly path: string; readonly host: string | undefined; readonly authorization: string | undefined },
  token: string | undefined,
): Access {
  if (token === undefined) {
    if (request.host !== undefined && isLoopbackHost(request.host)) return { allowed: true };
    return { allowed: false, status: 403, error: 'the Host of the request must be a loopback address or localhost' };
  }
  if (OPEN_PATHS.has(request.path)) return { allowed: true };
  const given = /^Bearer +([^\s]{1,1024})$/i.exec(request.authorization ?? '')?.[1];
  if (given !== undefined && sameToken(given, token)) return { allowed: true };
  return { allowed: false, status: 401, error: 'a bearer token is needed' };
}

/** Whether a browser says that the request comes from a page that is not ours. Programs say nothing of the kind. */
export function isForeignPage(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return false;
  try {
    return new URL(origin).host !== host;
  } catch {
    return true;
  }
}

function isLoopbackHost(host: string): boolean {
  const name = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(host);
  return isLoopback(name?.[1] ?? name?.[2] ?? '');
}

/** Compares in constant time, whatever the lengths. */
function sameToken(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
