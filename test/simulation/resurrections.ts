import type { RegistrationChange } from '../../src/registration/composite-set';

/** Watches at one node that no entry stands again that its owner deleted. */
export class Resurrections {
  /** Device processes whose entries their owners deleted. */
  private readonly deleted = new Set<string>();

  /** The entry that has come back, if this is one. `boot`: the incarnation of its owner that is known now. */
  follow(change: RegistrationChange, boot: number | undefined): string | undefined {
    const { owner, record } = change;
    const name = `${owner}/${record.boot}/${record.pid}/${record.key}`;
    if (change.type === 'put') return this.deleted.has(name) ? name : undefined;
    // What the snapshot of another process with its number does not have it may have yet, and it may be the one that lives.
    const replaced = change.reason === 'snapshot' && record.boot !== boot;
    if (change.reason !== 'node-offline' && !replaced) this.deleted.add(name);
    return undefined;
  }
}
