import {
  ended,
  formatMediaLine,
  hasName,
  isActive,
  joinSdp,
  mediaLineOf,
  type SdpLines,
  type Section,
  splitSdp,
  textOf,
} from './lines';

/** The section refused: port 0, nothing else left (RFC 3264 §6). */
export function refused(section: Section): Section {
  const media = mediaLineOf(section);
  if (media === undefined) {
    // An m= line that cannot be read is refused in its own words, with its port made 0.
    const [kind = 'm=audio', , ...rest] = textOf(section.lines[0] ?? '').split(' ');
    return { lines: [`${[kind, '0', ...rest].join(' ')}\r\n`] };
  }
  const formats = media.formats.length > 0 ? media.formats : ['0'];
  return { lines: [formatMediaLine({ ...media, port: 0, formats })] };
}

export function groupsOf(parts: SdpLines): readonly string[] {
  return parts.session.filter((line) => hasName(line, 'a=group'));
}

/** The `a=group` lines with only those media ids that are still there and not refused (RFC 5888 §9.2). */
export function withGroups(parts: SdpLines, groups: readonly string[]): SdpLines {
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

/** The description with those streams refused that `keep` does not want. Byte for byte when it wants all that are in use. */
export function refusing(sdp: string, keep: (section: Section, index: number) => boolean): string {
  const parts = splitSdp(sdp);
  const media = parts.media.map((section, index) =>
    isActive(section) && !keep(section, index) ? refused(section) : section,
  );
  if (media.every((section, index) => section === parts.media[index])) return sdp;
  const whole = media.map(({ lines }) => ({ lines: lines.map(ended) }));
  return joinSdp(withGroups({ session: parts.session, media: whole }, groupsOf(parts)));
}
