import type { CancelTimer } from '../../process/clock';
import type { SipRequest } from '../../sip-message/message';
import type { Application } from '../control/application';
import { nextSequence, type DialogState } from '../dialog/dialog';
import type { SessionInterval } from '../dialog/session-timer';
import type { Destination, ServerTransaction } from '../layers';
import { isSdp } from './context';
import type { Incoming } from './incoming';

/** A 2xx of ours to an INVITE that waits for its ACK. */
export interface Unacknowledged {
  readonly transaction: ServerTransaction;
  /** Id the application sees in the frame of the ACK. */
  readonly ackTransactionId: string;
  readonly stop: CancelTimer;
}

/** A 2xx of the peer to an INVITE of ours. */
export interface AcceptedInvite {
  readonly sequence: number;
  readonly invite: SipRequest;
  /** The application cancelled, and the 2xx was there first: BYE follows the ACK. */
  readonly cancelled: boolean;
  ack: { readonly message: SipRequest; readonly destination: Destination } | undefined;
}

export interface SessionRefresh {
  readonly interval: SessionInterval;
  readonly armedAt: number;
  readonly delay: number;
  readonly stop: CancelTimer;
}

/** A dialog with what happens in it. */
export class DialogRecord {
  readonly unacknowledged = new Map<number, Unacknowledged>();
  readonly accepted = new Map<number, AcceptedInvite>();
  /** What must not be sent before the peer has acknowledged our 2xx: BYE (RFC 3261 section 15). */
  readonly afterAck: (() => void)[] = [];
  /** Requests of the peer that the application has not answered. */
  readonly unanswered = new Set<Incoming>();
  /** Our INVITE without final response, and what cancels it. */
  cancelInvite: (() => void) | undefined;
  /** Of an INVITE of ours: RSeq of the last reliable provisional response (RFC 3262 section 4). */
  lastReliable: number | undefined;
  /** That one waits for the application's PRACK. */
  awaitsPrack = false;
  private lastPracked: DialogRecord | undefined;
  /** Early dialogs that other forks of the same INVITE have made by reliable responses, by To tag. The application knows all by one id. */
  readonly forks = new Map<string, DialogRecord>();
  /** The last INVITE of ours was refused: the server has ACKed that by itself. */
  lastInviteRefused = false;
  localSdp: Buffer | undefined;
  /** Session timer of a call, expiry of a subscription. */
  stopSession: CancelTimer | undefined;
  /** The next refresh of ours: `delay` ms after the last one, at `armedAt`. */
  refresh: SessionRefresh | undefined;
  /** The application ends the dialog itself when the server wants it ended: the peer may want credentials. */
  byeByApplication = false;
  /** It has been told to; what stops the wait for its BYE. */
  stopWaiting: CancelTimer | undefined;
  ended = false;

  constructor(
    public state: DialogState,
    readonly application: Application,
  ) {}

  nextSequence(): number {
    this.state = nextSequence(this.state);
    return this.state.localSequence;
  }

  /** The early dialog in which a PRACK is to go: that whose reliable response with this RSeq waits for it. */
  takePrackOf(rack: string | undefined): DialogRecord {
    const sequence = Number(rack?.trim().split(/\s+/, 1)[0]);
    const waiting = [this, ...this.forks.values()].filter(({ awaitsPrack }) => awaitsPrack);
    const record = waiting.find(({ lastReliable }) => lastReliable === sequence);
    // The same PRACK again, with credentials.
    if (record === undefined) return this.lastPracked ?? this;
    record.awaitsPrack = false;
    this.lastPracked = record;
    return record;
  }

  /** The last session description of ours that was agreed on: what a refresh repeats. */
  rememberSdp(body: Buffer): void {
    if (isSdp(body)) this.localSdp = body;
  }

  /** The ACK has come, or never will. */
  releaseAfterAck(): boolean {
    const held = this.afterAck.splice(0);
    for (const send of held) send();
    return held.length > 0;
  }

  /** A peer's INVITE that waits for the application. */
  get pendingInvite(): Incoming | undefined {
    for (const incoming of this.unanswered) if (incoming.head.method === 'INVITE') return incoming;
    return undefined;
  }
}

function tagsKey(callId: string, localTag: string, remoteTag: string): string {
  return `${localTag}\n${remoteTag}\n${callId}`;
}

/** The dialogs of this server, by the id that applications use and by Call-ID and tags. */
export class DialogTable {
  private readonly byId = new Map<string, DialogRecord>();
  private readonly byTags = new Map<string, DialogRecord>();

  add(record: DialogRecord): void {
    const { id, callId, localTag, remoteTag } = record.state;
    this.byId.set(id, record);
    this.byTags.set(tagsKey(callId, localTag, remoteTag), record);
  }

  get(id: string): DialogRecord | undefined {
    return this.byId.get(id);
  }

  find(callId: string, localTag: string, remoteTag: string): DialogRecord | undefined {
    return this.byTags.get(tagsKey(callId, localTag, remoteTag));
  }

  /** Forgets the dialog and stops its timers. False: it had ended before. */
  remove(record: DialogRecord): boolean {
    if (record.ended) return false;
    record.ended = true;
    const { id, callId, localTag, remoteTag } = record.state;
    if (this.byId.get(id) === record) this.byId.delete(id);
    const key = tagsKey(callId, localTag, remoteTag);
    if (this.byTags.get(key) === record) this.byTags.delete(key);
    record.stopSession?.();
    record.stopWaiting?.();
    for (const waiting of record.unacknowledged.values()) waiting.stop();
    record.unacknowledged.clear();
    return true;
  }

  of(application: Application): DialogRecord[] {
    return [...this.byId.values()].filter((record) => record.application === application);
  }

  get size(): number {
    return this.byId.size;
  }
}
