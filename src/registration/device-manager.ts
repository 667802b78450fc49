import { compareStamps } from '../process/hlc';
import type { Pid } from '../process/pid';
import type { CompositeSet } from './composite-set';
import type { RegistrationRecord } from './record';

/** A device process, wherever in the cluster it runs. */
export interface DeviceLocation {
  readonly pid: Pid;
  readonly boot: number;
  readonly node: number;
  readonly record: RegistrationRecord;
}

/** The device manager (claim M10): device name to device processes, for the whole cluster, as the composite set has them. */
export class DeviceManager {
  constructor(private readonly composite: CompositeSet) {}

  /**
   * `listener` hears of every device process that is gone from the tables, also when another came in its place: word of the removal
   * may have been overtaken by that of the successor.
   */
  onGone(listener: (process: { readonly pid: Pid; readonly boot: number }) => void): void {
    this.composite.onChange((change) => {
      const gone = change.type === 'delete' ? change.record : change.previous;
      if (gone === undefined) return;
      const { pid, boot } = change.record;
      if (change.type === 'delete' || gone.pid !== pid || gone.boot !== boot)
        listener({ pid: gone.pid, boot: gone.boot });
    });
  }

  /** `listener` hears of each registration of each device, refreshes too. */
  onRegistered(listener: (device: string) => void): void {
    this.composite.onChange(({ type, record }) => {
      if (type === 'put') listener(record.device);
    });
  }

  /** Every process of the device, newest registration first (R12). */
  find(device: string): readonly DeviceLocation[] {
    return this.composite
      .ofDevice(device)
      .map(({ owner: node, record }) => ({ pid: record.pid, boot: record.boot, node, record }))
      .sort((a, b) => compareStamps(b.record.stamp, a.record.stamp));
  }

  /** The process of the newest registration of the device. */
  newest(device: string): DeviceLocation | undefined {
    return this.find(device)[0];
  }
}
