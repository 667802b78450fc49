import type { CodecPolicyConfig, TandemConfig } from '../config/types';
import { isEvents, namesSameCodec, restrictCodecs } from '../sdp';

/** Between devices of these two sites only these codecs are used. */
export type CodecPolicy = CodecPolicyConfig;

/** One party of a call, as far as its site is concerned. */
export interface PolicyParty {
  /** Name of the device; of one at another node it may be the node's. */
  readonly device: string;
  /** Its line, as far as that is known. */
  readonly number: string;
  /** Of the device; of one at another node that of the node. */
  readonly site: string | undefined;
  /** It is at another node: what is known of it is its name or its number. */
  readonly elsewhere: boolean;
}

type Directory = Pick<TandemConfig, 'devices' | 'gateways' | 'autoRegistration'>;

/** The configuration is the whole cluster's; a stranger behind a gateway counts as of its node's site. */
function siteOf(config: Directory, { device, number, site, elsewhere }: PolicyParty): string | undefined {
  if (!elsewhere) return site;
  const named = [...config.devices, ...config.gateways].find(({ name }) => name === device);
  const known = named ?? config.devices.find(({ lines }) => lines.includes(number));
  if (known !== undefined) return known.site;
  return config.autoRegistration?.numbers.includes(number) === true ? config.autoRegistration.site : site;
}

/** What may be spoken between two parties. Undefined: anything, or one of them belongs to no site. */
export function chooseCodecPolicy(
  config: Directory & Pick<TandemConfig, 'codecPolicies'>,
  one: PolicyParty,
  other: PolicyParty,
): CodecPolicy | undefined {
  if (config.codecPolicies.length === 0) return undefined;
  const [a, b] = [siteOf(config, one), siteOf(config, other)];
  if (a === undefined || b === undefined) return undefined;
  return config.codecPolicies.find(({ sites: [x, y] }) => (x === a && y === b) || (x === b && y === a));
}

/** `policy dallas/san-jose allows G729, PCMU`. */
export function policyText({ sites: [one, other], codecs }: CodecPolicy): string {
  const speech = codecs.filter((name) => !isEvents(name));
  return `policy ${one === other ? one : `${one}/${other}`} allows ${speech.join(', ')}`;
}

export function isAllowed({ codecs }: CodecPolicy, name: string): boolean {
  return codecs.some((allowed) => namesSameCodec(allowed, name));
}

/** An offer as it may go from one site to the other: the offerer's order of preference stays. Without a codec that may it is left as it is. */
export function narrowed(sdp: string, policy: CodecPolicy | undefined): string {
  return policy === undefined ? sdp : (restrictCodecs(sdp, policy.codecs) ?? sdp);
}
