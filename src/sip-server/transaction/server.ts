import { randomUUID } from 'node:crypto';
import type { Clock } from '../../process/clock';
import type { SipRequest, SipResponse } from '../../sip-message/message';
import { createResponse } from '../../sip-message/response';
import { serialize } from '../../sip-message/serialize';
import type { Destination, Flow, ServerTransaction, TransportFailure, TransportLayer } from '../layers';
import type { IstAction, IstEvent } from './ist';
import { ist, istInitial } from './ist';
import { tagOf } from './keys';
import type { Machine } from './machine-runner';
import { MachineRunner } from './machine-runner';
import type { NistAction, NistEvent } from './nist';
import { nist, nistInitial } from './nist';
import type { Refusal } from './refusals';
import type { Setup } from './timers';
import { responseClass } from './timers';

type RespondDone = NonNullable<Parameters<ServerTransaction['respond']>[1]>;

/** What an event is about. */
interface ServerPayload {
  readonly response?: SipResponse;
  readonly done?: RespondDone;
  readonly ack?: { readonly request: SipRequest; readonly flow: Flow };
}

type CommonEvent = Exclude<NistEvent, { readonly type: 'timer' }>;

/** What a server transaction tells its layer. */
export interface ServerHost {
  readonly transport: TransportLayer;
  readonly clock: Clock;
  readonly userError: (error: unknown) => void;
  request(transaction: ServerShell): void;
  /** An ACK that is the user's business (RFC 6026, Accepted). */
  ack(ack: SipRequest, flow: Flow): void;
  over(transaction: ServerShell, acked: boolean): void;
  /** It has its final response. `ended`: it only waits for what may come again, or for an ACK that may not come. */
  answered(transaction: ServerShell, ended: boolean): void;
  /** Whoever sent it may be anybody: of a refusal no more is kept than the response itself. */
  isStranger(flow: Flow): boolean;
  /** The final response to a stranger, instead of `answered`. */
  refused(transaction: ServerShell, refusal: Refusal): void;
  gone(transaction: ServerShell): void;
}

/**
 * Where responses to a request go: the source of a datagram (RFC 3581 section 4; `answerPort`: at another port there, section 18.2.2), the connection of a stream. When that is
 * gone, nowhere: the new connection to sent-by of RFC 3261 section 18.2.2 would let anybody make us connect to any port of
 * the address that it comes from, which it may share with others.
 */
export function responseDestination(flow: Flow, answerPort?: number): Destination {
  const { protocol, remoteAddress: address, remotePort: port, connection, local } = flow;
  if (connection !== undefined) return { protocol, address, port, local, connection };
  return { protocol, address, port: answerPort ?? port, local };
}

/** A server transaction: one of the two machines, and the network. */
export class ServerShell implements ServerTransaction {
  readonly id = randomUUID();
  final: SipResponse | undefined;
  private readonly invite: Machine<IstEvent, ServerPayload> | undefined;
  private readonly machine: Machine<CommonEvent, ServerPayload>;
  private last: Buffer | undefined;
  private lastToTag: string | undefined;
  private rejected = false;
  /** The response under way is the last thing that the transaction does. */
  private once = false;

  constructor(
    readonly request: SipRequest,
    readonly flow: Flow,
    readonly key: string,
    setup: Setup,
    private readonly host: ServerHost,
  ) {
    const act = (action: IstAction | NistAction, payload: ServerPayload | undefined): void => this.act(action, payload);
    if (request.method === 'INVITE') {
      this.invite = new MachineRunner(host.clock, istInitial(setup), ist, act, host.userError);
      this.machine = this.invite;
    } else {
      this.machine = new MachineRunner(host.clock, nistInitial(setup), nist, act, host.userError);
    }
  }

  /** To tag of the last response that had one. */
  get toTag(): string | undefined {
    return this.lastToTag;
  }

  start(): void {
    if (this.invite === undefined) this.machine.dispatch({ type: 'start' });
    else this.invite.dispatch({ type: 'start', quietly: this.host.isStranger(this.flow) });
  }

  retransmitted(): void {
    this.machine.dispatch({ type: 'retransmission' });
  }

  acked(request: SipRequest, flow: Flow): void {
    this.invite?.dispatch({ type: 'ack' }, { ack: { request, flow } });
  }

  respond(response: SipResponse, done?: RespondDone): boolean {
    this.rejected = this.machine.stateName === 'terminated';
    const kind = responseClass(response.status);
    const final = this.invite === undefined ? kind !== 'provisional' : kind === 'failure';
    this.once = final && this.host.isStranger(this.flow);
    this.machine.dispatch({ type: 'respond', class: kind, once: this.once }, { response, done });
    return !this.rejected;
  }

  resend(): void {
    this.invite?.dispatch({ type: 'resend' });
  }

  stop(): void {
    this.machine.stop();
  }

  /** Ends Timer J or H early: the layer needs the room. */
  end(): void {
    this.machine.dispatch({ type: 'room-needed' });
  }

  drop(): void {
    this.machine.dispatch({ type: 'drop' });
  }

  private act(action: IstAction | NistAction, payload: ServerPayload | undefined): void {
    switch (action.type) {
      case 'send-trying':
        this.last = serialize(createResponse(this.request, 100));
        return this.send(this.last, undefined);
      case 'send-response':
        if (payload?.response !== undefined) this.sendResponse(payload.response, payload.done);
        return;
      case 'resend-last':
        if (this.last !== undefined) this.send(this.last, undefined);
        return;
      case 'reject-response':
        this.rejected = true;
        return;
      case 'pass-request':
        return this.machine.notify(() => this.host.request(this));
      case 'pass-ack': {
        const ack = payload?.ack;
        if (ack !== undefined) this.machine.notify(() => this.host.ack(ack.request, ack.flow));
        return;
      }
      case 'over':
        return this.machine.notify(() => this.host.over(this, action.acked));
      case 'terminated':
        this.machine.stop();
        this.host.gone(this);
    }
  }

  private sendResponse(response: SipResponse, done: RespondDone | undefined): void {
    if (response.status >= 200) this.final = response;
    this.last = serialize(response);
    this.lastToTag = tagOf(response, 'To') ?? this.lastToTag;
    if (this.once) this.host.refused(this, { bytes: this.last, to: this.destination(), toTag: this.lastToTag });
    else if (response.status >= 200) this.host.answered(this, this.invite === undefined || response.status >= 300);
    this.send(this.last, done);
  }

  private send(bytes: Buffer, done: RespondDone | undefined): void {
    const to = this.destination();
    this.host.transport.send(bytes, to, (result) => {
      if ('flow' in result) return this.report(done, { flow: result.flow, bytes: bytes.length });
      this.sendFailed(result.failure, done);
    });
  }

  private destination(): Destination {
    return responseDestination(this.flow, this.request.answerPort);
  }

  private sendFailed(failure: TransportFailure, done: RespondDone | undefined): void {
    this.report(done, { failure });
    this.machine.dispatch({ type: 'transport-error' });
  }

  private report(done: RespondDone | undefined, result: Parameters<RespondDone>[0]): void {
    if (done !== undefined) this.machine.notify(() => done(result));
  }
}
