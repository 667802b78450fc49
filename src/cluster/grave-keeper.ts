import type { Departed, GraveStore } from '../registration/grave';
import type { Effect } from './protocol/effects';
import type { Grave } from './protocol/graves';
import type { NodeProtocol } from './protocol/node-protocol';

/** Keeps the graves of bindings in a store that outlives the process. */
export class GraveKeeper {
  private store: GraveStore | undefined;

  /** What the store knows counts from now on, and it is told what is known already. */
  open(store: GraveStore, protocol: NodeProtocol, now: number): Effect[] {
    this.store = store;
    for (const [key, grave] of protocol.graves) this.bury(key, grave);
    const kept = store.buried().filter(({ of, until }) => of === 'binding' && until > now);
    return protocol.restoreGraves(kept.map(({ name, stamp, until }) => ({ key: name, stamp, expiresAt: until })));
  }

  bury(key: string, grave: Grave): void {
    this.store?.bury(departedOf(key, grave));
  }

  exhume(name: string): void {
    this.store?.exhume({ of: 'binding', name });
  }
}

function departedOf(name: string, { stamp, until }: Grave): Departed {
  return { of: 'binding', name, stamp, until };
}
