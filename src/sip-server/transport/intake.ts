import { FairQueue, type Queued } from '../fair-queue';

/** As many datagrams as the runtime reads from a socket before it looks at anything else. */
const FULL_READ = 32;
/** Handled in one turn of the event loop while the socket still has more than it can give at once. */
const FEW = 4;
const MANY = 64;
/** Bytes that may wait, of those who are known and of strangers each. */
const ROOM = 4 * 1024 * 1024;

interface Datagram extends Queued {
  readonly handle: () => void;
  readonly lost: () => void;
}

/**
 * Takes datagrams from the socket at once, for there they stand in one line and the newest are lost when it is full; handles
 * them a few in each turn of the event loop, each source in turn. What there is no room for is lost, of the greediest first.
 */
export class Intake {
  private readonly waiting = new FairQueue<Datagram>(ROOM);
  private taken = 0;
  private scheduled = false;

  /** `lost`: there is no room for it. */
  add(source: string, isKnown: boolean, bytes: number, handle: () => void, lost: () => void): void {
    this.taken += 1;
    for (const given of this.waiting.push({ source, cost: bytes, handle, lost }, isKnown)) given.lost();
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.work();
    });
  }

  private work(): void {
    const most = this.taken >= FULL_READ ? FEW : MANY;
    this.taken = 0;
    for (let done = 0; done < most; done += 1) {
      const next = this.waiting.shift();
      if (next === undefined) return;
      next.handle();
    }
    if (!this.waiting.isEmpty) this.schedule();
  }
}
