import { canonicalHost, familyOf } from '../process/address';
import { hasName, joinSdp, splitSdp } from './lines';
import { networkAddress } from './origin';

/** Travels with a description inside the cluster only: devices never get it, and theirs is not believed. */
const NAME = 'a=x-media-source';
const MARK = `${NAME}:learned\r\n`;

/**
 * True: media of the sender of this description do not come from the address in it (a NAT stands between), so that a media resource must learn
 * from where, once. Otherwise nothing is taken from, and sent to, any other address.
 */
export function isSourceLearned(sdp: string): boolean {
  return splitSdp(sdp).session.some((line) => hasName(line, NAME) && line.trimEnd().endsWith(':learned'));
}

/** The description without what only the cluster is to know. Byte for byte when there is none. */
export function withoutSource(sdp: string): string {
  const { session, media } = splitSdp(sdp);
  const kept = session.filter((line) => !hasName(line, NAME));
  return kept.length === session.length ? sdp : joinSdp({ session: kept, media });
}

/** The description of a device whose media come from elsewhere than it says. */
export function withSourceLearned(sdp: string): string {
  const { session, media } = splitSdp(withoutSource(sdp));
  return session.length === 0 ? sdp : joinSdp({ session: [...session, MARK], media });
}

const ADDRESS = /^(c=|a=rtcp:\d+ )IN IP6 (\S+)/;

/** With IPv4-mapped addresses as IPv4: a peer that knows nothing else takes them. Byte for byte when there are none. */
export function withPlainAddresses(sdp: string): string {
  const plain = (line: string): string =>
    line.replace(ADDRESS, (whole, name: string, address: string) =>
      familyOf(address) === 4 && address.includes(':') ? `${name}${networkAddress(canonicalHost(address))}` : whole,
    );
  const { session, media } = splitSdp(sdp);
  return joinSdp({ session: session.map(plain), media: media.map(({ lines }) => ({ lines: lines.map(plain) })) });
}
