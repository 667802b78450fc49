import { Cluster } from '../support/cluster';
import { domain, passwordOf, people, type ClusterFile } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import { figure } from '../support/figures';
import { freePort } from '../support/ports';
import { SipEndpoint } from '../support/sip-endpoint';
import { headerOf, statusOf } from '../support/sip-text';

jest.setTimeout(180_000);

const route = '9.@';

/** A phone of one of the people that is registered with a node. */
async function phone(cluster: Cluster, name: 'alice' | 'bob', at: number): Promise<SipEndpoint> {
  const endpoint = await SipEndpoint.start(cluster.scope, { username: name, password: passwordOf(name) });
  const answer = await endpoint.register(cluster.node(at).place.sipPort, { expires: 3600 });
  expect(statusOf(answer)).toBe(200);
  await cluster.everybodyKnows(people[name].dn);
  return endpoint;
}

/** Waits until each running node has exactly these nodes as controllers of the gateway. */
async function controlledBy(
  cluster: Cluster,
  gateway: string,
  controllers: readonly number[],
  cap = 30_000,
): Promise<void> {
  for (const node of cluster.nodes.filter(({ running }) => running))
    await eventually(
      `node ${node.id} knows that ${gateway} is controlled by ${controllers.join(', ') || 'nobody'}`,
      async () => (await node.registrations()).filter(({ device }) => device === gateway).map((row) => row.node),
      (nodes) => nodes.join() === controllers.join(),
      { cap },
    );
}

describe('claim R17: a gateway that is configured', () => {
  let ports: { a: number; b: number; late: number };
  let cluster: Cluster;
  let gateway: SipEndpoint;
  let second: SipEndpoint;
  let alice: SipEndpoint;
  let bob: SipEndpoint;
  const sip = (node: number): number => cluster.node(node).place.sipPort;

  beforeAll(async () => {
    ports = { a: await freePort(), b: await freePort(), late: await freePort() };
    cluster = await Cluster.start({
      nodes: 3,
      engines: [],
      change: (file: ClusterFile) => {
        file.gateways.push(
          { name: 'gw-a', uri: `sip:127.0.0.1:${ports.a}`, site: 'dallas', nodes: [1, 2] },
          { name: 'gw-b', uri: `sip:127.0.0.1:${ports.b}`, site: 'dallas', nodes: [3, 2] },
          { name: 'gw-late', uri: `sip:127.0.0.1:${ports.late}`, site: 'dallas', nodes: [1] },
        );
        file.routes.push({ pattern: route, targets: ['gw-a', 'gw-b'] }, { pattern: '8.@', targets: ['gw-late'] });
      },
    });
    gateway = await SipEndpoint.start(cluster.scope, { username: 'pstn', password: '', port: ports.a });
    second = await SipEndpoint.start(cluster.scope, { username: 'pstn', password: '', port: ports.b });
    bob = await phone(cluster, 'bob', 2);
    alice = await phone(cluster, 'alice', 3);
    await controlledBy(cluster, 'gw-a', [1]);
    await controlledBy(cluster, 'gw-b', [3]);
  });
  afterAll(() => cluster.close());

  it('is polled by the node that controls it, and by no other', async () => {
    await eventually(
      'polls',
      () => [...gateway.pollers()],
      (pollers) => pollers.join() === String(sip(1)),
    );
  });

  it('calls go out through it from the phones of every node, and come in through every node', async () => {
    for (const [caller, node] of [
      [bob, 2],
      [alice, 3],
    ] as const)
      expect((await caller.call(sip(node), '92145551234')).status).toBe(200);
    expect(gateway.dialled.map((uri) => uri.split('@')[0])).toEqual(['sip:2145551234', 'sip:2145551234']);
    for (const node of [1, 2, 3])
      expect((await gateway.call(sip(node), people.bob.dn, { from: '2145550100' })).status).toBe(200);
    expect(bob.invites).toHaveLength(3);
    for (const invite of bob.invites) expect(headerOf(invite, 'From')).toContain(`<sip:2145550100@${domain}>`);
    await cluster.nothingIsLeft();
  });

  it('claim R4: a route stands for several gateways: one that answers 503 is passed over for the next', async () => {
    gateway.behaviour = '503 No Circuit';
    const before = second.invites.length;
    try {
      expect((await bob.call(sip(2), '92145551234')).status).toBe(200);
    } finally {
      gateway.behaviour = 'answers';
    }
    expect(second.invites).toHaveLength(before + 1);
    expect(second.dialled.at(-1)).toMatch(/^sip:2145551234@/);
    await cluster.nothingIsLeft();
  });

  it('is taken over by the next node of its list when its node dies, and goes back when that returns', async () => {
    const killed = Date.now();
    await cluster.node(1).kill9();
    await controlledBy(cluster, 'gw-a', [2]);
    figure('a gateway is taken over after its node was killed', Date.now() - killed, 'ms');
    const polls = gateway.peer.received.length;
    const calls = gateway.invites.length;
    expect((await bob.call(sip(2), '92145551234')).status).toBe(200);
    expect((await alice.call(sip(3), '92145551234')).status).toBe(200);
    expect(gateway.invites).toHaveLength(calls + 2);
    expect((await gateway.call(sip(2), people.alice.dn, { from: '2145550100' })).status).toBe(200);
    expect(alice.invites).toHaveLength(1);
    expect([...gateway.pollers(polls)].filter((port) => port !== sip(2))).toEqual([]);

    await cluster.node(1).start();
    await controlledBy(cluster, 'gw-a', [1]);
    // Claim R11: from here on there is one owner, whatever is late.
    const back = gateway.peer.received.length;
    const owners = new Set<string>();
    for (const until = Date.now() + 5000; Date.now() < until; await new Promise((next) => setTimeout(next, 100)))
      for (const node of cluster.nodes)
        owners.add(
          (await node.registrations())
            .filter(({ device }) => device === 'gw-a')
            .map((row) => row.pid)
            .join(),
        );
    expect([...owners]).toEqual(['1.gp.1']);
    expect([...gateway.pollers(back)].filter((port) => port !== sip(1))).toEqual([]);
    expect((await alice.call(sip(3), '92145551234')).status).toBe(200);
    await cluster.nothingIsLeft();
  });

  it('one that was not there when its node started is found when it comes', async () => {
    await controlledBy(cluster, 'gw-late', []);
    const late = await SipEndpoint.start(cluster.scope, { username: 'pstn', password: '', port: ports.late });
    await controlledBy(cluster, 'gw-late', [1]);
    expect((await bob.call(sip(2), '85551234')).status).toBe(200);
    expect(late.invites).toHaveLength(1);
  });

  it('claim R7: one that stops answering disappears from every table, and calls go to the next target', async () => {
    gateway.behaviour = 'silent';
    // Two polls of 30 s, each with its deadline.
    await controlledBy(cluster, 'gw-a', [], 75_000);
    const before = second.invites.length;
    expect((await bob.call(sip(2), '92145551234')).status).toBe(200);
    expect(second.invites).toHaveLength(before + 1);
    gateway.behaviour = 'answers';
    await controlledBy(cluster, 'gw-a', [1]);
    await cluster.nothingIsLeft();
  });
});

describe('claim R17: a gateway that registers', () => {
  let cluster: Cluster;
  let gateway: SipEndpoint;
  let bob: SipEndpoint;
  const sip = (node: number): number => cluster.node(node).place.sipPort;

  beforeAll(async () => {
    cluster = await Cluster.start({
      engines: [],
      change: (file: ClusterFile) => {
        file.gateways.push({ name: 'gw-pbx', site: 'dallas', username: 'pbx', password: passwordOf('pbx') });
        file.routes.push({ pattern: route, targets: ['gw-pbx'] });
      },
    });
    gateway = await SipEndpoint.start(cluster.scope, { username: 'pbx', password: passwordOf('pbx') });
    bob = await phone(cluster, 'bob', 2);
  });
  afterAll(() => cluster.close());

  it('has no entry before it registers: the route leads nowhere', async () => {
    await controlledBy(cluster, 'gw-pbx', []);
    expect((await bob.call(sip(2), '95551234')).status).toBe(480);
  });

  it.each([1, 2])(
    'registers with node %i, which controls it then: calls go both ways, from and to both nodes',
    async (node) => {
      expect(statusOf(await gateway.register(sip(node)))).toBe(200);
      await controlledBy(cluster, 'gw-pbx', [node]);
      const calls = gateway.invites.length;
      expect((await bob.call(sip(2), '95551234')).status).toBe(200);
      expect(gateway.invites).toHaveLength(calls + 1);
      expect(gateway.dialled.at(-1)).toBe(`sip:5551234@127.0.0.1:${gateway.port}`);
      const before = bob.invites.length;
      for (const through of [1, 2])
        expect((await gateway.call(sip(through), people.bob.dn, { from: '5550100' })).status).toBe(200);
      expect(bob.invites).toHaveLength(before + 2);
      expect(headerOf(bob.invites.at(-1) ?? '', 'From')).toContain(`<sip:5550100@${domain}>`);
      await cluster.nothingIsLeft();
    },
  );

  it('a stranger with its name and without its password is not let in', async () => {
    const stranger = await SipEndpoint.start(cluster.scope, { username: 'pbx', password: 'guess' });
    expect(statusOf(await stranger.register(sip(1)))).toBe(401);
    expect((await stranger.call(sip(1), people.bob.dn)).status).toBe(407);
    await controlledBy(cluster, 'gw-pbx', [2]);
  });

  it('outlives a restart of its node, and disappears everywhere when it de-registers', async () => {
    await cluster.node(2).kill9();
    await cluster.node(2).start();
    await controlledBy(cluster, 'gw-pbx', [2]);
    expect(statusOf(await gateway.register(sip(2), { expires: 0 }))).toBe(200);
    await controlledBy(cluster, 'gw-pbx', []);
  });
});
