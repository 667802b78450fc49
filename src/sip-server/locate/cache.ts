import type { Clock } from '../../process/clock';
import type { Dns, Found } from './dns';

export interface CacheOptions {
  readonly clock: Clock;
  /** A question that has no answer by then has none, ms. */
  readonly deadlineMs?: number;
  /** Names of one kind that are remembered; the oldest is forgotten first. */
  readonly maxNames?: number;
}

const DEADLINE_MS = 2500;
const MAX_NAMES = 1000;
const MAX_TTL = 300;
/** That there is nothing, or that nobody told, is remembered shortly: a phone that dials again soon need not wait again. */
const NOTHING_TTL = 5;

interface Remembered<Item> {
  readonly answer: Promise<Found<Item>>;
  until: number;
}

const NOTHING = { items: [], ttl: NOTHING_TTL };

/** One kind of question: asked once for all who want to know meanwhile, and remembered as long as the TTL allows. */
class Memory<Item> {
  private readonly byName = new Map<string, Remembered<Item>>();

  constructor(
    private readonly ask: (name: string) => Promise<Found<Item>>,
    private readonly options: CacheOptions,
  ) {}

  get(given: string): Promise<Found<Item>> {
    const name = given.toLowerCase().replace(/\.$/, '');
    const { clock, maxNames = MAX_NAMES } = this.options;
    const known = this.byName.get(name);
    if (known !== undefined && clock.now() < known.until) return known.answer;
    this.byName.delete(name);
    const [oldest] = this.byName.keys();
    if (this.byName.size >= maxNames && oldest !== undefined) this.byName.delete(oldest);
    const remembered: Remembered<Item> = { answer: this.inTime(name), until: Infinity };
    this.byName.set(name, remembered);
    void remembered.answer.then(({ items, ttl }) => {
      const seconds = items.length === 0 ? NOTHING_TTL : Math.min(Math.max(0, ttl), MAX_TTL);
      remembered.until = clock.now() + seconds * 1000;
    });
    return remembered.answer;
  }

  /** Never rejects: no answer, a wrong one and a late one are all nothing. */
  private inTime(name: string): Promise<Found<Item>> {
    const { clock, deadlineMs = DEADLINE_MS } = this.options;
    return new Promise((resolve) => {
      const cancel = clock.setTimer(deadlineMs, () => resolve(NOTHING));
      const end = (found: Found<Item>): void => {
        cancel();
        resolve(found);
      };
      this.ask(name).then(end, () => end(NOTHING));
    });
  }
}

/** The same questions with deadlines, remembered. Its answers never reject. */
export function cachedDns(dns: Dns, options: CacheOptions): Dns {
  const naptr = new Memory((name) => dns.naptr(name), options);
  const srv = new Memory((name) => dns.srv(name), options);
  const addresses = new Memory((name) => dns.addresses(name), options);
  const hosts = new Memory((name) => dns.hosts(name), options);
  return {
    naptr: (name) => naptr.get(name),
    srv: (name) => srv.get(name),
    addresses: (name) => addresses.get(name),
    hosts: (name) => hosts.get(name),
  };
}
