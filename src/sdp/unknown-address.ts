import { isUnspecified } from '../process/address';
import { readDescription } from './description';
import { ended, hasName, isActive, joinSdp, splitSdp, textOf } from './lines';

const OPTIONS = 'a=ice-options';

/**
 * With ICE the address 0.0.0.0 says that no candidates are known yet, or that they are not told (RFC 8839 §4.3.1). rtpengine takes it for a hold, unless
 * the stream says that candidates may follow (`a=ice-options:trickle`, RFC 8840 §4.1.2): so it says so. Byte for byte where nothing is to be said.
 */
export function withUnknownAddressExplained(sdp: string): string {
  const view = readDescription(sdp);
  const { session, media } = splitSdp(sdp);
  const sections = media.map((section, index) => {
    const all = [...session, ...section.lines];
    const address = view.streams[index]?.address ?? view.address;
    if (!isActive(section) || address === undefined || !isUnspecified(address)) return section;
    const isTold = all.some((line) => hasName(line, OPTIONS) && /[: ]trickle(?=\s|$)/.test(textOf(line)));
    if (isTold || !all.some((line) => hasName(line, 'a=ice-ufrag'))) return section;
    const own = section.lines.find((line) => hasName(line, OPTIONS)) ?? OPTIONS;
    const told = `${textOf(own)}${own === OPTIONS ? ':' : ' '}trickle\r\n`;
    return { lines: [...section.lines.filter((line) => line !== own).map(ended), told] };
  });
  if (sections.every((section, index) => section === media[index])) return sdp;
  return joinSdp({ session, media: sections });
}
