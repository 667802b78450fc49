import type { Grave } from '../../src/cluster/protocol/graves';
import type { TextEntry } from '../../src/registration/entry';
import type { RegistrationChange } from '../../src/registration/composite-set';
import type { RegistrationRecord } from '../../src/registration/record';

/** What a process leaves behind. */
export interface Disk {
  readonly bindings: readonly RegistrationRecord[];
  readonly graves: readonly (readonly [key: string, grave: Grave])[];
  /** Entries that are nobody's. */
  readonly common: readonly TextEntry[];
  /** As `SimulatedNode.witnessed`: what the graves ought to be of. */
  readonly witnessed: readonly string[];
}

export const EMPTY_DISK: Disk = { bindings: [], graves: [], common: [], witnessed: [] };

/** What a process writes down: bindings that do not hang on a connection, and what has left. */
export class SimulatedDisk {
  readonly graves: Map<string, Grave>;
  private readonly bindings: Map<string, RegistrationRecord>;

  /** `strikesHearsay`: as in a mutation. */
  constructor(
    found: Disk,
    private readonly strikesHearsay = false,
  ) {
    this.bindings = new Map(found.bindings.map((record) => [record.key, record]));
    this.graves = new Map(found.graves);
  }

  /** A local entry has changed. What has moved stays until it is settled, and what stopped for the next start. */
  follow(change: RegistrationChange): void {
    const { key, address } = change.record;
    if (change.type === 'put' && address.startsWith('udp:')) this.bindings.set(key, change.record);
    else if (
      change.type === 'put' ||
      (change.reason !== 'stopped' && (change.reason !== 'moved' || this.strikesHearsay))
    )
      this.bindings.delete(key);
  }

  settle(key: string): void {
    this.bindings.delete(key);
  }

  contents(witnessed: Iterable<string>, common: readonly TextEntry[]): Disk {
    return { bindings: [...this.bindings.values()], graves: [...this.graves], common, witnessed: [...witnessed] };
  }
}
