import { connect, type Socket } from 'node:net';
import { eventually, within } from './eventually';

/** An event of baresip's `ctrl_tcp` module. */
export interface BaresipEvent {
  readonly type: string;
  readonly param: string;
  readonly peeruri: string;
  /** Call-ID. */
  readonly id: string;
}

interface Reply {
  readonly ok: boolean;
  readonly data: string;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Client of baresip's control port: JSON in netstrings. */
export class BaresipControl {
  readonly events: BaresipEvent[] = [];
  private readonly waiting = new Map<string, (reply: Reply) => void>();
  private buffer: Buffer = Buffer.alloc(0);
  private tokens = 0;

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk) => {
      this.receive(chunk);
    });
    socket.on('error', () => undefined);
  }

  /** Connects; rejects when nobody listens yet. */
  static connect(address: string, port: number): Promise<BaresipControl> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, address);
      socket.once('error', reject);
      socket.once('connect', () => {
        resolve(new BaresipControl(socket));
      });
    });
  }

  /** Runs a command; returns what it prints. */
  async command(command: string, params?: string): Promise<string> {
    const token = `t${++this.tokens}`;
    const answer = new Promise<Reply>((resolve) => this.waiting.set(token, resolve));
    const body = Buffer.from(JSON.stringify({ command, token, ...(params === undefined ? {} : { params }) }));
    this.socket.write(Buffer.concat([Buffer.from(`${body.length}:`), body, Buffer.from(',')]));
    const reply = await within(10_000, `baresip answers ${command}`, answer);
    if (!reply.ok) throw new Error(`baresip refuses ${command} ${params ?? ''}: ${reply.data}`);
    return reply.data;
  }

  /** The first event of one of the types since `mark` (a number of events). */
  async event(types: readonly string[], mark: number, cap = 30_000): Promise<BaresipEvent> {
    const find = (): BaresipEvent | undefined => this.events.slice(mark).find((event) => types.includes(event.type));
    await eventually(
      `baresip event ${types.join(' or ')}`,
      () => this.events.slice(mark).map((event) => `${event.type} ${event.param}`),
      () => find() !== undefined,
      { cap, every: 10 },
    );
    const found = find();
    if (found === undefined) throw new Error('unreachable: the event was seen');
    return found;
  }

  close(): void {
    this.socket.destroy();
  }

  private receive(chunk: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, chunk]);
    for (;;) {
      const colon = this.buffer.indexOf(':');
      if (colon < 0) return;
      const length = Number(this.buffer.toString('latin1', 0, colon));
      if (this.buffer.length < colon + 1 + length + 1) return;
      const body = this.buffer.toString('utf8', colon + 1, colon + 1 + length);
      this.buffer = this.buffer.subarray(colon + 1 + length + 1);
      this.take(JSON.parse(body) as Record<string, unknown>);
    }
  }

  private take(message: Record<string, unknown>): void {
    if (message['response'] === true) {
      const token = text(message['token']);
      this.waiting.get(token)?.({ ok: message['ok'] === true, data: text(message['data']) });
      this.waiting.delete(token);
    } else if (message['event'] === true) {
      const { type, param, peeruri, id } = message;
      this.events.push({ type: text(type), param: text(param), peeruri: text(peeruri), id: text(id) });
    }
  }
}
