import { canonicalHost } from '../../process/address';

/** Whether a WebSocket may be opened by this origin; undefined: by a program that is no browser, and says none. */
export type OriginPolicy = (origin: string | undefined) => boolean;

/**
 * A browser opens WebSockets for any page to any address that its user can reach, and says which page it is (RFC 6455 section 10.2).
 * `allowed`: `*` for every page; an origin (`https://phones.acme.example:8443`); a host, for its pages of any scheme and port;
 * `.acme.example` for the hosts below a domain. Undefined: every page.
 */
export function originPolicy(allowed: readonly string[] | undefined): OriginPolicy {
  if (allowed === undefined || allowed.includes('*')) return () => true;
  const origins = new Set(allowed.map(canonicalOrigin));
  const hosts = new Set(allowed.map(canonicalHost));
  const domains = allowed.filter((entry) => entry.startsWith('.')).map((entry) => entry.toLowerCase());
  return (origin) => {
    if (origin === undefined || origins.has(canonicalOrigin(origin))) return true;
    const host = hostOf(origin);
    return host !== undefined && (hosts.has(host) || domains.some((domain) => host.endsWith(domain)));
  };
}

/** With its port only where it is not that of the scheme. What is no URL (`null`) stays as it is. */
function canonicalOrigin(text: string): string {
  return URL.canParse(text) && text.includes('://')
    ? `${new URL(text).protocol}//${new URL(text).host}`
    : text.toLowerCase();
}

function hostOf(origin: string): string | undefined {
  if (!URL.canParse(origin)) return undefined;
  const { protocol, hostname } = new URL(origin);
  return protocol === 'https:' || protocol === 'http:' ? canonicalHost(hostname) : undefined;
}
