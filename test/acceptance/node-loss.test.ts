import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { people } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import { figure } from '../support/figures';
import { endCalls, hangUp, hearEachOther, talk } from '../support/talk';

jest.setTimeout(180_000);

const both = [people.alice.dn, people.bob.dn];

describe('the loss of a node', () => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;

  beforeEach(async () => {
    cluster = await Cluster.start();
    alice = await cluster.phone('alice');
    bob = await cluster.phone('bob', { registerInterval: 900 });
  });
  afterEach(async () => {
    try {
      await endCalls(alice, bob);
      await cluster.nothingIsLeft();
    } finally {
      await cluster.close();
    }
  });

  it('claims R9, R8: a killed node is purged, and is whole again when it comes back, bob with it', async () => {
    const before = (await cluster.node(2).registrations()).find(({ dn }) => dn === people.bob.dn);
    const killed = Date.now();
    await cluster.node(2).kill9();

    const dialled = Date.now();
    await alice.dial(people.bob.dn);
    const refusal = await alice.closed(10_000);
    figure('a call to a node that has just been killed is refused after', Date.now() - dialled, 'ms');
    expect(refusal.param).toMatch(/^480/);

    await cluster.node(1).knows([people.alice.dn], 15_000);
    figure('the entries of a killed node are purged after', Date.now() - killed, 'ms');

    const restarted = Date.now();
    await cluster.node(2).start();
    await cluster.node(2).knows(both);
    await cluster.node(1).knows(both);
    figure('a node that is started again is whole after', Date.now() - restarted, 'ms');

    const after = (await cluster.node(1).registrations()).find(({ dn }) => dn === people.bob.dn);
    expect(after?.boot).not.toBe(before?.boot);
    expect(after?.local).toBe(false);
    await talk(alice, bob, people.bob.dn);
    await hangUp(bob, alice);
  });

  it('claim R15: bob moves to the node that is left, and can be called at once', async () => {
    await cluster.node(2).kill9();
    await bob.moveTo(cluster.node(1).sip);
    await talk(alice, bob, people.bob.dn);
    await hangUp(alice, bob);
  });

  it("claims R11, R12: the old node's restored entry gives way to the node that bob has moved to", async () => {
    await cluster.node(2).kill9();
    await bob.moveTo(cluster.node(1).sip);
    await cluster.node(2).start();
    for (const node of cluster.nodes) {
      const rows = await eventually(
        `node ${node.id} has bob once`,
        () => node.registrations(),
        (all) => all.filter(({ dn }) => dn === people.bob.dn).length === 1,
      );
      expect(rows.find(({ dn }) => dn === people.bob.dn)?.node).toBe(1);
    }
    await talk(alice, bob, people.bob.dn);
    await hangUp(alice, bob);
  });

  it('a call between two phones of the node that is left is not disturbed', async () => {
    const carol = await cluster.phone('carol');
    await talk(alice, carol, people.carol.dn);
    await cluster.node(2).kill9();
    await cluster.node(1).knows([people.alice.dn, people.carol.dn], 15_000);
    await hearEachOther(alice, carol);
    await hangUp(alice, carol);
  });

  it('SIGTERM: the calls of the node end with BYE, its entries go at once, its processes are gone', async () => {
    await talk(alice, bob, people.bob.dn);
    alice.now();
    const stopped = Date.now();
    await cluster.node(2).stop();
    await alice.closed();
    await cluster.node(1).knows([people.alice.dn], 5_000);
    figure('a node that says goodbye has left after', Date.now() - stopped, 'ms');
  });
});
