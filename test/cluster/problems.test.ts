import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { NodeProcess } from '../support/node-process';

jest.setTimeout(120_000);

interface Row {
  readonly node: number;
  readonly state: string;
  readonly problems: readonly string[];
}

/** A clock that is off by so much, as a module that is loaded before the program. */
const shifted = (seconds: number): string[] => [
  '--import',
  `data:text/javascript,const now = Date.now; Date.now = () => now() + ${seconds * 1000};`,
];

describe('what is wrong between nodes although each takes calls', () => {
  let cluster: Cluster;

  afterEach(() => cluster.close());

  it('a clock, a configuration, a secret that differ, and SIP that does not get through: each is said, counted and logged once', async () => {
    cluster = await Cluster.start({ nodes: 3, engines: [], start: false });
    const directory = cluster.scope.directory('odd');
    const odd = (id: number, change: object, nodeArgs: readonly string[] = []): NodeProcess => {
      const configFile = join(directory, `odd-${id}.yaml`);
      writeFileSync(configFile, JSON.stringify({ ...cluster.file, ...change }));
      return new NodeProcess(cluster.scope, { ...cluster.node(id).place, configFile, nodeArgs }, directory);
    };
    // Nobody listens where node 2 says that it does.
    const nodes = cluster.file.nodes.map((node) => (node.id === 2 ? { ...node, address: '127.0.0.9' } : node));
    const second = odd(2, { nodes, registrar: { minExpires: 20, defaultExpires: 90, maxExpires: 3000 } }, shifted(-50));
    const third = odd(3, { cluster: { ...cluster.file.cluster, secret: 'another-secret-of-a-cluster' } });
    const first = cluster.node(1);
    await Promise.all([first.start(), second.start(), third.start()]);

    const rows = await eventually(
      'node 1 says what is wrong',
      async () => (await first.api('/api/nodes')) as Row[],
      (seen) => [0, 3, 1].every((count, index) => (seen[index]?.problems.length ?? 0) >= count),
      { cap: 60_000, every: 250 },
    );
    const text = rows.map(({ problems }) => problems.join('\n'));
    expect(text[0]).toBe('');
    expect(text[1]).toMatch(/SIP does not reach node 2 over TCP at 127\.0\.0\.9/);
    expect(text[1]).toMatch(/clock of node 2 is (49|50|51) s behind ours/);
    expect(text[1]).toMatch(/another configuration: .*registrar/);
    expect(text[2]).toMatch(/node 3 are signed with another secret/);
    // It goes on, and says in one line each what an operator should do.
    const readyz = await first.fetch('/readyz');
    expect([readyz.status, ((await readyz.json()) as { problems: string[] }).problems.length]).toEqual([200, 4]);
    const metrics = await (await first.fetch('/metrics')).text();
    for (const [problem, peer] of [
      ['sip', 2],
      ['clock', 2],
      ['configuration', 2],
      ['secret', 3],
    ] as const) {
      expect(metrics).toMatch(new RegExp(`tandem_problem\\{problem="${problem}",peer="${peer}",node="1"\\} 1`));
      expect(first.log().split(`"problem":"${problem}"`)).toHaveLength(2);
    }

    // Set right, it is over.
    await second.stop();
    await cluster.node(2).start();
    await eventually(
      'nothing is wrong with node 2 any more',
      async () => ((await first.api('/api/nodes')) as Row[])[1],
      (row) => row?.state === 'on-line' && row.problems.length === 0,
      { cap: 60_000, every: 250 },
    );
  });
});
