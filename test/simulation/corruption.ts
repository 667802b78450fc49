import type { NodeProtocol } from '../../src/cluster/protocol/node-protocol';
import { isDevice } from '../../src/registration/entry';
import type { CompositeSet } from '../../src/registration/composite-set';
import type { Random } from './random';

/** What a node has of the others. */
export interface Corruptible {
  readonly protocol: NodeProtocol | undefined;
  readonly composite: CompositeSet;
}

/**
 * An entry of another node is altered, lost or invented, in the replica and in the composite, without a message, or
 * altered in memory, so that even its hash stays: only the digest shows it. `false`: there is none. `lost` is told whose it was.
 */
export function corruptReplica(
  { protocol, composite }: Corruptible,
  random: Random,
  lost: (peer: number) => void,
): boolean {
  const peer = random.pick([...(protocol?.peers ?? [])].filter((each) => each.synced && each.table.count > 0));
  const record = random.pick((peer?.table.all() ?? []).filter(isDevice));
  if (peer === undefined || record === undefined) return false;
  lost(peer.node);
  const dice = random.below(4);
  if (dice === 0) {
    peer.table.delete(record.key);
    composite.delete(peer.node, record.key, 'corrupted');
    return true;
  }
  if (dice === 3) {
    // A copy of its own, as every real node has.
    const copy = { ...record };
    peer.table.delete(record.key);
    peer.table.put(copy);
    composite.put(peer.node, copy);
    Object.assign(copy, { address: 'udp:192.0.2.2:5060' });
    return true;
  }
  const altered = { ...record, address: 'udp:192.0.2.1:5060' };
  const wrong = dice === 1 ? altered : { ...altered, key: `${record.key}-invented` };
  peer.table.put(wrong);
  composite.put(peer.node, wrong);
  return true;
}
