import type { CancelTimer, Clock } from '../../process/clock';
import { FairQueue, type Queued } from '../fair-queue';

/** A request that is to be given to an application. */
export interface Delivery extends Queued {
  readonly isKnown: boolean;
  /** Gives it to an application now, or answers it in another way. */
  readonly deliver: () => void;
  /** There is no room for it. */
  readonly refuse: () => void;
}

/** Requests that an application has been given and has shown no sign of reading yet. */
const WINDOW = 64;
/** An application that is given nothing for so long gets the next: what it was given may all be waiting for others. */
const STALL_MS = 250;
/** Room of what waits: requests of 4 KB, so 16 MB at most, and as much of those who are known. */
const ROOM = 4_096;
const ROOM_BYTES = 4_096;

/** What a request of so many bytes takes of the room. */
export const costOf = (bytes: number): number => 1 + Math.floor(bytes / ROOM_BYTES);

interface Reader {
  given: number;
  /** Everything up to this number has been read: it has answered this one, and reads in order. */
  read: number;
  at: number;
}

/**
 * Gives requests to applications no faster than they read, so that what waits waits here, where each source has its turn:
 * in the application's socket thousands of one would stand before the one of another.
 */
export class Deliveries {
  private readonly waiting = new FairQueue<Delivery>(ROOM);
  private readonly readers = new Map<object, Reader>();
  private cancelTimer: CancelTimer | undefined;
  private pumping = false;

  constructor(private readonly clock: Clock) {}

  /** Now, or when it is its turn. */
  offer(delivery: Delivery): void {
    for (const refused of this.waiting.push(delivery, delivery.isKnown)) refused.refuse();
    this.pump();
  }

  /** It is not wanted any more. False: it was not waiting. */
  withdraw(delivery: Delivery): boolean {
    return this.waiting.remove(delivery);
  }

  /** The application has read request `number`, and so all before it. */
  hasRead(application: object, number: number): void {
    const reader = this.readers.get(application);
    if (reader === undefined || number <= reader.read) return;
    reader.read = number;
    reader.at = this.clock.now();
    this.pump();
  }

  /** The number of the request that the application is given now. */
  numberFor(application: object): number {
    let reader = this.readers.get(application);
    if (reader === undefined) {
      reader = { given: 0, read: 0, at: this.clock.now() };
      this.readers.set(application, reader);
    }
    if (reader.given === reader.read) reader.at = this.clock.now();
    reader.given += 1;
    return reader.given;
  }

  /** The application is gone: what waits finds another, or none. */
  forget(application: object): void {
    this.readers.delete(application);
    this.pump();
  }

  /** Whether the application may be given another. */
  hasRoom(application: object): boolean {
    const reader = this.readers.get(application);
    return reader === undefined || reader.given - reader.read < WINDOW;
  }

  stop(): void {
    this.cancelTimer?.();
  }

  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    while (!this.waiting.isEmpty && this.anyRoom()) this.waiting.shift()?.deliver();
    this.pumping = false;
    if (!this.waiting.isEmpty) this.cancelTimer ??= this.clock.setTimer(STALL_MS, () => this.stalled());
  }

  /** Some application has room, or there is none at all. */
  private anyRoom(): boolean {
    if (this.readers.size === 0) return true;
    for (const application of this.readers.keys()) if (this.hasRoom(application)) return true;
    return false;
  }

  private stalled(): void {
    this.cancelTimer = undefined;
    const now = this.clock.now();
    for (const reader of this.readers.values()) {
      if (reader.given - reader.read < WINDOW || Math.abs(now - reader.at) < STALL_MS) continue;
      reader.read = reader.given;
      reader.at = now;
    }
    this.pump();
  }
}
