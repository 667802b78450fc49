import type { DeviceProcess, DeviceProfile, IncomingCall } from '../../device/device-process';
import type { CodecPolicy, PolicyParty } from '../../media-control';
import type { Pid } from '../../process/pid';
import { parsePid } from '../../process/pid';
import { bridgeOf, type CallState, type Destination } from '../core/call-state';
import type { Leg, LegId } from '../core/leg';
import type { CallEffect, TransferRoute } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';
import { speaksDtls, terminated } from '../session/dtls-device';
import type { Abilities } from './abilities';

/** Digit analysis as the tables are now: of the dialled number, or of another one that a device here asks for. */
export type LookUp = (asked?: AskedNumber) => TransferRoute;

/** What a device asks for in a call that it has. */
export interface AskedNumber {
  readonly number: string;
  readonly from: string;
  readonly outside: boolean;
  /** The call, when it is a phone of ours that asks. */
  readonly byPhoneIn?: Pid | undefined;
}

/** Where the legs of one call go, with what is known of each target, so that the path can be decided before anybody is asked. */
export class Routing {
  constructor(
    private readonly deps: Pick<CallControlDependencies, 'router' | 'codecPolicyOf' | 'lines'>,
    private readonly abilities: Abilities,
    private readonly analyse: LookUp,
    /** The process that the calling node has asked for. */
    private readonly target: IncomingCall['target'],
  ) {}

  /** Of the number that was dialled. */
  begin(state: CallState): TransferRoute {
    return this.described(this.analyse(), state.legs.get(state.caller));
  }

  /** Of a number that a device of the call asks for. */
  lookUp({ number, by, waiter, to }: Extract<CallEffect, { type: 'look-up' }>, state: CallState): TransferRoute {
    const { caller, facts, legs } = state;
    if (to !== undefined)
      return this.described({ type: 'targets', branches: [[to]], matched: state.matched }, legs.get(waiter));
    if (by === caller && waiter === caller && number === facts.dialled) return this.begin(state);
    const [dialling, waiting] = [legs.get(by), legs.get(waiter)];
    const outside = dialling?.party.outside === true || waiting?.party.outside === true;
    const byPhoneIn = dialling?.profile.kind === 'station' && dialling.phase === 'confirmed' ? facts.pid : undefined;
    const from = dialling?.profile.name ?? facts.from.name;
    return this.described(this.analyse({ number, from, outside, byPhoneIn }), waiting);
  }

  /** The process behind a target; undefined: it is gone. */
  resolve({ pid, boot, node, digits }: Destination): DeviceProcess | undefined {
    if (this.target !== undefined && this.target.pid === pid) return this.target;
    return this.deps.router.resolve({ pid, boot, node, digits });
  }

  speaksDtls({ pid, profile }: DeviceProcess): boolean {
    return speaksDtls(profile, pid === undefined ? undefined : this.abilities.spokenBy(pid));
  }

  /** What may be spoken between a leg and the other end of the one that it replaces. */
  policyInPlaceOf(replaced: LegId, leg: Leg, state: CallState): CodecPolicy | undefined {
    const seats = Object.values(bridgeOf(state)?.seats ?? {});
    const other = state.legs.get(seats.find((id) => id !== replaced) ?? state.ringing?.waiter ?? '');
    return other === undefined ? undefined : this.deps.codecPolicyOf?.(leg.party, other.party);
  }

  /** What is known of a target, for its leg; a device without a name has that of its line. */
  profileOf(device: DeviceProcess, { digits }: Destination): DeviceProfile {
    const { kind, displayName = kind === 'station' ? this.deps.lines?.of(digits)?.displayName : undefined } =
      device.profile;
    const profile = displayName === undefined ? device.profile : { ...device.profile, displayName };
    return this.speaksDtls(device) ? terminated(profile) : profile;
  }

  private described(route: TransferRoute, waiter: Leg | undefined): TransferRoute {
    if (route.type !== 'targets') return route;
    return { ...route, branches: route.branches.map((all) => all.map((target) => this.describe(target, waiter))) };
  }

  private describe(destination: Destination, waiter: Leg | undefined): Destination {
    const device = this.resolve(destination);
    const profile = device && this.profileOf(device, destination);
    const { pid } = destination;
    const ability = pid === undefined || !destination.local ? undefined : this.abilities.of(pid);
    const codecPolicy = waiter && this.deps.codecPolicyOf?.(waiter.party, policyTarget(destination, profile));
    return {
      ...destination,
      ...(profile === undefined ? {} : { profile }),
      ...(ability === undefined ? {} : { ability }),
      ...(codecPolicy === undefined ? {} : { codecPolicy }),
    };
  }
}

function policyTarget({ device, digits }: Destination, profile: DeviceProfile | undefined): PolicyParty {
  const unknown = profile === undefined || profile.kind === 'node';
  return { device, number: digits, site: profile?.site, unknown };
}

/** A device of this node as a target. */
export function destinationOf(device: DeviceProcess, digits: string): Destination {
  const { pid, boot, profile } = device;
  return {
    pid,
    boot,
    node: (pid === undefined ? undefined : parsePid(pid)?.node) ?? 0,
    local: true,
    device: profile.name,
    kind: profile.kind === 'gateway' ? 'gateway' : 'station',
    digits,
  };
}
