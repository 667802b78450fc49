import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../support/cluster';
import { passwordOf, people, type PhoneName } from '../../support/cluster-config';
import { itUnless } from '../../support/drachtio-limits';
import { eventually } from '../../support/eventually';
import { figure } from '../../support/figures';
import { NodeProcess } from '../../support/node-process';
import { freePort } from '../../support/ports';
import { SipEndpoint } from '../../support/sip-endpoint';
import { headerOf } from '../../support/sip-text';

jest.setTimeout(120_000);

describe('half of the system fails', () => {
  let cluster: Cluster;
  let alice: SipEndpoint;
  let bob: SipEndpoint;

  const register = (phone: SipEndpoint, name: PhoneName): Promise<string> =>
    phone.register(cluster.node(people[name].node).sipPlace, { expires: 3600 });
  beforeAll(async () => {
    cluster = await Cluster.start({
      engines: [],
      change: (file) => void Object.assign(file.nodes[1]!, { drainSeconds: 20 }),
    });
    const endpoint = (username: PhoneName): Promise<SipEndpoint> =>
      SipEndpoint.start(cluster.scope, { username, password: passwordOf(username) });
    [alice, bob] = [await endpoint('alice'), await endpoint('bob')];
  });
  /** Whatever the test before has broken. */
  beforeEach(async () => {
    for (const node of cluster.nodes) if (!node.running) await node.start();
    await register(alice, 'alice');
    await register(bob, 'bob');
    for (const node of cluster.nodes) await node.knows([people.alice.dn, people.bob.dn]);
  });
  afterAll(() => cluster.close());

  itUnless('ending')(
    'the SIP server of a node, or the node, is killed and is back: the phones at the other are told, with a reason',
    async () => {
      const [one, two] = [cluster.node(1), cluster.node(2)];
      const over = new Error('the call is over');
      for (const fail of [
        () => two.killSipServer(),
        async () => {
          await two.kill9();
          await two.start();
        },
      ]) {
        await cluster.everybodyKnows(people.bob.dn);
        const before = alice.peer.requests('BYE').length;
        let failedAt = 0;
        await alice
          .call(one.sipPlace, people.bob.dn, {
            whileItLasts: async () => {
              await fail();
              failedAt = Date.now();
              const [bye] = await eventually(
                'alice is told',
                () => alice.peer.requests('BYE').slice(before),
                (byes) => byes.length > 0,
                { cap: 15_000 },
              );
              figure('from the end of the failure to the BYE', Date.now() - failedAt, 'ms');
              expect(headerOf(bye ?? '', 'Reason')).toMatch(/^SIP;cause=503/);
              // There is nothing left to hang up.
              throw over;
            },
          })
          .catch((error: unknown) => {
            if (error !== over) throw error;
          });
        await eventually(
          'node 1 has no call',
          () => one.calls(),
          (calls) => calls.length === 0,
          { cap: 5_000 },
        );
      }
    },
  );

  it('a node drains: its UDP phones are called until they have moved', async () => {
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const stopped = two.stop();
    await eventually(
      'node 2 drains',
      async () => (await two.fetch('/readyz')).status,
      (status) => status === 503,
    );
    expect((await alice.call(one.sipPlace, people.bob.dn)).status).toBe(200);
    await bob.register(one.sipPlace, { expires: 3600 });
    await one.knows([people.alice.dn, people.bob.dn]);
    expect((await alice.call(one.sipPlace, people.bob.dn)).status).toBe(200);
    await stopped;
  });

  it('a phone leaves at the other node while Redis is out: it stays away', async () => {
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const before = one.log().length;
    await cluster.redis?.kill();
    await eventually(
      'the bus is lost',
      () => one.log().slice(before),
      (log) => log.includes('the bus is lost') || log.includes('connection to the bus is lost'),
    );
    await bob.register(one.sipPlace, { expires: 0 });
    await cluster.redis?.start();
    for (const node of [one, two]) await node.knows([people.alice.dn], 20_000);
  });

  it('a second process with a number starts while Redis is out: the one with phones lives', async () => {
    const two = cluster.node(2);
    await cluster.redis?.kill();
    const [sipPort, adminPort] = [await freePort(), await freePort()];
    const directory = cluster.scope.directory('twin');
    const stateDir = join(directory, 'state');
    const listen = [`udp:127.0.0.1:${sipPort}`, `tcp:127.0.0.1:${sipPort}`];
    const nodes = cluster.file.nodes.map((node) =>
      node.id === 2 ? { ...node, listen, admin: `127.0.0.1:${adminPort}`, stateDir, drachtio: 'embedded' } : node,
    );
    const configFile = join(directory, 'twin.yaml');
    writeFileSync(configFile, JSON.stringify({ ...cluster.file, nodes }));
    const twin = new NodeProcess(cluster.scope, { id: 2, configFile, sipPort, adminPort, stateDir }, directory);
    await twin.start();
    await cluster.redis?.start();
    await eventually(
      'the twin has ended',
      () => twin.running,
      (running) => !running,
    );
    expect(twin.log()).toContain('another process runs as node 2');
    expect(two.running).toBe(true);
    await cluster.node(1).knows([people.alice.dn, people.bob.dn]);
    expect((await alice.call(cluster.node(1).sipPlace, people.bob.dn)).status).toBe(200);
  });
});
