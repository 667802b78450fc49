import type { SipRequest, SipResponse } from '../../sip-message/message';
import type { Application } from '../control/application';
import type { ClientTransaction, Destination, ServerTransaction } from '../layers';
import type { DialogRecord } from './dialog-table';

/** Who waits for the responses to a request of ours. */
export type Purpose =
  /** An application: it gets every response. */
  | { readonly kind: 'application'; readonly commandId: string }
  /** The server itself: nobody is told. Without a response: it could not be sent. */
  | { readonly kind: 'server'; readonly done: (response: SipResponse | undefined) => void };

/** A request on its way out. */
export interface Outgoing {
  /** The transaction id that the application knows. */
  readonly id: string;
  readonly application: Application;
  readonly purpose: Purpose;
  readonly method: string;
  readonly callId: string;
  readonly localTag: string;
  readonly sequence: number;
  /** Empty: responses carry no dialog id. */
  readonly dialogId: string;
  dialog: DialogRecord | undefined;
  /** Inside an existing dialog, not one that makes it. */
  readonly inDialog: boolean;
  /** As on the wire, once it has been there. */
  request: SipRequest;
  /** The flow that the application has named: a dialog that it makes keeps to that. */
  readonly flow: Destination | undefined;
  /** Of a dialog that it makes: as `DialogRecord.byeByApplication`. */
  readonly byeByApplication: boolean;
  client: ClientTransaction | undefined;
  /** A final response, or a failure in place of one. */
  finished: boolean;
  cancelled: boolean;
  /** The reply to the application's command is out; what comes before that waits here. */
  replied: boolean;
  readonly backlog: (() => void)[];
  /** Of an INVITE: the early dialog that an unreliable response has made last. Nobody finds it but for requests of ours in it. */
  told: DialogRecord | undefined;
  /** 2xx of other forks, by To tag: what to send again for a retransmission. */
  readonly forks: Map<string, () => void>;
  /** An UPDATE of the peer in the early dialog: it goes by this request's id. */
  earlyUpdate: ServerTransaction | undefined;
  /** NOTIFYs that came before the 2xx to our SUBSCRIBE. */
  readonly early: ServerTransaction[];
}

/** The requests that are on their way, by the id of their transaction. */
export class OutgoingTable {
  private readonly byId = new Map<string, Outgoing>();
  /** Requests that make a dialog and have no final response, by Call-ID and our tag. */
  private readonly early = new Map<string, Outgoing>();

  add(outgoing: Outgoing): void {
    this.byId.set(outgoing.id, outgoing);
    const makesDialog = outgoing.method === 'INVITE' || outgoing.method === 'SUBSCRIBE';
    if (makesDialog && !outgoing.inDialog) this.early.set(earlyKey(outgoing.callId, outgoing.localTag), outgoing);
  }

  get(id: string): Outgoing | undefined {
    return this.byId.get(id);
  }

  findEarly(callId: string, localTag: string): Outgoing | undefined {
    return this.early.get(earlyKey(callId, localTag));
  }

  /** The INVITE of this application whose dialog would have this id. */
  withDialogId(id: string, application: Application): Outgoing | undefined {
    for (const outgoing of this.early.values())
      if (outgoing.dialogId === id && outgoing.application === application) return outgoing;
    return undefined;
  }

  /** It has its final response; it can still be found by id until it is over. */
  finished(outgoing: Outgoing): void {
    outgoing.finished = true;
    const key = earlyKey(outgoing.callId, outgoing.localTag);
    if (this.early.get(key) === outgoing) this.early.delete(key);
  }

  remove(outgoing: Outgoing): void {
    this.finished(outgoing);
    this.byId.delete(outgoing.id);
  }

  of(application: Application): Outgoing[] {
    return [...this.byId.values()].filter((outgoing) => outgoing.application === application);
  }

  get size(): number {
    return this.byId.size;
  }
}

function earlyKey(callId: string, localTag: string): string {
  return `${localTag}\n${callId}`;
}
