import { createHash } from 'node:crypto';
import { hasName, mediaLineOf, type Section, textOf } from './lines';

/**
 * Where a phone is told to send while nobody is to hear it: the discard port (RFC 863) of this node. The other choices
 * are worse. Port 0 removes the stream. 0.0.0.0 makes phones of RFC 2543 believe that they are held by the other end
 * (RFC 3264 §8.4 discourages it). An address out of the documentation ranges sends the stray packets of phones that go on
 * talking to the default gateway. The other phone's address would be heard by its user.
 */
export const DISCARD_PORT = 9;

/** Key plus salt in bytes (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §12). */
const KEY_BYTES: ReadonlyMap<string, number> = new Map([
  ['AES_CM_128_HMAC_SHA1_80', 30],
  ['AES_CM_128_HMAC_SHA1_32', 30],
  ['F8_128_HMAC_SHA1_80', 30],
  ['AES_192_CM_HMAC_SHA1_80', 38],
  ['AES_192_CM_HMAC_SHA1_32', 38],
  ['AES_256_CM_HMAC_SHA1_80', 46],
  ['AES_256_CM_HMAC_SHA1_32', 46],
  ['AEAD_AES_128_GCM', 28],
  ['AEAD_AES_256_GCM', 44],
]);

/**
 * The `a=crypto` line that accepts the first suite of the offer that we know (RFC 4568 §5.1.2). The key is derived, not
 * random, so that the same offer gets the same answer; it protects nothing, since nothing is ever sent from here.
 */
export function cryptoAnswer(offered: Section, seed: string): string | undefined {
  for (const line of offered.lines) {
    const match = /^a=crypto:(\d{1,9}) (\S+) /.exec(textOf(line));
    const suite = match?.[2] ?? '';
    const bytes = KEY_BYTES.get(suite.toUpperCase());
    if (match === null || bytes === undefined) continue;
    const key = createHash('sha512').update(seed).update(line).digest().subarray(0, bytes);
    return `a=crypto:${match[1] ?? ''} ${suite} inline:${key.toString('base64')}\r\n`;
  }
  return undefined;
}

export function isSdes(section: Section): boolean {
  return /^RTP\/SAVPF?$/i.test(mediaLineOf(section)?.protocol ?? '');
}

export function isDtls(section: Section): boolean {
  return /TLS\/RTP\//i.test(mediaLineOf(section)?.protocol ?? '');
}

const DTLS_AND_ICE = ['fingerprint', 'setup', 'tls-id', 'ice-ufrag', 'ice-pwd', 'ice-options', 'ice-lite'];

/**
 * DTLS and ICE attributes of the description that this phone had from us before: a new fingerprint, or none, would end
 * its secure association (RFC 8842 §5.5), and a new password would restart ICE. An answer must choose a role.
 */
export function dtlsAnswer(previous: readonly string[]): readonly string[] {
  return previous
    .filter((line) => DTLS_AND_ICE.some((name) => hasName(line, `a=${name}`)))
    .map((line) => (hasName(line, 'a=setup') && textOf(line).endsWith('actpass') ? 'a=setup:passive\r\n' : line));
}
