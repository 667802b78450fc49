import type { Clock } from '../process/clock';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';

/** What can be wrong while a node takes calls; docs/operations.md has a row for each. */
export type ProblemKind =
  'journal' | 'settings' | 'given-numbers' | 'descriptors' | 'clock' | 'configuration' | 'secret' | 'sip';

/** What comes and goes is told at most so often; that it stands can be read at any time. */
const LOG_INTERVAL_MS = 60_000;

interface Standing {
  readonly kind: ProblemKind;
  readonly peer: number | undefined;
  /** Undefined: it is over, and only when it was told is still known. */
  text: string | undefined;
  /** The text that the log has; undefined: that it is over. */
  told: string | undefined;
  toldAt: number;
}

/**
 * What an operator should know about although calls go on: each as a line in the log when it begins and when it ends, as
 * a gauge, and as text for `/readyz` and `/api/nodes`.
 */
export class Problems {
  private readonly standing = new Map<string, Standing>();

  constructor(private readonly options: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics }) {
    options.metrics.onCollect(() => this.measure());
  }

  /**
   * Says how it stands with one kind: a text with what is wrong and what to do, or undefined when nothing is. `peer`: the other
   * node that it is about.
   */
  set(kind: ProblemKind, text: string | undefined, peer?: number): void {
    const key = `${kind}/${peer ?? ''}`;
    const problem = this.standing.get(key) ?? { kind, peer, text: undefined, told: undefined, toldAt: -Infinity };
    if (text === undefined && !this.standing.has(key)) return;
    this.standing.set(key, problem);
    problem.text = text;
    this.tell(problem);
  }

  /** Those that stand: about one peer, about none (`undefined`), or all. */
  texts(...about: [peer?: number | undefined]): readonly string[] {
    return [...this.standing.values()].flatMap(({ text, peer }) =>
      text !== undefined && (about.length === 0 || peer === about[0]) ? [text] : [],
    );
  }

  /** A change in the words alone is not told. */
  private tell(problem: Standing): void {
    const { clock, log } = this.options;
    const { kind, peer, text } = problem;
    const since = clock.now() - problem.toldAt;
    if ((text === undefined) === (problem.told === undefined)) return;
    if (since >= 0 && since < LOG_INTERVAL_MS) return;
    const fields = peer === undefined ? { problem: kind } : { problem: kind, peer };
    if (text === undefined) log.info(fields, `over: ${problem.told ?? kind}`);
    else log.warn(fields, text);
    problem.told = text;
    problem.toldAt = clock.now();
  }

  private measure(): void {
    for (const problem of this.standing.values()) {
      const { kind, peer, text } = problem;
      // What was not told because it came and went quickly.
      this.tell(problem);
      const labels = { problem: kind, peer: peer === undefined ? '' : String(peer) };
      this.options.metrics.set('tandem_problem', text === undefined ? 0 : 1, labels);
    }
  }
}
