import type { Headers, Session, SessionSignal } from '../../../src/sip/user-agent';
import { headers } from './kit';

/** So often everybody may be answered without any time going by. */
const MOST_ROUNDS = 500;

/** What is on its way. Each queue keeps its order unless it is told otherwise, and they cross. */
export class Wire {
  readonly queues: (() => void)[][] = [];
  /** The last messages, for a look at what went wrong. */
  private lately: string[] = [];

  note(message: string): void {
    this.lately = [...this.lately.slice(-40), message];
  }

  /** A new direction; returns its number. */
  lay(): number {
    this.queues.push([]);
    return this.queues.length - 1;
  }

  send(way: number, arrive: () => void): void {
    this.queues[way]?.push(arrive);
  }

  /** `ahead`: what was sent later arrives before that many others, as it may over UDP. */
  deliver(way: number, ahead = 0): void {
    const queue = this.queues[way % this.queues.length] ?? [];
    queue.splice(Math.min(ahead, queue.length - 1), 1)[0]?.();
  }

  deliverAll(): void {
    for (let round = 0; this.queues.some((queue) => queue.length > 0); round += 1) {
      if (round > MOST_ROUNDS) throw new Error(`messages without end:\n${this.lately.join('\n')}`);
      this.queues.forEach((_, way) => this.deliver(way));
    }
  }
}

/** One end of a dialog whose other end is a session too, as two SIP servers would make it. */
export class WireSession implements Session {
  readonly id: string;
  peer!: WireSession;
  over = false;
  /** From the first message that makes one. */
  dialog: Session['dialog'];
  private listener: ((signal: SessionSignal) => void) | undefined;
  private kept: SessionSignal[] = [];
  private readonly withOffer = new Map<string, boolean>();
  /** Methods of the requests of this end that are no re-INVITE. */
  private readonly asked = new Map<string, string>();

  private constructor(
    private readonly wire: Wire,
    private readonly way: number,
    readonly callId: string,
    private readonly delayed: boolean,
  ) {
    this.id = `wire-${way}`;
  }

  /** The end that calls and the end that is called; `delayed`: the INVITE has no offer. */
  static pair(wire: Wire, callId: string, delayed: boolean): readonly [WireSession, WireSession] {
    const ends = [0, 1].map(() => new WireSession(wire, wire.lay(), callId, delayed));
    const [near, far] = [ends[0]!, ends[1]!];
    near.peer = far;
    far.peer = near;
    return [near, far];
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.listener = listener;
    for (const signal of this.kept.splice(0)) listener(signal);
  }

  /** Something arrives at the other end. */
  send(arrive: () => void): void {
    this.wire.send(this.way, arrive);
  }

  private tell(signal: SessionSignal, after?: () => void): void {
    const { status = '' } = signal as { readonly status?: number };
    this.wire.note(`${this.callId} ${this.id}: ${signal.type} ${status}`);
    this.send(() => {
      this.peer.receive(signal);
      after?.();
    });
  }

  private makeDialog(): void {
    this.dialog ??= { callId: this.callId, localTag: this.id, remoteTag: this.peer.id };
  }

  private receive(signal: SessionSignal): void {
    if (this.over) return;
    if (signal.type === 'provisional' || signal.type === 'answered') this.makeDialog();
    if (['ended', 'rejected', 'cancelled'].includes(signal.type)) this.over = true;
    if (this.listener === undefined) this.kept.push(signal);
    else this.listener(signal);
  }

  progress(status: number, options: { readonly sdp?: string; readonly headers?: Headers } = {}): void {
    if (status > 100) this.makeDialog();
    this.tell({ type: 'provisional', status, reason: '', sdp: options.sdp, header: headers(options.headers) });
  }
  answer(options: { readonly sdp: string; readonly headers?: Headers }): void {
    this.makeDialog();
    const agreed = headers({ ...options.headers, 'Session-Expires': '1800;refresher=uac' });
    this.tell({ type: 'answered', sdp: options.sdp, header: agreed }, () => {
      if (!this.delayed) this.peer.tell({ type: 'acknowledged', sdp: undefined });
    });
  }
  reject(status: number): void {
    this.over = true;
    this.tell({ type: 'rejected', status, reason: '', header: headers() });
  }
  cancel(): void {
    this.over = true;
    this.tell({ type: 'cancelled', reason: undefined });
  }
  acknowledge(description: string): void {
    this.tell({ type: 'acknowledged', sdp: description });
  }
  reinvite(id: string, options: { readonly sdp?: string }): void {
    this.withOffer.set(id, options.sdp !== undefined);
    this.tell({ type: 'reinvited', id, sdp: options.sdp, header: headers() });
  }
  request(id: string, { method, body = '', contentType, headers: values }: Parameters<Session['request']>[1]): void {
    this.asked.set(id, method);
    this.tell({ type: 'requested', id, method, body, contentType, header: headers(values) });
  }
  respond(id: string, status: number, options: { readonly sdp?: string } = {}): void {
    const method = this.peer.asked.get(id);
    if (method !== undefined) {
      const answer = { type: 'request-answered', id, method, status, reason: '', body: '' } as const;
      return this.tell({ ...answer, contentType: undefined, header: headers() });
    }
    if (status !== 200) return this.tell({ type: 'reinvite-rejected', id, status, reason: '' });
    this.tell({ type: 'reinvite-answered', id, sdp: options.sdp }, () => {
      if (this.peer.withOffer.get(id) === true) this.peer.tell({ type: 'acknowledged', sdp: undefined });
    });
  }
  bye(): void {
    if (this.over) return;
    this.over = true;
    this.tell({ type: 'ended', by: 'peer', reason: undefined });
  }
}
