import { z } from 'zod';

const LINE = /^[!-~]{1,128}$/;

/** The number of a line. */
export const lineText = z.string().regex(LINE);

export function isLine(text: string): boolean {
  return LINE.test(text);
}
