import type { z } from 'zod';

/** Reads and writes the body of one kind of entry. */
export interface BodyCodec<Body> {
  /** As in the envelope of the entry. */
  readonly kind: string;
  /** `undefined`: it is none, or of a newer node that says more. Never throws. */
  read(text: string): Body | undefined;
  write(body: Body): string;
}

/** A codec that takes what fits the schema and nothing else. */
export function bodyCodec<Body>(kind: string, schema: z.ZodType<Body>): BodyCodec<Body> {
  return {
    kind,
    read: (text) => {
      const result = schema.safeParse(parseJson(text));
      return result.success ? result.data : undefined;
    },
    write: (body) => JSON.stringify(body),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
