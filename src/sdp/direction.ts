import { isUnspecified } from '../process/address';
import { type DescriptionView, readDescription, type StreamView } from './description';
import { ended, hasName, isActive, isAudio, isRtp, joinSdp, type Section, splitSdp } from './lines';

/** As seen by the sender of the description: `sendonly` means that it sends and does not listen (RFC 3264 §5.1). */
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

const DIRECTIONS: readonly Direction[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];

function toDirection(sends: boolean, receives: boolean): Direction {
  if (sends) return receives ? 'sendrecv' : 'sendonly';
  return receives ? 'recvonly' : 'inactive';
}

export function sends(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'sendonly';
}

export function receives(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'recvonly';
}

/** The same stream as its other end sees it. */
export function mirrored(direction: Direction): Direction {
  return toDirection(receives(direction), sends(direction));
}

/** What both allow. */
export function narrowed(a: Direction, b: Direction): Direction {
  return toDirection(sends(a) && sends(b), receives(a) && receives(b));
}

function directionOf(view: DescriptionView, stream: StreamView | undefined): Direction {
  const text = stream?.direction ?? view.direction;
  return DIRECTIONS.find((direction) => direction === text) ?? 'sendrecv';
}

/** RFC 3264 §8.4: the address of a description of RFC 2543 that puts on hold; `::` is the same in IPv6. */
function isHoldAddress(address: string | undefined): boolean {
  return address !== undefined && isUnspecified(address.split('/')[0] ?? '');
}

/** RFC 8839 §4.3.1: with ICE that address says only that there are no candidates yet, or none that may be told. */
function hasIce(lines: readonly string[]): boolean {
  return lines.some((line) => hasName(line, 'a=ice-ufrag') || hasName(line, 'a=candidate'));
}

interface ActiveStream {
  readonly direction: Direction;
  readonly held: boolean;
}

function activeAudio(sdp: string): readonly ActiveStream[] {
  const view = readDescription(sdp);
  const { session, media } = splitSdp(sdp);
  return media.flatMap((section, index) => {
    if (!isAudio(section) || !isActive(section)) return [];
    const stream = view.streams[index];
    const direction = directionOf(view, stream);
    const byAddress = !hasIce([...session, ...section.lines]) && isHoldAddress(stream?.address ?? view.address);
    return [{ direction, held: !receives(direction) || byAddress }];
  });
}

/**
 * Direction of the audio: of the first audio stream that is not removed, its own attribute before the session's, `sendrecv`
 * when there is none (RFC 3264 §5.1). `inactive` when there is no audio at all.
 */
export function effectiveDirection(sdp: string): Direction {
  return activeAudio(sdp)[0]?.direction ?? 'inactive';
}

/**
 * True when the sender of this offer puts the other end on hold (RFC 3264 §8.4): no audio stream of it listens (`sendonly`,
 * `inactive`, or without ICE the address 0.0.0.0 or ::). A removed stream (port 0) and `recvonly` are no hold.
 */
export function holds(sdp: string): boolean {
  const streams = activeAudio(sdp);
  return streams.length > 0 && streams.every((stream) => stream.held);
}

function isDirectionLine(line: string): boolean {
  return DIRECTIONS.some((direction) => hasName(line, `a=${direction}`));
}

/** The section with this direction as its only one. A line that says so already stays where it is. */
export function sectionWithDirection(section: Section, direction: Direction): Section {
  const at = section.lines.findIndex(isDirectionLine);
  const line = `a=${direction}\r\n`;
  if (at === -1) return { lines: [...section.lines.map(ended), line] };
  const lines = section.lines.flatMap((other, index) => {
    if (!isDirectionLine(other)) return [other];
    return index === at ? [hasName(other, `a=${direction}`) ? other : line] : [];
  });
  return { lines };
}

/**
 * Gives every audio stream this direction; other RTP streams (video) are only narrowed to it, never opened further than they
 * were. Removed streams and everything else are left alone.
 */
export function withDirection(sdp: string, direction: Direction): string {
  const view = readDescription(sdp);
  const parts = splitSdp(sdp);
  const media = parts.media.map((section, index) => {
    if (!isActive(section) || !isRtp(section)) return section;
    const current = directionOf(view, view.streams[index]);
    const wanted = isAudio(section) ? direction : narrowed(current, direction);
    return wanted === current ? section : sectionWithDirection(section, wanted);
  });
  return joinSdp({ session: parts.session, media });
}
