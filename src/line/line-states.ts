import { z } from 'zod';
import type { HybridClock } from '../process/hlc';
import type { CompositeSet, RegistrationChange } from '../registration/composite-set';
import type { TextEntry } from '../registration/entry';
import type { EntryChange, EntrySet } from '../registration/entry-set';
import { Told } from '../registration/told';
import { MAX_BODY_LENGTH } from '../registration/validate';
import { bodyCodec } from './body-codec';
import { isLine, lineText } from './line-text';
import type { ThisNode, Watches } from './watches';

const text = (most: number) => z.string().max(most);
const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const callSchema = z.strictObject({
  /** The call's id in the whole cluster. */
  id: text(128),
  /** Call process at the node of the line, to which an INVITE with Replaces goes. */
  pid: text(24).optional(),
  /** The dialog with the line's device, as the device sees it (RFC 4235 section 4.1.1). */
  dialog: z.strictObject({ callId: text(256), localTag: text(128), remoteTag: text(128).optional() }).optional(),
  /** RFC 4235 section 3.7.1. */
  state: z.enum(['trying', 'proceeding', 'early', 'confirmed']),
  /** The device has put the other party on hold. */
  held: z.boolean().optional(),
  /** Who began it: the line is called, or calls. */
  direction: z.enum(['recipient', 'initiator']),
  /** Who is at the other end, as far as the line may know. */
  party: z.strictObject({ number: text(128), name: text(128).optional() }).optional(),
  /** In this state, ms since the epoch. */
  since: count,
});
const codec = bodyCodec(
  'line-state',
  z.strictObject({
    line: lineText,
    version: count,
    calls: z.array(callSchema).max(64),
    /** Further calls, which the body has no room for. */
    more: count.optional(),
  }),
);

/** One call of a line. */
export type LineCall = Readonly<z.infer<typeof callSchema>>;

/** What a node says of a line whose device it has: no calls: it is idle. A line of which no node says anything is not registered. */
export interface LineState {
  readonly node: number;
  readonly boot: number;
  /** The next one of the same incarnation has a higher one. */
  readonly version: number;
  readonly calls: readonly LineCall[];
  readonly more?: number;
}

/**
 * The calls of lines. The node that has a line's device says what they are: its own rooms hear it always, the others while one of them looks. A line
 * at which no other node looks costs no message. Its node takes it along when it dies.
 */
export class LineStates {
  private readonly calls = new Map<string, readonly LineCall[]>();
  /** How many devices of each line are registered here. */
  private readonly devices = new Map<string, number>();
  private readonly told = new Told<string>('the line states');
  private readonly read = new WeakMap<TextEntry, LineState>();
  private version = 0;

  constructor(
    private readonly self: ThisNode,
    private readonly entries: EntrySet,
    private readonly stamps: HybridClock,
    private readonly watches: Watches,
    composite: CompositeSet,
  ) {
    for (const { lines, kind } of composite.of(self.node)) if (kind === 'station') this.count(lines, 1);
    composite.onChange((change) => this.devicesChanged(change));
    watches.onElsewhere((line) => this.show(line));
    entries.onChange((change) => this.heard(change));
  }

  /** The line has these calls at this node now, all of them. */
  publish(line: string, calls: readonly LineCall[]): void {
    if (!isLine(line)) throw new RangeError('a line is 1 to 128 characters without spaces');
    if (calls.length === 0) this.calls.delete(line);
    else this.calls.set(line, calls);
    this.version += 1;
    this.show(line);
    if (this.watches.isWatchedHere(line)) this.told.tell(line);
  }

  /** What each node that has a device of the line says of it; ours first. Who wants to know of the others' watches it. */
  of(line: string): readonly LineState[] {
    const { node, boot } = this.self;
    const own: LineState[] = this.isHere(line)
      ? [{ node, boot, version: this.version, calls: this.calls.get(line) ?? [] }]
      : [];
    const others = this.entries
      .withKey(keyOf(line))
      .flatMap((entry) => (entry.owner === node ? [] : this.state(entry)));
    return [...own, ...others];
  }

  /** Called with a line that somebody here watches when its state is another, at whichever node. */
  onChange(listener: (line: string) => void): void {
    this.told.follow(listener);
  }

  /** A device of it is registered here, or it has a call here. */
  private isHere(line: string): boolean {
    return this.devices.has(line) || this.calls.has(line);
  }

  /** Tells the other nodes what one of them looks at, and takes back what none does. */
  private show(line: string): void {
    const key = keyOf(line);
    const { node: owner, boot } = this.self;
    if (!this.isHere(line) || !this.watches.isWatchedElsewhere(line)) {
      this.entries.delete(owner, key, 'unregistered');
      return;
    }
    const body = this.bodyOf(line);
    this.entries.put({ key, kind: codec.kind, owner, boot, stamp: this.stamps.next(), expiresAt: 0, body });
  }

  private bodyOf(line: string): string {
    const all = this.calls.get(line) ?? [];
    this.version += 1;
    for (let shown = all.length; ; shown--) {
      const more = all.length > shown ? { more: all.length - shown } : {};
      const body = codec.write({ line, version: this.version, calls: all.slice(0, shown), ...more });
      if (body.length <= MAX_BODY_LENGTH || shown === 0) return body;
    }
  }

  private heard({ owner, entry, previous }: EntryChange): void {
    const changed = entry ?? previous;
    if (owner === this.self.node || changed?.kind !== codec.kind) return;
    const line = codec.read(changed.body)?.line;
    if (line !== undefined && this.watches.isWatchedHere(line)) this.told.tell(line);
  }

  private state(entry: TextEntry): readonly LineState[] {
    const known = this.read.get(entry);
    if (known !== undefined) return [known];
    const body = entry.kind === codec.kind ? codec.read(entry.body) : undefined;
    if (body === undefined) return [];
    const { version, calls, more } = body;
    const state = { node: entry.owner, boot: entry.boot, version, calls, ...(more === undefined ? {} : { more }) };
    this.read.set(entry, state);
    return [state];
  }

  private devicesChanged(change: RegistrationChange): void {
    const { owner, record } = change;
    const previous = change.type === 'put' ? change.previous : change.record;
    if (owner !== this.self.node || record.kind !== 'station') return;
    // Nearly every change is a refresh.
    if (change.type === 'put' && change.previous?.lines === record.lines) return;
    if (previous !== undefined) this.count(previous.lines, -1);
    if (change.type === 'put') this.count(record.lines, 1);
    for (const line of new Set([...record.lines, ...(previous?.lines ?? [])])) this.presenceChanged(line);
  }

  private count(lines: readonly string[], by: 1 | -1): void {
    for (const line of lines) {
      const devices = (this.devices.get(line) ?? 0) + by;
      if (devices > 0) this.devices.set(line, devices);
      else this.devices.delete(line);
    }
  }

  private presenceChanged(line: string): void {
    const shown = this.entries.get(this.self.node, keyOf(line)) !== undefined;
    if (shown !== (this.isHere(line) && this.watches.isWatchedElsewhere(line))) this.show(line);
    if (this.watches.isWatchedHere(line)) this.told.tell(line);
  }
}

function keyOf(line: string): string {
  return `line-state/${line}`;
}
