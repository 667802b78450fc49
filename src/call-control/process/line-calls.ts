import type { CallState } from '../core/call-state';

/** The lines of devices of this node that have a part in a call. */
function linesOf({ legs }: CallState): readonly string[] {
  return [...legs.values()]
    .filter(({ phase, profile }) => phase !== 'over' && profile.kind === 'station')
    .map(({ party }) => party.number);
}

/**
 * The calls among these that a line has, by their names in the cluster: a node calls each device of a shared line by an INVITE of its own, and
 * all of them are one call.
 */
export function callsOf(line: string, states: Iterable<CallState>): readonly string[] {
  const calls = new Set<string>();
  for (const state of states) if (linesOf(state).includes(line)) calls.add(state.facts.call);
  return [...calls];
}
