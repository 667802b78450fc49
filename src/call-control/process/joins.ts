import type { IncomingCall } from '../../device/device-process';
import type { Replaces } from '../../sip/replaces';
import type { CallControlDependencies } from '../dependencies';
import type { Leg, LegId } from '../core/leg';
import type { CallEffect, Joined } from '../core/signals';
import { isReplaceable } from '../join/replace';
import type { CallProcess } from './call-process';
import type { DialogIndex, Place } from './dialog-index';
import type { Parks } from './parks';

/** What a refusal is for, in words for people. */
interface Refused {
  readonly status: number;
  readonly why: string;
}

/** Legs that go from one call to another, and calls that take the place of a leg: who may do what (RFC 3891 §3). */
export class Joins {
  constructor(
    private readonly deps: Pick<CallControlDependencies, 'log' | 'lines'>,
    private readonly dialogs: DialogIndex,
    private readonly parks: Pick<Parks, 'joined'>,
  ) {}

  /** The other end of a transferor's call goes to the transferor's other call, if it is one. Gives the status for the transferor; if that one is with a slot, that. */
  join(from: CallProcess, { by, leg, replaces, shortens }: Extract<CallEffect, { type: 'join-dialog' }>): Joined {
    const transferor = from.leg(by);
    const found = this.dialogs.find(replaces);
    if (shortens === true) return { status: this.shorten(from, leg, { between: transferor, found }) };
    // Its other ends would be left to talk to each other with nobody there.
    if (found !== undefined && found.process.snapshot.facts.call === from.snapshot.facts.call)
      return this.refuse(transferor, { status: 400, why: 'it is in the same call' });
    const refused = this.refusal(found, transferor?.party.device, undefined);
    if (found === undefined || transferor === undefined || refused !== undefined)
      return this.refuse(transferor, refused ?? { status: 481, why: 'there is no such dialog' });
    const slot = this.parks.joined(found.process, from.pid);
    if (slot !== undefined) return { status: 200, slot };
    from.giveTo(leg, found);
    return { status: 200 };
  }

  /** Two calls of this node that go by way of the same other node become one. */
  private shorten(
    from: CallProcess,
    leg: LegId,
    { between, found }: { readonly between: Leg | undefined; readonly found: Place | undefined },
  ): number {
    const there = found?.process.leg(found.leg);
    const sameNode = there?.profile.kind === 'node' && there.profile.node === between?.profile.node;
    if (found === undefined || found.process === from || !sameNode) return 481;
    if (!isReplaceable(found.process.snapshot, there)) return 603;
    from.giveTo(leg, found);
    return 200;
  }

  /** An INVITE that names a dialog takes its place, or is refused. */
  take(call: IncomingCall, replaces: Replaces): void {
    const found = this.dialogs.find(replaces);
    // A node speaks for who is behind it.
    const device = call.context?.half.party.device ?? call.from.name;
    const refused = this.refusal(found, device, replaces);
    if (found !== undefined && refused === undefined) return found.process.takeCall(call, found.leg);
    const { status, why } = refused ?? { status: 481, why: 'there is no such dialog' };
    this.deps.log.info(
      { from: call.from.name, device, replaces: replaces.callId, status, why },
      'call: nothing is replaced',
    );
    call.session.reject(status);
  }

  /** `replaces`: of an INVITE, for which RFC 3891 has rules of its own. */
  private refusal(
    place: Place | undefined,
    device: string | undefined,
    replaces: Replaces | undefined,
  ): Refused | undefined {
    const leg = place?.process.leg(place.leg);
    if (place === undefined || leg === undefined) return { status: 481, why: 'there is no such dialog' };
    if (device === undefined || !this.mayReplace(device, leg))
      return { status: 403, why: `${device} may not take the place of ${leg.party.device}` };
    if (!isReplaceable(place.process.snapshot, leg)) return { status: 603, why: 'it is about to end' };
    if (replaces === undefined) return undefined;
    if (replaces.earlyOnly && leg.phase === 'confirmed') return { status: 486, why: 'it has been answered' };
    // An early dialog that its peer has begun is none that another may answer.
    return leg.phase === 'offered' ? { status: 481, why: 'it is the one that calls' } : undefined;
  }

  private mayReplace(device: string, { party, phase }: Leg): boolean {
    return device === party.device || this.deps.lines?.mayReplace(device, party.number, phase === 'calling') === true;
  }

  private refuse(by: Leg | undefined, { status, why }: Refused): Joined {
    this.deps.log.info({ by: by?.party.device, status, why }, 'call: nothing is joined');
    return { status };
  }
}
