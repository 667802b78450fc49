import { z } from 'zod';
import { isPid } from '../process/pid';
import { DELETION_REASONS } from '../registration/record';
import { isKey } from '../registration/validate';
import type { ProcessMessage } from './messenger';
import type { ProtocolMessage } from './protocol/messages';
import { COMMON_BUCKETS } from './protocol/timing';
import type { StatusMessage } from './status';
import { readChanges, readEntries } from './wire';

/** Everything that nodes say to each other. */
export type ClusterMessage = ProtocolMessage | ProcessMessage | StatusMessage;

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const text = (max: number) => z.string().max(max);
const stamp = z.strictObject({ ms: count, counter: count, node: count });

/** What `read` makes of it; refused when that is nothing. */
function readBy<Item>(read: (rows: unknown) => Item[] | undefined, minimum: number) {
  return z.unknown().transform((rows, context) => {
    const items = read(rows);
    if (items !== undefined && items.length >= minimum) return items;
    context.addIssue({ code: 'custom', message: 'malformed' });
    return z.NEVER;
  });
}

const header = {
  node: count.min(1).max(999_999),
  boot: count,
  token: text(64),
  at: stamp,
};

const bucketPlace = z.strictObject({
  bucket: count.max(COMMON_BUCKETS - 1),
  after: z.string().refine((key) => key === '' || isKey(key)),
});

const schema: z.ZodType<ClusterMessage> = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('poll'),
    ...header,
    hello: z.boolean(),
    number: count,
    address: text(300),
    sequence: count,
    count,
    digest: text(16),
    common: text(16),
    sip: count,
    calls: count,
    phones: count,
    over: count,
  }),
  z.strictObject({ type: z.literal('goodbye'), ...header }),
  z.strictObject({ type: z.literal('probe'), ...header }),
  z.strictObject({ type: z.literal('taken'), ...header, to: text(64), address: text(300) }),
  z.strictObject({ type: z.literal('known'), ...header, to: text(64), highest: count }),
  z.strictObject({
    type: z.literal('deltas'),
    ...header,
    first: count.min(1),
    changes: readBy(readChanges, 1),
  }),
  z.strictObject({
    type: z.literal('gone'),
    ...header,
    reason: z.enum(DELETION_REASONS),
    entries: z
      .array(z.strictObject({ key: z.string().refine(isKey), stamp }))
      .min(1)
      .max(1_000),
  }),
  z.strictObject({
    type: z.literal('pull'),
    ...header,
    id: count,
    snapshot: count.optional(),
    part: count,
    after: count.optional(),
  }),
  z.strictObject({
    type: z.literal('chunk'),
    ...header,
    id: count,
    snapshot: count,
    part: count,
    last: z.boolean(),
    digest: text(16),
    entries: readBy(readEntries, 0),
    gone: z.boolean(),
  }),
  z.strictObject({
    type: z.literal('common'),
    ...header,
    id: count,
    entries: readBy(readEntries, 0),
    next: bucketPlace.optional(),
  }),
  z.strictObject({
    type: z.literal('reconcile'),
    ...header,
    id: count,
    digests: z.array(text(16)).length(COMMON_BUCKETS),
    from: bucketPlace.optional(),
  }),
  z.strictObject({
    type: z.literal('request'),
    ...header,
    id: text(64),
    pid: z.string().max(24).refine(isPid),
    targetBoot: count,
    body: z.unknown(),
  }),
  // Not strict: later versions may say more.
  z.object({
    type: z.literal('status'),
    ...header,
    number: count,
    time: count,
    configuration: z.record(text(32), text(32)).refine((sections) => Object.keys(sections).length <= 64),
  }),
  z.strictObject({ type: z.literal('reply'), ...header, id: text(64), body: z.unknown() }),
]);

/** `undefined` for what is not a message of ours: every field there, of its type, bounded, and no other. */
export function readMessage(value: unknown): ClusterMessage | undefined {
  const result = schema.safeParse(value);
  return result.success ? result.data : undefined;
}
