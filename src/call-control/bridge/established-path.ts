import type { ResourceReply } from '../../media-resource/ports';
import { endCall } from '../core/ending';
import type { Leg } from '../core/call-state';
import type { Draft } from '../core/draft';
import { exchangeReplied, exchangeUnavailable, resourceFailed } from './exchange';
import { DIRECT, type PathNeed } from './path';
import { calleeWith, dropPath, leaseReplied, pathAllocated, pathReplied, requirePath } from './path-resource';
import type { CallSignal } from '../core/signals';

/** Tries at a resource for a call that lost its own; after them the call ends, since nobody hears anything. */
const MAX_LOSSES = 6;
const PAUSE_MS = 2000;

export function establishedPathSignal(
  draft: Draft,
  signal: Extract<CallSignal, { type: 'path-allocated' | 'path-replied' }>,
): void {
  if (signal.type === 'path-replied') {
    const replied = pathReplied(draft, signal);
    if (replied?.about.type === 'exchange') exchangeReplied(draft, replied.reply);
    return;
  }
  const outcome = pathAllocated(draft, signal);
  if (outcome?.available === false) unavailable(draft, outcome.callee, outcome.need, outcome.before);
}

export function pathResourceLost(draft: Draft, token: number): void {
  if (calleeWith(draft, token) !== undefined) resourceFailed(draft, { ok: false, reason: 'down' });
}

/** Reply to the renewal of a lease. */
export function pathLeaseReplied(draft: Draft, token: number, reply: ResourceReply): void {
  const callee = calleeWith(draft, token);
  if (callee !== undefined && leaseReplied(draft, callee, reply)) resourceFailed(draft, reply);
}

/** Nobody had a resource. Ends that are connected stay as they are; ends that are not are tried again for a while. */
function unavailable(draft: Draft, callee: Leg, need: PathNeed, before: 'direct' | 'nothing'): void {
  const text = `No ${need.type === 'mtp' ? 'media termination point' : need.type} available: ${need.why}`;
  callee.failedResources = [];
  if (before === 'direct' || need.optional) {
    callee.path = DIRECT;
    return exchangeUnavailable(draft, need, text);
  }
  callee.losses += 1;
  if (callee.losses >= MAX_LOSSES) return endCall(draft, { by: 'system', status: 503, reason: text });
  callee.path = { step: 'lost', need, paused: true };
  draft.setTimer(`path:${callee.id}`, PAUSE_MS);
  exchangeUnavailable(draft, need, text);
}

export function pauseOver(callee: Leg): void {
  if (callee.path.step === 'lost') callee.path = { ...callee.path, paused: false };
}

/** Between two exchanges. True: the ends can be connected. */
export function reconcilePath(draft: Draft, caller: Leg, callee: Leg): boolean {
  const { path } = callee;
  switch (path.step) {
    case 'direct':
      return true;
    case 'joined':
      // It was asked for and then not needed: the ends talk without it.
      if (!path.used && caller.connection === 'peer' && callee.connection === 'peer') dropPath(draft, callee);
      return true;
    case 'lost':
      // Nobody hears anything through it while one holds.
      if (!path.paused && !caller.holds && !callee.holds) requirePath(draft, callee, path.need, 'nothing');
      return false;
    case 'allocating':
      return false;
  }
}
