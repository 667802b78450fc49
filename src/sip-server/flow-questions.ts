import type { FlowMessage } from './flow-messages';

interface Question {
  readonly flow: string;
  readonly answer: (open: boolean) => void;
}

/** A server that does not answer within this cannot carry an answer to the phone either, ms. */
const DEADLINE_MS = 5000;

/** Asks the SIP server which flows are open; those of one turn of the event loop with one message. */
export class FlowQuestions {
  private collected: Question[] = [];
  private readonly asked = new Map<
    number,
    { readonly questions: readonly Question[]; readonly timer: NodeJS.Timeout }
  >();
  private lastId = 0;
  private over = false;

  constructor(private readonly send: (message: FlowMessage) => void) {}

  /** False also when nobody answers in time. */
  ask(flow: string): Promise<boolean> {
    if (this.over) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.collected.push({ flow, answer: resolve });
      if (this.collected.length === 1) setImmediate(() => this.sendCollected());
    });
  }

  answered(id: number, open: readonly boolean[]): void {
    const asked = this.asked.get(id);
    if (asked === undefined) return;
    this.asked.delete(id);
    clearTimeout(asked.timer);
    asked.questions.forEach(({ answer }, index) => answer(open[index] === true));
  }

  /** The server is gone, and every flow with it. */
  end(): void {
    this.over = true;
    for (const { answer } of this.collected.splice(0)) answer(false);
    for (const id of [...this.asked.keys()]) this.answered(id, []);
  }

  private sendCollected(): void {
    const questions = this.collected;
    this.collected = [];
    if (questions.length === 0) return;
    const id = ++this.lastId;
    const timer = setTimeout(() => this.answered(id, []), DEADLINE_MS);
    timer.unref();
    this.asked.set(id, { questions, timer });
    this.send({ type: 'watch-flows', id, flows: questions.map(({ flow }) => flow) });
  }
}
