import { randomUUID } from 'node:crypto';
import { getHeader } from '../../../src/sip-message/headers';
import type { SipRequest, SipResponse } from '../../../src/sip-message/message';
import { domain } from '../cluster-config';
import { digestAnswer } from '../sip-text';
import { FleetCalls, type CallResult } from './fleet-calls';
import type { FleetSocket, SocketUser } from './fleet-socket';
import type { FleetCounters, LedgerState } from './ledger';
import { contactOf, identityOf, newBranch, newToken, requestText } from './messages';

/** A node as a phone knows it. */
export interface FleetNode {
  readonly id: number;
  readonly port: number;
}

export interface FleetPhoneOptions {
  readonly dn: string;
  readonly password: string;
  /** Its list, first choice first. */
  readonly nodes: readonly FleetNode[];
  readonly socket: FleetSocket;
  readonly counters: FleetCounters;
  /** Lifetime that it asks for, s; it refreshes after about half of what it gets. */
  readonly expires: number;
  /** A node that says nothing for so long is given up, ms. */
  readonly patienceMs: number;
}

interface Credentials {
  readonly challenge: string;
  count: number;
}

/** What the phone is about to get done. */
interface Wish {
  readonly what: 'register' | 'leave';
  /** Places in its list that have been tried for this wish. */
  tried: number;
  challenges: number;
}

const RETRY_MS = 1000;
const MAX_CHALLENGES = 3;
/** No test stops a node for longer: what was given up before that is done by now, or never. */
const DOUBT_MS = 10_000;

/**
 * A lean phone: registers with the first node of its list that answers, refreshes, turns to the next one when a node is
 * silent or refuses, answers OPTIONS and calls, and places calls. What it knows for certain is in `ledger`.
 */
export class FleetPhone implements SocketUser {
  ledger: LedgerState = { state: 'off' };
  /** When a REGISTER was last given up, ms since the epoch: its node may still do it. Undefined: no such doubt is left. */
  doubtfulSince: number | undefined;
  /** Switched on: it answers. A phone that has left is silent, as one without power. */
  on = false;
  readonly instance = `urn:uuid:${randomUUID()}`;
  readonly calls: FleetCalls;
  /** When it last gave a node up, ms since the epoch. */
  lostAt = 0;
  private readonly callId = newToken();
  private readonly tag = newToken();
  private cseq = 0;
  private at = 0;
  private readonly credentials = new Map<number, Credentials>();
  private wish: Wish | undefined;
  private branch = '';
  private timer: NodeJS.Timeout | undefined;
  private settled: (() => void)[] = [];

  constructor(readonly options: FleetPhoneOptions) {
    this.calls = new FleetCalls(this, options.socket);
    options.socket.add(this);
  }

  get dn(): string {
    return this.options.dn;
  }

  get port(): number {
    return this.options.socket.port;
  }

  get contact(): string {
    return contactOf(this);
  }

  get doubtful(): boolean {
    return this.doubtfulSince !== undefined;
  }

  /** A REGISTER is on its way: what the ledger says may be about to change. */
  get busy(): boolean {
    return this.wish !== undefined;
  }

  /** The node that it uses. */
  get node(): FleetNode {
    const node = this.options.nodes[this.at % this.options.nodes.length];
    if (node === undefined) throw new Error('a phone needs a node');
    return node;
  }

  /** Switches it on; resolves with the 200. `at`: a node of its list, else its first. */
  register(at?: number): Promise<void> {
    this.at = this.placeOf(at ?? this.options.nodes[0]?.id ?? 0);
    return this.begin('register');
  }

  /** Registers with another node, and says nothing to the one before. */
  moveTo(node: number): Promise<void> {
    this.at = this.placeOf(node);
    return this.begin('register');
  }

  /** Registers once more where it is. */
  refresh(): Promise<void> {
    return this.begin('register');
  }

  /** De-registers; off when a node has answered, whichever it is. */
  leave(): Promise<void> {
    return this.begin('leave');
  }

  /** Calls a number by way of its node. */
  call(dialled: string): Promise<CallResult> {
    return this.calls.call(dialled, this.node);
  }

  close(): void {
    clearTimeout(this.timer);
    this.options.socket.forget(this.branch);
    this.calls.close();
  }

  requested(request: SipRequest, port: number): void {
    if (this.on) this.calls.requested(request, port);
  }

  strayResponse(response: SipResponse, port: number): void {
    if (this.calls.strayResponse(response, port)) return;
    const isRegister = / REGISTER$/.test(getHeader(response, 'CSeq') ?? '');
    if (!isRegister || response.status !== 200 || getHeader(response, 'Call-ID') !== this.callId) return;
    // Retransmissions of what it knows are no news.
    if (this.options.nodes.find((node) => node.port === port) === this.node) return;
    this.options.counters.late += 1;
    this.doubtfulSince = Date.now();
  }

  /** The value of Authorization or Proxy-Authorization for this node, when it has once challenged. */
  authorize(node: FleetNode, method: string, uri: string): string | undefined {
    const credentials = this.credentials.get(node.id);
    if (credentials === undefined) return undefined;
    credentials.count += 1;
    return digestAnswer(credentials.challenge, method, uri, this.dn, this.options.password, credentials.count);
  }

  challenged(node: FleetNode, challenge: string): void {
    this.options.counters.challenged += 1;
    this.credentials.set(node.id, { challenge, count: 0 });
  }

  private placeOf(node: number): number {
    const place = this.options.nodes.findIndex(({ id }) => id === node);
    if (place < 0) throw new Error(`node ${node} is not in the list of ${this.dn}`);
    return place;
  }

  private begin(what: Wish['what']): Promise<void> {
    clearTimeout(this.timer);
    this.options.socket.forget(this.branch);
    // A REGISTER that is forgotten half-way may still be done.
    if (this.wish !== undefined) this.doubtfulSince = Date.now();
    this.on = true;
    this.wish = { what, tried: 0, challenges: 0 };
    const done = new Promise<void>((resolve) => this.settled.push(resolve));
    this.send();
    return done;
  }

  private send(): void {
    const { wish, node } = this;
    if (wish === undefined) return;
    const uri = `sip:${domain}`;
    const authorization = this.authorize(node, 'REGISTER', uri);
    this.cseq += 1;
    this.branch = newBranch();
    const text = requestText(this, {
      method: 'REGISTER',
      uri,
      branch: this.branch,
      from: `${identityOf(this.dn)};tag=${this.tag}`,
      to: identityOf(this.dn),
      callId: this.callId,
      cseq: this.cseq,
      headers: [
        `Contact: <${this.contact}>;+sip.instance="<${this.instance}>"`,
        `Expires: ${wish.what === 'leave' ? 0 : this.options.expires}`,
        ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
      ],
    });
    this.options.socket.start({
      branch: this.branch,
      text,
      port: node.port,
      patienceMs: this.options.patienceMs,
      response: (response) => this.answered(wish, node, response),
      silent: () => this.unanswered(wish),
    });
  }

  private answered(wish: Wish, node: FleetNode, response: SipResponse): void {
    if (response.status < 200 || wish !== this.wish) return;
    if (response.status === 401 && wish.challenges < MAX_CHALLENGES) {
      wish.challenges += 1;
      this.challenged(node, getHeader(response, 'WWW-Authenticate') ?? '');
      this.send();
    } else if (response.status === 200) this.accepted(wish, node, response);
    else {
      this.options.counters.refused += 1;
      this.next(wish);
    }
  }

  private accepted(wish: Wish, node: FleetNode, response: SipResponse): void {
    const { counters } = this.options;
    this.wish = undefined;
    if (this.doubtfulSince !== undefined && Date.now() - this.doubtfulSince > DOUBT_MS) this.doubtfulSince = undefined;
    counters.accepted += 1;
    if (wish.what === 'leave') {
      counters.left += 1;
      this.on = false;
      this.ledger = { state: 'off' };
    } else this.bound(node, response);
    for (const resolve of this.settled.splice(0)) resolve();
  }

  private bound(node: FleetNode, response: SipResponse): void {
    const { counters, expires } = this.options;
    const now = Date.now();
    const granted = Number(/expires=(\d+)/i.exec(getHeader(response, 'Contact') ?? '')?.[1] ?? expires);
    const before = this.ledger;
    const stays = before.state === 'registered' && before.node === node.id;
    if (stays) counters.refreshed += 1;
    else if (before.state === 'registered') counters.moved += 1;
    const since = stays ? before.since : now;
    const expiresAt = now + granted * 1000;
    this.ledger = { state: 'registered', node: node.id, contact: this.contact, since, at: now, expiresAt };
    this.timer = setTimeout(() => void this.refresh(), granted * 1000 * (0.4 + 0.2 * Math.random()));
  }

  private unanswered(wish: Wish): void {
    if (wish !== this.wish) return;
    this.options.counters.unanswered += 1;
    this.doubtfulSince = Date.now();
    this.next(wish);
  }

  /** Goes on with the next node; after the whole list, it takes a breath. */
  private next(wish: Wish): void {
    const { nodes } = this.options;
    this.lostAt = Date.now();
    this.at = (this.at + 1) % nodes.length;
    wish.tried += 1;
    wish.challenges = 0;
    if (wish.tried % nodes.length !== 0) this.send();
    else this.timer = setTimeout(() => this.send(), RETRY_MS);
  }
}
