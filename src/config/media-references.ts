import type { z } from 'zod';
import type { CheckedSections } from './cross-references';
import { knownLines } from './numbers';
import { formatPath, type Path, suggestion } from './problem';
import type * as schemas from './schema';
import { checkUnique, isTable } from './sections';
import type { Source } from './source';

type Resource = z.infer<typeof schemas.mediaResourceSchema>;

/** What each engine can serve as. */
const SERVES: Readonly<Record<Resource['engine'], readonly Resource['type'][]>> = {
  rtpengine: ['moh', 'transcoder', 'mtp'],
  freeswitch: ['conference'],
  janus: ['conference'],
};

/** Checks of media resources, their groups, and music that go beyond names. */
export function checkMedia(source: Source, raw: Record<string, unknown>, sections: CheckedSections): void {
  checkEngines(source, sections);
  checkGroupsAreListed(source, raw.mediaResourceGroupLists, sections);
  checkMusicLines(source, raw, sections);
}

function checkEngines(source: Source, sections: CheckedSections): void {
  for (const { path, value } of sections.mediaResources) {
    const serves = SERVES[value.engine];
    if (!serves.includes(value.type))
      source.problem(
        [...path, 'type'],
        `${value.engine} cannot serve as ${value.type}, only as ${serves.join(' or ')}`,
      );
    if (value.engine === 'rtpengine' && value.control.protocol !== 'udp')
      source.problem([...path, 'control'], 'rtpengine is controlled over UDP: udp:ADDRESS:PORT');
    checkFreeswitch(source, path, value);
  }
  checkSharedMusic(source, sections);
}

/** Music servers of one rtpengine have one connection to it, and do the same. */
function checkSharedMusic(source: Source, sections: CheckedSections): void {
  const first = new Map<string, { readonly path: Path; readonly shared: boolean }>();
  for (const { path, value } of sections.mediaResources) {
    const { type, node, control, sharedMusic } = value;
    const at = [...path, 'sharedMusic'];
    if (type !== 'moh') {
      if (sharedMusic !== undefined) source.problem(at, 'is for the type moh only', 'key');
      continue;
    }
    const server = JSON.stringify([node, control]);
    const known = first.get(server) ?? { path, shared: sharedMusic !== false };
    first.set(server, known);
    if (known.shared !== (sharedMusic !== false))
      source.problem(
        sharedMusic === undefined ? path : at,
        `${formatPath(known.path)} is at the same rtpengine, with another sharedMusic`,
      );
  }
}

function checkFreeswitch(source: Source, path: Path, { engine, control, eventSocket }: Resource): void {
  if (engine !== 'freeswitch') {
    if (eventSocket !== undefined) source.problem([...path, 'eventSocket'], `${engine} has no event socket`);
    return;
  }
  if (control.protocol !== 'udp' && control.protocol !== 'tcp')
    source.problem([...path, 'control'], 'FreeSWITCH is called over UDP or TCP: udp:ADDRESS:PORT');
  if (eventSocket === undefined)
    source.problem(path, 'FreeSWITCH needs eventSocket: {address: ADDRESS:PORT, password: ...}');
  else if (eventSocket.address.port === 0) source.problem([...path, 'eventSocket', 'address'], 'must name a port');
}

/** Its devices would be in no list, nor in the default group: nobody would ever be given one. */
function checkGroupsAreListed(source: Source, lists: unknown, sections: CheckedSections): void {
  // Of lists with other problems too, so that these cause no second report here.
  const entries: readonly unknown[] = Array.isArray(lists) ? lists : [];
  const listed = new Set<unknown>(
    entries.flatMap((list): readonly unknown[] => (isTable(list) && Array.isArray(list.groups) ? list.groups : [])),
  );
  for (const { path, value } of sections.mediaResourceGroups) {
    if (listed.has(value.name)) continue;
    const at = [...path, 'name'];
    source.problem(at, `group ${source.shown(at, value.name)} is in no media resource group list: nobody could use it`);
  }
}

function checkMusicLines(source: Source, raw: Record<string, unknown>, sections: CheckedSections): void {
  const known = knownLines(raw, sections);
  const lines = sections.musicSources.flatMap(({ path, value }) =>
    value.lines.map((line, index) => ({ path: [...path, 'lines', index], value: line })),
  );
  for (const { path, value } of lines)
    if (!known.has(value))
      source.problem(path, `no device has the line ${source.shown(path, value)}${suggestion(value, known)}`);
  checkUnique(source, lines, 'music of line');
}
