import { createSocket, type Socket } from 'node:dgram';
import { getHeader } from '../../../src/sip-message/headers';
import type { SipRequest, SipResponse } from '../../../src/sip-message/message';
import { parseMessage } from '../../../src/sip-message/parse';
import { branchOf } from './messages';

/** RFC 3261 §17: first interval between two sendings, and the longest, ms. */
const T1_MS = 500;
const T2_MS = 4000;

/** What a phone wants of its socket. */
export interface SocketUser {
  readonly dn: string;
  /** A request to this phone; `port`: of the node that sent it. */
  requested(request: SipRequest, port: number): void;
  /** A response that no transaction waits for. */
  strayResponse(response: SipResponse, port: number): void;
}

/** A request on its way (RFC 3261 §17.1): sent again until there is a response. */
export interface Transaction {
  readonly branch: string;
  readonly text: string;
  /** Port of the node. */
  readonly port: number;
  /** Nothing at all came in this time: `silent` is called, ms. */
  readonly patienceMs: number;
  readonly response: (response: SipResponse) => void;
  readonly silent: () => void;
}

interface Running {
  readonly transaction: Transaction;
  readonly startedAt: number;
  timer: NodeJS.Timeout | undefined;
  interval: number;
}

/** One UDP port that several phones share, told apart by the user part of their contacts. */
export class FleetSocket {
  private readonly users = new Map<string, SocketUser>();
  private readonly running = new Map<string, Running>();
  private closed = false;

  private constructor(
    private readonly socket: Socket,
    readonly port: number,
  ) {}

  static async open(): Promise<FleetSocket> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, '127.0.0.1', resolve);
    });
    const opened = new FleetSocket(socket, socket.address().port);
    socket.on('message', (bytes, from) => opened.receive(bytes, from.port));
    socket.on('error', () => undefined);
    return opened;
  }

  add(user: SocketUser): void {
    this.users.set(user.dn, user);
  }

  send(text: string, port: number): void {
    if (!this.closed) this.socket.send(text, port, '127.0.0.1');
  }

  start(transaction: Transaction): void {
    if (this.closed) return;
    const running: Running = { transaction, startedAt: Date.now(), timer: undefined, interval: T1_MS };
    this.running.set(transaction.branch, running);
    this.send(transaction.text, transaction.port);
    this.sendAgain(running);
  }

  /** Nothing more of this request is wanted. */
  forget(branch: string): void {
    clearTimeout(this.running.get(branch)?.timer);
    this.running.delete(branch);
  }

  close(): void {
    this.closed = true;
    for (const branch of [...this.running.keys()]) this.forget(branch);
    this.socket.close();
  }

  private sendAgain(running: Running): void {
    const { branch, text, port, patienceMs, silent } = running.transaction;
    const left = running.startedAt + patienceMs - Date.now();
    running.timer = setTimeout(
      () => {
        if (Date.now() - running.startedAt >= patienceMs) {
          this.forget(branch);
          silent();
          return;
        }
        this.send(text, port);
        running.interval = Math.min(T2_MS, running.interval * 2);
        this.sendAgain(running);
      },
      Math.max(1, Math.min(running.interval, left)),
    );
  }

  private receive(bytes: Buffer, port: number): void {
    const parsed = parseMessage(bytes);
    if (!parsed.ok) return;
    const { message } = parsed;
    if (message.kind === 'response') this.receiveResponse(message, port);
    else this.users.get(userOf(message.uri))?.requested(message, port);
  }

  private receiveResponse(response: SipResponse, port: number): void {
    const branch = branchOf(response);
    const running = this.running.get(branch);
    if (running === undefined) {
      this.users.get(userOf(getHeader(response, 'From') ?? ''))?.strayResponse(response, port);
      return;
    }
    clearTimeout(running.timer);
    if (response.status >= 200) this.forget(branch);
    running.transaction.response(response);
  }
}

function userOf(text: string): string {
  return /sips?:([^@;>]+)@/i.exec(text)?.[1] ?? '';
}
