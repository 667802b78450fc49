import { setTimeout as pause } from 'node:timers/promises';
import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { people } from '../support/cluster-config';
import { figure } from '../support/figures';
import { endCalls, hangUp, hearEachOther, hearsMusic, talk } from '../support/talk';

jest.setTimeout(240_000);

const outage = 30_000;

describe('claim R18: the loss of Redis', () => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;

  beforeEach(async () => {
    cluster = await Cluster.start();
    alice = await cluster.phone('alice');
    bob = await cluster.phone('bob');
  });
  afterEach(async () => {
    try {
      await endCalls(alice, bob);
      await cluster.nothingIsLeft();
    } finally {
      await cluster.close();
    }
  });

  async function tablesAgree(numbers: readonly string[]): Promise<void> {
    const tables = [];
    for (const node of cluster.nodes) {
      const rows = await node.knows(numbers, 20_000);
      tables.push(rows.map(({ dn, pid, boot, node: at }) => `${dn} ${pid} ${String(boot)} ${at}`).sort());
    }
    expect(tables[0]).toEqual(tables[1]);
  }

  it('for 30 s: calls go on, can be held and ended, new ones between sites come about; then the tables agree', async () => {
    await talk(alice, bob, people.bob.dn);
    const stopped = Date.now();
    await cluster.redis?.stop();

    await bob.hold();
    await hearsMusic(alice, bob);
    await bob.resume();
    await hearEachOther(alice, bob);
    await hangUp(bob, alice);

    // Registered while the nodes cannot tell each other.
    const dave = await cluster.phoneAlone('dave');
    await pause(Math.max(0, stopped + outage - Date.now()));
    await talk(alice, bob, people.bob.dn);
    await cluster.redis?.start();
    const restarted = Date.now();
    await tablesAgree([people.alice.dn, people.bob.dn, people.dave.dn]);
    figure('the tables agree after Redis is back', Date.now() - restarted, 'ms');
    await hearEachOther(alice, bob);
    await hangUp(alice, bob);
    await talk(alice, dave, people.dave.dn);
    await hangUp(alice, dave);
  });

  it('Redis that keeps its connections and answers nothing: nobody is purged, and calls come about', async () => {
    cluster.redis?.freeze();
    await pause(10_000);
    for (const node of cluster.nodes) await node.knows([people.alice.dn, people.bob.dn], 1000);
    await talk(bob, alice, people.alice.dn);
    await hangUp(bob, alice);
    cluster.redis?.thaw();
    await tablesAgree([people.alice.dn, people.bob.dn]);
  });
});
