import { createHash, randomBytes } from 'node:crypto';

/** Plain text helpers for a SIP peer that may say anything; on purpose not the grammar of the product. */

/** A header's value, first occurrence; compact forms are not looked for. */
export function headerOf(message: string, name: string): string | undefined {
  return new RegExp(`^${name}\\s*:\\s*(.*)$`, 'im').exec(message)?.[1]?.trim();
}

/** 0 for a request. */
export function statusOf(message: string): number {
  return Number(/^SIP\/2\.0 (\d{3})/.exec(message)?.[1] ?? 0);
}

/** Undefined for a response. */
export function methodOf(message: string): string | undefined {
  return /^([A-Z]+) \S+ SIP\/2\.0/.exec(message)?.[1];
}

export function bodyOf(message: string): string {
  const end = message.indexOf('\r\n\r\n');
  return end < 0 ? '' : message.slice(end + 4);
}

export function randomToken(): string {
  return randomBytes(6).toString('hex');
}

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

/** The answer to a Digest challenge (RFC 2617 §3.2.2, MD5, qop=auth when offered): the value of Authorization. */
export function digestAnswer(
  challenge: string,
  method: string,
  uri: string,
  username: string,
  password: string,
  nonceCount = 1,
): string {
  const parameter = (name: string): string => new RegExp(`${name}="?([^",]+)"?`, 'i').exec(challenge)?.[1] ?? '';
  const realm = parameter('realm');
  const nonce = parameter('nonce');
  const opaque = parameter('opaque');
  const ha1 = md5(`${username}:${realm}:${password}`);
  const ha2 = md5(`${method}:${uri}`);
  const parts = [`username="${username}"`, `realm="${realm}"`, `nonce="${nonce}"`, `uri="${uri}"`, 'algorithm=MD5'];
  if (/qop=/i.test(challenge)) {
    const count = nonceCount.toString(16).padStart(8, '0');
    const cnonce = randomToken();
    const response = md5(`${ha1}:${nonce}:${count}:${cnonce}:auth:${ha2}`);
    parts.push('qop=auth', `nc=${count}`, `cnonce="${cnonce}"`, `response="${response}"`);
  } else {
    parts.push(`response="${md5(`${ha1}:${nonce}:${ha2}`)}"`);
  }
  if (opaque !== '') parts.push(`opaque="${opaque}"`);
  return `Digest ${parts.join(', ')}`;
}
