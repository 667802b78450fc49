import { getHeader } from '../../../src/sip-message/headers';
import type { SipRequest, SipResponse } from '../../../src/sip-message/message';
import { parseCSeq } from '../../../src/sip-message/cseq';
import { domain } from '../cluster-config';
import type { FleetNode, FleetPhone } from './fleet-phone';
import type { FleetSocket } from './fleet-socket';
import {
  branchOf,
  contactUriOf,
  identityOf,
  newBranch,
  newToken,
  quietAudio,
  requestText,
  responseText,
} from './messages';

/** What became of a call. */
export interface CallResult {
  readonly caller: string;
  readonly dialled: string;
  /** The caller's node. */
  readonly node: number;
  readonly callId: string;
  /** Final status; 0: none came. */
  readonly status: number;
  readonly reason: string;
  /** Ms since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
}

interface Outgoing {
  readonly dialled: string;
  readonly node: FleetNode;
  readonly callId: string;
  readonly from: string;
  readonly startedAt: number;
  readonly done: (result: CallResult) => void;
  cseq: number;
  branch: string;
  /** The INVITE as sent last. */
  text: string;
  challenged: boolean;
  deadline: NodeJS.Timeout | undefined;
}

interface Answered {
  readonly branch: string;
  readonly text: string;
  readonly port: number;
  timer: NodeJS.Timeout | undefined;
}

const ALLOW = 'Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE';
/** The whole set-up of a call may take this long; then it is cancelled, ms. */
const SETUP_MS = 15_000;
const NO_SIGN_MS = 4_000;
const OK_AGAIN_MS = [500, 1000, 2000, 4000, 4000, 4000];

/** The calls of one phone: it answers each call at once, and ends the calls that it placed as soon as they are answered. */
export class FleetCalls {
  /** How often a node has asked whether the phone is there. */
  optionsReceived = 0;
  /** Calls that came, by Call-ID. */
  private readonly incoming = new Map<string, Answered>();
  private readonly timers = new Set<NodeJS.Timeout>();

  constructor(
    private readonly phone: FleetPhone,
    private readonly socket: FleetSocket,
  ) {}

  /** Places a call; resolves when it was answered (it is ended then), refused or given up. Never rejects. */
  call(dialled: string, node: FleetNode): Promise<CallResult> {
    return new Promise((done) => {
      const call: Outgoing = {
        dialled,
        node,
        callId: newToken(),
        from: `${identityOf(this.phone.dn)};tag=${newToken()}`,
        startedAt: Date.now(),
        done,
        cseq: 0,
        branch: '',
        text: '',
        challenged: false,
        deadline: undefined,
      };
      call.deadline = this.later(SETUP_MS, () => this.giveUp(call));
      this.invite(call);
    });
  }

  requested(request: SipRequest, port: number): void {
    switch (request.method) {
      case 'INVITE':
        return this.invited(request, port);
      case 'ACK':
        return this.stopAnswering(getHeader(request, 'Call-ID') ?? '');
      case 'BYE':
        this.stopAnswering(getHeader(request, 'Call-ID') ?? '');
        return this.respond(request, port, '200 OK');
      case 'OPTIONS':
        this.optionsReceived += 1;
        return this.respond(request, port, '200 OK');
      case 'UPDATE':
        return this.respond(request, port, '200 OK');
      case 'CANCEL':
        // Whatever it is about has been answered by now.
        return this.respond(request, port, '200 OK');
      default:
        return this.respond(request, port, '405 Method Not Allowed');
    }
  }

  /** The 200 of a call, sent again because our ACK was lost. `true`: it was about a call. */
  strayResponse(response: SipResponse, port: number): boolean {
    const cseq = parseCSeq(getHeader(response, 'CSeq') ?? '');
    if (cseq?.method === 'REGISTER') return false;
    if (cseq?.method === 'INVITE' && response.status >= 200 && response.status < 300)
      this.inDialog('ACK', response, port, cseq.number);
    return true;
  }

  close(): void {
    for (const timer of this.timers) clearTimeout(timer);
  }

  private invite(call: Outgoing): void {
    const { node, dialled, callId, from } = call;
    const uri = `sip:${dialled}@${domain}`;
    const authorization = this.phone.authorize(node, 'INVITE', uri);
    call.cseq += 1;
    call.branch = newBranch();
    call.text = requestText(this.phone, {
      method: 'INVITE',
      uri,
      branch: call.branch,
      from,
      to: `<${uri}>`,
      callId,
      cseq: call.cseq,
      headers: [
        `Contact: <${this.phone.contact}>`,
        ALLOW,
        ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
      ],
      body: quietAudio(this.phone.port),
    });
    this.socket.start({
      branch: call.branch,
      text: call.text,
      port: node.port,
      patienceMs: NO_SIGN_MS,
      response: (response) => this.answeredCall(call, response),
      silent: () => this.finish(call, 0, 'no answer of the node'),
    });
  }

  private answeredCall(call: Outgoing, response: SipResponse): void {
    const { status, reason } = response;
    const { node } = call;
    if (status < 200) return;
    if (status < 300) {
      this.inDialog('ACK', response, node.port, call.cseq);
      this.bye(call, response);
      return this.finish(call, status, reason);
    }
    this.acknowledgeRefusal(call, response);
    if (status !== 407 || call.challenged) return this.finish(call, status, reason);
    call.challenged = true;
    this.phone.challenged(node, getHeader(response, 'Proxy-Authenticate') ?? '');
    this.invite(call);
  }

  /** Same branch, the To of the response (RFC 3261 §17.1.1.3). */
  private acknowledgeRefusal({ branch, cseq, callId, from, dialled, node }: Outgoing, response: SipResponse): void {
    const uri = `sip:${dialled}@${domain}`;
    const to = getHeader(response, 'To') ?? '';
    this.socket.send(requestText(this.phone, { method: 'ACK', uri, branch, from, to, callId, cseq }), node.port);
  }

  private inDialog(method: 'ACK', response: SipResponse, port: number, cseq: number): void {
    this.socket.send(this.dialogRequest(method, newBranch(), response, cseq), port);
  }

  private dialogRequest(method: string, branch: string, response: SipResponse, cseq: number): string {
    return requestText(this.phone, {
      method,
      uri: contactUriOf(response) ?? `sip:${domain}`,
      branch,
      from: getHeader(response, 'From') ?? '',
      to: getHeader(response, 'To') ?? '',
      callId: getHeader(response, 'Call-ID') ?? '',
      cseq,
    });
  }

  private bye(call: Outgoing, response: SipResponse): void {
    const branch = newBranch();
    const text = this.dialogRequest('BYE', branch, response, call.cseq + 1);
    const nothing = (): void => undefined;
    const { port } = call.node;
    this.socket.start({ branch, text, port, patienceMs: NO_SIGN_MS, response: nothing, silent: nothing });
  }

  private giveUp(call: Outgoing): void {
    this.socket.forget(call.branch);
    const { node, dialled, branch, from, callId, cseq } = call;
    const uri = `sip:${dialled}@${domain}`;
    this.socket.send(
      requestText(this.phone, { method: 'CANCEL', uri, branch, from, to: `<${uri}>`, callId, cseq }),
      node.port,
    );
    this.finish(call, 0, 'not answered');
  }

  private finish(call: Outgoing, status: number, reason: string): void {
    clearTimeout(call.deadline);
    if (call.deadline !== undefined) this.timers.delete(call.deadline);
    const { dialled, node, callId, startedAt } = call;
    const caller = this.phone.dn;
    call.done({ caller, dialled, node: node.id, callId, status, reason, startedAt, endedAt: Date.now() });
  }

  private invited(request: SipRequest, port: number): void {
    const callId = getHeader(request, 'Call-ID') ?? '';
    const before = this.incoming.get(callId);
    if (before?.branch === branchOf(request)) return this.socket.send(before.text, before.port);
    this.stopAnswering(callId);
    const tag = /;\s*tag=([^;>]+)/i.exec(getHeader(request, 'To') ?? '')?.[1] ?? newToken();
    const headers = [`Contact: <${this.phone.contact}>`, ALLOW];
    const text = responseText(request, '200 OK', { tag, headers, body: quietAudio(this.phone.port) });
    const answered: Answered = { branch: branchOf(request), text, port, timer: undefined };
    this.incoming.set(callId, answered);
    this.respond(request, port, '180 Ringing', tag);
    this.socket.send(text, port);
    this.answerAgain(callId, answered, 0);
  }

  /** RFC 3261 §13.3.1.4: the 200 is repeated until the ACK comes. */
  private answerAgain(callId: string, answered: Answered, round: number): void {
    const wait = OK_AGAIN_MS[round];
    if (wait === undefined) return this.stopAnswering(callId);
    answered.timer = this.later(wait, () => {
      this.socket.send(answered.text, answered.port);
      this.answerAgain(callId, answered, round + 1);
    });
  }

  private stopAnswering(callId: string): void {
    const answered = this.incoming.get(callId);
    if (answered?.timer === undefined) return;
    clearTimeout(answered.timer);
    this.timers.delete(answered.timer);
    this.incoming.delete(callId);
  }

  private respond(request: SipRequest, port: number, status: string, tag = newToken()): void {
    const headers = [`Contact: <${this.phone.contact}>`, ALLOW];
    this.socket.send(responseText(request, status, { tag, headers }), port);
  }

  private later(ms: number, act: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, ms);
    this.timers.add(timer);
    return timer;
  }
}
