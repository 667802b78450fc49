import type { CheckedSections } from './cross-references';
import { formatPath, type Path } from './problem';
import { checkUnique } from './sections';
import type { Source } from './source';

/** janus mixes and nothing else, and needs an rtpengine before it: one of its own for each janus, as far as this file goes. */
export function checkBridges(source: Source, sections: CheckedSections): void {
  const first = new Map<string, { readonly path: Path; readonly before: string }>();
  for (const { path, value } of sections.mediaResources) {
    const { engine, control, rtpengine } = value;
    if (engine !== 'janus') {
      for (const key of ['rtpengine', 'adminKey', 'apiSecret'] as const)
        if (value[key] !== undefined) source.problem([...path, key], 'is for the engine janus only', 'key');
      continue;
    }
    if (control.protocol !== 'http')
      source.problem([...path, 'control'], 'janus is controlled over HTTP: http:ADDRESS:PORT');
    if (rtpengine === undefined) source.problem([...path, 'rtpengine'], '"rtpengine" is missing');
    else if (rtpengine.protocol !== 'udp') source.problem([...path, 'rtpengine'], 'must begin with udp:');
    const at = `${value.node} ${control.address}:${control.port}`;
    const before = JSON.stringify([rtpengine, value.adminKey, value.apiSecret]);
    const known = first.get(at);
    if (known === undefined) first.set(at, { path, before });
    else if (known.before !== before)
      source.problem(
        [...path, 'control'],
        `${formatPath(known.path)} has the same janus with another rtpengine or key`,
      );
  }
}

/** A number that is a line as well would ring there too. */
export function checkConferences(source: Source, sections: CheckedSections): void {
  const lines = new Map(
    sections.devices.flatMap(({ value }) => value.lines.map((line) => [line, value.name] as const)),
  );
  const numbers = sections.conferences.map(({ path, value }) => ({ path: [...path, 'number'], value: value.number }));
  checkUnique(source, numbers, 'number');
  for (const { path, value } of numbers) {
    const device = lines.get(value);
    if (device !== undefined) source.problem(path, `${source.shown(path, value)} is a line of ${device}`);
  }
}
