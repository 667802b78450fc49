import { z } from 'zod';

const MAX_POOL = 10_000;

/** `3000`, or `3000-3099`: as many digits on both sides. Text: what is wrong with it. */
function numbersOf(range: string): readonly string[] | string {
  const match = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(range);
  const from = match?.[1];
  const to = match?.[2] ?? from;
  if (from === undefined || to?.length !== from.length || to < from)
    return 'must be a number or a range of numbers of one length, for example 3000-3099';
  const length = Number(to) - Number(from) + 1;
  if (length > MAX_POOL) return `must be at most ${MAX_POOL} numbers`;
  return Array.from({ length }, (_, index) => String(Number(from) + index).padStart(from.length, '0'));
}

/** Ranges of directory numbers; the result is each number once. */
export const poolSchema = z
  .string()
  .or(z.array(z.string()).min(1))
  .transform((value, context) => {
    const ranges = [value].flat().map(numbersOf);
    const wrong = ranges.find((range) => typeof range === 'string');
    const numbers = ranges.flatMap((range) => (typeof range === 'string' ? [] : range));
    if (wrong !== undefined) context.addIssue(wrong);
    else if (numbers.length > MAX_POOL) context.addIssue(`must be at most ${MAX_POOL} numbers`);
    else if (new Set(numbers).size < numbers.length) context.addIssue('names a number twice');
    else return numbers;
    return z.NEVER;
  });
