/** Lines of one kind that may come at once, and each second from then on. */
const BURST = 200;
const PER_SECOND = 20;
/** A longer line counts as several. */
const LINE_BYTES = 1024;
/** Lines of one kind that were left out are told at most so often. */
const TELL_MS = 10_000;
/** Texts of messages are few, unless somebody else has made them. */
const MAX_KINDS = 1000;

interface Kind {
  tokens: number;
  at: number;
  leftOut: number;
  /** It will be told that lines were left out. */
  telling: boolean;
}

/** Bounds what one kind of line may fill of the log, whoever decides how often it comes; the number of those left out is told. */
export class LogBudget {
  private readonly kinds = new Map<string, Kind>();

  /** `tell`: writes how many lines of a kind were left out. */
  constructor(
    private readonly tell: (kind: string, leftOut: number) => void,
    private readonly now: () => number = () => Date.now(),
  ) {}

  /** Writes a line of this kind if it may be written now; `write` tells how long it has become. */
  spend(message: string, write: () => number): void {
    const name = this.kinds.has(message) || this.kinds.size < MAX_KINDS ? message : 'other';
    const now = this.now();
    let kind = this.kinds.get(name);
    if (kind === undefined) this.kinds.set(name, (kind = { tokens: BURST, at: now, leftOut: 0, telling: false }));
    kind.tokens = Math.min(BURST, kind.tokens + (Math.max(0, now - kind.at) / 1000) * PER_SECOND);
    kind.at = now;
    if (kind.tokens >= 1) {
      kind.tokens -= Math.max(1, write() / LINE_BYTES);
      return;
    }
    kind.leftOut += 1;
    this.tellLater(name, kind);
  }

  private tellLater(name: string, kind: Kind): void {
    if (kind.telling) return;
    kind.telling = true;
    setTimeout(() => {
      const { leftOut } = kind;
      kind.telling = false;
      kind.leftOut = 0;
      this.tell(name, leftOut);
    }, TELL_MS).unref();
  }
}
