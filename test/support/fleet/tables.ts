import type { Cluster } from '../cluster';
import type { NodeProcess, RegistrationRow } from '../node-process';
import type { FleetPhone } from './fleet-phone';

/** What must be the same everywhere, as one line. */
function lineOf({ dn, device, instance, pid, boot, address }: RegistrationRow): string {
  return `${dn} ${device} ${instance} ${pid} ${boot} ${address}`;
}

/** What the ledger says must stand in the tables. */
function expectedLine(phone: FleetPhone): string | undefined {
  if (phone.ledger.state === 'off') return undefined;
  const { dn, instance, port } = phone;
  return `${dn} fleet-${dn} ${instance} at node ${phone.ledger.node} udp:127.0.0.1:${port}`;
}

export interface Comparison {
  /** Each node's number of entries. */
  readonly entries: readonly number[];
  /** For each node how many lines differ from those of the first. */
  readonly unlikeFirst: readonly number[];
  /** Lines of the first node that the ledger does not have, and the other way round. */
  readonly notInLedger: readonly string[];
  readonly notInTable: readonly string[];
  /** Entries of an incarnation that is not the node's present one. */
  readonly oldIncarnations: number;
}

/** All nodes have the same table, of the present incarnations. */
export function areEqual({ unlikeFirst, oldIncarnations }: Comparison): boolean {
  return unlikeFirst.every((count) => count === 0) && oldIncarnations === 0;
}

/** And it is what the phones were told. */
export function isEqual(seen: Comparison): boolean {
  const { notInLedger, notInTable } = seen;
  return areEqual(seen) && notInLedger.length + notInTable.length === 0;
}

/** The tables of all nodes against each other, and against what the phones were told. */
export async function compareTables(cluster: Cluster, phones: readonly FleetPhone[]): Promise<Comparison> {
  const [tables, boots] = await Promise.all([
    Promise.all(cluster.nodes.map((node) => node.registrations())),
    Promise.all(cluster.nodes.map(bootOf)),
  ]);
  const [first = [], ...others] = tables;
  const lines = new Set(first.map(lineOf));
  const seen = new Set(
    first.map((row) => `${row.dn} ${row.device} ${row.instance} at node ${row.node} ${row.address}`),
  );
  const expected = new Set(phones.flatMap((phone) => expectedLine(phone) ?? []));
  return {
    entries: tables.map((rows) => rows.length),
    unlikeFirst: others.map((rows) => difference(new Set(rows.map(lineOf)), lines)),
    notInLedger: [...seen].filter((line) => !expected.has(line)),
    notInTable: [...expected].filter((line) => !seen.has(line)),
    oldIncarnations: first.filter((row) => row.boot !== boots[row.node - 1] || !row.pid.startsWith(`${row.node}.`))
      .length,
  };
}

/** The incarnation that runs now, as the node itself says. */
async function bootOf(node: NodeProcess): Promise<unknown> {
  const views = await node.api('/api/nodes');
  const self: unknown = Array.isArray(views) ? views[node.id - 1] : undefined;
  return typeof self === 'object' && self !== null && 'boot' in self ? self.boot : undefined;
}

function difference(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  return [...a].filter((line) => !b.has(line)).length + [...b].filter((line) => !a.has(line)).length;
}
