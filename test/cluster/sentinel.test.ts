import { Cluster } from '../support/cluster';
import { people } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import { SentinelGroup } from '../support/redis';
import { Scope } from '../support/scope';

jest.setTimeout(120_000);

it('two nodes on a Redis with sentinels: what is registered before and after the master dies is in both tables', async () => {
  const scope = new Scope();
  const group = await SentinelGroup.start(scope, { password: 'geheim' });
  const cluster = await Cluster.start({
    redis: false,
    engines: [],
    change: (file) => Object.assign(file.cluster, { redis: group.section }),
  });
  try {
    await cluster.phone('alice');
    await cluster.node(2).knows([people.alice.dn]);
    const old = await group.master();
    await old.kill();
    await cluster.phone('bob');
    for (const node of cluster.nodes) {
      await node.knows([people.alice.dn, people.bob.dn]);
      await eventually(
        `node ${node.id} has converged`,
        async () => (await node.fetch('/readyz')).json(),
        (answer) => JSON.stringify(answer).includes('"converged":true'),
      );
      expect(await (await node.fetch('/metrics')).text()).toMatch(/tandem_converged\{[^}]*\} 1\n/);
    }
    expect(cluster.logs()).not.toContain('geheim');
  } finally {
    await cluster.close();
    await scope.close();
  }
});
