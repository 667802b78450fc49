import { compareStamps } from '../process/hlc';
import type { Pid } from '../process/pid';
import type { CompositeSet, RegistrationChange } from './composite-set';
import type { RegistrationRecord } from './record';

/** A device process, wherever in the cluster it runs. */
export interface DeviceLocation {
  readonly pid: Pid;
  readonly boot: number;
  readonly node: number;
  readonly record: RegistrationRecord;
}

/** The device manager (claim M10): device name to device processes, for the whole cluster; follows the composite set. */
export class DeviceManager {
  private readonly devices = new Map<string, Map<string, DeviceLocation>>();
  private readonly goneListeners: ((process: { readonly pid: Pid; readonly boot: number }) => void)[] = [];

  constructor(composite: CompositeSet) {
    for (const { owner, record } of composite.all()) this.put(owner, record);
    composite.onChange((change) => this.follow(change));
  }

  /** `listener` hears of every device process that is gone from the tables. */
  onGone(listener: (process: { readonly pid: Pid; readonly boot: number }) => void): void {
    this.goneListeners.push(listener);
  }

  /** Every process of the device, newest registration first (R12). */
  find(device: string): readonly DeviceLocation[] {
    return [...(this.devices.get(device)?.values() ?? [])].sort((a, b) =>
      compareStamps(b.record.stamp, a.record.stamp),
    );
  }

  /** The process of the newest registration of the device. */
  newest(device: string): DeviceLocation | undefined {
    return this.find(device)[0];
  }

  private follow(change: RegistrationChange): void {
    if (change.type === 'put') {
      if (change.previous !== undefined && change.previous.device !== change.record.device)
        this.delete(change.owner, change.previous);
      this.put(change.owner, change.record);
    } else {
      this.delete(change.owner, change.record);
      const { pid, boot } = change.record;
      for (const listener of this.goneListeners) listener({ pid, boot });
    }
  }

  private put(node: number, record: RegistrationRecord): void {
    let locations = this.devices.get(record.device);
    if (locations === undefined) {
      locations = new Map();
      this.devices.set(record.device, locations);
    }
    locations.set(`${node}|${record.key}`, { pid: record.pid, boot: record.boot, node, record });
  }

  private delete(node: number, record: RegistrationRecord): void {
    const locations = this.devices.get(record.device);
    locations?.delete(`${node}|${record.key}`);
    if (locations?.size === 0) this.devices.delete(record.device);
  }
}
