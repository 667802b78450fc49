import { ACCEPT } from '../../sip/body';
import { ALLOW } from '../../sip-message/methods';
import type { ResponseOptions, SessionSignal } from '../../sip/user-agent';
import type { Leg, LegId } from '../core/call-state';
import type { Draft } from '../core/draft';
import { receiveOffer, retryLater } from './incoming-offer';
import { bodyHeaders, keptHeaders, passedContentType, reasonPhrase } from '../core/passed-on';
import { answerTimer } from './session-timer';
import { followOurs } from './outgoing-offer';
import { finalMeaning } from '../../sip-message/final-meaning';
import { statusAcross } from '../../sip/status';
import { dialogOver } from '../core/ending';

type Requested = Extract<SessionSignal, { type: 'requested' }>;
type RequestAnswered = Extract<SessionSignal, { type: 'request-answered' }>;

/** Methods that are answered the same in every state; undefined: it depends. */
function fixedAnswer(method: string): { status: number; options?: ResponseOptions } | undefined {
  switch (method) {
    case 'OPTIONS':
      return { status: 200, options: { headers: { Allow: ALLOW, Accept: ACCEPT } } };
    case 'REFER':
      // Transfer does not exist; a bare 200 or 202 would lie.
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
  if (other === undefined) return;
  const { method, body } = request;
  const contentType = passedContentType(request.contentType);
  // RFC 3261 section 20.15: the other end has to be told what it gets.
  if (body !== '' && contentType === undefined) {
    const options = { reason: 'Bad Content-Type Header' };
    return draft.emit({ type: 'respond', leg: leg.id, id: request.id, status: 400, options });
  }
  const id = draft.requestId();
  draft.state.forwarded.set(id, { leg: leg.id, id: request.id });
  draft.emit({ type: 'request', leg: other.id, id, method, body, contentType, headers: bodyHeaders(request.header) });
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
  if (finalMeaning(method, answer.status, header).type === 'dialog-over')
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

/** A request in a dialog that is not established: there is nobody yet to pass it on to (RFC 3311 §5.2 for UPDATE). */
export function answerEarlyRequest(draft: Draft, leg: LegId, request: Requested): void {
  const { id, method, body, header } = request;
  const fixed = fixedAnswer(method);
  if (fixed !== undefined) return draft.emit({ type: 'respond', leg, id, ...fixed });
  if (method === 'UPDATE' && body === '') {
    const headers = answerTimer(header, draft.state.facts.refreshSeconds);
    return draft.emit({ type: 'respond', leg, id, status: 200, options: { headers } });
  }
  draft.emit({ type: 'respond', leg, id, status: 500, options: retryLater(draft) });
}
