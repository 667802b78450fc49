import { ACCEPT } from '../../sip/body';
import { ALLOW } from '../../sip-message/methods';
import type { ResponseOptions, SessionSignal } from '../../sip/user-agent';
import type { Leg, LegId } from '../core/leg';
import type { Draft } from '../core/draft';
import { receiveOffer, retryLater } from './incoming-offer';
import { bodyHeaders, keptHeaders, passedContentType, reasonPhrase } from '../core/passed-on';
import { answerTimer } from './session-timer';
import { followOurs } from './outgoing-offer';
import { finalMeaning } from '../../sip-message/final-meaning';
import { statusAcross } from '../../sip/status';
import { dialogOver } from '../core/ending';
import { legLost } from '../survival/survive';

type Requested = Extract<SessionSignal, { type: 'requested' }>;
type RequestAnswered = Extract<SessionSignal, { type: 'request-answered' }>;

/** Methods that are answered the same in every state; undefined: it depends. */
export function fixedAnswer(method: string): { status: number; options?: ResponseOptions } | undefined {
  switch (method) {
    case 'OPTIONS':
      return { status: 200, options: { headers: { Allow: ALLOW, Accept: ACCEPT } } };
    case 'REFER':
      // There is nobody yet who could be transferred, or go elsewhere.
      return { status: 603 };
    case 'NOTIFY':
    case 'SUBSCRIBE':
      return { status: 489 };
    case 'UPDATE':
    case 'INFO':
    case 'MESSAGE':
      return undefined;
    default:
      return { status: 405, options: { headers: { Allow: ALLOW } } };
  }
}

/** Any request but INVITE in an established dialog. */
export function receiveRequest(draft: Draft, leg: Leg, request: Requested): void {
  const answer = fixedAnswer(request.method);
  if (answer !== undefined) return draft.emit({ type: 'respond', leg: leg.id, id: request.id, ...answer });
  if (request.method === 'UPDATE') return receiveUpdate(draft, leg, request);
  const other = draft.other(leg);
  if (other !== undefined) forward(draft, leg.id, other.id, request);
}

/** Gives an INFO or MESSAGE to the other end; its answer is awaited. */
function forward(draft: Draft, from: LegId, to: LegId, request: Requested): void {
  const { method, body } = request;
  const contentType = passedContentType(request.contentType);
  // RFC 3261 section 20.15: the other end has to be told what it gets.
  if (body !== '' && contentType === undefined) {
    const options = { reason: 'Bad Content-Type Header' };
    return draft.emit({ type: 'respond', leg: from, id: request.id, status: 400, options });
  }
  const id = draft.requestId();
  draft.state.forwarded.set(id, { leg: from, id: request.id });
  draft.emit({ type: 'request', leg: to, id, method, body, contentType, headers: bodyHeaders(request.header) });
}

function receiveUpdate(draft: Draft, leg: Leg, request: Requested): void {
  const { id, body, header } = request;
  if (body !== '') return receiveOffer(draft, leg, { id, method: 'UPDATE', sdp: body, header });
  const headers = answerTimer(header, draft.state.facts.refreshSeconds);
  followOurs(draft, leg, headers);
  draft.emit({ type: 'respond', leg: leg.id, id, status: 200, options: { headers } });
}

/** The answer of `leg` to a request that we passed on. */
export function requestAnswered(draft: Draft, leg: Leg, answer: RequestAnswered): void {
  const asked = draft.state.forwarded.get(answer.id);
  if (asked === undefined) return;
  const { method, header, reason, body } = answer;
  const contentType = passedContentType(answer.contentType);
  if (finalMeaning(method, answer.status, header).type === 'dialog-over' && !legLost(draft, leg, true))
    return dialogOver(draft, leg, method, answer.status);
  draft.state.forwarded.delete(answer.id);
  const status = answer.status < 300 ? answer.status : statusAcross(answer.status, false);
  draft.emit({
    type: 'respond',
    leg: asked.leg,
    id: asked.id,
    status,
    options: {
      ...(status === answer.status ? reasonPhrase(reason) : {}),
      headers: keptHeaders(header),
      ...(body === '' || contentType === undefined ? {} : { body, contentType }),
    },
  });
}

/** The same before the call is answered. That the early dialog is gone, or never was, says nothing of the call. */
export function earlyRequestAnswered(draft: Draft, leg: Leg, answer: RequestAnswered): void {
  const asked = draft.state.forwarded.get(answer.id);
  if (asked === undefined) return;
  const { type } = finalMeaning(answer.method, answer.status, answer.header);
  if (answer.status !== 503 && type !== 'dialog-over') return requestAnswered(draft, leg, answer);
  draft.state.forwarded.delete(answer.id);
  draft.emit({ type: 'respond', leg: asked.leg, id: asked.id, status: 500, options: retryLater(draft) });
}

/** The one device that rings: what the caller says in its early dialog is for that. Undefined: there is none, or more than one. */
function ringing({ state }: Draft): LegId | undefined {
  const [leg, ...others] = state.ringing?.legs.values() ?? [];
  return others.length === 0 ? leg : undefined;
}

/**
 * A request in a dialog that is not established. What the caller says goes on to the device that rings (tones for who plays early media);
 * of everything else there is nobody yet to pass it on to (RFC 3311 §5.2 for UPDATE).
 */
export function answerEarlyRequest(draft: Draft, leg: LegId, request: Requested): void {
  const { id, method, body, header } = request;
  const fixed = fixedAnswer(method);
  if (fixed !== undefined) return draft.emit({ type: 'respond', leg, id, ...fixed });
  if (method === 'UPDATE' && body === '') {
    const headers = answerTimer(header, draft.state.facts.refreshSeconds);
    return draft.emit({ type: 'respond', leg, id, status: 200, options: { headers } });
  }
  const callee = leg === draft.state.ringing?.waiter && method !== 'UPDATE' ? ringing(draft) : undefined;
  if (callee !== undefined) return forward(draft, leg, callee, request);
  draft.emit({ type: 'respond', leg, id, status: 500, options: retryLater(draft) });
}
