import { resolve } from 'node:path';
import type { z } from 'zod';
import { canonicalHost, isLoopback, isUnspecified, reachedByOthers } from '../process/address';
import { Networks, parseNetwork } from '../process/networks';
import type { CheckedSections } from './cross-references';
import { sameMachine } from './listeners';
import { formatPath, type Path } from './problem';
import type { nodeSchema, sourceLimitsSchema } from './schema';
import type { Entry } from './sections';
import type { Source } from './source';

type NodeEntry = Entry<z.infer<typeof nodeSchema>>;

/** What of the parts of a system cannot reach each other as the file has it, or would meet itself. */
export function checkReachability(
  source: Source,
  sections: CheckedSections,
  limits: z.infer<typeof sourceLimitsSchema> | undefined,
  hasRedis: boolean,
): void {
  const { nodes } = sections;
  if (nodes.length > 1) {
    if (!hasRedis)
      source.warning(['cluster', 'redis'], `is missing: ${nodes.length} nodes would know nothing of each other`);
    for (const node of nodes) checkSignalling(source, node, nodes);
  }
  checkStateFolders(source, nodes);
  for (const { path, value } of nodes)
    if (value.drachtio !== 'embedded' && value.drachtio.secret.includes('|'))
      source.problem(
        [...path, 'drachtio', 'secret'],
        'must not contain "|": drachtio\'s protocol has no way to say it',
      );
  for (const gateway of sections.gateways) checkGateway(source, gateway, nodes);
  checkBans(source, sections, limits?.ban ?? []);
}

/** Nodes call each other over TCP, at the address that each announces. */
function checkSignalling(source: Source, node: NodeEntry, nodes: readonly NodeEntry[]): void {
  const { path, value } = node;
  if (value.drachtio !== 'embedded') return;
  const tcp = reachedByOthers(
    value.listen.flatMap(({ protocol, address, announced }, index) =>
      protocol === 'tcp' ? [{ index, address: announced ?? address }] : [],
    ),
  );
  if (tcp === undefined) {
    if (value.listen.length > 0)
      source.problem([...path, 'listen'], 'needs a tcp listener: the other nodes call this one over TCP');
    return;
  }
  const told = value.address ?? tcp.address;
  const at = [...path, 'listen', tcp.index];
  if (isUnspecified(told)) source.problem(at, 'is no address that other nodes could call: set "address" of this node');
  const elsewhere = nodes.find(
    (other) =>
      other !== node && other.value.listen.length > 0 && other.value.listen.every((each) => isElsewhere(each.address)),
  );
  if (isLoopback(told) && elsewhere !== undefined)
    source.problem(at, `${formatPath(elsewhere.path)} is on another machine and could not call this address`);
}

function isElsewhere(address: string): boolean {
  return !isLoopback(address) && !isUnspecified(address);
}

/** Two nodes of one machine in one folder would take each other's registrations for their own. */
function checkStateFolders(source: Source, nodes: readonly NodeEntry[]): void {
  nodes.forEach((node, index) => {
    const { path, value } = node;
    const folder = value.stateDir;
    if (folder === undefined) return;
    const same = nodes
      .slice(0, index)
      .find((other) => sameMachine(other, node) && resolve(other.value.stateDir ?? '') === resolve(folder));
    if (same !== undefined)
      source.problem([...path, 'stateDir'], `is that of ${formatPath(same.path)}, which is on the same machine`);
  });
}

/** A call to a gateway that leads back to a listener of ours would be taken for a call of a stranger. */
function checkGateway(source: Source, gateway: CheckedSections['gateways'][number], nodes: readonly NodeEntry[]): void {
  const place = gateway.value.uri === undefined ? undefined : placeOf(gateway.value.uri);
  if (place === undefined) return;
  const by = gateway.value.nodes;
  for (const { path, value } of nodes) {
    // A loopback address is that of the machine of the node that calls.
    if (isLoopback(place.host) && by !== undefined && !by.includes(value.id)) continue;
    const index = value.listen.findIndex(
      (listener) =>
        listener.protocol === place.transport &&
        listener.port === place.port &&
        (sameAddress(listener.address, place.host) ||
          (value.address !== undefined && sameAddress(value.address, place.host)) ||
          (listener.announced !== undefined && sameAddress(listener.announced.replace(/:\d+$/, ''), place.host)) ||
          (isUnspecified(listener.address) && isLoopback(place.host))),
    );
    if (index < 0) continue;
    const own = formatPath([...path, 'listen', index]);
    source.problem([...gateway.path, 'uri'], `is our own listener ${own}: calls would come back to us`);
    return;
  }
}

function placeOf(
  uri: string,
): { readonly host: string; readonly port: number; readonly transport: string } | undefined {
  const match = /^(sips?):(?:[^@]*@)?(\[[^\]]*\]|[^:;]*)(?::(\d+))?(.*)$/i.exec(uri);
  if (match === null) return undefined;
  const [, scheme = '', host = '', port, parameters = ''] = match;
  const given = /;transport=([a-z]+)/i.exec(parameters)?.[1]?.toLowerCase();
  const transport = given ?? (scheme.toLowerCase() === 'sips' ? 'tls' : 'udp');
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? (transport === 'tls' ? 5061 : 5060)), transport };
}

function sameAddress(one: string, other: string): boolean {
  const [a, b] = [one, other].map((host) => (canonicalHost(host) === 'localhost' ? '127.0.0.1' : canonicalHost(host)));
  return a === b;
}

/** Who is banned is not even heard. */
function checkBans(source: Source, sections: CheckedSections, ban: readonly string[]): void {
  const parts: { readonly what: Path; readonly address: string }[] = [
    ...(sections.nodes.length < 2
      ? []
      : sections.nodes.flatMap(({ path, value }) =>
          value.listen.map(({ address }) => ({ what: path, address: value.address ?? address })),
        )),
    ...sections.gateways.flatMap(({ path, value }) => {
      const place = value.uri === undefined ? undefined : placeOf(value.uri);
      return place === undefined ? [] : [{ what: path, address: place.host }];
    }),
  ];
  ban.forEach((text, index) => {
    if (parseNetwork(text) === undefined) return;
    const network = new Networks([text]);
    const hit = parts.find(({ address }) => network.has(address));
    if (hit !== undefined)
      source.problem(['sourceLimits', 'ban', index], `bans ${formatPath(hit.what)}: nothing from it would be heard`);
  });
}
