import { z } from 'zod';
import type { HybridClock, Stamp } from '../process/hlc';
import { NOBODY, type TextEntry } from '../registration/entry';
import type { EntryChange, EntrySet } from '../registration/entry-set';
import { bodyCodec } from './body-codec';
import { isLine, lineText } from './line-text';

/** A number, or a SIP or tel URI: whether it may be called is judged when it is. */
const target = z.string().regex(/^[!-~]{1,128}$/, 'must be a number or a URI of at most 128 characters');
/** What can be set for a line; `null` unsets it. */
const changeSchema = z
  .strictObject({
    /** Every call goes there. */
    forwardAll: target.nullable(),
    /** Calls that the line has no room for go there. */
    forwardBusy: target.nullable(),
    /** Calls that nobody has answered in time go there. */
    forwardNoAnswer: target.nullable(),
    /** Calls go there while no device of the line is registered. */
    forwardUnregistered: target.nullable(),
    /** Nobody is to ring here. */
    dnd: z.boolean().nullable(),
    /** Hunt groups leave the line out. */
    loggedOut: z.boolean().nullable(),
  })
  .partial();

/** What is to be set for a line, or with `null` to be unset; the rest stays. */
export type SettingsChange = z.infer<typeof changeSchema>;
type SettingName = keyof SettingsChange;
/** What is set for a line; what is not set is not there. */
export type LineSettings = { readonly [Name in SettingName]?: NonNullable<SettingsChange[Name]> };

/** A change of settings that cannot be made, and why. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** Each setting is an entry of its own: who sets one takes nothing from who sets another meanwhile. */
const codec = bodyCodec(
  'setting',
  z.strictObject({
    line: lineText,
    name: z.string().regex(/^[a-zA-Z]{1,32}$/),
    // Null: unset. The entry stays, being newer than what was set.
    value: z.union([z.string().max(256), z.boolean(), z.null()]),
  }),
);

const NOTHING: LineSettings = Object.freeze({});
/** Half of what nodes carry, so that no two of them come to leave out different ones. */
const MAX_SETTINGS = 50_000;

type Listener = (line: string, settings: LineSettings, previous: LineSettings) => void;

/**
 * What users have set for lines, the same at every node. The last one to write a setting wins, wherever it was written; it needs no node to live, and
 * survives a restart of all nodes by the journals of any of them.
 */
export class Settings {
  private readonly lines = new Map<string, LineSettings>();
  private readonly listeners: Listener[] = [];

  constructor(
    private readonly entries: EntrySet,
    private readonly stamps: HybridClock,
  ) {
    for (const entry of entries.of(NOBODY)) this.read(entry);
    entries.onChange((change) => this.follow(change));
  }

  get(line: string): LineSettings {
    return this.lines.get(line) ?? NOTHING;
  }

  /** Lines that have something set. */
  all(): Iterable<readonly [line: string, settings: LineSettings]> {
    return this.lines;
  }

  /** Called after each change, whichever node has made it. */
  onChange(listener: Listener): void {
    this.listeners.push(listener);
  }

  /** Sets all of the change or, with a `SettingsError`, nothing of it. The other nodes and the disk follow by themselves. */
  set(line: string, change: unknown): void {
    if (!isLine(line)) throw new SettingsError('a line is 1 to 128 characters without spaces');
    const parsed = changeSchema.safeParse(change);
    if (!parsed.success) throw new SettingsError(wordsOf(parsed.error));
    const wanted = Object.entries(parsed.data);
    if (this.entries.count(NOBODY) + wanted.length > MAX_SETTINGS && wanted.some(([name]) => !this.has(line, name)))
      throw new SettingsError(`more than ${MAX_SETTINGS} settings cannot be kept`);
    for (const [name, value] of wanted) this.write(line, name, value);
  }

  private has(line: string, name: string): boolean {
    return this.entries.get(NOBODY, keyOf(line, name)) !== undefined;
  }

  private write(line: string, name: string, value: string | boolean | null): void {
    const key = keyOf(line, name);
    const present = this.entries.get(NOBODY, key);
    const body = codec.write({ line, name, value });
    if (present?.body === body || (present === undefined && value === null)) return;
    const stamp = newerThan(present?.stamp, this.stamps.next());
    this.entries.put({ key, kind: codec.kind, owner: NOBODY, boot: 0, stamp, expiresAt: 0, body });
  }

  private follow({ owner, entry }: EntryChange): void {
    if (owner !== NOBODY || entry === undefined) return;
    const line = this.read(entry);
    if (line === undefined) return;
    for (const listener of this.listeners) listener(line.line, this.get(line.line), line.previous);
  }

  /** Undefined: nothing that this node knows; it is carried and kept all the same. */
  private read(entry: TextEntry): { readonly line: string; readonly previous: LineSettings } | undefined {
    if (entry.kind !== codec.kind) return undefined;
    const body = codec.read(entry.body);
    if (body === undefined || !changeSchema.safeParse({ [body.name]: body.value }).success) return undefined;
    const { line, name, value } = body;
    const previous = this.get(line);
    const others = Object.entries(previous).filter(([other]) => other !== name);
    const settings = Object.fromEntries(value === null ? others : [...others, [name, value]]);
    if (Object.keys(settings).length === 0) this.lines.delete(line);
    else this.lines.set(line, Object.freeze(settings));
    return { line, previous };
  }
}

function keyOf(line: string, name: string): string {
  return `setting/${name}/${line}`;
}

/** Who writes knows what stood there, also when that has the stamp of a clock that is far ahead: what is written now is newer. */
function newerThan(present: Stamp | undefined, stamp: Stamp): Stamp {
  if (present === undefined || present.ms < stamp.ms) return stamp;
  return {
    ms: present.ms,
    counter: Math.max(present.counter, present.ms === stamp.ms ? stamp.counter : 0) + 1,
    node: stamp.node,
  };
}

function wordsOf({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message)).join('; ');
}
