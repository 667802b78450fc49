import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { people } from '../support/cluster-config';
import { itUnless } from '../support/drachtio-limits';
import { eventually } from '../support/eventually';
import { NodeProcess } from '../support/node-process';
import { freePort } from '../support/ports';
import { endCalls, hangUp, hearsMusic, talk } from '../support/talk';

jest.setTimeout(120_000);

describe('the life of a node', () => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;

  beforeEach(async () => {
    cluster = await Cluster.start({ engines: [1] });
    alice = await cluster.phone('alice');
    bob = await cluster.phone('bob');
  });
  afterEach(async () => {
    await endCalls(alice, bob);
    await cluster.close();
  });

  itUnless('starting')(
    'a SIP server that dies is started again; its calls end, their music is given back, and new calls go through',
    async () => {
      const node = cluster.node(1);
      await talk(alice, bob, people.bob.dn);
      await bob.hold();
      await hearsMusic(alice, bob);

      const before = node.sipServerPid;
      process.kill(before, 'SIGKILL');
      await eventually(
        'node 1 has no call',
        () => node.calls(),
        (calls) => calls.length === 0,
      );
      await eventually(
        'no music plays',
        () => cluster.mediaSessions(),
        (sessions) => sessions.length === 0,
      );
      await eventually(
        'node 1 is ready again',
        async () => (await node.fetch('/readyz')).status,
        (status) => status === 200,
      );
      expect(node.sipServerPid).not.toBe(before);

      await endCalls(alice, bob);
      await eventually(
        'no call is left',
        () => cluster.node(2).calls(),
        (calls) => calls.length === 0,
      );
      await talk(alice, bob, people.bob.dn);
      await hangUp(alice, bob);
      await cluster.nothingIsLeft();
    },
  );

  it('SIGTERM while a call is held: the call is ended with BYE, the music given back, the others told at once', async () => {
    await talk(alice, bob, people.bob.dn);
    await bob.hold();
    await hearsMusic(alice, bob);
    alice.now();
    bob.now();

    const started = Date.now();
    const stopped = cluster.node(2).stop();
    await Promise.all([alice.closed(), bob.closed()]);
    await stopped;
    await cluster.node(1).knows([people.alice.dn], 5000);
    expect(Date.now() - started).toBeLessThan(30_000);
    await cluster.nothingIsLeft();
  });

  it('a second process with a number that is in use is refused, and the first is not disturbed', async () => {
    // The same cluster and number at other ports, so that nothing but the number is in its way.
    const [sipPort, adminPort] = [await freePort(), await freePort()];
    const directory = cluster.scope.directory('twin');
    const stateDir = join(directory, 'state');
    const nodes = cluster.file.nodes.map((node) =>
      node.id === 2
        ? {
            ...node,
            listen: [`udp:127.0.0.1:${sipPort}`, `tcp:127.0.0.1:${sipPort}`],
            admin: `127.0.0.1:${adminPort}`,
            stateDir,
          }
        : node,
    );
    const configFile = join(directory, 'twin.yaml');
    writeFileSync(configFile, JSON.stringify({ ...cluster.file, nodes }));
    const twin = new NodeProcess(cluster.scope, { id: 2, configFile, sipPort, adminPort, stateDir }, directory);
    twin.spawn();
    await eventually(
      'the twin has ended',
      () => twin.running,
      (running) => !running,
    );
    expect(twin.log()).toContain('node number 2 is in use');
    await talk(alice, bob, people.bob.dn);
    await hangUp(bob, alice);
    await cluster.nothingIsLeft();
  });
});
