import type { CodecPolicyConfig, TandemConfig } from '../config/types';
import { isEvents, namesSameCodec, restrictCodecs } from '../sdp';

/** Between devices of these two sites only these codecs are used. */
export type CodecPolicy = CodecPolicyConfig;

/** One party of a call, as far as its site is concerned. */
export interface PolicyParty {
  /** Name of the device; while it is not known that of its node. */
  readonly device: string;
  readonly number: string;
  /** Of the device; while that is not known that of its node. */
  readonly site?: string | undefined;
  /** It is asked for at another node, which has not said yet who it is. */
  readonly unknown?: boolean;
}

type Directory = Pick<TandemConfig, 'devices' | 'gateways' | 'autoRegistration'>;

/**
 * A party tells its site. While its node has not spoken it is that of the device that digit analysis has named, and without a name that of the
 * number, when all devices with it are of one site: the configuration is the whole cluster's.
 */
function siteOf(config: Directory, { device, number, site, unknown }: PolicyParty): string | undefined {
  if (unknown !== true) return site;
  const named = [...config.devices, ...config.gateways].find(({ name }) => name === device);
  if (named !== undefined) return named.site;
  const [first, ...others] = config.devices.filter(({ lines }) => lines.includes(number));
  if (first !== undefined) return others.every((other) => other.site === first.site) ? first.site : undefined;
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
