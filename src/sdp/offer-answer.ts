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
  MAX_STREAMS,
  mediaLineOf,
  type Section,
  splitSdp,
  textOf,
} from './lines';
import { networkAddress, originLine, type Origin } from './origin';
import { offeredAgain } from './agreed';
import { groupsOf, refused, withGroups } from './refusal';

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

export interface InactiveAnswerOptions {
  /** What the offerer had from us last in this dialog, as far as it was agreed: needed when it speaks DTLS, or has offered several audio streams. */
  readonly previous?: string;
  /** `recvonly` for a holder whose phone cannot take `inactive`; never given where the offer does not allow it. */
  readonly direction?: 'inactive' | 'recvonly';
}

/**
 * The answer to a holder: every `m=` line answered in order, RTP streams accepted with the offered codecs and silent, streams
 * of other kinds, audio streams beside those that were agreed and other ones that were refused before refused, the address a blackhole and never the held phone's (RFC 3264 §6.1). `inactive` is allowed
 * for every offer; that is why it is the rule here.
 */
export function inactiveAnswer(offer: string, origin: Origin, options: InactiveAnswerOptions = {}): string {
  const offered = splitSdp(offeredAgain(offer, options.previous));
  const before = splitSdp(options.previous ?? '');
  const security = dtlsAnswer(before.session);
  const listensIn = ['sendrecv', 'recvonly'].includes(mirrored(effectiveDirection(offer)));
  const direction = options.direction === 'recvonly' && listensIn ? 'recvonly' : 'inactive';
  const media = offered.media.map((section, index) => {
    const last = before.media[index];
    // Nobody is there who could change that.
    if (last !== undefined && !isAudio(section) && !isActive(last)) return refused(section);
    return inactiveSection(section, [security, dtlsAnswer(last?.lines ?? [])], origin, direction);
  });
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

const NO_SECTION: Section = { lines: [] };

/** How well a section may stand in a place. */
function fitOf(section: Section, place: Section, isSamePlace: boolean, placesCount: boolean): number {
  const sameUse = isActive(section) === isActive(place) ? 4 : 0;
  const sameProtocol = mediaLineOf(section)?.protocol === mediaLineOf(place)?.protocol ? 2 : 0;
  return (isSamePlace ? (placesCount ? 8 : 1) : 0) + sameUse + sameProtocol;
}

/**
 * For each section of `pattern` the index of the section of `sections` that takes its place: one of its kind. Who has as many of a kind knows the
 * places; who has fewer (a media server, another phone) means those that are in use.
 */
function matchSections(sections: readonly Section[], pattern: readonly Section[]): readonly (number | undefined)[] {
  // No description of a device, and too many to be compared each with each.
  if (Math.max(sections.length, pattern.length) > MAX_STREAMS)
    return pattern.map((place, at) => (kindOf(place) === kindOf(sections[at] ?? NO_SECTION) ? at : undefined));
  const count = (all: readonly Section[], kind: string): number => all.filter((one) => kindOf(one) === kind).length;
  const knowsPlaces = new Map(
    pattern.map(kindOf).map((kind) => [kind, count(sections, kind) >= count(pattern, kind)] as const),
  );
  const pairs = pattern.flatMap((place, at) =>
    sections.flatMap((section, index) => {
      const kind = kindOf(place);
      if (kindOf(section) !== kind) return [];
      return [{ at, index, fit: fitOf(section, place, at === index, knowsPlaces.get(kind) === true) }];
    }),
  );
  const matches: (number | undefined)[] = pattern.map(() => undefined);
  const taken = new Set<number>();
  // The sort is stable: what fits equally well goes in order.
  for (const { at, index } of pairs.sort((a, b) => b.fit - a.fit)) {
    if (matches[at] !== undefined || taken.has(index)) continue;
    matches[at] = index;
    taken.add(index);
  }
  return matches;
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
 * (RFC 3264 §8). Returned byte for byte when it fits already. `agreed`: `previous` with what the peer does not use refused.
 */
export function alignMediaLines(sdp: string, previous: string, agreed = previous): string {
  return withMediaIds(rearranged(sdp, agreed, true), previous);
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
