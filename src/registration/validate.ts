import { z } from 'zod';
import { isPid, type Pid } from '../process/pid';
import { MAX_IDENTITY_LENGTH } from './binding-key';
import type { RegistrationRecord } from './record';

const MAX_NAME_LENGTH = 256;
const MAX_LINES = 64;

/** Plain printable ASCII needs no look at each character's class; nearly everything is that. */
const PLAIN = /^[ -~]*$/;
const NO_CONTROLS = /^[^\p{Cc}\p{Cs}]*$/u;

/** Bounded, well-formed text without control characters: nothing that could end a header or a log line early. */
function text(maximum: number, minimum = 1): z.ZodString {
  return z
    .string()
    .min(minimum)
    .max(maximum)
    .refine((value) => PLAIN.test(value) || NO_CONTROLS.test(value));
}

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

const schema: z.ZodType<RegistrationRecord> = z.strictObject({
  key: text(3 * MAX_NAME_LENGTH + 1 + MAX_IDENTITY_LENGTH),
  kind: z.enum(['station', 'gateway', 'media-resource']),
  device: text(MAX_NAME_LENGTH),
  lines: z.array(text(MAX_NAME_LENGTH)).max(MAX_LINES),
  instance: text(MAX_IDENTITY_LENGTH),
  pid: z
    .string()
    .max(24)
    .refine((value): value is Pid => isPid(value)),
  boot: count,
  contact: text(MAX_IDENTITY_LENGTH, 0),
  address: text(MAX_NAME_LENGTH, 0),
  stamp: z.strictObject({ ms: count, counter: count, node: count }),
  expiresAt: count,
});

/**
 * Whether something that another node has sent, or that was read from a file, is a record: every field there, of its
 * type, bounded, and no other field.
 */
export function isRegistrationRecord(value: unknown): value is RegistrationRecord {
  return schema.safeParse(value).success;
}
