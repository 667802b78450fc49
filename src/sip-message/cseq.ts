import { isDigits, isToken } from './characters';

/** CSeq numbers are below 2^31 (RFC 3261 section 8.1.1.5). */
const CSEQ_LIMIT = 2 ** 31;

/** `number method`; undefined when the grammar is broken or the number is 2^31 or more. */
export function parseCSeq(input: string): { number: number; method: string } | undefined {
  const text = input.trim();
  let end = 0;
  while (end < text.length && isDigits(text.charAt(end))) end++;
  const number = Number(text.slice(0, end));
  const method = text.slice(end).trim();
  const separated = /\s/.test(text.charAt(end));
  if (end === 0 || !separated || number >= CSEQ_LIMIT || !isToken(method)) return undefined;
  return { number, method };
}
