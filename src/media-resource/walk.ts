import type { MediaResourceConfig, MediaResourceGroupConfig, TandemConfig } from '../config/types';
import type { AllocationExplanation, ResourceNeed } from './ports';

export type WalkConfig = Pick<
  TandemConfig,
  'mediaResources' | 'mediaResourceGroups' | 'mediaResourceGroupLists' | 'sites' | 'devices' | 'gateways'
>;

/** Name of the group of all resources that are in no group; it ends every walk. */
export const DEFAULT_GROUP = 'default';

/** One device of the walk: to be asked, or passed over for a reason. */
export interface Candidate {
  readonly group: string;
  readonly device: string;
  readonly passedOver: string | undefined;
}

export interface Walk {
  readonly list: string | undefined;
  readonly listFrom: AllocationExplanation['listFrom'];
  /** A list that was asked for and does not exist. */
  readonly unknownList: string | undefined;
  readonly candidates: readonly Candidate[];
}

/** For a group with `selection: round-robin`: at which of its devices to begin this time. */
export type TurnOf = (group: string) => number;

function ownerOf(config: WalkConfig, device: string): Walkable | undefined {
  return (
    config.devices.find((candidate) => candidate.name === device) ??
    config.gateways.find((candidate) => candidate.name === device)
  );
}

interface Walkable {
  readonly site: string | undefined;
  readonly mediaResourceGroupList: string | undefined;
  readonly userClass: string | undefined;
}

/** The first list that exists of: the one that came with the device (M14), the device's, its site's. */
function chooseList(config: WalkConfig, need: ResourceNeed): Pick<Walk, 'list' | 'listFrom' | 'unknownList'> {
  const owner = ownerOf(config, need.device);
  const site = need.site ?? owner?.site;
  const offered: readonly (readonly [AllocationExplanation['listFrom'], string | undefined])[] = [
    // A caller that passes on the device's own list brings nothing new.
    ['request', need.list === owner?.mediaResourceGroupList ? undefined : need.list],
    ['device', owner?.mediaResourceGroupList],
    ['site', site === undefined ? undefined : config.sites[site]?.mediaResourceGroupList],
  ];
  const exists = (list: string | undefined): boolean =>
    config.mediaResourceGroupLists.some((candidate) => candidate.name === list);
  const unknownList = exists(need.list) ? undefined : need.list;
  for (const [listFrom, list] of offered) if (exists(list)) return { list, listFrom, unknownList };
  return { list: undefined, listFrom: 'none', unknownList };
}

function defaultGroup(config: WalkConfig): MediaResourceGroupConfig {
  const grouped = new Set(config.mediaResourceGroups.flatMap((group) => group.devices));
  const devices = config.mediaResources.map((resource) => resource.name).filter((name) => !grouped.has(name));
  return { name: DEFAULT_GROUP, devices, site: undefined, userClasses: undefined, selection: 'ordered' };
}

function groupsOf(config: WalkConfig, list: string | undefined): readonly MediaResourceGroupConfig[] {
  const names = config.mediaResourceGroupLists.find((candidate) => candidate.name === list)?.groups ?? [];
  const groups = names.flatMap((name) => config.mediaResourceGroups.find((group) => group.name === name) ?? []);
  return [...groups, defaultGroup(config)];
}

function rotated<Item>(items: readonly Item[], turn: number): readonly Item[] {
  const start = items.length === 0 ? 0 : turn % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function reasonToPass(
  need: ResourceNeed,
  userClass: string | undefined,
  group: MediaResourceGroupConfig,
  resource: MediaResourceConfig | undefined,
): string | undefined {
  if (resource === undefined) return 'not configured';
  if (resource.type !== need.type) return `type is ${resource.type}`;
  if (group.userClasses !== undefined && (userClass === undefined || !group.userClasses.includes(userClass)))
    return `group is for ${group.userClasses.join(', ')}`;
  if (group.site !== undefined && resource.site !== group.site) return `group is for site ${group.site}`;
  return need.exclude?.includes(resource.name) === true ? 'failed for this call' : undefined;
}

/**
 * The order in which devices are asked (claims M6-M9): groups of the list in order, the default group last; devices in order, or
 * in turn for round-robin. Capability, class and place only filter. A device that stands in two groups is asked once.
 */
export function planWalk(config: WalkConfig, need: ResourceNeed, turnOf: TurnOf): Walk {
  const chosen = chooseList(config, need);
  const userClass = need.userClass ?? ownerOf(config, need.device)?.userClass;
  const asked = new Set<string>();
  const candidates = groupsOf(config, chosen.list).flatMap((group) => {
    const plan = group.devices.map((device): Candidate => {
      const resource = config.mediaResources.find((candidate) => candidate.name === device);
      return { group: group.name, device, passedOver: reasonToPass(need, userClass, group, resource) };
    });
    // Only those that can serve take turns: else the one behind a device of another type would get its turns too.
    const able = plan.filter((candidate) => candidate.passedOver === undefined);
    const turns = group.selection === 'round-robin' && able.length > 1 ? rotated(able, turnOf(group.name)) : able;
    const ordered =
      turns === able ? plan : [...turns, ...plan.filter((candidate) => candidate.passedOver !== undefined)];
    return ordered.map((candidate) => {
      if (candidate.passedOver !== undefined) return candidate;
      if (asked.has(candidate.device)) return { ...candidate, passedOver: 'asked before' };
      asked.add(candidate.device);
      return candidate;
    });
  });
  const { at } = need;
  return { ...chosen, candidates: candidates.filter(({ device }) => at === undefined || device === at) };
}
