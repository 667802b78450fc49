import { randomUUID } from 'node:crypto';
import type { Clock } from '../../process/clock';
import type { SipRequest, SipResponse } from '../../sip-message/message';
import { serialize } from '../../sip-message/serialize';
import type {
  ClientTransaction,
  ClientTransactionEvents,
  Destination,
  Flow,
  TransportFailure,
  TransportLayer,
} from '../layers';
import { ackFor, cancelFor } from './derived-requests';
import type { IctAction, IctEvent } from './ict';
import { ict, ictInitial } from './ict';
import { tagOf } from './keys';
import type { Machine } from './machine-runner';
import { MachineRunner } from './machine-runner';
import type { NictAction, NictEvent } from './nict';
import { nict, nictInitial } from './nict';
import type { Setup } from './timers';
import { responseClass } from './timers';

/** What an event is about. */
interface ClientPayload {
  readonly response?: SipResponse;
  readonly flow?: Flow;
  readonly failure?: TransportFailure;
}

/** Events that both kinds of client transaction know. */
type CommonEvent = Extract<NictEvent, { readonly type: 'start' | 'response' | 'transport-error' }>;

/** What a client transaction needs of its layer. */
export interface ClientHost {
  readonly transport: TransportLayer;
  readonly clock: Clock;
  readonly userError: (error: unknown) => void;
  /** Its first message has left on this flow: late failures of the flow concern it. */
  sentOn(transaction: ClientShell, flow: Flow): void;
  /** Sends a CANCEL as a transaction of its own. */
  sendCancel(cancel: SipRequest, to: Destination): void;
  gone(transaction: ClientShell): void;
  /** Nothing came back over this flow, not even 100: what still waits on the way must not arrive after its time. */
  unheard(flow: Flow): void;
}

/** Forks whose 2xx are told apart; an INVITE with more of them is an attack. */
const MAX_FORKS = 64;

/** A client transaction: one of the two machines, and the network. */
export class ClientShell implements ClientTransaction {
  readonly id = randomUUID();
  private readonly bytes: Buffer;
  private readonly invite: Machine<IctEvent, ClientPayload> | undefined;
  private readonly machine: Machine<CommonEvent, ClientPayload>;
  private readonly seenTags = new Set<string>();
  private ack: Buffer | undefined;
  private cancelled: { readonly request: SipRequest; readonly held: boolean } | undefined;
  private cancelSent = false;
  private reportedSent = false;
  private starting = true;
  private finalSeen = false;
  private heard = false;
  private sentOn: Flow | undefined;

  constructor(
    readonly request: SipRequest,
    readonly key: string,
    private readonly to: Destination,
    setup: Setup,
    private readonly events: ClientTransactionEvents,
    private readonly host: ClientHost,
  ) {
    this.bytes = serialize(request);
    const act = (action: IctAction | NictAction, payload: ClientPayload | undefined): void => this.act(action, payload);
    if (request.method === 'INVITE') {
      this.invite = new MachineRunner(host.clock, ictInitial(setup), ict, act, host.userError);
      this.machine = this.invite;
    } else {
      this.machine = new MachineRunner(host.clock, nictInitial(setup), nict, act, host.userError);
    }
  }

  /** Sends the request. The user hears of nothing before it has the transaction in hand. */
  start(): void {
    this.machine.dispatch({ type: 'start' });
    this.starting = false;
  }

  received(response: SipResponse, flow: Flow): void {
    this.heard = true;
    this.machine.dispatch({ type: 'response', class: responseClass(response.status) }, { response, flow });
  }

  transportFailed(failure: TransportFailure): void {
    this.machine.dispatch({ type: 'transport-error' }, { failure });
  }

  stop(): void {
    this.machine.stop();
  }

  cancel(headers: SipRequest['headers']): false | { readonly request: SipRequest; readonly held: boolean } {
    if (this.invite === undefined || this.finalSeen || this.machine.stateName === 'terminated') return false;
    if (this.cancelled === undefined) {
      const held = this.machine.stateName !== 'proceeding';
      this.cancelled = { request: cancelFor(this.request, headers), held };
      if (!held) this.sendCancel();
    }
    return this.cancelled;
  }

  private sendCancel(): void {
    if (this.cancelled === undefined || this.cancelSent) return;
    this.cancelSent = true;
    this.host.sendCancel(this.cancelled.request, this.to);
    this.invite?.dispatch({ type: 'cancel-sent' });
  }

  private act(action: IctAction | NictAction, payload: ClientPayload | undefined): void {
    switch (action.type) {
      case 'send-request':
        return this.send(this.bytes);
      case 'send-ack':
        return this.sendAck(payload?.response);
      case 'pass-response':
        return this.passResponse(payload?.response, payload?.flow);
      case 'failed': {
        const failure = action.cause === 'timeout' ? 'timeout' : (payload?.failure ?? 'error');
        if (action.cause === 'timeout' && !this.heard && this.sentOn !== undefined) this.host.unheard(this.sentOn);
        return this.notify(() => this.events.failed(failure));
      }
      case 'terminated':
        this.machine.stop();
        this.host.gone(this);
        return this.notify(() => this.events.terminated?.());
    }
  }

  /** Not from within `request()`: then the user does not have the transaction yet. */
  private notify(callback: () => void): void {
    if (this.starting) queueMicrotask(() => this.machine.notify(callback));
    else this.machine.notify(callback);
  }

  private send(bytes: Buffer): void {
    this.host.transport.send(bytes, this.to, (result) => {
      if ('failure' in result) return this.transportFailed(result.failure);
      if (this.reportedSent) return;
      this.reportedSent = true;
      this.sentOn = result.flow;
      if (this.machine.stateName !== 'terminated') this.host.sentOn(this, result.flow);
      this.notify(() => this.events.sent?.(result.flow, bytes.length));
    });
  }

  private sendAck(response: SipResponse | undefined): void {
    if (response !== undefined) this.ack ??= serialize(ackFor(this.request, response));
    if (this.ack !== undefined) this.send(this.ack);
  }

  private passResponse(response: SipResponse | undefined, flow: Flow | undefined): void {
    if (response === undefined) return;
    if (response.status < 200) this.notify(() => this.sendCancel());
    else this.finalSeen = true;
    if (response.status === 100) return;
    const retransmission = this.isRetransmission(response);
    if (retransmission !== undefined) this.notify(() => this.events.response(response, flow, retransmission));
  }

  /** A 2xx whose To tag was seen before. Undefined: one fork too many, to be ignored. */
  private isRetransmission(response: SipResponse): boolean | undefined {
    if (response.status < 200 || response.status > 299) return false;
    const tag = tagOf(response, 'To') ?? '';
    if (this.seenTags.has(tag)) return true;
    if (this.seenTags.size >= MAX_FORKS) return undefined;
    this.seenTags.add(tag);
    return false;
  }
}
