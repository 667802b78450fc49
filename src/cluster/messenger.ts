import type { CancelTimer, Clock } from '../process/clock';
import { parsePid } from '../process/pid';
import type { Header } from './protocol/messages';

/** A request to a process by its PID, on the channel of the PID's node. */
export interface ProcessRequest extends Header {
  readonly type: 'request';
  readonly id: string;
  readonly pid: string;
  readonly targetBoot: number;
  readonly body?: unknown;
}

export interface ProcessReply extends Header {
  readonly type: 'reply';
  readonly id: string;
  readonly body?: unknown;
}

export type ProcessMessage = ProcessRequest | ProcessReply;

/** Handles the requests to the processes of this node. `boot` is the incarnation that the caller believes in. */
export type RequestHandler = (pid: string, boot: number, body: unknown) => Promise<unknown>;

export interface MessengerOptions {
  readonly node: number;
  readonly clock: Clock;
  readonly header: () => Header;
  /** `false`: it did not go out. */
  readonly send: (node: number, message: ProcessMessage) => boolean;
  readonly onError: (error: unknown, pid: string) => void;
}

interface Waiting {
  readonly node: number;
  readonly finish: (answer: unknown) => void;
}

/** A request that was received: its answer, once there is one. */
interface Answered {
  readonly from: number;
  /** The process that asks, and its number of the request: `sender-count` is the id. */
  readonly sender: string;
  readonly count: number;
  answer: { readonly body: unknown } | undefined;
}

const MAX_WAITING = 10_000;
const MAX_ANSWERED = 2_000;
const MAX_SENDERS = 1_024;
/** A request older than this is a replay, or useless. */
const MAX_REQUEST_AGE_MS = 120_000;

/**
 * Messages to processes wherever they run (claim M11). Requests are sent again once, after a third of their deadline;
 * the receiver handles each once. No answer in time, no bus, or a node that is gone: `undefined`.
 */
export class ClusterMessenger {
  private readonly waiting = new Map<string, Waiting>();
  private readonly answered = new Map<string, Answered>();
  /** By sender, the highest count that is no longer remembered: up to it nothing is new. */
  private readonly forgotten = new Map<string, number>();
  private handler: RequestHandler | undefined;
  private lastId = 0;

  constructor(private readonly options: MessengerOptions) {}

  onRequest(handler: RequestHandler): void {
    this.handler = handler;
  }

  /** Never rejects. */
  request(
    target: { readonly pid: string; readonly boot: number },
    body: unknown,
    deadlineMs: number,
  ): Promise<unknown> {
    const node = parsePid(target.pid)?.node;
    if (node === undefined || this.waiting.size >= MAX_WAITING) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      if (node === this.options.node) this.requestHere(target, body, deadlineMs, resolve);
      else this.requestThere(node, target, body, deadlineMs, resolve);
    });
  }

  receive(message: ProcessMessage): void {
    if (message.type === 'request') return this.receiveRequest(message);
    const waiting = this.waiting.get(message.id);
    if (waiting?.node === message.node) waiting.finish(message.body);
  }

  /** Nothing will come from this node any more. */
  nodeGone(node: number): void {
    for (const waiting of [...this.waiting.values()]) if (waiting.node === node) waiting.finish(undefined);
  }

  stop(): void {
    for (const waiting of [...this.waiting.values()]) waiting.finish(undefined);
    this.answered.clear();
  }

  private requestHere(
    target: { readonly pid: string; readonly boot: number },
    body: unknown,
    deadlineMs: number,
    resolve: (answer: unknown) => void,
  ): void {
    const id = this.newId();
    this.wait(id, this.options.node, deadlineMs, resolve);
    void this.handle(target.pid, target.boot, body).then((answer) => this.waiting.get(id)?.finish(answer));
  }

  private requestThere(
    node: number,
    target: { readonly pid: string; readonly boot: number },
    body: unknown,
    deadlineMs: number,
    resolve: (answer: unknown) => void,
  ): void {
    const id = this.newId();
    const send = () => {
      const { pid, boot: targetBoot } = target;
      return this.options.send(node, { type: 'request', ...this.options.header(), id, pid, targetBoot, body });
    };
    if (!send()) return resolve(undefined);
    const cancelRepeat = this.options.clock.setTimer(deadlineMs / 3, send);
    this.wait(id, node, deadlineMs, resolve, cancelRepeat);
  }

  private wait(
    id: string,
    node: number,
    deadlineMs: number,
    resolve: (answer: unknown) => void,
    cancelRepeat?: CancelTimer,
  ): void {
    const finish = (answer: unknown) => {
      this.waiting.delete(id);
      cancelDeadline();
      cancelRepeat?.();
      resolve(answer);
    };
    const cancelDeadline = this.options.clock.setTimer(deadlineMs, () => finish(undefined));
    this.waiting.set(id, { node, finish });
  }

  private receiveRequest(message: ProcessRequest): void {
    if (this.handler === undefined || this.options.clock.now() - message.at.ms > MAX_REQUEST_AGE_MS) return;
    const key = `${message.node}/${message.id}`;
    const known = this.answered.get(key);
    if (known !== undefined) {
      if (known.answer !== undefined) this.reply(known.from, message.id, known.answer.body);
      return;
    }
    const entry: Answered = { from: message.node, ...parseId(message.id), answer: undefined };
    if (entry.count <= (this.forgotten.get(entry.sender) ?? -1)) return;
    this.remember(key, entry);
    void this.handle(message.pid, message.targetBoot, message.body).then((body) => {
      if (body === undefined) return;
      entry.answer = { body };
      this.reply(entry.from, message.id, body);
    });
  }

  private reply(node: number, id: string, body: unknown): void {
    this.options.send(node, { type: 'reply', ...this.options.header(), id, body });
  }

  private remember(key: string, entry: Answered): void {
    const oldest = this.answered.entries().next();
    if (this.answered.size >= MAX_ANSWERED && oldest.done !== true) this.forget(...oldest.value);
    this.answered.set(key, entry);
  }

  private forget(key: string, { sender, count }: Answered): void {
    this.answered.delete(key);
    const highest = Math.max(count, this.forgotten.get(sender) ?? -1);
    this.forgotten.delete(sender);
    this.forgotten.set(sender, highest);
    const oldest = this.forgotten.keys().next();
    if (this.forgotten.size > MAX_SENDERS && oldest.done !== true) this.forgotten.delete(oldest.value);
  }

  private async handle(pid: string, boot: number, body: unknown): Promise<unknown> {
    try {
      return await this.handler?.(pid, boot, body);
    } catch (error) {
      this.options.onError(error, pid);
      return undefined;
    }
  }

  /** Unique in the cluster: a reply to an earlier process of this number is not taken for one to us. */
  private newId(): string {
    this.lastId += 1;
    return `${this.options.header().token}-${this.lastId}`;
  }
}

/** An id of another form is of a sender of its own. */
function parseId(id: string): { readonly sender: string; readonly count: number } {
  const match = /^(.+)-(\d{1,15})$/.exec(id);
  return { sender: match?.[1] ?? id, count: Number(match?.[2] ?? 0) };
}
