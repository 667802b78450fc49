/**
 * A session description as lines. What is relayed must reach the other phone byte for byte (ICE, crypto, video, BFCP and
 * attributes that nobody here has heard of), so changes are made to single lines and everything else is left as it came.
 */

/** One `m=` line and what belongs to it; each line still has its line end. */
export interface Section {
  readonly lines: readonly string[];
}

export interface SdpLines {
  /** Everything before the first `m=` line. */
  readonly session: readonly string[];
  readonly media: readonly Section[];
}

export interface MediaLine {
  /** Lower case: `audio`, `video`, `application`. */
  readonly kind: string;
  /** 0: the stream is rejected or removed (RFC 3264 §5.1, §8.2). */
  readonly port: number;
  /** As written: `RTP/AVP`, `UDP/TLS/RTP/SAVPF`, `udptl`. */
  readonly protocol: string;
  /** Payload types for RTP; whatever stands there otherwise. */
  readonly formats: readonly string[];
}

/** Longer texts are not read: a SIP message over UDP cannot even carry them, and every step here is linear in this. */
export const MAX_SDP_BYTES = 65_536;

/** Far more than any phone has. */
export const MAX_STREAMS = 64;

const EVERY_LINE = /[^\r\n]+(?:\r\n|\n|\r|$)/g;
const MEDIA_LINE = /^m=([\w-]+) (\d{1,5})(?:\/\d+)? ([\w./-]+)((?: \S+)*) *$/;

/** The line without its end. */
export function textOf(line: string): string {
  return line.replace(/[\r\n]+$/, '');
}

export function splitSdp(sdp: string): SdpLines {
  const session: string[] = [];
  const media: { lines: string[] }[] = [];
  for (const line of sdp.length > MAX_SDP_BYTES ? [] : (sdp.match(EVERY_LINE) ?? [])) {
    if (line.startsWith('m=')) media.push({ lines: [line] });
    else (media.at(-1)?.lines ?? session).push(line);
  }
  return { session, media };
}

/** The opposite of `splitSdp`; gives the last line its end when something follows it. */
export function joinSdp(parts: SdpLines): string {
  const lines = [...parts.session, ...parts.media.flatMap((section) => section.lines)];
  return lines
    .map((line, index) => (index < lines.length - 1 && !/[\r\n]$/.test(line) ? `${line}\r\n` : line))
    .join('');
}

/** Undefined: the `m=` line is not one (it is then relayed, and never taken for a stream). */
export function mediaLineOf(section: Section): MediaLine | undefined {
  const match = MEDIA_LINE.exec(textOf(section.lines[0] ?? ''));
  if (match === null) return undefined;
  const [, kind = '', port = '', protocol = '', formats = ''] = match;
  if (Number(port) > 65_535) return undefined;
  return {
    kind: kind.toLowerCase(),
    port: Number(port),
    protocol,
    formats: formats.split(' ').filter((format) => format !== ''),
  };
}

export function formatMediaLine(line: MediaLine): string {
  return `m=${line.kind} ${line.port} ${line.protocol} ${line.formats.join(' ')}\r\n`;
}

/** Not removed, and readable. */
export function isActive(section: Section): boolean {
  return (mediaLineOf(section)?.port ?? 0) !== 0;
}

export function isAudio(section: Section): boolean {
  return mediaLineOf(section)?.kind === 'audio';
}

/** RTP and its secure and feedback profiles (RFC 3551, 3711, 4585, 5124, 5764). */
export function isRtp(section: Section): boolean {
  return /(^|\/)RTP\/S?AVPF?$/i.test(mediaLineOf(section)?.protocol ?? '');
}

/** Lines of one type and, for attributes, of one name: `startsWith('a=rtpmap')` would also take `a=rtpmapping`. */
export function hasName(line: string, name: string): boolean {
  const text = line.trimEnd();
  return text === name || text.startsWith(`${name}:`);
}

/** The line with a line end. */
export function ended(line: string): string {
  return /[\r\n]$/.test(line) ? line : `${line}\r\n`;
}
