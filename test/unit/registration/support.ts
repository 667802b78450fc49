import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { Pid } from '../../../src/process/pid';
import { bindingKey } from '../../../src/registration/binding-key';
import type { RegistrationRecord } from '../../../src/registration/record';

export const NOW = 1_700_000_000_000;

export function record(device: string, pid: Pid, changed: Partial<RegistrationRecord> = {}): RegistrationRecord {
  const instance = changed.instance ?? `urn:uuid:${device}`;
  return {
    key: bindingKey(device, instance),
    kind: 'station',
    device,
    lines: ['1000'],
    instance,
    pid,
    boot: 7,
    contact: `sip:${device}@10.0.0.7:5062`,
    address: 'udp:10.0.0.7:5062',
    stamp: { ms: NOW, counter: 0, node: 1 },
    expiresAt: NOW + 120_000,
    ...changed,
  };
}

/** A tmpfs of 256 KiB; `false`: only root may mount one. */
export function smallDisk(directory: string): boolean {
  if (process.getuid?.() !== 0) return false;
  mkdirSync(directory, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', directory], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}
