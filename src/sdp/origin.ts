import { ended, joinSdp, splitSdp, textOf } from './lines';

/** The `o=` line of one of our dialogs: one session id for its life, a version that only grows (RFC 3264 §5, §8). */
export interface Origin {
  readonly sessionId: number;
  readonly version: number;
  /** IP address of this node. */
  readonly address: string;
  readonly username?: string;
}

/** Raises nothing and reads nothing but the address: `IN IP4 192.0.2.1`. */
export function networkAddress(address: string): string {
  return `IN ${address.includes(':') ? 'IP6' : 'IP4'} ${address}`;
}

export function originLine(origin: Origin): string {
  const { username = '-', sessionId, version, address } = origin;
  return `o=${username} ${sessionId} ${version} ${networkAddress(address)}\r\n`;
}

/**
 * Puts our own `o=` line in place of the sender's, so that a phone sees one session with growing versions whoever is behind
 * us at the moment (RFC 3264 §8). Everything else stays byte for byte.
 */
export function withOrigin(sdp: string, origin: Origin): string {
  const { session, media } = splitSdp(sdp);
  const line = originLine(origin);
  const at = session.findIndex((other) => other.startsWith('o='));
  // Without an o= line the description is broken; it goes where RFC 4566 §5 wants it, behind v=.
  const lines =
    at === -1
      ? [...session.slice(0, 1).map(ended), line, ...session.slice(1)]
      : session.map((other, index) => (index === at ? line : other));
  return joinSdp({ session: lines, media });
}

/** Puts the `o=` line of another description in place of its own; without one everything stays. */
export function withOriginOf(sdp: string, source: string): string {
  const line = splitSdp(source).session.find((other) => other.startsWith('o='));
  if (line === undefined) return sdp;
  const { session, media } = splitSdp(sdp);
  return joinSdp({ session: session.map((other) => (other.startsWith('o=') ? ended(line) : other)), media });
}

function withoutVersion(line: string): string {
  return line.replace(/^(o=\S+ \S+ )\S+/, '$1*');
}

function comparable(sdp: string, keep: (line: string) => string | undefined): string {
  const { session, media } = splitSdp(sdp);
  return [...session, ...media.flatMap((section) => section.lines)]
    .map(textOf)
    .flatMap((line) => keep(line) ?? [])
    .join('\n');
}

/** True when the two differ in nothing but the version of their `o=` line. */
export function sameSession(a: string, b: string): boolean {
  return comparable(a, withoutVersion) === comparable(b, withoutVersion);
}

/**
 * True when `next` changes nothing for the media: a session refresh (RFC 4028 §7.4), not an offer that anybody else must hear
 * of. The version alone does not tell: phones raise it at a refresh, and forget to at a hold.
 */
export function unchanged(previous: string, next: string): boolean {
  const media = (line: string): string | undefined => (/^[ostiuep]=/.test(line) ? undefined : line);
  return comparable(previous, media) === comparable(next, media);
}
