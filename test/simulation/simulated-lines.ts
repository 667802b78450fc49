import type { NodeProtocol } from '../../src/cluster/protocol/node-protocol';
import type { Effect } from '../../src/cluster/protocol/effects';
import { type LineCall, LineStates } from '../../src/line/line-states';
import { Settings } from '../../src/line/settings';
import { Watches } from '../../src/line/watches';
import { compareStamps, type HybridClock, type Stamp } from '../../src/process/hlc';
import type { CompositeSet } from '../../src/registration/composite-set';
import { isDevice, NOBODY, type TextEntry } from '../../src/registration/entry';
import { type EntryChange, EntrySet } from '../../src/registration/entry-set';
import { deletionReason } from '../../src/registration/record';
import type { Mutation } from './mutation';

export interface LinesOptions {
  readonly node: number;
  readonly mutation: Mutation;
  readonly stamps: HybridClock;
  readonly composite: CompositeSet;
  /** What the process before had on its disk. */
  readonly found: readonly TextEntry[];
  readonly protocol: () => NodeProtocol | undefined;
  readonly perform: (effects: readonly Effect[]) => void;
  /** An own entry came, changed or went. */
  readonly changed: (key: string) => void;
  readonly complain: (what: string) => void;
  /** With which stamp this was written, wherever that was. */
  readonly writtenAt: (body: string) => Stamp | undefined;
}

/** What one process knows of lines: the real rooms, on the tables of a simulated node. */
export class SimulatedLines {
  readonly entries = new EntrySet();
  readonly settings: Settings;
  /** Lines that somebody looks at here, and what ends that. */
  readonly watching = new Map<string, () => void>();
  /** Calls of lines here. */
  readonly calls = new Map<string, readonly LineCall[]>();
  private watches: Watches | undefined;
  private states: LineStates | undefined;

  constructor(private readonly options: LinesOptions) {
    const { mutation, found, stamps } = options;
    if (mutation.forgetsSettings !== true) for (const entry of found) this.entries.put(entry);
    this.settings = new Settings(this.entries, stamps);
    this.entries.onChange((change) => this.follow(change));
  }

  /** The incarnation is known, and the core. */
  begin(boot: number, protocol: NodeProtocol): void {
    const { node, stamps, composite, perform } = this.options;
    for (const entry of this.entries.of(NOBODY)) perform(protocol.commonPut(entry, true));
    this.watches = new Watches({ node, boot }, this.entries, stamps);
    this.states = new LineStates({ node, boot }, this.entries, stamps, this.watches, composite);
  }

  /** Does what the core wants, as far as it is not about devices. */
  apply(effect: Effect): void {
    if (effect.type === 'put' && !isDevice(effect.entry)) this.entries.put(effect.entry);
    if (effect.type === 'delete') this.entries.delete(effect.owner, effect.key, effect.reason);
    if (effect.type === 'purge' && this.options.mutation.keepsTheDead !== true)
      this.entries.purge(effect.owner, effect.reason);
  }

  watch(line: string): void {
    if (this.watches !== undefined && !this.watching.has(line)) this.watching.set(line, this.watches.watch(line));
  }

  release(line: string): void {
    this.watching.get(line)?.();
    this.watching.delete(line);
  }

  publish(line: string, calls: readonly LineCall[]): void {
    this.calls.set(line, calls);
    this.states?.publish(line, calls);
  }

  /** By node what it says of the line, as it is seen here. */
  seen(line: string): ReadonlyMap<number, string> {
    const states = this.states?.of(line) ?? [];
    return new Map(states.map(({ node, calls }) => [node, JSON.stringify(calls)]));
  }

  /** Whether a device of the line is here, or a call. */
  has(line: string): boolean {
    for (const { lines } of this.options.composite.of(this.options.node)) if (lines.includes(line)) return true;
    return (this.calls.get(line)?.length ?? 0) > 0;
  }

  /** What its disk has. */
  get disk(): readonly TextEntry[] {
    return [...this.entries.of(NOBODY)];
  }

  /** What stood on its disk when it began. */
  get found(): readonly TextEntry[] {
    return this.options.found;
  }

  private follow(change: EntryChange): void {
    const { owner, key, entry, previous, reason } = change;
    const { node, mutation, protocol: core, perform, changed } = this.options;
    const protocol = core();
    this.judge(change);
    if (owner === node) changed(key);
    if (protocol === undefined) return;
    if (owner === NOBODY && entry !== undefined) perform(protocol.commonPut(entry));
    if (owner !== node) return;
    if (entry !== undefined) perform(protocol.localPut(entry));
    else if (mutation.keepsWatches !== true || previous?.kind !== 'watch')
      perform(protocol.localDelete(key, deletionReason(reason) ?? 'unregistered'));
  }

  /** What must never happen, at any time. */
  private judge({ owner, entry, previous }: EntryChange): void {
    const { node, complain, writtenAt } = this.options;
    if (entry === undefined || previous === undefined) return;
    if (owner === NOBODY) {
      const [now, before] = [writtenAt(entry.body), writtenAt(previous.body)];
      if (now !== undefined && before !== undefined && compareStamps(now, before) < 0)
        complain(`an older setting won: ${entry.body} over ${previous.body} at node ${node}`);
    } else if (entry.kind === 'line-state' && entry.boot === previous.boot) {
      if (versionOf(entry) <= versionOf(previous))
        complain(`line state went back: ${entry.key} of node ${owner} at node ${node}`);
    }
  }
}

function versionOf({ body }: TextEntry): number {
  return (JSON.parse(body) as { version: number }).version;
}
