import { readFeature } from '../../config/feature-codes';
import type { IncomingCall } from '../../device/device-process';
import type { NoSlot, ParkSlots } from '../../line/park-slots';
import type { Pid } from '../../process/pid';
import type { CallState, Destination } from '../core/call-state';
import type { Route, TransferRoute } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';
import type { Slot } from '../features/transfer-state';
import { ParkDevice } from '../session/park-session';
import type { CallProcess } from './call-process';
import type { AskedNumber } from './routing';

/** Which numbers calls are parked at. */
export interface Parking {
  readonly slots: ParkSlots;
  /** When who has parked a call is called back; undefined: never. */
  readonly recallMs: number | undefined;
}

interface Refusal {
  readonly status: number;
  readonly reason: string;
}

const REFUSALS: Readonly<Record<NoSlot, Refusal>> = {
  unknown: { status: 404, reason: 'No Such Park Slot' },
  taken: { status: 486, reason: 'Park Slot Taken' },
  'none-free': { status: 486, reason: 'No Free Park Slot' },
};
const NOTHING_PARKED: Refusal = { status: 404, reason: 'Nothing Is Parked There' };

/** Who has a slot: the call that is parked, or that of who is about to park one. */
interface Holder {
  readonly process: Pid;
  /** Undefined: the call is there. */
  readonly device: ParkDevice | undefined;
}

/** Calls that are parked, and who retrieves them. */
export class Parks {
  private readonly holders = new Map<string, Holder>();

  constructor(
    private readonly deps: Pick<CallControlDependencies, 'log' | 'mediaAddress' | 'featureCodes' | 'parking'>,
    private readonly processOf: (pid: string) => CallProcess | undefined,
    /** A call of its own that goes that way; gives its process. */
    private readonly begin: (call: IncomingCall, route: Route) => Pid,
  ) {}

  isSlot(number: string): boolean {
    return this.deps.parking?.slots.has(number) === true;
  }

  /** A phone has dialled the code: the slot answers, and is announced; what is transferred to that call is parked. */
  reserve(call: IncomingCall, asked: string | undefined): void {
    const taken = this.take(asked);
    if ('status' in taken) return this.refuse(call, taken);
    const device = new ParkDevice(taken.slot, this.deps.mediaAddress);
    const process = this.begin({ ...call, target: device }, routeTo(device, call.dialled));
    this.holders.set(taken.slot, { process, device });
    // It may be over already.
    if (this.processOf(process) === undefined) this.release(taken.slot);
  }

  /** Where a transfer leads that is to a slot; undefined: it is to somewhere else. Only phones of ours park. */
  routeOf({ number, byPhoneIn: process }: AskedNumber): TransferRoute | undefined {
    const feature = this.deps.featureCodes && readFeature(this.deps.featureCodes, number);
    if (feature?.feature !== 'park' && !this.isSlot(number)) return undefined;
    if (process === undefined) return { type: 'refused', status: 403, reason: 'Only Phones Park' };
    const taken = this.take(feature === undefined ? number : feature.number);
    if ('status' in taken) return { type: 'refused', ...taken };
    this.holders.set(taken.slot, { process, device: undefined });
    return { type: 'park', ...taken };
  }

  /** The slot whose call is to be joined with one of this process: that one is parked there. Undefined: it is no such call. */
  joined(call: CallProcess, process: Pid): Slot | undefined {
    for (const [slot, { process: reserving, device }] of this.holders)
      if (reserving === call.pid && device !== undefined) {
        this.holders.set(slot, { process, device: undefined });
        device.leave();
        return { slot, recallMs: this.deps.parking?.recallMs };
      }
    return undefined;
  }

  /** A phone wants to talk to who is parked, here or at another node. */
  retrieve(call: IncomingCall, slot: string): void {
    const [node] = this.deps.parking?.slots.nodesOf(slot) ?? [];
    if (node === undefined || this.holders.has(slot)) return this.retrieveHere(call, slot);
    this.begin(call, { type: 'targets', branches: [[destinationAt(node, slot)]], matched: call.dialled });
  }

  /** The same for somebody who may be at another node. Nobody from outside has anything parked. */
  retrieveHere(call: IncomingCall, slot: string): void {
    const process = this.processOf(this.holders.get(slot)?.process ?? '');
    const transfer = process?.snapshot.transfer;
    if (call.caller.outside === true || process === undefined || transfer?.parked?.slot !== slot)
      return this.refuse(call, NOTHING_PARKED);
    process.takeCall(call, transfer.by);
  }

  /** A call has gone on: it may have left its slot. */
  readonly follow = (state: CallState): void => {
    if (this.holders.size === 0) return;
    const { kind, transfer, facts } = state;
    for (const [slot, { process, device }] of this.holders) {
      if (process !== facts.pid) continue;
      // It is on its way there.
      const isComing = kind !== 'ended' && (device !== undefined || transfer?.step === 'asked');
      if (!isComing && transfer?.parked?.slot !== slot) this.release(slot);
    }
  };

  private take(asked: string | undefined): Slot | Refusal {
    const { parking } = this.deps;
    const taken = parking?.slots.take(asked) ?? { why: 'unknown' as const };
    return 'why' in taken ? REFUSALS[taken.why] : { ...taken, recallMs: parking?.recallMs };
  }

  private release(slot: string): void {
    this.holders.delete(slot);
    this.deps.parking?.slots.release(slot);
  }

  private refuse(call: IncomingCall, { status, reason }: Refusal): void {
    const { from, dialled } = call;
    this.deps.log.info({ device: from.name, dialled, status, why: reason }, 'call: nothing is parked or retrieved');
    call.session.reject(status, { reason });
  }
}

function routeTo({ slot, profile, pid, boot }: ParkDevice, matched: string): Route {
  const target = { pid, boot, node: 0, local: true, device: profile.name, kind: 'station' as const, digits: slot };
  return { type: 'targets', branches: [[{ ...target, profile }]], matched };
}

function destinationAt(node: number, slot: string): Destination {
  const target = { pid: undefined, boot: 0, node, local: false, device: `node-${node}`, kind: 'station' as const };
  return { ...target, digits: slot, inPlaceOf: { replaces: undefined, why: 'retrieve' } };
}
