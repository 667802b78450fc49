import type { DeviceProcess, IncomingCall } from '../../device/device-process';
import { parsePid, type Pid } from '../../process/pid';
import type { Replaces } from '../../sip/replaces';
import type { Conference } from '../conference/conference';
import type { Destination } from '../core/call-state';
import type { Route } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';
import { otherEndOf, phonesOf } from '../features/line-calls';
import type { CallProcess } from './call-process';
import type { DialogIndex, Place } from './dialog-index';
import { destinationAt, type DialogSearch } from './dialog-search';
import { Placeholder } from './placeholder';
import { unlessOver } from './takeovers';

interface Refused {
  readonly status: number;
  readonly reason: string;
  readonly why: string;
}

const NO_CALL: Refused = {
  status: 480,
  reason: 'No Active Call',
  why: 'no phone of the line is in a call that can be joined',
};
const ENOUGH = 2;
const MAX_FORWARDS = 70;

/** Calls that become a conference: the two of a phone, and one that somebody joins. */
export class Gatherings {
  constructor(
    private readonly deps: Pick<
      CallControlDependencies,
      'log' | 'lines' | 'clock' | 'boot' | 'adHocConference' | 'router'
    >,
    private readonly dialogs: DialogIndex,
    private readonly search: DialogSearch,
    private readonly processes: () => Iterable<CallProcess>,
    /** A call of its own; `route`: it is known where it goes. */
    private readonly begin: (call: IncomingCall, route?: Route) => CallProcess,
  ) {}

  /** Whoever the caller's phone has calls with, and that phone itself, are in one conference. */
  conference(call: IncomingCall): void {
    const places = [...this.processes()].flatMap((process) => this.callsOfPhone(process, call.pid));
    if (places.length < ENOUGH)
      return this.refuse(call, {
        status: 480,
        reason: 'Two Calls Are Needed',
        why: 'the phone has not two answered calls at this node',
      });
    this.open(call, (conference) => {
      for (const { process, leg } of places) process.toConference(leg, this.destinationOf(conference));
    });
  }

  /** The caller joins the call of that line. Never rejects. */
  async barge(call: IncomingCall, number: string): Promise<void> {
    const refused = this.refusalFor(call.from.name, number);
    if (refused !== undefined) return this.refuse(call, refused, number);
    const found = await unlessOver(call, this.search.calls([number], false));
    if (found === undefined) return;
    const place = found.find(({ device }) => device !== call.from.name)?.place;
    if (place === undefined) return this.refuse(call, NO_CALL, number);
    if ('process' in place) return this.join(call, place, number);
    const branches = [[destinationAt(place, number, 'barge')]];
    this.begin(call, { type: 'targets', branches, matched: call.dialled });
  }

  /** The same for somebody of another node, who has found the call here. */
  bargeAt(call: IncomingCall, replaces: Replaces): void {
    const place = this.dialogs.find(replaces);
    const leg = place?.process.leg(place.leg);
    if (place === undefined || leg === undefined || phonesOf(place.process.snapshot).every(({ id }) => id !== leg.id))
      return this.refuse(call, NO_CALL);
    const { number } = leg.party;
    const refused = this.refusalFor(call.context?.half.party.device ?? call.from.name, number);
    if (refused !== undefined) return this.refuse(call, refused, number);
    this.join(call, place, number);
  }

  private refusalFor(device: string, number: string): Refused | undefined {
    if (this.deps.lines?.mayBarge(device, number) === true) return undefined;
    const isPrivate = this.deps.lines?.of(number)?.privacy === true;
    return {
      status: 403,
      reason: 'Not Your Line',
      why: isPrivate ? 'the line is private' : 'it may not join its calls',
    };
  }

  private join(call: IncomingCall, place: Place, number: string): void {
    const { process, leg: id } = place;
    const [leg, other] = [process.leg(id), otherEndOf(process.snapshot, id)];
    if (leg === undefined || other === undefined) return this.refuse(call, NO_CALL, number);
    const there = this.conferenceOf(other);
    if (there !== undefined) return void this.begin({ ...call, target: there });
    if (other.profile.kind === 'conference' || other.focus !== undefined) return this.refuse(call, NO_CALL, number);
    this.open(call, (conference) => this.bring(place, conference));
  }

  /** Both ends of a call become members: the far one in the call as it is, the phone in a new one. */
  private bring({ process, leg: id }: Place, conference: Conference): void {
    const leg = process.leg(id);
    if (leg === undefined) return conference.end(503, 'The call is over');
    const session = new Placeholder(`${process.pid}/${id}/placeholder`, this.deps.clock, () => {
      // Who has joined, and at most the seat of the one who has not come.
      if (conference.size <= ENOUGH) conference.end(503, 'The call cannot be joined');
    });
    const joined = (): void => {
      const place = { process: seat, leg: seat.snapshot.caller };
      process.toConference(id, this.destinationOf(conference), place);
    };
    const { pid, boot, profile } = conference;
    const target: DeviceProcess = {
      pid,
      boot,
      profile,
      takesSips: true,
      call: (asked) => conference.call(asked, joined),
    };
    const seat = this.begin({
      session,
      from: leg.profile,
      pid: leg.pid,
      caller: leg.party,
      dialled: conference.number,
      sdp: undefined,
      maxForwards: MAX_FORWARDS,
      target,
      header: () => undefined,
    });
  }

  private open(call: IncomingCall, whenOpen: (conference: Conference) => void): void {
    const target = this.deps.adHocConference?.();
    if (target === undefined)
      return this.refuse(call, { status: 503, reason: 'No Conference', why: 'this node has no conferences' });
    target.onOpen(whenOpen);
    this.begin({ ...call, target });
  }

  private callsOfPhone(process: CallProcess, pid: Pid | undefined): readonly Place[] {
    const { snapshot } = process;
    return phonesOf(snapshot)
      .filter((leg) => leg.pid !== undefined && leg.pid === pid)
      .filter(({ id }) => otherEndOf(snapshot, id)?.profile.kind !== 'conference')
      .map(({ id }) => ({ process, leg: id }));
  }

  /** The conference of this node that a leg leads to. */
  private conferenceOf({
    pid,
    profile,
    party,
  }: {
    pid: Pid | undefined;
    profile: { kind: string };
    party: { number: string };
  }): DeviceProcess | undefined {
    const node = pid === undefined ? undefined : parsePid(pid)?.node;
    if (profile.kind !== 'conference' || node === undefined) return undefined;
    return this.deps.router.resolve({ pid, boot: this.deps.boot, node, digits: party.number });
  }

  private destinationOf({ pid, boot, number, profile }: Conference): Destination {
    const node = parsePid(pid)?.node ?? 0;
    return { pid, boot, node, local: true, device: profile.name, kind: 'station', digits: number };
  }

  private refuse(call: IncomingCall, { status, reason, why }: Refused, number?: string): void {
    const device = call.context?.half.party.device ?? call.from.name;
    this.deps.log.info({ device, number, status, why }, 'call: nobody is brought together');
    call.session.reject(status, { reason });
  }
}
