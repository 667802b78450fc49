import type { LossReason } from '../../media-resource/ports';
import { endCall } from '../core/ending';
import type { Bridge } from '../core/call-state';
import type { Draft } from '../core/draft';
import { exchangeReplied, exchangeUnavailable, resourceFailed } from './exchange';
import { DIRECT, movePath, type PathNeed } from './path';
import { bridgeWith, dropPath, pathAllocated, pathReplied, requirePath } from './path-resource';
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
  if (outcome?.available === false) unavailable(draft, outcome.bridge, outcome.need, outcome.before);
}

export function pathResourceLost(draft: Draft, token: number, reason: LossReason): void {
  if (bridgeWith(draft, token) !== undefined) resourceFailed(draft, { ok: false, reason });
}

/** Nobody had a resource. Ends that are connected stay as they are; ends that are not are tried again for a while. */
function unavailable(draft: Draft, bridge: Bridge, need: PathNeed, before: 'direct' | 'nothing'): void {
  const text = `No ${need.type === 'mtp' ? 'media termination point' : need.type} available: ${need.why}`;
  bridge.failedResources = [];
  if (before === 'direct' || need.optional) {
    movePath(bridge, DIRECT);
    return exchangeUnavailable(draft, need, text);
  }
  bridge.losses += 1;
  if (bridge.losses >= MAX_LOSSES) return endCall(draft, { by: 'system', status: 503, reason: text });
  movePath(bridge, { step: 'lost', need, paused: true });
  draft.setTimer(`path:${bridge.id}`, PAUSE_MS);
  exchangeUnavailable(draft, need, text);
}

export function pauseOver(bridge: Bridge): void {
  if (bridge.path.step === 'lost') movePath(bridge, { ...bridge.path, paused: false });
}

/** Between two exchanges. True: the ends can be connected. */
export function reconcilePath(draft: Draft, bridge: Bridge): boolean {
  const { path } = bridge;
  const [a, b] = draft.ends(bridge);
  switch (path.step) {
    case 'direct':
      return true;
    case 'joined':
      // It was asked for and then not needed: the ends talk without it.
      if (!path.used && a.connection === 'peer' && b.connection === 'peer') dropPath(draft, bridge);
      return true;
    case 'lost':
      // Nobody hears anything through it while one holds.
      if (!path.paused && !a.holds && !b.holds) requirePath(draft, bridge, path.need, 'nothing');
      return false;
    case 'allocating':
      return false;
  }
}
