import { inspect } from 'node:util';
import { setTimeout as pause } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Milliseconds; default 30 s. */
  readonly cap?: number;
  /** Milliseconds between two looks. */
  readonly every?: number;
}

/**
 * Looks until `accept` holds for what is seen, and returns that. An error thrown by `look` counts as "not yet".
 * Throws at the cap, with what was seen last.
 */
export async function eventually<Seen>(
  what: string,
  look: () => Seen | Promise<Seen>,
  accept: (seen: Seen) => boolean,
  options: EventuallyOptions = {},
): Promise<Seen> {
  const cap = options.cap ?? 30_000;
  const deadline = Date.now() + cap;
  for (;;) {
    let last: string;
    try {
      const seen = await look();
      if (accept(seen)) return seen;
      last = inspect(seen, { depth: 6, maxArrayLength: 20, maxStringLength: 2000 });
    } catch (error) {
      last = String(error);
    }
    if (Date.now() >= deadline) throw new Error(`not within ${cap} ms: ${what}; seen last: ${last}`);
    await pause(options.every ?? 25);
  }
}

/** Like `eventually`, for something that is simply true or not. */
export async function eventuallyTrue(
  what: string,
  look: () => boolean | Promise<boolean>,
  options: EventuallyOptions = {},
): Promise<void> {
  await eventually(what, look, (seen) => seen, options);
}

/** Rejects when `promise` has not settled after `cap` milliseconds. */
export async function within<Value>(cap: number, what: string, promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`not within ${cap} ms: ${what}`));
    }, cap);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
