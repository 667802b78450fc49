/**
 * Handles messages one at a time in the order of their arrival. A message that is posted while another is
 * handled waits; nothing that `handle` throws gets out (it is given to `onError`).
 */
export class Mailbox<Message> {
  private queue: Message[] = [];
  private busy = false;
  private closed = false;

  constructor(
    private readonly handle: (message: Message) => void,
    private readonly onError: (error: unknown, message: Message) => void,
  ) {}

  post(message: Message): void {
    if (this.closed) return;
    this.queue.push(message);
    this.run();
  }

  /** As `post`, before everything that waits: for a signal that makes the waiting ones pointless (BYE). */
  postFirst(message: Message): void {
    if (this.closed) return;
    this.queue.unshift(message);
    this.run();
  }

  /** Drops what waits; later messages are ignored. */
  close(): void {
    this.closed = true;
    this.queue = [];
  }

  private run(): void {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let message = this.queue.shift(); message !== undefined; message = this.queue.shift()) {
        try {
          this.handle(message);
        } catch (error) {
          this.onError(error, message);
        }
      }
    } finally {
      this.busy = false;
    }
  }
}
