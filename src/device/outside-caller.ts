import type { GatewayConfig } from '../config/types';
import { readAssertedIdentity, readIdentity, type Identity } from '../sip/identity';
import { isAnonymous, readPrivacy } from '../sip/privacy';
import type { HeaderReader } from '../sip/user-agent';
import type { CallerIdentity } from './device-process';

/** What a caller could be mistaken for. */
export interface InternalNames {
  /** Whether a number or username is one of this exchange. */
  readonly isNumber: (user: string) => boolean;
  /** Display names of our devices and lines, as `comparable` makes them. */
  readonly displayNames: ReadonlySet<string>;
}

/** A text as a reader takes it: compatibility forms, case, white space and invisible characters make no difference. */
export function comparable(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/[\p{Cf}\p{Cc}\p{Mn}]/gu, '')
    .replace(/\s+/gu, ' ')
    .trim()
    .toLowerCase();
}

/**
 * What a gateway tells of the caller in the network behind it: P-Asserted-Identity, by which the gateway speaks for the caller, else
 * From (RFC 3325 section 5). Nobody there is one of us: who claims a number of ours appears under the gateway's name, and a display
 * name that looks like one of ours is left out.
 */
export function outsideCaller(header: HeaderReader, gateway: GatewayConfig, names: InternalNames): CallerIdentity {
  const from = readIdentity(header('From'));
  const asserted = readAssertedIdentity(header('P-Asserted-Identity'));
  const known = [asserted, from].find((identity) => identity !== undefined && tellsSomebody(identity));
  const privacy = readPrivacy(header('Privacy'));
  const withheld = privacy.type === 'withheld' ? { privacy: privacy.header } : {};
  if (known === undefined || names.isNumber(comparable(known.user)))
    return { number: gateway.name, displayName: undefined, outside: true, ...withheld };
  const displayName = known.displayName ?? (from !== undefined && !isAnonymous(from) ? from.displayName : undefined);
  const usable = displayName !== undefined && !looksInternal(displayName, names);
  return { number: known.user, displayName: usable ? displayName : undefined, outside: true, ...withheld };
}

function tellsSomebody(identity: Identity): boolean {
  return identity.user !== '' && !isAnonymous(identity);
}

/** One of our display names, or a text with a number of ours in it. */
export function looksInternal(displayName: string, names: InternalNames): boolean {
  const text = comparable(displayName);
  if (names.displayNames.has(text) || names.isNumber(text)) return true;
  return [...text.matchAll(/\+?[\d*#]+(?:[\s().-]*\d+)*/g)].some(
    ([digits]) =>
      names.isNumber(digits.replace(/[^\d+*#]/g, '')) ||
      [...digits.matchAll(/[\d*#]+/g)].some(([run]) => names.isNumber(run)),
  );
}
