import type { IncomingCall } from '../../device/device-process';
import type { Replaces } from '../../sip/replaces';
import type { Route } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';
import { type DialogSearch, destinationAt } from './dialog-search';
import type { Joins } from './joins';

/** Who goes on with a call of another phone of its line, at whichever node that is. */
export class Takeovers {
  constructor(
    private readonly deps: Pick<CallControlDependencies, 'log' | 'lines'>,
    private readonly joins: Joins,
    private readonly search: DialogSearch,
    /** A call of its own that goes that way. */
    private readonly begin: (call: IncomingCall, route: Route) => void,
  ) {}

  /** The newest held call of the caller's line, or of that one of its lines. Never rejects. */
  async resume(call: IncomingCall, number: string | undefined): Promise<void> {
    const { name: device } = call.from;
    const own = this.linesOf(call);
    if (number !== undefined && !own.includes(number))
      return this.refuse(call, number, { status: 403, reason: 'Not Your Line', why: 'it does not have that line' });
    const numbers = number === undefined ? own : [number];
    const found = await unlessOver(call, this.search.calls(numbers, true));
    if (found === undefined) return;
    const mine = found.filter((each) => each.device === device || this.mayReplace(device, each.number));
    const [newest] = mine;
    if (newest === undefined) {
      const why = found.length > 0 ? 'the line is private' : 'no phone of the line holds a call';
      const refused =
        found.length > 0 ? { status: 403, reason: 'Private' } : { status: 480, reason: 'Nothing Is Held' };
      return this.refuse(call, number, { ...refused, why });
    }
    const { place } = newest;
    if ('process' in place) return place.process.takeCall(call, place.leg);
    const branches = [[destinationAt(place, newest.number, 'resume')]];
    this.begin(call, { type: 'targets', branches, matched: call.dialled });
  }

  /** An INVITE of a phone that names a dialog which this node does not have (RFC 3891): it may have been begun at another one. Never rejects. */
  async elsewhere(call: IncomingCall, replaces: Replaces): Promise<void> {
    const found = await unlessOver(
      call,
      this.search.elsewhere(replaces).then((there) => ({ there })),
    );
    if (found === undefined) return;
    if (found.there === undefined) return this.joins.take(call, replaces);
    const branches = [[destinationAt(found.there, call.dialled, 'resume', replaces.earlyOnly)]];
    this.begin(call, { type: 'targets', branches, matched: call.dialled });
  }

  private linesOf({ from, caller }: IncomingCall): readonly string[] {
    const configured = this.deps.lines?.linesOf(from.name) ?? [];
    return configured.length > 0 ? configured : [caller.number];
  }

  private mayReplace(device: string, number: string): boolean {
    return this.deps.lines?.mayReplace(device, number, false) === true;
  }

  private refuse(
    call: IncomingCall,
    number: string | undefined,
    { status, reason, why }: { readonly status: number; readonly reason: string; readonly why: string },
  ): void {
    this.deps.log.info({ device: call.from.name, number, status, why }, 'call: nothing is resumed');
    call.session.reject(status, { reason });
  }
}

/** What is asked for on behalf of a caller; undefined: the caller has given up meanwhile. */
export async function unlessOver<Answer>(call: IncomingCall, answer: Promise<Answer>): Promise<Answer | undefined> {
  const meanwhile: string[] = [];
  call.session.listen(({ type }) => meanwhile.push(type));
  const known = await answer;
  return meanwhile.includes('cancelled') || meanwhile.includes('ended') ? undefined : known;
}
