import type { z } from 'zod';
import { canonicalHost, familyOf, isLoopback, isUnspecified, sameHost } from '../process/address';
import { formatPath, type Path } from './problem';
import type { nodeSchema } from './schema';
import type { Entry } from './sections';
import type { Source } from './source';

interface Socket {
  readonly path: Path;
  readonly transport: 'udp' | 'tcp';
  readonly address: string;
  readonly port: number;
}

type NodeEntry = Entry<z.infer<typeof nodeSchema>>;

interface ListenerSections {
  readonly nodes: readonly NodeEntry[];
  readonly adminToken: string | undefined;
  readonly hasTls: boolean;
}

/** Listeners that clash or lack a certificate, nodes without one, and an HTTP API that would be open to everybody. */
export function checkListeners(source: Source, { nodes, adminToken, hasTls }: ListenerSections): void {
  for (const { path, value } of nodes) {
    if (value.drachtio === 'embedded' && value.listen.length === 0)
      source.problem([...path, 'listen'], 'the embedded SIP server needs at least one listener');
    value.listen.forEach(({ protocol }, index) => {
      if ((protocol === 'tls' || protocol === 'wss') && !hasTls && value.tls === undefined)
        source.problem([...path, 'listen', index], `${protocol} needs a certificate: set tls: {key, cert}`);
    });
    if (value.admin !== undefined && adminToken === undefined && !isLoopback(value.admin.address))
      source.problem([...path, 'admin'], 'must be a loopback address, unless cluster.adminToken is set');
  }
  const taken: { readonly node: NodeEntry; readonly socket: Socket }[] = [];
  for (const node of nodes) {
    for (const socket of socketsOf(node)) {
      const clash = taken.find(
        (other) => sameMachine(other.node, node) && overlaps(other.socket, socket, other.node === node),
      );
      if (clash !== undefined) source.problem(socket.path, `listens where ${formatPath(clash.socket.path)} does`);
      taken.push({ node, socket });
    }
  }
}

function socketsOf({ path, value }: NodeEntry): Socket[] {
  const sip = value.listen.map(({ protocol, address, port }, index): Socket => ({
    path: [...path, 'listen', index],
    transport: protocol === 'udp' ? 'udp' : 'tcp',
    address,
    port,
  }));
  if (value.admin === undefined) return sip;
  return [...sip, { path: [...path, 'admin'], transport: 'tcp', ...value.admin }];
}

/**
 * Two nodes are known to share a machine when they listen on the same address. Otherwise nothing is known: two machines
 * may both use 127.0.0.1:8080 for their API.
 */
export function sameMachine(a: NodeEntry, b: NodeEntry): boolean {
  if (a === b) return true;
  const addresses = new Set(a.value.listen.map(({ address }) => canonicalHost(address)));
  return b.value.listen.some(({ address }) => !isUnspecified(address) && addresses.has(canonicalHost(address)));
}

function overlaps(a: Socket, b: Socket, sameNode: boolean): boolean {
  if (a.transport !== b.transport || a.port !== b.port || a.port === 0) return false;
  if (sameHost(a.address, b.address)) return true;
  const sameFamily = familyOf(a.address) === familyOf(b.address);
  return sameNode && sameFamily && (isUnspecified(a.address) || isUnspecified(b.address));
}
