import { z } from 'zod';
import type { HybridClock } from '../process/hlc';
import type { EntrySet } from '../registration/entry-set';
import { Told } from '../registration/told';
import { bodyCodec } from './body-codec';
import { isLine, lineText } from './line-text';

const codec = bodyCodec('watch', z.strictObject({ line: lineText }));

/** Which node this is, in this life of it. */
export interface ThisNode {
  readonly node: number;
  readonly boot: number;
}

/**
 * Which lines somebody looks at, and at which nodes: a lamp, a shared line, a page. A node says it once for all who look at it there; it ends when
 * the last of them goes, and with the node.
 */
export class Watches {
  private readonly watchers = new Map<string, number>();
  private readonly told = new Told<string>('the watches');

  constructor(
    private readonly self: ThisNode,
    private readonly entries: EntrySet,
    private readonly stamps: HybridClock,
  ) {
    entries.onChange(({ owner, entry, previous }) => {
      const changed = entry ?? previous;
      if (changed?.kind !== codec.kind || owner === self.node || (entry !== undefined && previous !== undefined))
        return;
      const line = codec.read(changed.body)?.line;
      if (line !== undefined) this.told.tell(line);
    });
  }

  /** Somebody here looks at the line until `release` is called; to call that again does nothing. */
  watch(line: string): () => void {
    if (!isLine(line)) throw new RangeError('a line is 1 to 128 characters without spaces');
    const before = this.watchers.get(line) ?? 0;
    this.watchers.set(line, before + 1);
    if (before === 0) this.begin(line);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.release(line);
    };
  }

  /** Somebody at this node looks at it. */
  isWatchedHere(line: string): boolean {
    return this.watchers.has(line);
  }

  /** Somebody at another node looks at it, as far as is known. */
  isWatchedElsewhere(line: string): boolean {
    return this.entries.withKey(keyOf(line)).some(({ owner }) => owner !== this.self.node);
  }

  /** Called with the line when a node other than this begins or ends to look at it. */
  onElsewhere(listener: (line: string) => void): void {
    this.told.follow(listener);
  }

  private begin(line: string): void {
    const { node: owner, boot } = this.self;
    const envelope = { key: keyOf(line), kind: codec.kind, owner, boot, stamp: this.stamps.next(), expiresAt: 0 };
    this.entries.put({ ...envelope, body: codec.write({ line }) });
  }

  private release(line: string): void {
    const left = (this.watchers.get(line) ?? 0) - 1;
    if (left > 0) {
      this.watchers.set(line, left);
      return;
    }
    this.watchers.delete(line);
    this.entries.delete(this.self.node, keyOf(line), 'unregistered');
  }
}

function keyOf(line: string): string {
  return `watch/${line}`;
}
