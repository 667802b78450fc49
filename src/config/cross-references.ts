import type { z } from 'zod';
import { canonicalHost } from '../process/address';
import { checkCodecNames, checkCodecPolicies } from './codec-policies';
import { checkBridges, checkConferences } from './conferences';
import { checkHiddenRoutes } from './hidden-routes';
import { checkListeners } from './listeners';
import { checkMedia } from './media-references';
import { checkNumbers } from './numbers';
import { parsePattern, type ParsedPattern } from './pattern-syntax';
import { formatPath, suggestion, type Path } from './problem';
import type * as schemas from './schema';
import { checkUnique, namesIn, type Entry } from './sections';
import type { Source } from './source';

/** The entries of the file that are right in themselves. */
export interface CheckedSections {
  readonly adminToken: string | undefined;
  /** There are certificates for all nodes. */
  readonly hasTls: boolean;
  readonly nodes: readonly Entry<z.infer<typeof schemas.nodeSchema>>[];
  readonly sites: readonly Entry<z.infer<typeof schemas.siteSchema>>[];
  readonly autoRegistration: z.infer<typeof schemas.autoRegistrationSchema> | undefined;
  readonly park: z.infer<typeof schemas.parkSchema> | undefined;
  readonly devices: readonly Entry<z.infer<typeof schemas.deviceSchema>>[];
  readonly numbers: readonly Entry<z.infer<typeof schemas.numberSchema>>[];
  readonly gateways: readonly Entry<z.infer<typeof schemas.gatewaySchema>>[];
  readonly routes: readonly Entry<z.infer<typeof schemas.routeSchema>>[];
  readonly mediaResources: readonly Entry<z.infer<typeof schemas.mediaResourceSchema>>[];
  readonly mediaResourceGroups: readonly Entry<z.infer<typeof schemas.mediaResourceGroupSchema>>[];
  readonly mediaResourceGroupLists: readonly Entry<z.infer<typeof schemas.mediaResourceGroupListSchema>>[];
  readonly musicSources: readonly Entry<z.infer<typeof schemas.musicSourceSchema>>[];
  readonly conferences: readonly Entry<z.infer<typeof schemas.conferenceSchema>>[];
  readonly codecPolicies: readonly Entry<z.infer<typeof schemas.codecPolicySchema>>[];
}

/** Every name of the file, also of entries that have other problems, so that these cause no second report elsewhere. */
interface Names {
  readonly nodes: Set<string>;
  readonly sites: Set<string>;
  readonly gateways: Set<string>;
  readonly resources: Set<string>;
  readonly groups: Set<string>;
  readonly lists: Set<string>;
  readonly music: Set<string>;
}

/** Checks what one part of the file says about another. */
export function checkCrossReferences(source: Source, raw: Record<string, unknown>, sections: CheckedSections): void {
  const names: Names = {
    nodes: namesIn(raw.nodes, 'id'),
    sites: new Set(typeof raw.sites === 'object' && raw.sites !== null ? Object.keys(raw.sites) : []),
    gateways: namesIn(raw.gateways, 'name'),
    resources: namesIn(raw.mediaResources, 'name'),
    groups: namesIn(raw.mediaResourceGroups, 'name'),
    lists: namesIn(raw.mediaResourceGroupLists, 'name'),
    music: namesIn(raw.musicSources, 'name'),
  };
  const refer = (path: Path, name: string | number | undefined, known: Set<string>, what: string): void => {
    if (name === undefined || known.has(String(name))) return;
    source.problem(
      path,
      `unknown ${what} ${source.shown(path, String(name))}${typeof name === 'string' ? suggestion(name, known) : ''}`,
    );
  };
  checkDuplicates(source, sections);
  for (const { path, value } of sections.nodes) refer([...path, 'site'], value.site, names.sites, 'site');
  for (const { path, value } of sections.sites) {
    refer([...path, 'mediaResourceGroupList'], value.mediaResourceGroupList, names.lists, 'media resource group list');
    value.nodes.forEach((node, index) => refer([...path, 'nodes', index], node, names.nodes, 'node'));
    refer([...path, 'musicSource'], value.musicSource, names.music, 'music source');
  }
  for (const { path, value } of [...sections.devices, ...sections.gateways]) {
    refer([...path, 'site'], value.site, names.sites, 'site');
    refer([...path, 'mediaResourceGroupList'], value.mediaResourceGroupList, names.lists, 'media resource group list');
  }
  if (sections.autoRegistration !== undefined) {
    const path = ['autoRegistration'];
    const { site, mediaResourceGroupList } = sections.autoRegistration;
    refer([...path, 'site'], site, names.sites, 'site');
    refer([...path, 'mediaResourceGroupList'], mediaResourceGroupList, names.lists, 'media resource group list');
    checkAutoRegistration(source, sections, sections.autoRegistration);
  }
  for (const { path, value } of sections.devices)
    refer([...path, 'musicSource'], value.musicSource, names.music, 'music source');
  for (const { path, value } of [...sections.gateways, ...sections.conferences])
    value.nodes?.forEach((node, index) => refer([...path, 'nodes', index], node, names.nodes, 'node'));
  for (const { path, value } of sections.routes)
    value.targets.forEach((target, index) => refer([...path, 'targets', index], target, names.gateways, 'gateway'));
  for (const { path, value } of sections.mediaResources) {
    refer([...path, 'node'], value.node, names.nodes, 'node');
    refer([...path, 'site'], value.site, names.sites, 'site');
  }
  for (const { path, value } of sections.mediaResourceGroups) {
    refer([...path, 'site'], value.site, names.sites, 'site');
    value.devices.forEach((device, index) =>
      refer([...path, 'devices', index], device, names.resources, 'media resource'),
    );
  }
  for (const { path, value } of sections.mediaResourceGroupLists)
    value.groups.forEach((group, index) =>
      refer([...path, 'groups', index], group, names.groups, 'media resource group'),
    );
  checkGroupSites(source, sections);
  checkMedia(source, raw, sections);
  checkRoutes(source, sections);
  checkGateways(source, sections);
  checkBridges(source, sections);
  checkConferences(source, sections);
  checkNumbers(source, raw, sections);
  checkListeners(source, sections);
  for (const { path, value } of sections.codecPolicies) {
    refer([...path, 'within'], value.within, names.sites, 'site');
    value.between?.forEach((site, index) => refer([...path, 'between', index], site, names.sites, 'site'));
  }
  checkCodecPolicies(source, sections);
  for (const { path, value } of [...sections.sites, ...sections.devices, ...sections.gateways])
    checkCodecNames(source, path, value.codecs);
  checkCodecNames(source, ['autoRegistration'], sections.autoRegistration?.codecs);
  checkHiddenRoutes(source, sections);
}

function checkDuplicates(source: Source, sections: CheckedSections): void {
  const named = (entries: readonly Entry<{ readonly name: string }>[]) =>
    entries.map(({ path, value }) => ({ path: [...path, 'name'], value: value.name }));
  const within = (path: Path, values: readonly string[], what: string): void =>
    checkUnique(
      source,
      values.map((value, index) => ({ path: [...path, index], value })),
      what,
    );
  checkUnique(
    source,
    sections.nodes.map(({ path, value }) => ({ path: [...path, 'id'], value: value.id })),
    'node number',
  );
  checkUnique(source, named(sections.nodes), 'node name');
  // The device manager knows stations, gateways and media resources by name: they share one space of names (claim M10).
  checkUnique(
    source,
    [
      ...named(sections.devices),
      ...named(sections.gateways),
      ...named(sections.mediaResources),
      ...named(sections.conferences),
    ],
    'device name',
  );
  checkUnique(
    source,
    [...sections.devices, ...sections.gateways]
      .flatMap(({ path, value }) =>
        value.username === undefined ? [] : [{ path: [...path, 'username'], value: value.username }],
      )
      .concat(
        sections.autoRegistration?.username === undefined
          ? []
          : [{ path: ['autoRegistration', 'username'], value: sections.autoRegistration.username }],
      ),
    'username',
  );
  checkUnique(source, named(sections.mediaResourceGroups), 'media resource group');
  checkUnique(source, named(sections.mediaResourceGroupLists), 'media resource group list');
  checkUnique(source, named(sections.musicSources), 'music source');
  for (const { path, value } of sections.devices) {
    within([...path, 'lines'], value.lines, 'line');
    within([...path, 'digest'], value.digest, 'algorithm');
  }
  for (const { path, value } of [...sections.gateways, ...sections.sites, ...sections.conferences])
    within([...path, 'nodes'], (value.nodes ?? []).map(String), 'node');
  for (const { path, value } of sections.routes) within([...path, 'targets'], value.targets, 'gateway');
  for (const { path, value } of sections.mediaResourceGroups) within([...path, 'devices'], value.devices, 'device');
  for (const { path, value } of sections.mediaResourceGroupLists) within([...path, 'groups'], value.groups, 'group');
}

/** Claim M8: a group of one place holds only devices of that place. */
function checkGroupSites(source: Source, sections: CheckedSections): void {
  const siteOf = new Map(sections.mediaResources.map(({ value }) => [value.name, value.site]));
  for (const { path, value } of sections.mediaResourceGroups) {
    if (value.site === undefined) continue;
    value.devices.forEach((device, index) => {
      const at = [...path, 'devices', index];
      if (!siteOf.has(device) || siteOf.get(device) === value.site) return;
      const site = siteOf.get(device);
      const held = site === undefined ? 'belongs to no site' : `belongs to site ${JSON.stringify(site)}`;
      source.problem(
        at,
        `${source.shown(at, device)} ${held}, and this group is for site ${JSON.stringify(value.site)} only`,
      );
    });
  }
}

/** Its numbers are nobody else's: a device could be given what already leads elsewhere. */
function checkAutoRegistration(
  source: Source,
  sections: CheckedSections,
  { numbers, username, password, from }: NonNullable<CheckedSections['autoRegistration']>,
): void {
  const path = ['autoRegistration'];
  if ((username === undefined) !== (password === undefined))
    source.problem([...path, username === undefined ? 'password' : 'username'], 'username and password go together');
  if (username === undefined && from.length === 0)
    source.problem(path, 'needs a username and password, or the networks that devices are trusted in: from');
  const pool = new Set(numbers);
  for (const { path: at, value } of sections.devices) {
    if (pool.has(value.username)) source.problem([...at, 'username'], 'is a number of autoRegistration');
    value.lines.forEach((line, index) => {
      if (pool.has(line)) source.problem([...at, 'lines', index], 'is a number of autoRegistration');
    });
  }
  for (const { path: at, value } of sections.routes) {
    const result = parsePattern(value.pattern);
    const match = result.ok ? numbers.find((number) => matches(result.pattern, number)) : undefined;
    if (match !== undefined)
      source.problem([...at, 'pattern'], `matches ${source.shown(path, match)}, a number of autoRegistration`);
  }
}

/** Whether a pattern matches a string of digits. */
function matches({ elements }: ParsedPattern, digits: string): boolean {
  const at = elements.findIndex(({ type }) => type === 'some');
  const some = at < 0 ? 0 : digits.length - elements.length + 1;
  if (at < 0 ? digits.length !== elements.length : some < 1) return false;
  return elements.every((element, index) => {
    if (element.type === 'some') return true;
    return element.of.includes(digits.charAt(at >= 0 && index > at ? index + some - 1 : index));
  });
}

/** A pattern that says the same as an earlier one would never be used. */
function checkRoutes(source: Source, sections: CheckedSections): void {
  const canonical = sections.routes.flatMap(({ path, value }) => {
    const result = parsePattern(value.pattern);
    return result.ok ? [{ path: [...path, 'pattern'], value: JSON.stringify(result.pattern.elements) }] : [];
  });
  const first = new Map<string, Path>();
  for (const { path, value } of canonical) {
    const earlier = first.get(value);
    if (earlier === undefined) first.set(value, path);
    else source.problem(path, `matches the same digits as ${formatPath(earlier)}, which comes first`);
  }
}

/** Either it has an address and nodes that control it, or it registers, and must be able to prove who it is. */
function checkRegistering(source: Source, path: Path, gateway: z.infer<typeof schemas.gatewaySchema>): void {
  if (gateway.uri !== undefined) {
    if (gateway.nodes === undefined) source.problem([...path, 'nodes'], '"nodes" is missing');
    return;
  }
  if (gateway.nodes !== undefined)
    source.problem(
      [...path, 'nodes'],
      'a gateway without uri registers, and the node that it registers with controls it',
    );
  if (gateway.username === undefined && gateway.password === undefined)
    source.problem(path, 'needs a uri, or a username and password to register with');
}

/** What the calls of a gateway are known by: transport, address, and for UDP the port. Connections come from any port. */
function placeOf(uri: string): string {
  const match = /^(sips?):(?:[^@]*@)?(\[[^\]]*\]|[^:;]*)(?::(\d+))?(?:;(?:.*;)?transport=(\w+))?/i.exec(uri);
  const [, scheme, host = '', port = '5060', named = 'udp'] = match ?? [];
  const transport = scheme?.toLowerCase() === 'sips' ? 'tls' : named.toLowerCase();
  return `${transport}:${canonicalHost(host)}${transport === 'udp' ? `:${port}` : ''}`;
}

/** Calls from a gateway without digest are known by where they come from alone. */
function checkGateways(source: Source, sections: CheckedSections): void {
  const first = new Map<string, Path>();
  for (const { path, value } of sections.gateways) {
    const at = [...path, 'password'];
    if ((value.username === undefined) !== (value.password === undefined))
      source.problem(value.username === undefined ? at : [...path, 'username'], 'username and password go together');
    if (value.realms !== undefined && value.username === undefined)
      source.problem([...path, 'realms'], 'says where username and password may be sent, and there are none');
    checkRegistering(source, path, value);
    if (value.authenticate && value.username === undefined)
      source.problem([...path, 'authenticate'], 'needs a username and password');
    if (value.username !== undefined || value.uri === undefined) continue;
    const address = placeOf(value.uri);
    const earlier = first.get(address);
    if (earlier === undefined) first.set(address, path);
    else
      source.problem(
        [...path, 'uri'],
        `has the address of ${formatPath(earlier)}: its calls could not be told apart; give them a username and password`,
      );
  }
}
