import { z } from 'zod';
import { isPid } from '../process/pid';
import type { DeletionReason, RegistrationRecord } from '../registration/record';
import { isRegistrationRecord } from '../registration/validate';
import type { ProcessMessage } from './messenger';
import type { ProtocolMessage } from './protocol/messages';

/** Everything that nodes say to each other. */
export type ClusterMessage = ProtocolMessage | ProcessMessage;

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const text = (max: number) => z.string().max(max);
const stamp = z.strictObject({ ms: count, counter: count, node: count });
const record = z.custom<RegistrationRecord>(isRegistrationRecord);
const MAX_KEY = 4096;
const MAX_ITEMS = 4096;
const REASONS = [
  'unregistered',
  'expired',
  'unreachable',
  'moved',
  'replaced',
  'stopped',
] as const satisfies DeletionReason[];

const header = {
  node: count.min(1).max(999_999),
  boot: count,
  token: text(64),
  at: stamp,
};

const change = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('put'), record }),
  z.strictObject({ op: z.literal('stamp'), key: text(MAX_KEY), stamp, expiresAt: count }),
  z.strictObject({ op: z.literal('delete'), key: text(MAX_KEY), reason: z.enum(REASONS) }),
]);

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
  }),
  z.strictObject({ type: z.literal('goodbye'), ...header }),
  z.strictObject({ type: z.literal('probe'), ...header }),
  z.strictObject({ type: z.literal('taken'), ...header, to: text(64), address: text(300) }),
  z.strictObject({ type: z.literal('known'), ...header, to: text(64), highest: count }),
  z.strictObject({
    type: z.literal('deltas'),
    ...header,
    first: count.min(1),
    changes: z.array(change).min(1).max(MAX_ITEMS),
  }),
  z.strictObject({
    type: z.literal('pull'),
    ...header,
    id: count,
    snapshot: count.optional(),
    offset: count,
    after: count.optional(),
  }),
  z.strictObject({
    type: z.literal('chunk'),
    ...header,
    id: count,
    snapshot: count,
    offset: count,
    total: count,
    digest: text(16),
    records: z.array(record).max(MAX_ITEMS),
    gone: z.boolean(),
  }),
  z.strictObject({
    type: z.literal('request'),
    ...header,
    id: text(64),
    pid: z.string().max(24).refine(isPid),
    targetBoot: count,
    body: z.unknown(),
  }),
  z.strictObject({ type: z.literal('reply'), ...header, id: text(64), body: z.unknown() }),
]);

/** `undefined` for what is not a message of ours: every field there, of its type, bounded, and no other. */
export function readMessage(value: unknown): ClusterMessage | undefined {
  const result = schema.safeParse(value);
  return result.success ? result.data : undefined;
}

/** The reason of a deletion as it goes to the other nodes. */
export function deletionReason(text: string): DeletionReason {
  return REASONS.find((reason) => reason === text) ?? 'unregistered';
}
