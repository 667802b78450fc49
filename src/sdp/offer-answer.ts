import { cryptoAnswer, DISCARD_PORT, dtlsAnswer, isDtls, isSdes } from './blackhole';
import { readDescription } from './description';
import { mirrored, sectionWithDirection, effectiveDirection } from './direction';
import {
  ended,
  formatMediaLine,
  hasName,
  isActive,
  isAudio,
  isRtp,
  joinSdp,
  mediaLineOf,
  type SdpLines,
  type Section,
  splitSdp,
  textOf,
} from './lines';
import { networkAddress, originLine, type Origin } from './origin';

/** The section refused: port 0, nothing else left (RFC 3264 §6). */
function refused(section: Section): Section {
  const media = mediaLineOf(section);
  if (media === undefined) {
    // An m= line that cannot be read is refused in its own words, with its port made 0.
    const [kind = 'm=audio', , ...rest] = textOf(section.lines[0] ?? '').split(' ');
    return { lines: [`${[kind, '0', ...rest].join(' ')}\r\n`] };
  }
  const formats = media.formats.length > 0 ? media.formats : ['0'];
  return { lines: [formatMediaLine({ ...media, port: 0, formats })] };
}

function sessionLines(origin: Origin): string[] {
  return ['v=0\r\n', originLine(origin), 's=-\r\n', `c=${networkAddress(origin.address)}\r\n`, 't=0 0\r\n'];
}

/** Attributes of an offered stream that an answer repeats. */
const ANSWERED_ATTRIBUTES = ['a=rtpmap', 'a=fmtp', 'a=ptime', 'a=maxptime', 'a=mid', 'a=rtcp-mux'];

function securityAnswer(
  offered: Section,
  previous: readonly (readonly string[])[],
  origin: Origin,
): readonly string[] | undefined {
  if (isSdes(offered)) {
    const line = cryptoAnswer(offered, String(origin.sessionId));
    return line === undefined ? undefined : [line];
  }
  return isDtls(offered) ? previous.flat() : [];
}

function inactiveSection(
  offered: Section,
  previous: readonly (readonly string[])[],
  origin: Origin,
  direction: string,
): Section {
  const media = mediaLineOf(offered);
  if (media === undefined || media.port === 0 || !isRtp(offered)) return refused(offered);
  const security = securityAnswer(offered, previous, origin);
  if (security === undefined) return refused(offered);
  const kept = offered.lines.slice(1).filter((line) => ANSWERED_ATTRIBUTES.some((name) => hasName(line, name)));
  return {
    lines: [
      formatMediaLine({ ...media, port: DISCARD_PORT }),
      ...kept.map((line) => `${textOf(line)}\r\n`),
      ...security.map(ended),
      `a=${direction}\r\n`,
    ],
  };
}

/** The `a=group` lines with only those media ids that are still there and not refused (RFC 5888 §9.2). */
function withGroups(parts: SdpLines, groups: readonly string[]): SdpLines {
  const present = new Set(
    parts.media
      .filter(isActive)
      .flatMap((section) => section.lines)
      .filter((line) => hasName(line, 'a=mid'))
      .map((line) => line.trimEnd().slice('a=mid:'.length)),
  );
  const lines = groups.flatMap((line) => {
    const [semantics = '', ...ids] = textOf(line).split(' ');
    const kept = ids.filter((id) => present.has(id));
    return kept.length === 0 ? [] : [`${[semantics, ...kept].join(' ')}\r\n`];
  });
  const others = parts.session.filter((line) => !hasName(line, 'a=group'));
  return { session: [...others.map(ended), ...lines], media: parts.media };
}

function groupsOf(parts: SdpLines): readonly string[] {
  return parts.session.filter((line) => hasName(line, 'a=group'));
}

export interface InactiveAnswerOptions {
  /** What the offerer had from us last in this dialog: needed when it speaks DTLS. */
  readonly previous?: string;
  /** `recvonly` for a holder whose phone cannot take `inactive`; never given where the offer does not allow it. */
  readonly direction?: 'inactive' | 'recvonly';
}

/**
 * The answer to a holder: every `m=` line answered in order, RTP streams accepted with the offered codecs and silent, streams
 * of other kinds refused, the address a blackhole and never the held phone's (RFC 3264 §6.1). `inactive` is allowed
 * for every offer; that is why it is the rule here.
 */
export function inactiveAnswer(offer: string, origin: Origin, options: InactiveAnswerOptions = {}): string {
  const offered = splitSdp(offer);
  const before = splitSdp(options.previous ?? '');
  const security = dtlsAnswer(before.session);
  const listensIn = ['sendrecv', 'recvonly'].includes(mirrored(effectiveDirection(offer)));
  const direction = options.direction === 'recvonly' && listensIn ? 'recvonly' : 'inactive';
  const media = offered.media.map((section, index) =>
    inactiveSection(section, [security, dtlsAnswer(before.media[index]?.lines ?? [])], origin, direction),
  );
  return joinSdp(withGroups({ session: sessionLines(origin), media }, groupsOf(offered)));
}

/** Attributes that name an address of whoever was there before. */
const ADDRESS_ATTRIBUTES = ['a=candidate', 'a=end-of-candidates', 'a=rtcp', 'a=remote-candidates'];

function silenced(section: Section): Section {
  const media = mediaLineOf(section);
  if (media === undefined || media.port === 0 || !isRtp(section)) return refused(section);
  const lines = section.lines
    .slice(1)
    .filter((line) => !line.startsWith('c=') && !ADDRESS_ATTRIBUTES.some((name) => hasName(line, name)));
  return sectionWithDirection({ lines: [formatMediaLine({ ...media, port: DISCARD_PORT }), ...lines] }, 'inactive');
}

/**
 * An offer that silences a held party when there is no music for it. `previous` is what that party had from us last in this
 * dialog: same streams, codecs, keys and ICE credentials, so that nothing is set up anew; only direction and address differ.
 */
export function inactiveOffer(previous: string, origin: Origin): string {
  const parts = splitSdp(previous);
  const kept = parts.session.filter(
    (line) => line.startsWith('a=') && !/^a=(sendrecv|sendonly|recvonly|inactive)\s*$/.test(line),
  );
  const media = parts.media.map(silenced);
  return joinSdp(withGroups({ session: [...sessionLines(origin), ...kept], media }, groupsOf(parts)));
}

function kindOf(section: Section): string {
  return mediaLineOf(section)?.kind ?? '';
}

/** Indices of the sections of each kind, in order. */
function placesByKind(kinds: readonly string[]): ReadonlyMap<string, number[]> {
  const places = new Map<string, number[]>();
  kinds.forEach((kind, index) => {
    const known = places.get(kind);
    if (known === undefined) places.set(kind, [index]);
    else known.push(index);
  });
  // Taken from the end, so the last comes first.
  for (const indices of places.values()) indices.reverse();
  return places;
}

/** For each section of `pattern` the index of the section of `sections` with its kind: that of the same place first. */
function matchSections(sections: readonly Section[], pattern: readonly Section[]): readonly (number | undefined)[] {
  const kinds = sections.map(kindOf);
  const wanted = pattern.map(kindOf);
  const matches = wanted.map((kind, place) => (kinds[place] === kind ? place : undefined));
  const taken = new Set(matches);
  const free = placesByKind(kinds);
  return matches.map((match, place) => {
    if (match !== undefined) return match;
    const places = free.get(wanted[place] ?? '');
    let index = places?.pop();
    while (index !== undefined && taken.has(index)) index = places?.pop();
    return index;
  });
}

function rearranged(sdp: string, pattern: string, mayGrow: boolean): string {
  const parts = splitSdp(sdp);
  const wanted = splitSdp(pattern).media;
  const matches = matchSections(parts.media, wanted);
  const matched = new Set(matches);
  const extra = mayGrow ? parts.media.flatMap((_, index) => (matched.has(index) ? [] : [index])) : [];
  const order = [...matches, ...extra];
  if (order.length === parts.media.length && order.every((from, index) => from === index)) return sdp;
  const media = order.flatMap((from, index) => {
    const section = from === undefined ? undefined : parts.media[from];
    if (section !== undefined) return [{ lines: section.lines.map(ended) }];
    const missing = wanted[index];
    return missing === undefined ? [] : [refused(missing)];
  });
  return joinSdp(withGroups({ session: parts.session, media }, groupsOf(parts)));
}

function mediaIdOf(section: Section | undefined): string | undefined {
  const line = section?.lines.find((other) => hasName(other, 'a=mid'));
  return line === undefined ? undefined : textOf(line).slice('a=mid:'.length).trim();
}

/** A stream that had an id keeps it (RFC 8829 §5.2.2, RFC 8843 §7.1.3): browsers know their streams by it, whoever is behind us. */
function withMediaIds(sdp: string, previous: string): string {
  const parts = splitSdp(sdp);
  const before = splitSdp(previous).media.map(mediaIdOf);
  const renamed = new Map<string, string>();
  const media = parts.media.map((section, index): Section => {
    const [id, old] = [mediaIdOf(section), before[index]];
    if (old === undefined || id === old || !isActive(section)) return section;
    if (id !== undefined) renamed.set(id, old);
    const lines = section.lines.filter((line) => !hasName(line, 'a=mid')).map(ended);
    return { lines: [...lines, `a=mid:${old}\r\n`] };
  });
  if (media.every((section, index) => section === parts.media[index])) return sdp;
  const session = parts.session.map((line) => {
    if (!hasName(line, 'a=group')) return ended(line);
    const [semantics = '', ...ids] = textOf(line).split(' ');
    return `${[semantics, ...ids.map((id) => renamed.get(id) ?? id)].join(' ')}\r\n`;
  });
  return joinSdp({ session, media });
}

/**
 * An offer for a dialog in which `previous` was the last description (from either side): never fewer `m=` lines than before,
 * old ones in their old place, of their old kind and with their old id, those that are gone refused with port 0, new ones at the end
 * (RFC 3264 §8). Returned byte for byte when it fits already.
 */
export function alignMediaLines(sdp: string, previous: string): string {
  return withMediaIds(rearranged(sdp, previous, true), previous);
}

/**
 * An answer in the form that this offer demands: the offer's `m=` lines in the offer's order (RFC 3264 §6), what nobody
 * answered refused, what nobody offered left out. For an answer that another leg gave to an aligned offer.
 */
export function alignAnswer(answer: string, offer: string): string {
  return rearranged(answer, offer, false);
}

/** The description with its first audio stream that is not removed, and no other; undefined when there is none. */
export function audioOnly(sdp: string): string | undefined {
  const parts = splitSdp(sdp);
  const audio = parts.media.find((section) => isAudio(section) && isActive(section));
  return audio === undefined
    ? undefined
    : joinSdp(withGroups({ session: parts.session, media: [audio] }, groupsOf(parts)));
}

/** Number of `m=` lines, removed ones included. */
export function mediaLineCount(sdp: string): number {
  return readDescription(sdp).streams.length;
}
