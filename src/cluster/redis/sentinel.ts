import type { Clock } from '../../process/clock';
import { clientFor, destroy, withDeadline, type Place, type RedisClient, type RedisTls } from './redis-client';
import { RedisLink } from './redis-link';

export interface SentinelOptions {
  /** Name of the master that the sentinels watch. */
  readonly master: string;
  readonly nodes: readonly Place[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

export interface SentinelsOptions {
  readonly sentinel: SentinelOptions;
  readonly tls?: RedisTls | undefined;
  readonly clock: Clock;
  /** The sentinels name another master than before. */
  readonly onMoved: (master: Place) => void;
  readonly onError: (error: unknown) => void;
}

/** What one sentinel says of the master. */
interface Answer {
  readonly master: Place;
  /** Grows with each fail-over: of two answers the one with the higher epoch is newer. */
  readonly epoch: number;
}

/** As for the publishing connection to Redis. */
const QUIET_MS = 500;
const ANSWER_DEADLINE_MS = 1_000;
/** How long the slower sentinels are waited for when one has answered. */
const OTHERS_MS = 250;

/**
 * Finds the master by asking all sentinels at once and believing the newest of their configurations: one of them may
 * hang, be gone, or not have heard of the last fail-over. Hears of a fail-over from the first one that can be reached.
 */
export class Sentinels {
  private readonly watch: RedisLink;
  private asking: Promise<Place> | undefined;
  private known: Place | undefined;
  private turn = 0;

  constructor(private readonly options: SentinelsOptions) {
    const { clock, onError } = options;
    this.watch = new RedisLink({
      quietMs: QUIET_MS,
      target: () => Promise.resolve(this.target(this.nextNode())),
      clock,
      prepare: async (client) => {
        await client.subscribe('+switch-master', () => this.look());
      },
      onChange: (up) => {
        if (up) this.look();
      },
      onError,
    });
  }

  start(): void {
    this.watch.start();
  }

  stop(): Promise<void> {
    return this.watch.stop();
  }

  /** Where the master is; rejects when no sentinel knows. Those who ask at the same time share the answer. */
  master(): Promise<Place> {
    this.asking ??= this.ask().finally(() => (this.asking = undefined));
    return this.asking;
  }

  private look(): void {
    this.master().catch((error: unknown) => this.options.onError(error));
  }

  private async ask(): Promise<Place> {
    const { clock, sentinel } = this.options;
    const answers: Answer[] = [];
    let reason: unknown = 'none is configured';
    await new Promise<void>((resolve) => {
      let open = sentinel.nodes.length;
      const settled = () => {
        open -= 1;
        if (open <= 0) resolve();
      };
      for (const node of sentinel.nodes)
        this.askOne(node)
          .then((answer) => {
            answers.push(answer);
            clock.setTimer(OTHERS_MS, resolve);
          })
          .catch((error: unknown) => (reason = error))
          .finally(settled);
    });
    const newest = answers.reduce<Answer | undefined>(
      (best, answer) => (best === undefined || answer.epoch > best.epoch ? answer : best),
      undefined,
    );
    if (newest === undefined) {
      const why = reason instanceof Error ? reason.message : String(reason);
      throw new Error(`no sentinel knows the master ${JSON.stringify(sentinel.master)}: ${why}`, { cause: reason });
    }
    this.learn(newest.master);
    return newest.master;
  }

  private learn(master: Place): void {
    const { known } = this;
    this.known = master;
    if (known?.address !== master.address || known.port !== master.port) this.options.onMoved(master);
  }

  private async askOne(node: Place): Promise<Answer> {
    const client = await clientFor(this.target(node));
    client.on('error', () => undefined);
    try {
      return await withDeadline(this.options.clock, ANSWER_DEADLINE_MS, this.question(client));
    } finally {
      destroy(client);
    }
  }

  private async question(client: RedisClient): Promise<Answer> {
    const { master } = this.options.sentinel;
    await client.connect();
    const [place, state] = await Promise.all([
      client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master]),
      client.sendCommand(['SENTINEL', 'MASTER', master]),
    ]);
    const [address, port] = Array.isArray(place) ? place.map(String) : [];
    if (address === undefined || !/^\d{1,5}$/.test(port ?? '')) throw new Error('it does not know this master');
    return { master: { address, port: Number(port) }, epoch: Number(fieldOf(state, 'config-epoch')) || 0 };
  }

  private target(at: Place) {
    const { username, password } = this.options.sentinel;
    return { at, username, password, tls: this.options.tls };
  }

  private nextNode(): Place {
    const { nodes } = this.options.sentinel;
    const node = nodes[this.turn % nodes.length];
    this.turn += 1;
    if (node === undefined) throw new Error('no sentinel is configured');
    return node;
  }
}

/** A field of a reply that is a table: as an object (RESP3), or names and values in turn (RESP2). */
function fieldOf(reply: unknown, name: string): unknown {
  if (Array.isArray(reply)) {
    const items: unknown[] = reply;
    return items[items.indexOf(name) + 1];
  }
  if (reply instanceof Map) return reply.get(name);
  return typeof reply === 'object' && reply !== null ? Reflect.get(reply, name) : undefined;
}
