import type { LineCall } from '../../line/line-states';
import { isLine } from '../../line/line-text';
import type { Party } from '../../device/party';
import type { CallState } from '../core/call-state';
import type { Leg } from '../core/leg';

/** A call of a line as the line sees it, but for how long it has been so. */
type View = Omit<LineCall, 'since'>;

/** What one call process has of a line, by leg. */
type Part = ReadonlyMap<string, LineCall>;

const MAX_TEXT = 128;

/** Which calls the lines of this node's stations have: follows the calls step by step, and says of a line all its calls when one is another. */
export class LineView {
  /** By line, and by the PID of the call process. */
  private readonly lines = new Map<string, Map<string, Part>>();
  /** Lines that a call process has a part in, and how its call was then. */
  private readonly processes = new Map<string, { readonly lines: ReadonlySet<string>; readonly state: CallState }>();

  constructor(
    private readonly publish: (line: string, calls: readonly LineCall[]) => void,
    private readonly now: () => number,
    /** Whether nobody is told with whom the phones of a line talk. */
    private readonly isPrivate: (line: string) => boolean = () => false,
  ) {}

  /** The call has gone on. */
  readonly follow = (state: CallState): void => {
    const { pid } = state.facts;
    const before = this.processes.get(pid);
    // Most steps of a call are none for its lines.
    if (before !== undefined && isSameForLines(before.state, state)) return;
    const views = state.kind === 'ended' ? new Map<string, Map<string, View>>() : viewsOf(state, this.isPrivate);
    const lines = new Set([...views.keys(), ...(before?.lines ?? [])]);
    if (views.size === 0) this.processes.delete(pid);
    else this.processes.set(pid, { lines: new Set(views.keys()), state });
    for (const line of lines) this.put(pid, line, views.get(line) ?? new Map<string, View>());
  };

  private put(pid: string, line: string, views: ReadonlyMap<string, View>): void {
    const parts = this.lines.get(line) ?? new Map<string, Part>();
    const before = parts.get(pid);
    const calls = new Map(Array.from(views, ([leg, view]) => [leg, this.since(view, before?.get(leg))]));
    if (before?.size === calls.size && [...calls].every(([leg, call]) => before.get(leg) === call)) return;
    if (calls.size === 0) parts.delete(pid);
    else parts.set(pid, calls);
    if (parts.size === 0) this.lines.delete(line);
    else this.lines.set(line, parts);
    this.publish(
      line,
      [...parts.values()].flatMap((part) => [...part.values()]),
    );
  }

  /** The same object as before when nothing is another. */
  private since(view: View, before: LineCall | undefined): LineCall {
    if (before !== undefined && isSame(view, before)) return before;
    const goesOn = before?.state === view.state && before.held === view.held;
    return { ...view, since: goesOn ? before.since : this.now() };
  }
}

/** A call is a value, and so is the party of a leg: what is the same object has not changed. */
function isSameForLines(before: CallState, now: CallState): boolean {
  const same =
    before.kind === now.kind &&
    before.bridge === now.bridge &&
    before.ringingAt === now.ringingAt &&
    before.bridges.size === now.bridges.size &&
    before.legs.size === now.legs.size;
  if (!same) return false;
  for (const { id, phase, holds, party, profile } of now.legs.values()) {
    const leg = before.legs.get(id);
    if (leg?.phase !== phase || leg.holds !== holds || leg.party !== party || leg.profile !== profile) return false;
  }
  return true;
}

/** By line, and by leg. */
function viewsOf(state: CallState, isPrivate: (line: string) => boolean): Map<string, Map<string, View>> {
  const views = new Map<string, Map<string, View>>();
  for (const leg of state.legs.values()) {
    const { number } = leg.party;
    if (leg.phase === 'over' || leg.profile.kind !== 'station' || !isLine(number)) continue;
    const ofLine = views.get(number) ?? new Map<string, View>();
    views.set(number, ofLine.set(leg.id, viewOf(state, leg, isPrivate(number))));
  }
  return views;
}

function viewOf(state: CallState, leg: Leg, isPrivate: boolean): View {
  const { call, pid } = state.facts;
  const ringing = state.ringingAt === undefined ? 'trying' : 'early';
  const party = isPrivate ? undefined : shown(otherEnd(state, leg)?.party);
  return {
    id: call.slice(0, MAX_TEXT),
    pid,
    state: leg.phase === 'confirmed' ? 'confirmed' : ringing,
    direction: leg.role === 'server' ? 'initiator' : 'recipient',
    ...(leg.holds ? { held: true } : {}),
    ...(party === undefined ? {} : { party }),
  };
}

/** Who is, or is to be, connected with a leg. */
function otherEnd({ bridges, bridge, legs }: CallState, { id }: Leg): Leg | undefined {
  const own = [...(bridge === undefined ? [] : [bridges.get(bridge)]), ...bridges.values()];
  for (const each of own) {
    if (each?.seats.a === id) return legs.get(each.seats.b);
    if (each?.seats.b === id) return legs.get(each.seats.a);
  }
  return undefined;
}

/** Who does not want to be shown is not (RFC 3323). */
function shown(party: Party | undefined): View['party'] {
  if (party === undefined || (party.privacy !== undefined && party.privacy !== 'none')) return undefined;
  const name = party.displayName?.slice(0, MAX_TEXT);
  return { number: party.number.slice(0, MAX_TEXT), ...(name === undefined ? {} : { name }) };
}

function isSame(view: View, call: LineCall): boolean {
  return (
    view.state === call.state &&
    view.held === call.held &&
    view.direction === call.direction &&
    view.id === call.id &&
    view.party?.number === call.party?.number &&
    view.party?.name === call.party?.name
  );
}
