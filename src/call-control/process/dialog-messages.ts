import { z } from 'zod';

/** What a node asks the others when a dialog, or a call of a line, is wanted that it does not have itself, and what they say. */

const text = z.string().min(1).max(256);
const tag = z.string().max(256);
const dialog = z.strictObject({ callId: text, toTag: tag, fromTag: tag });

const question = z.union([
  /** Whether it has this dialog, as the phone names it. */
  z.strictObject({ op: z.literal('dialog'), dialog }),
  /** The calls that phones of these lines hold, or do not hold. */
  z.strictObject({ op: z.literal('calls'), numbers: z.array(text).min(1).max(64), held: z.boolean() }),
]);

const reply = z.strictObject({
  calls: z
    .array(
      z.strictObject({
        number: text,
        /** The device of the line. */
        device: text,
        /** Since it was answered: clocks differ. */
        ageMs: z.number().min(0),
        /** With that device, as it sees it. */
        dialog,
        /** The call process that has it. */
        process: z.strictObject({ pid: text, boot: z.number() }),
      }),
    )
    .max(16),
});

export type DialogQuestion = z.infer<typeof question>;
export type DialogReply = z.infer<typeof reply>;

/** Undefined: not a question that can be understood. */
export function readDialogQuestion(body: unknown): DialogQuestion | undefined {
  return question.safeParse(body).data;
}

/** Undefined: not a reply that can be understood. */
export function readDialogReply(body: unknown): DialogReply | undefined {
  return reply.safeParse(body).data;
}
