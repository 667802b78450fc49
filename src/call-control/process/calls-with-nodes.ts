import { answeredLeg, type CallState } from '../core/call-state';

/** What another node is in a call. */

/** It is in a conference at that node, whose focus it cannot reach any more. */
export function isInConferenceAt(state: CallState, node: number): boolean {
  const callee = answeredLeg(state);
  return callee?.focus !== undefined && callee.profile.node === node;
}

/** Its caller, a device of that node, waits for an answer. */
export function isBeingSetUpFor(state: CallState, node: number): boolean {
  return state.kind === 'setup' && isFrom(state, node);
}

/** Its caller, a device of that node, is in a conference here. */
export function isParticipantFrom(state: CallState, node: number): boolean {
  return answeredLeg(state)?.profile.kind === 'conference' && isFrom(state, node);
}

function isFrom({ facts: { from } }: CallState, node: number): boolean {
  return from.kind === 'node' && from.node === node;
}
