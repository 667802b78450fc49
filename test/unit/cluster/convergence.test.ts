import { Convergence } from '../../../src/cluster/convergence';
import { Peer } from '../../../src/cluster/protocol/peer';

/** A peer that is on-line and whose digest was equal at that time. */
function equalPeer(node: number, comparedAt: number): Peer {
  const peer = new Peer(node, 3_600_000);
  peer.live = true;
  peer.comparedAt = comparedAt;
  peer.equals();
  peer.commonEqual = true;
  return peer;
}

const table = (...peers: Peer[]): ReadonlyMap<number, Peer> => new Map(peers.map((peer) => [peer.node, peer]));

describe('claim R18: whether the tables are known to be equal', () => {
  it('a newcomer that has heard nobody does not say so before a live node would have been heard', () => {
    const convergence = new Convergence([2, 3], 10_000);
    expect(convergence.reached(table(), 10_100)).toBe(false);
    expect(convergence.reached(table(equalPeer(2, 10_200)), 10_300)).toBe(false);
    expect(convergence.reached(table(equalPeer(2, 10_200), equalPeer(3, 10_250)), 10_300)).toBe(true);
    expect(convergence.reached(table(equalPeer(2, 12_900)), 13_000)).toBe(true);
  });

  it('whose settings are others has not converged', () => {
    const peer = equalPeer(2, 11_000);
    peer.commonEqual = false;
    expect(new Convergence([2], 10_000).reached(table(peer), 11_500)).toBe(false);
  });

  it('a node that has said goodbye is not waited for', () => {
    const gone = new Peer(2, 3_600_000);
    gone.ended = true;
    expect(new Convergence([2], 10_000).reached(table(gone), 10_100)).toBe(true);
  });

  it('a node alone in its configuration has nobody to wait for', () => {
    expect(new Convergence([], 10_000).reached(table(), 10_000)).toBe(true);
  });

  it('what was compared before the bus was lost does not count: each live node must be heard again', () => {
    const convergence = new Convergence([2], 10_000);
    const peer = equalPeer(2, 11_000);
    expect(convergence.reached(table(peer), 11_500)).toBe(true);
    convergence.restart(20_000);
    expect(convergence.reached(table(peer), 20_100)).toBe(false);
    expect(convergence.isEqual(peer)).toBe(false);
    expect(convergence.lagMs(peer, 20_100, true)).toBe(9_100);
    peer.comparedAt = 20_200;
    expect(convergence.reached(table(peer), 20_300)).toBe(true);
    expect(convergence.lagMs(peer, 20_300, true)).toBe(0);
  });

  it('a copy that is behind, or differs, or is being pulled, is not equal, and its lag grows', () => {
    const convergence = new Convergence([2], 10_000);
    const peer = equalPeer(2, 11_000);
    peer.isBehind(11_200);
    expect(convergence.reached(table(peer), 11_500)).toBe(false);
    expect(convergence.lagMs(peer, 11_500, true)).toBe(300);
    peer.caughtUp();
    expect(convergence.reached(table(peer), 11_600)).toBe(true);
    peer.differs(12_000);
    expect(convergence.isEqual(peer)).toBe(false);
    expect(convergence.lagMs(peer, 14_000, true)).toBe(2_000);
  });

  it('while the bus is lost the lag grows from the last comparison on; a node that is off-line has none', () => {
    const convergence = new Convergence([2], 10_000);
    const peer = equalPeer(2, 11_000);
    expect(convergence.lagMs(peer, 15_000, false)).toBe(4_000);
    peer.goOffline();
    expect(convergence.lagMs(peer, 15_000, true)).toBe(0);
    expect(convergence.reached(table(peer), 15_000)).toBe(true);
  });
});
