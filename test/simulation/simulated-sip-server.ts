import type { Agenda } from './agenda';

/** The SIP server of a node, as far as it makes requests late: while it hangs they wait, and are handled all the same. */
export class SimulatedSipServer {
  private queue: (() => void)[] | undefined;

  constructor(private readonly agenda: Agenda) {}

  get hangs(): boolean {
    return this.queue !== undefined;
  }

  receive(handle: () => void): void {
    if (this.queue === undefined) handle();
    else this.queue.push(handle);
  }

  hang(ms: number): void {
    if (this.queue !== undefined) return;
    const queue: (() => void)[] = [];
    this.queue = queue;
    this.agenda.after(ms, () => this.queue === queue && this.goOn());
  }

  goOn(): void {
    const queue = this.queue ?? [];
    this.queue = undefined;
    for (const handle of queue) handle();
  }
}
