import type { CallState } from './call-state';
import { Draft } from './draft';
import { endCall } from './ending';
import { areBothParked, hearHalf, isRing, noteDialog, noteServing, tellNodes } from './far-half';
import { tellDevices } from '../dialog/connected-line';
import { established } from '../bridge/established';
import { setup } from '../ringing/setup';
import { endLeg } from '../join/leaving';
import { considerShortening, takeShorter } from '../join/shorten';
import { formatReason } from '../../sip/reason';
import type { CallEffect, CallSignal, Moment } from './signals';

export interface Transition {
  readonly state: CallState;
  readonly effects: readonly CallEffect[];
}

/** The call after one signal, and what is to be done. Pure: the old state is not touched, and nothing is awaited. */
export function transition(state: CallState, signal: CallSignal, moment: Moment): Transition {
  const draft = new Draft(state, moment);
  if (signal.type === 'explained') noteServing(draft, signal);
  if (signal.type === 'session' && signal.dialog !== undefined) noteDialog(draft, signal.leg, signal.dialog);
  if (!isWordAlone(draft, signal)) goOn(draft, signal);
  if (areBothParked(draft.state)) endCall(draft, { by: 'system', status: 482, reason: 'Both ends are parked' });
  tellDevices(draft);
  considerShortening(draft);
  tellNodes(draft);
  return { state: draft.state, effects: draft.effects };
}

/** What a node tells of its half is taken. True: that is all; its request is answered. */
function isWordAlone(draft: Draft, signal: CallSignal): boolean {
  if (signal.type !== 'session' || draft.state.kind === 'ended') return false;
  if (signal.half === undefined) return isShorter(draft, signal);
  hearHalf(draft, signal.leg, signal.half);
  if (signal.signal.type !== 'requested') return false;
  draft.emit({ type: 'respond', leg: signal.leg, id: signal.signal.id, status: 200 });
  if (isRing(draft.state)) endCall(draft, { by: 'system', status: 482, reason: 'Nobody is left in the call' });
  return true;
}

/** A node wants to be left out. */
function isShorter(draft: Draft, { leg: id, signal, shorter }: Extract<CallSignal, { type: 'session' }>): boolean {
  const leg = draft.leg(id);
  if (shorter === undefined || signal.type !== 'requested' || leg === undefined) return false;
  takeShorter(draft, leg, signal.id, shorter);
  return true;
}

function goOn(draft: Draft, signal: CallSignal): void {
  switch (draft.state.kind) {
    case 'setup':
      return setup(draft, signal);
    case 'established':
      return established(draft, signal);
    case 'ended':
      return ended(draft, signal);
  }
}

/** What comes after the end is only tidied up: a resource that is granted now, a 200 that crossed our CANCEL. */
function ended(draft: Draft, signal: CallSignal): void {
  if (signal.type === 'allocated' && signal.granted) {
    draft.emit({ type: 'release-resource', token: signal.token });
  }
  if (signal.type === 'path-allocated' && signal.resource !== undefined) {
    draft.emit({ type: 'release-resource', token: signal.token });
  }
  if (signal.type === 'taken') return endLeg(draft, signal.leg, formatReason(481, 'Nothing To Replace'));
  if (signal.type !== 'session') return;
  const { leg } = signal;
  if (signal.signal.type === 'answered') draft.emit({ type: 'bye', leg });
  if (signal.signal.type === 'reinvited' || signal.signal.type === 'requested') {
    draft.emit({ type: 'respond', leg, id: signal.signal.id, status: 481 });
  }
}
