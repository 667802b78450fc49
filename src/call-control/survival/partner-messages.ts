import { z } from 'zod';
import { isPid } from '../../process/pid';
import { parseReplaces } from '../../sip/replaces';

/** What a node tells its partner of the calls between its own phones, so that they outlive it. */

/** The length of a description that is told; a longer one is left out. */
export const MAX_SPOKEN = 2500;

const text = z.string().min(1).max(256);

const end = z.strictObject({
  device: text,
  number: text,
  displayName: text.optional(),
  /** The dialog with the phone, as an INVITE in its place names it to the phone (RFC 3891). */
  dialog: z
    .string()
    .max(1024)
    .transform((value, context) => {
      const dialog = parseReplaces(value);
      if (dialog === undefined) context.addIssue('not a dialog');
      return dialog ?? z.NEVER;
    }),
});

const call = z.strictObject({
  /** Its call process. */
  process: z.string().max(40).refine(isPid),
  /** Left out: the call is over, or none that could go on. */
  kept: z
    .strictObject({
      call: text,
      ends: z.tuple([end, end]),
      /** What the second speaks to the first; left out: they do not talk to each other directly, or one holds. */
      spoken: z.string().max(MAX_SPOKEN).optional(),
    })
    .optional(),
});

const message = z.strictObject({
  op: z.literal('keep'),
  node: z.number().int().min(1).max(999_999),
  boot: z.number().int().min(0),
  /** What was told before counts no more. */
  anew: z.boolean().optional(),
  calls: z.array(call).max(100),
});

export type KeptEnd = z.infer<typeof end>;
export type KeptCall = NonNullable<z.infer<typeof call>['kept']>;
export type PartnerMessage = z.infer<typeof message>;
/** As it is written. */
export type PartnerText = z.input<typeof message>;

/** Undefined: not a message that can be understood. */
export function readPartnerMessage(body: unknown): PartnerMessage | undefined {
  return message.safeParse(body).data;
}
