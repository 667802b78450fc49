interface Appointment {
  readonly at: number;
  readonly order: number;
  readonly act: () => void;
}

/** Simulated time: what is to happen, in order of time, then of making (a binary heap). */
export class Agenda {
  now: number;
  private readonly heap: Appointment[] = [];
  private order = 0;

  constructor(start: number) {
    this.now = start;
  }

  after(ms: number, act: () => void): void {
    const { heap } = this;
    heap.push({ at: this.now + ms, order: this.order++, act });
    for (let child = heap.length - 1; child > 0;) {
      const parent = (child - 1) >> 1;
      if (!earlier(heap[child]!, heap[parent]!)) break;
      swap(heap, child, parent);
      child = parent;
    }
  }

  /** As `after`, until it is cancelled. */
  setTimer(ms: number, act: () => void): () => void {
    let wanted = true;
    this.after(Math.max(0, ms), () => wanted && act());
    return () => (wanted = false);
  }

  runFor(ms: number): void {
    const end = this.now + ms;
    for (let next = this.heap[0]; next !== undefined && next.at <= end; next = this.heap[0]) {
      this.removeFirst();
      this.now = next.at;
      next.act();
    }
    this.now = end;
  }

  private removeFirst(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let parent = 0; ;) {
      let child = 2 * parent + 1;
      if (child >= heap.length) return;
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child += 1;
      if (!earlier(heap[child]!, heap[parent]!)) return;
      swap(heap, child, parent);
      parent = child;
    }
  }
}

function earlier(a: Appointment, b: Appointment): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function swap(heap: Appointment[], i: number, j: number): void {
  [heap[i], heap[j]] = [heap[j]!, heap[i]!];
}
