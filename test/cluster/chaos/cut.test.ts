import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../../support/cluster';
import { passwordOf, people, type PhoneName } from '../../support/cluster-config';
import { eventually } from '../../support/eventually';
import { describeWithNetwork, Network } from '../../support/network';
import { SipEndpoint } from '../../support/sip-endpoint';

jest.setTimeout(90_000);

/** Nodes tell each other the time every ten seconds. */
const CLOCK_TOLD_MS = 12_000;
/** A call that is older rings nobody. */
const LATE_MS = 9_000;

describeWithNetwork('a cut between two nodes', () => {
  let cluster: Cluster;
  let startedAt: number;
  beforeEach(async () => {
    cluster = await Cluster.start({ engines: [], network: (scope) => Network.make(scope, 2) });
    startedAt = Date.now();
  });
  afterEach(() => cluster.close());

  const endpoint = async (username: PhoneName): Promise<SipEndpoint> => {
    const { address } = cluster.network;
    const phone = await SipEndpoint.start(cluster.scope, { username, password: passwordOf(username), address });
    await phone.register(cluster.node(people[username].node).sipPlace);
    await cluster.everybodyKnows(people[username].dn);
    return phone;
  };

  it('calls fail for their callers in time, ring nobody when it is mended, and then go through again', async () => {
    const one = cluster.node(1);
    const bob = await endpoint('bob');
    const alice = await endpoint('alice');
    expect((await alice.call(one.sipPlace, people.bob.dn)).status).toBe(200);
    await eventually(
      'node 2 knows how the clock of node 1 goes',
      () => Date.now() - startedAt,
      (ms) => ms > CLOCK_TOLD_MS,
    );
    const answered = bob.invites.length;

    cluster.network.cut(1, 2);
    const cutAt = Date.now();
    const calls = Array.from({ length: 4 }, () => alice.call(one.sipPlace, people.bob.dn));
    for (const { status } of await Promise.all(calls)) expect(status).toBeGreaterThanOrEqual(400);
    expect(Date.now() - cutAt).toBeLessThan(15_000);
    await pause(cutAt + LATE_MS - Date.now());
    cluster.network.mend(1, 2);
    // What waited in TCP has come by then.
    await eventually(
      'a call goes through',
      async () => (await alice.call(one.sipPlace, people.bob.dn)).status,
      (status) => status === 200,
    );
    await eventually(
      'the old calls are refused',
      async () => (await cluster.node(2).fetch('/metrics')).text(),
      (metrics) => /^tandem_node_signatures_total\{[^}]*result="late"[^}]*\} 4$/m.test(metrics),
    );
    expect(bob.invites.length).toBe(answered + 1);
  });
});
