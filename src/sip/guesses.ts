/**
 * How often somebody may be wrong about a password. What counts is who asks about which account: the place (an IPv4 address, or the /64
 * of an IPv6 one) together with the account, so that nobody can lock out a phone from somewhere else. Who tries many accounts is held
 * up for all of them, but for those that were right from that place before: a phone beside the attacker goes on.
 */
export interface GuessesOptions {
  readonly now: () => number;
  /** Accounts of places that are remembered at most, of each kind. */
  readonly capacity?: number;
}

/** So many wrong passwords for one account cost nothing: people mistype. */
const FREE_FAILURES = 5;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 300_000;
const FORGET_AFTER_MS = 3_600_000;
/** Wrong passwords of one place for all accounts together: so many at once, and then one in each interval. */
const PLACE_FAILURES = 50;
const PLACE_INTERVAL_MS = 5000;
const CAPACITY = 50_000;

interface Failures {
  readonly count: number;
  readonly at: number;
  /** Nothing is looked at before. */
  readonly until: number;
}

export class Guesses {
  private readonly failures = new Map<string, Failures>();
  private readonly places = new Map<string, { readonly level: number; readonly at: number }>();
  /** Accounts that were right from their place, the latest last. */
  private readonly known = new Map<string, true>();
  private readonly capacity: number;

  constructor(private readonly options: GuessesOptions) {
    this.capacity = options.capacity ?? CAPACITY;
  }

  /** Milliseconds until credentials of the account from that place are looked at again; 0: now. */
  waitMs(place: string, account: string): number {
    const now = this.options.now();
    const key = keyOf(place, account);
    const own = Math.max(0, (this.failures.get(key)?.until ?? 0) - now);
    if (this.known.has(key)) return own;
    const over = this.levelOf(place, now) - PLACE_FAILURES + 1;
    return Math.max(own, over > 0 ? over * PLACE_INTERVAL_MS : 0);
  }

  /** A wrong password, or an account that there is not; how many that makes, and for how long nothing is looked at now. */
  failed(place: string, account: string): { readonly failures: number; readonly waitMs: number } {
    const now = this.options.now();
    const key = keyOf(place, account);
    const before = this.failures.get(key);
    const count = before === undefined || now - before.at > FORGET_AFTER_MS ? 1 : before.count + 1;
    const waits = count - FREE_FAILURES;
    const waitMs = waits < 0 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(waits, 20));
    remember(this.failures, key, { count, at: now, until: now + waitMs }, this.capacity);
    remember(this.places, place, { level: this.levelOf(place, now) + 1, at: now }, this.capacity);
    return { failures: count, waitMs };
  }

  succeeded(place: string, account: string): void {
    const key = keyOf(place, account);
    this.failures.delete(key);
    remember(this.known, key, true, this.capacity);
  }

  private levelOf(place: string, now: number): number {
    const held = this.places.get(place);
    return held === undefined ? 0 : Math.max(0, held.level - Math.max(0, now - held.at) / PLACE_INTERVAL_MS);
  }
}

const keyOf = (place: string, account: string): string => `${place} ${account.slice(0, 256)}`;

/** Puts it behind all others; the one in front is forgotten when there are too many. */
function remember<V>(map: Map<string, V>, key: string, value: V, capacity: number): void {
  map.delete(key);
  const [oldest] = map.keys();
  if (map.size >= capacity && oldest !== undefined) map.delete(oldest);
  map.set(key, value);
}
