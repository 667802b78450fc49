import { z } from 'zod';

/** What a node asks the others when somebody wants to answer for a phone that rings, and what they say. */

const text = z.string().min(1).max(256);

const question = z.union([
  z.strictObject({ op: z.literal('ringing'), number: text }),
  z.strictObject({ op: z.literal('ringing'), groups: z.array(text).min(1).max(64) }),
]);

const reply = z.strictObject({
  calls: z
    .array(
      z.strictObject({
        number: text,
        /** How long it has been ringing: clocks differ. */
        ringsMs: z.number().min(0),
        /** The device that calls; it picks up nothing of its own. */
        caller: text,
        /** The dialog with the phone, as that sees it. */
        dialog: z.strictObject({ callId: text, toTag: z.string().max(256), fromTag: z.string().max(256) }),
      }),
    )
    .max(16),
});

/** Which calls are meant: that ring at a number, or in pickup groups. */
export type RingingQuestion = z.infer<typeof question>;
export type RingingReply = z.infer<typeof reply>;

/** Undefined: not a question that can be understood. */
export function readRingingQuestion(body: unknown): RingingQuestion | undefined {
  return question.safeParse(body).data;
}

/** Undefined: not a reply that can be understood. */
export function readRingingReply(body: unknown): RingingReply | undefined {
  return reply.safeParse(body).data;
}
