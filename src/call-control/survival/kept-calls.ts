import type { Pid } from '../../process/pid';
import type { KeptCall, PartnerMessage } from './partner-messages';

/** Of one node; of more the oldest are forgotten. */
const MOST_OF_A_NODE = 5_000;
/** A call of which nobody has said anything for so long is not kept, ms. */
const LONGEST_MS = 12 * 3600_000;

interface Kept {
  readonly call: KeptCall;
  readonly since: number;
}

interface OfNode {
  readonly node: number;
  readonly boot: number;
  readonly calls: Map<Pid, Kept>;
}

/** What other nodes have told of the calls between their own phones. */
export class KeptCalls {
  /** By node and incarnation: what an earlier one has told is of use just when the next one has begun. */
  private readonly nodes = new Map<string, OfNode>();

  /** `now`: ms since the epoch. */
  take({ node, boot, anew, calls }: PartnerMessage, now: number): void {
    const key = `${node}-${boot}`;
    const of: OfNode = this.nodes.get(key) ?? { node, boot, calls: new Map() };
    if (anew === true) of.calls.clear();
    for (const { process, kept } of calls) {
      of.calls.delete(process);
      if (kept !== undefined) of.calls.set(process, { call: kept, since: now });
    }
    for (const [process, { since }] of of.calls) {
      if (of.calls.size <= MOST_OF_A_NODE && now - since < LONGEST_MS) break;
      of.calls.delete(process);
    }
    if (of.calls.size === 0) this.nodes.delete(key);
    else this.nodes.set(key, of);
  }

  /** The calls of a node, in whichever incarnation. */
  *of(node: number): IterableIterator<{ readonly process: Pid; readonly boot: number; readonly call: KeptCall }> {
    for (const { node: owner, boot, calls } of this.nodes.values())
      if (owner === node) for (const [process, { call }] of calls) yield { process, boot, call };
  }

  has(process: Pid, node: number, boot: number): boolean {
    return this.nodes.get(`${node}-${boot}`)?.calls.has(process) === true;
  }

  forget(process: Pid, node: number, boot: number): void {
    const of = this.nodes.get(`${node}-${boot}`);
    of?.calls.delete(process);
    if (of?.calls.size === 0) this.nodes.delete(`${node}-${boot}`);
  }
}
