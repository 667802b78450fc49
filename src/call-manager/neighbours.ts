import type { Cluster } from '../cluster/cluster';
import type { NodeStatus } from '../cluster/status';
import type { CancelTimer, Clock } from '../process/clock';
import { OFFSETS_KEPT } from '../process/clock-offsets';
import type { UserAgent } from '../sip/user-agent';
import type { Problems } from './problems';

const INTERVAL_MS = 10_000;
const ANSWER_MS = 4_000;
/** Questions without an answer until a node counts as out of reach for SIP. */
const MISSES = 2;
/** Signatures between nodes are good for 120 s: before that somebody should know. */
const SKEW_MS = 30_000;
/** For how long a message that could not be believed is worth a word. */
const REFUSED_MS = 60_000;
/** Answers that the SIP server gives itself when nobody is reached. */
const NOBODY: ReadonlySet<number> = new Set([408, 503]);

export interface NeighboursOptions {
  /** The other nodes of the configuration. */
  readonly others: readonly number[];
  readonly cluster: Pick<Cluster, 'peer' | 'tell'>;
  readonly userAgent: Pick<UserAgent, 'request'>;
  /** Our own SIP server is there: else nobody is reached. */
  readonly sipConnected: () => boolean;
  readonly configuration: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly problems: Problems;
}

/**
 * Watches what the tables do not show: whether SIP reaches each other node, whether its clock, its configuration and its
 * secret are ours. Costs one OPTIONS and one message for each node in ten seconds.
 */
export class Neighbours {
  private cancel: CancelTimer = () => undefined;
  private stopped = false;
  private readonly misses = new Map<number, number>();
  private readonly refusedAt = new Map<number, number>();

  constructor(private readonly options: NeighboursOptions) {}

  start(): void {
    if (this.options.others.length === 0 || this.stopped) return;
    this.look();
    this.cancel = this.options.clock.setTimer(INTERVAL_MS, () => this.start(), true);
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  /** What another node says of itself. */
  heard(node: number, { time, configuration }: NodeStatus): void {
    const { clock, problems } = this.options;
    problems.set('clock', skewProblem(node, time - clock.now()), node);
    problems.set('configuration', differenceProblem(node, this.options.configuration, configuration), node);
  }

  /**
   * Our clock was set back: by what others know of it our requests would look old to them. They believe the last few of our messages, so that one that
   * was long on its way counts for little: as many say at once how it goes now.
   */
  clockSetBack(): void {
    for (let told = 0; told < OFFSETS_KEPT; told++) this.tell();
  }

  private tell(): void {
    const { cluster, clock, configuration } = this.options;
    cluster.tell({ time: clock.now(), configuration });
  }

  /** A message that claims to be of this node is signed with another secret. */
  refused(node: number): void {
    if (!this.options.others.includes(node)) return;
    this.refusedAt.set(node, this.options.clock.now());
    this.options.problems.set(
      'secret',
      `messages on the bus that claim to be of node ${node} are signed with another secret: cluster.secret must be the same at every node`,
      node,
    );
  }

  private look(): void {
    const { cluster, others, clock, problems, sipConnected } = this.options;
    this.tell();
    for (const node of others) {
      const since = clock.now() - (this.refusedAt.get(node) ?? -Infinity);
      if (since > REFUSED_MS) problems.set('secret', undefined, node);
      const peer = cluster.peer(node);
      if (peer?.live === true) {
        if (sipConnected()) void this.ask(node, peer.address);
        continue;
      }
      // Nothing is known of a node that is off-line, and that is said elsewhere.
      this.misses.delete(node);
      for (const kind of ['sip', 'clock', 'configuration'] as const) problems.set(kind, undefined, node);
    }
  }

  private async ask(node: number, address: string): Promise<void> {
    const { userAgent, problems, sipConnected, cluster } = this.options;
    const uri = `sip:${address};transport=tcp`;
    const headers = { From: '<sip:node@localhost>', To: `<${uri}>` };
    const { status } = await userAgent.request({ method: 'OPTIONS', uri, headers, deadlineMs: ANSWER_MS });
    if (this.stopped || !sipConnected() || cluster.peer(node)?.live !== true) return;
    const misses = NOBODY.has(status) ? (this.misses.get(node) ?? 0) + 1 : 0;
    this.misses.set(node, misses);
    const text = `SIP does not reach node ${node} over TCP at ${address}, although it is on-line: calls to its phones fail. Open that address and port between the nodes`;
    if (misses === 0 || misses >= MISSES) problems.set('sip', misses === 0 ? undefined : text, node);
  }
}

/** `ms`: how far the other clock is ahead of ours. */
export function skewProblem(node: number, ms: number): string | undefined {
  if (Math.abs(ms) <= SKEW_MS) return undefined;
  const seconds = Math.round(Math.abs(ms) / 1000);
  return `the clock of node ${node} is ${seconds} s ${ms > 0 ? 'ahead of' : 'behind'} ours: from 120 s on calls between the two are refused. Set the clocks (NTP)`;
}

/** Sections that only one of the two knows belong to another version. */
export function differenceProblem(
  node: number,
  ours: Readonly<Record<string, string>>,
  theirs: Readonly<Record<string, string>>,
): string | undefined {
  const differing = Object.keys(ours).filter(
    (section) => theirs[section] !== undefined && theirs[section] !== ours[section],
  );
  if (differing.length === 0) return undefined;
  return `node ${node} runs with another configuration: ${differing.join(', ')} differ. Give every node the same file (and environment), and restart it`;
}
