import type { NodeContext } from '../../device/node-context';
import { parsePid } from '../../process/pid';
import type { CallState } from './call-state';
import type { LegId } from './leg';

/** What goes with an INVITE to another node: which call it is of, and who waits for the answer. A waiter in a dialog is being transferred. */
export function contextOf({ facts, legs }: CallState, waiter: LegId, boot: number): NodeContext {
  const { pid, call, passed, forwardedFrom } = facts;
  const { party = facts.caller, phase = 'offered' } = legs.get(waiter) ?? {};
  const node = parsePid(pid)?.node;
  return {
    call,
    why: phase === 'offered' ? 'call' : 'transfer',
    forwardedFrom,
    passed: node === undefined ? passed : [...passed, node],
    half: { version: 1, process: { pid, boot }, party, resources: [] },
  };
}
