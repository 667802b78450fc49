import type { TandemConfig } from '../config/types';
import { sign } from '../process/hmac';

const LENGTH = 16;

/** What must be the same at every node, by the section of the file; what belongs to one machine (listeners, folders) is not in it. */
function sharedParts(config: TandemConfig): Readonly<Record<string, unknown>> {
  const { cluster, nodes, mediaResources, musicSources, ...shared } = config;
  const { name, domain, signalling } = cluster;
  const { tls: _tls, sourceLimits: _limits, ...sections } = shared as typeof shared & { tls?: unknown };
  return {
    ...sections,
    cluster: { name, domain, signalling },
    nodes: nodes.map(({ id, name: called, site }) => ({ id, called, site })),
    mediaResources: mediaResources.map(({ name: called, type, node, site, capacity }) => [
      called,
      type,
      node,
      site,
      capacity,
    ]),
    musicSources: musicSources.map(({ name: called, lines }) => [called, lines]),
  };
}

/**
 * A digest for each section, keyed with the secret of the cluster: passwords are in it, and nobody who hears it can
 * try passwords.
 */
export function configurationDigests(config: TandemConfig): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(sharedParts(config)).map(([section, value]) => [
      section,
      sign(config.cluster.secret, ['configuration', section, canonical(value)]).slice(0, LENGTH),
    ]),
  );
}

/** JSON in which the order of keys says nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value ?? null, (_key, held: unknown) =>
    typeof held === 'object' && held !== null && !Array.isArray(held)
      ? Object.fromEntries(Object.entries(held).sort(([a], [b]) => (a < b ? -1 : 1)))
      : held,
  );
}
