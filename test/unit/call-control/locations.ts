import type { Pid } from '../../../src/process/pid';
import type { DeviceLocation } from '../../../src/registration/device-manager';

const LINES: Readonly<Record<string, string>> = { 'SEP-alice': '1000', 'SEP-bob': '2000' };

/** Where phones are registered, as the test says. */
export class Locations {
  private readonly records = new Map<string, DeviceLocation[]>();
  private listener: (device: string) => void = () => undefined;

  find(device: string): readonly DeviceLocation[] {
    return this.records.get(device) ?? [];
  }

  onRegistered(listener: (device: string) => void): void {
    this.listener = listener;
  }

  register(device: string, pid: Pid, boot: number, node: number): void {
    const record = { kind: 'station', device, lines: [LINES[device]] } as unknown as DeviceLocation['record'];
    this.records.set(device, [...this.find(device), { pid, boot, node, record }]);
    this.listener(device);
  }
}
