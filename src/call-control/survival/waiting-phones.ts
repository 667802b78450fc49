import { parsePid, type Pid } from '../../process/pid';
import type { ProcessId } from '../../device/party';
import type { DeviceLocation } from '../../registration/device-manager';
import type { Destination } from '../core/call-state';

/** Where devices are registered, in the whole cluster. */
export interface DeviceLocations {
  find(device: string): readonly DeviceLocation[];
  /** `listener` hears of each registration, refreshes too. */
  onRegistered(listener: (device: string) => void): void;
}

interface Wait {
  readonly number: string;
  readonly lost: ProcessId;
  readonly tell: (targets: readonly Destination[]) => void;
}

/** Who waits for a phone whose call manager was lost: told when the phone is registered with another one, or with the next incarnation of that. */
export class WaitingPhones {
  private readonly waits = new Map<string, Map<Pid, Wait>>();

  constructor(private readonly locations: DeviceLocations) {
    locations.onRegistered((device) => {
      if (this.waits.has(device)) this.look(device);
    });
  }

  /** `tell` is called at once when it is registered elsewhere already, and with each registration until `forget`. */
  wait(who: Pid, device: string, wait: Wait): void {
    const waits = this.waits.get(device) ?? new Map<Pid, Wait>();
    waits.set(who, wait);
    this.waits.set(device, waits);
    this.lookFor(who, device, wait);
  }

  forget(who: Pid): void {
    for (const [device, waits] of this.waits) if (waits.delete(who) && waits.size === 0) this.waits.delete(device);
  }

  get size(): number {
    return this.waits.size;
  }

  private look(device: string): void {
    for (const [who, wait] of [...(this.waits.get(device) ?? [])]) this.lookFor(who, device, wait);
  }

  private lookFor(who: Pid, device: string, { number, lost, tell }: Wait): void {
    const targets = this.locations
      .find(device)
      .filter(({ node, boot, record }) => record.kind === 'station' && !isAt(lost, node, boot))
      .map((location) => destination(location, number, parsePid(who)?.node));
    if (targets.length > 0) tell(targets);
  }
}

function destination(
  { pid, boot, node, record }: DeviceLocation,
  number: string,
  own: number | undefined,
): Destination {
  const { device, lines } = record;
  const digits = lines.includes(number) ? number : (lines[0] ?? number);
  return { pid, boot, node, local: node === own, device, kind: 'station', digits };
}

/** A record from before its node was lost. */
function isAt(lost: ProcessId, node: number, boot: number): boolean {
  return parsePid(lost.pid)?.node === node && lost.boot === boot;
}
