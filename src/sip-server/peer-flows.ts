import type { CancelTimer, Clock } from '../process/clock';

/** Asks the process that forked us; the answer comes by `found`. */
export type AskForFlow = (id: number, dialog: string) => void;

interface Waiting {
  readonly go: (flow: string | undefined) => void;
  readonly cancel: CancelTimer;
}

/** Who does not answer within this stands still: the dialog stays where it is, ms. */
const DEADLINE_MS = 1000;

/**
 * Where the peer of a dialog is now, by the name of its flow: a phone may have come back over another connection, which only the
 * application knows, by its registration. It names the flow in each request of its own; for those of the server itself it is asked.
 */
export class PeerFlows {
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;

  /** `ask` undefined: there is nobody who could know. */
  constructor(
    private readonly clock: Clock,
    private readonly ask: AskForFlow | undefined,
  ) {}

  /** Calls `go` once: at once when nobody can be asked, with undefined when the peer is where it was. */
  find(dialog: string, go: (flow: string | undefined) => void): void {
    if (this.ask === undefined) return go(undefined);
    const id = ++this.lastId;
    this.waiting.set(id, { go, cancel: this.clock.setTimer(DEADLINE_MS, () => this.found(id, undefined)) });
    this.ask(id, dialog);
  }

  /** The answer to a question, once. */
  found(id: number, flow: string | undefined): void {
    const waiting = this.waiting.get(id);
    if (waiting === undefined) return;
    this.waiting.delete(id);
    waiting.cancel();
    waiting.go(flow);
  }

  /** The server stops: nobody is waited for. */
  stop(): void {
    for (const { cancel } of this.waiting.values()) cancel();
    this.waiting.clear();
  }
}
