import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { sitesOf } from './codec-policies';
import { checkCrossReferences, type CheckedSections } from './cross-references';
import { checkFeatureCodes } from './feature-code-checks';
import { featureCodesSchema } from './feature-code-schema';
import { type FeatureCodes, featureCodesOf } from './feature-codes';
import { checkFiles } from './files';
import type { ConfigProblem } from './problem';
import { checkReachability } from './reachability';
import { checkRedis, redisConfig } from './redis';
import * as schemas from './schema';
import { checkList, checkValue, isTable, unknownKey } from './sections';
import { Source, type Environment } from './source';
import { readText } from './text';
import type { TandemConfig, TlsConfig } from './types';

export type LoadResult =
  | {
      readonly ok: true;
      readonly config: TandemConfig;
      /** What does not keep a node from starting. */
      readonly warnings: readonly ConfigProblem[];
    }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** Whose files are looked at, when a system is to run with the configuration: those of one node, or of all. */
export type WhoseFiles = number | 'all';

/**
 * Reads and checks a configuration file. Never throws: a file that cannot be read is a problem too. With `files` it is
 * checked as that of a system that is to run: its parts can reach each other, and the files that it names are good.
 */
export function loadConfig(path: string, env: Environment, files?: WhoseFiles): LoadResult {
  const read = readText(path);
  if (read.ok) return parseConfig(read.text, { file: path, env, ...(files === undefined ? {} : { files }) });
  const { line, column, reason } = read;
  return { ok: false, problems: [{ file: path, line, column, path: '', message: reason }] };
}

/**
 * Checks a configuration text, replaces `${NAME}` from `env`, and fills in the defaults. All problems are reported,
 * in the order of their lines. Relative paths in it are taken from the folder of `file`. The result is frozen.
 */
export function parseConfig(
  text: string,
  options: { readonly file: string; readonly env: Environment; readonly files?: WhoseFiles },
): LoadResult {
  const source = new Source(text, options.file, options.env);
  const folder = dirname(resolve(options.file));
  const config = source.value === undefined ? undefined : check(source, source.value, folder, options.files);
  if (config === undefined && source.problems.length === 0) source.problem([], 'is empty');
  const problems = [...source.problems].sort((a, b) => a.line - b.line || a.column - b.column);
  if (config !== undefined && problems.every(({ warning }) => warning === true))
    return { ok: true, config: deepFreeze(config), warnings: problems };
  return { ok: false, problems };
}

function check(source: Source, raw: unknown, folder: string, files: WhoseFiles | undefined): TandemConfig | undefined {
  if (!isTable(raw)) {
    source.problem([], 'must be a table of sections: cluster, nodes, sites ...');
    return undefined;
  }
  const known: readonly string[] = schemas.SECTIONS;
  for (const key of Object.keys(raw)) if (!known.includes(key)) source.problem([key], unknownKey(key, known), 'key');
  for (const key of ['cluster', 'nodes', 'sites'])
    if (raw[key] === undefined || raw[key] === null) source.problem([key], `"${key}" is missing`);

  const cluster = raw.cluster == null ? undefined : checkValue(source, schemas.clusterSchema, raw.cluster, ['cluster']);
  const registrar = checkValue(source, schemas.registrarSchema, raw.registrar ?? {}, ['registrar']);
  const tls = raw.tls == null ? undefined : checkValue(source, schemas.tlsSchema, raw.tls, ['tls']);
  const limits = checkValue(source, schemas.sourceLimitsSchema, raw.sourceLimits ?? {}, ['sourceLimits']);
  const automatic =
    raw.autoRegistration == null
      ? undefined
      : checkValue(source, schemas.autoRegistrationSchema, raw.autoRegistration, ['autoRegistration']);
  const sections: CheckedSections = {
    autoRegistration: automatic,
    hasTls: raw.tls != null,
    adminToken: isTable(raw.cluster) && typeof raw.cluster.adminToken === 'string' ? raw.cluster.adminToken : undefined,
    nodes: checkList(source, schemas.nodeSchema, raw.nodes, 'nodes'),
    sites: checkSites(source, raw.sites),
    devices: checkList(source, schemas.deviceSchema, raw.devices, 'devices'),
    numbers: checkList(source, schemas.numberSchema, raw.numbers, 'numbers'),
    gateways: checkList(source, schemas.gatewaySchema, raw.gateways, 'gateways'),
    routes: checkList(source, schemas.routeSchema, raw.routes, 'routes'),
    mediaResources: checkList(source, schemas.mediaResourceSchema, raw.mediaResources, 'mediaResources'),
    mediaResourceGroups: checkList(
      source,
      schemas.mediaResourceGroupSchema,
      raw.mediaResourceGroups,
      'mediaResourceGroups',
    ),
    mediaResourceGroupLists: checkList(
      source,
      schemas.mediaResourceGroupListSchema,
      raw.mediaResourceGroupLists,
      'mediaResourceGroupLists',
    ),
    musicSources: checkList(source, schemas.musicSourceSchema, raw.musicSources, 'musicSources'),
    conferences: checkList(source, schemas.conferenceSchema, raw.conferences, 'conferences'),
    codecPolicies: checkList(source, schemas.codecPolicySchema, raw.codecPolicies, 'codecPolicies'),
    park: raw.park == null ? undefined : checkValue(source, schemas.parkSchema, raw.park, ['park']),
  };
  if (Array.isArray(raw.nodes) && raw.nodes.length === 0) source.problem(['nodes'], 'must hold at least one node');
  checkCrossReferences(source, raw, sections);
  if (registrar !== undefined) checkRegistrar(source, registrar);
  const named = checkValue(source, featureCodesSchema, raw.featureCodes ?? {}, ['featureCodes']);
  const featureCodes = featureCodesOf(named ?? {});
  if (named !== undefined) checkFeatureCodes(source, raw, sections, featureCodes);
  checkRedis(source, cluster?.redis);
  if (files !== undefined) {
    checkReachability(source, sections, limits, cluster === undefined || cluster.redis !== undefined);
    const redisTls = typeof cluster?.redis === 'object' ? cluster.redis.tls : undefined;
    checkFiles(source, { sections, tls, redisTls }, folder, files === 'all' ? undefined : files);
  }
  if (
    source.problems.some(({ warning }) => warning !== true) ||
    cluster === undefined ||
    registrar === undefined ||
    limits === undefined
  )
    return undefined;
  return build({ cluster, registrar, tls, sourceLimits: limits, featureCodes }, sections, folder);
}

function checkSites(source: Source, raw: unknown): CheckedSections['sites'] {
  if (raw === undefined || raw === null) return [];
  if (!isTable(raw)) {
    source.problem(['sites'], 'must be a table of site names');
    return [];
  }
  return Object.entries(raw).flatMap(([name, held]) => {
    const path = ['sites', name];
    if (!schemas.siteNameSchema.safeParse(name).success) source.problem(path, 'not a name', 'key');
    // `dallas:` with nothing behind it is a site without settings.
    const value = checkValue(source, schemas.siteSchema, held ?? {}, path);
    return value === undefined ? [] : [{ path, value }];
  });
}

function checkRegistrar(source: Source, registrar: TandemConfig['registrar']): void {
  if (registrar.minExpires > registrar.defaultExpires)
    source.problem(['registrar', 'minExpires'], `must not be more than defaultExpires (${registrar.defaultExpires})`);
  if (registrar.defaultExpires > registrar.maxExpires)
    source.problem(['registrar', 'defaultExpires'], `must not be more than maxExpires (${registrar.maxExpires})`);
}

/** The sections that are no lists. */
interface Tables {
  readonly cluster: z.infer<typeof schemas.clusterSchema>;
  readonly registrar: TandemConfig['registrar'];
  readonly tls: TlsFiles | undefined;
  readonly sourceLimits: TandemConfig['sourceLimits'];
  readonly featureCodes: FeatureCodes;
}

type TlsFiles = z.infer<typeof schemas.tlsSchema>;

function tlsConfig(files: TlsFiles | undefined, folder: string): TlsConfig | undefined {
  if (files === undefined) return undefined;
  const { key, cert, ca } = files;
  return { key: resolve(folder, key), cert: resolve(folder, cert), ca: ca === undefined ? ca : resolve(folder, ca) };
}

/** Names every optional key, so that a frozen entry always has the same keys. */
function build(
  { cluster, registrar, tls, sourceLimits, featureCodes }: Tables,
  sections: CheckedSections,
  folder: string,
): TandemConfig {
  return {
    cluster: { ...cluster, redis: redisConfig(cluster.redis, folder), adminToken: cluster.adminToken },
    registrar,
    sourceLimits,
    featureCodes,
    park: sections.park,
    nodes: sections.nodes.map(({ value }) => ({
      ...value,
      admin: value.admin,
      tls: tlsConfig(value.tls ?? tls, folder),
      address: value.address,
      capacity: value.capacity,
      stateDir: resolve(folder, value.stateDir ?? `var/node-${value.id}`),
      musicDir: value.musicDir === undefined ? undefined : resolve(folder, value.musicDir),
    })),
    sites: Object.fromEntries(
      sections.sites.map(({ path, value }) => [
        String(path[1]),
        {
          ...value,
          mediaResourceGroupList: value.mediaResourceGroupList,
          codecs: value.codecs,
          musicSource: value.musicSource,
        },
      ]),
    ),
    devices: sections.devices.map(({ value }) => ({
      ...value,
      site: value.site,
      displayName: value.displayName,
      mediaResourceGroupList: value.mediaResourceGroupList,
      userClass: value.userClass,
      codecs: value.codecs,
      mac: value.mac,
      musicSource: value.musicSource,
    })),
    numbers: sections.numbers.map(({ value }) => ({
      ...value,
      displayName: value.displayName,
      busyTrigger: value.busyTrigger ?? value.maxCalls,
      maxCalls: value.maxCalls,
      noAnswerSeconds: value.noAnswerSeconds,
      pickupGroup: value.pickupGroup,
      privacy: value.privacy,
      mayBarge: value.mayBarge,
    })),
    autoRegistration: sections.autoRegistration && {
      ...sections.autoRegistration,
      username: sections.autoRegistration.username,
      password: sections.autoRegistration.password,
      site: sections.autoRegistration.site,
      mediaResourceGroupList: sections.autoRegistration.mediaResourceGroupList,
      userClass: sections.autoRegistration.userClass,
      codecs: sections.autoRegistration.codecs,
    },
    gateways: sections.gateways.map(({ value }) => ({
      ...value,
      uri: value.uri,
      nodes: value.nodes ?? [],
      site: value.site,
      username: value.username,
      password: value.password,
      mediaResourceGroupList: value.mediaResourceGroupList,
      userClass: value.userClass,
      codecs: value.codecs,
    })),
    routes: sections.routes.map(({ value }) => value),
    mediaResources: sections.mediaResources.map(({ value: { eventSocket, ...value } }) => ({
      ...value,
      site: value.site,
      ...(eventSocket === undefined ? {} : { eventSocket: { ...eventSocket.address, password: eventSocket.password } }),
    })),
    mediaResourceGroups: sections.mediaResourceGroups.map(({ value }) => ({
      ...value,
      site: value.site,
      userClasses: value.userClasses,
    })),
    mediaResourceGroupLists: sections.mediaResourceGroupLists.map(({ value }) => value),
    conferences: sections.conferences.map(({ value }) => ({
      ...value,
      nodes: value.nodes ?? sections.nodes.map((node) => node.value.id).sort((a, b) => a - b),
    })),
    codecPolicies: sections.codecPolicies.flatMap(({ value }) => {
      const sites = sitesOf(value);
      return sites === undefined ? [] : [{ sites, codecs: value.codecs }];
    }),
    musicSources: sections.musicSources.map(({ value }) => ({ ...value, file: resolve(folder, value.file) })),
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const held of Object.values(value)) deepFreeze(held);
  return Object.freeze(value);
}
