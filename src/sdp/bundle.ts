import { ended, hasName, isActive, joinSdp, splitSdp, textOf } from './lines';
import { groupsOf } from './refusal';

const isBundle = (line: string): boolean => textOf(line).startsWith('a=group:BUNDLE');

/**
 * A description for a device that bundles (`peer` is its own), of which one stream is used: that one is a bundle (RFC 8843 §7.3.1, §7.3.3). Media servers
 * leave the group out, and a browser may demand one (RFC 8829 §4.1.1, max-bundle). Several streams have several ports, and are none.
 */
export function withBundleOfOne(sdp: string, peer: string | undefined): string {
  if (peer === undefined || !groupsOf(splitSdp(peer)).some(isBundle)) return sdp;
  const parts = splitSdp(sdp);
  const [used, ...more] = parts.media.filter(isActive);
  const id = used?.lines.find((line) => hasName(line, 'a=mid'));
  if (used === undefined || id === undefined || more.length > 0 || groupsOf(parts).some(isBundle)) return sdp;
  const group = `a=group:BUNDLE ${textOf(id).slice('a=mid:'.length).trim()}\r\n`;
  return joinSdp({ session: [...parts.session.map(ended), group], media: parts.media });
}
