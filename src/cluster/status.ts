import type { Header } from './protocol/messages';

/** What a node says of itself now and then, apart from its entries. Nodes that do not know this message refuse it and go on. */
export interface NodeStatus {
  /** Its own clock, ms since the epoch: the stamps of messages follow the clocks of others too. */
  readonly time: number;
  /** For each part of its configuration a keyed digest, by which two nodes see whether they have the same. */
  readonly configuration: Readonly<Record<string, string>>;
}

export interface StatusMessage extends Header, NodeStatus {
  readonly type: 'status';
  /** Counts those of this incarnation: late and doubled ones say nothing of now. */
  readonly number: number;
}

/** Counts our own statuses, and knows those that were heard by their numbers: late ones say nothing of now. */
export class StatusOrder {
  private count = 0;
  /** By node, the incarnation and number of the last one. */
  private readonly last = new Map<number, Pick<StatusMessage, 'boot' | 'number'>>();

  /** The number of our next one. */
  next(): number {
    return ++this.count;
  }

  /** Whether it is newer than what was heard of that node; then it counts as heard. */
  isNews({ node, boot, number }: Pick<StatusMessage, 'node' | 'boot' | 'number'>): boolean {
    const last = this.last.get(node);
    if (last?.boot === boot && number <= last.number) return false;
    this.last.set(node, { boot, number });
    return true;
  }
}
