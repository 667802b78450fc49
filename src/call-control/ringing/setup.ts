import type { SessionSignal } from '../../sip/user-agent';
import { cancelBranches } from './branches';
import type { Draft } from '../core/draft';
import { formatReason } from '../../sip/reason';
import { endCall } from '../core/ending';
import { passedOn } from '../core/passed-on';
import { keepExplanation } from '../bridge/music';
import { answerEarlyRequest } from '../dialog/requests';
import type { CallSignal } from '../core/signals';
import { take } from '../join/replace';
import { reconcile } from '../bridge/established';
import { ringingSignal } from './ringing';

/** A call that nobody has answered: who is rung, and what the caller hears of it. */
export function setup(draft: Draft, signal: CallSignal): void {
  switch (signal.type) {
    case 'explained':
      return keepExplanation(draft, signal.explanation);
    case 'session':
      return signal.leg === draft.waiter.id ? fromWaiter(draft, signal.signal) : ringingSignal(draft, signal);
    case 'end':
      return endCall(draft, { by: 'system', status: 503, reason: signal.reason });
    case 'allocated':
      // There is no music before the call is answered.
      if (signal.granted && !draft.state.tokens.includes(signal.token))
        draft.emit({ type: 'release-resource', token: signal.token });
      return;
    case 'join-answered':
    case 'to-conference':
    case 'leg-lost':
    case 'leg-back':
    case 'phone-back':
      return;
    case 'taken':
      take(draft, signal);
      return reconcile(draft);
    case 'routed':
    case 'branch-started':
    case 'branch-unreachable':
    case 'timer':
    case 'path-allocated':
    case 'path-replied':
    case 'resource-lost':
    case 'resource-replied':
      return ringingSignal(draft, signal);
  }
}

function fromWaiter(draft: Draft, signal: SessionSignal): void {
  const { id: waiter } = draft.waiter;
  switch (signal.type) {
    case 'cancelled':
      cancelBranches(draft, passedOn(signal.reasons) ?? formatReason(487, signal.reason));
      return endCall(draft, {
        by: 'caller',
        status: 487,
        reason: signal.reason,
        reasons: signal.reasons,
        except: waiter,
      });
    case 'ended':
      cancelBranches(draft, passedOn(signal.reasons) ?? formatReason(487, signal.reason));
      return endCall(draft, {
        by: signal.by === 'peer' ? 'caller' : 'system',
        status: 487,
        reason: signal.reason,
        reasons: signal.reasons,
        except: waiter,
      });
    case 'requested':
      return answerEarlyRequest(draft, waiter, signal);
    case 'reinvited':
      return draft.emit({ type: 'respond', leg: waiter, id: signal.id, status: 491 });
    case 'provisional':
    case 'answered':
    case 'rejected':
    case 'acknowledged':
    case 'reinvite-answered':
    case 'reinvite-rejected':
    case 'request-answered':
      return;
  }
}
