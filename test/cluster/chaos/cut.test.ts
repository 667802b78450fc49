import { Cluster } from '../../support/cluster';
import { passwordOf, people, type PhoneName } from '../../support/cluster-config';
import { describeWithNetwork, Network } from '../../support/network';
import { SipEndpoint } from '../../support/sip-endpoint';

jest.setTimeout(90_000);

describeWithNetwork('a cut between two nodes', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start({ engines: [], network: (scope) => Network.make(scope, 2) });
  });
  afterEach(() => cluster.close());

  const endpoint = async (username: PhoneName): Promise<SipEndpoint> => {
    const { address } = cluster.network;
    const phone = await SipEndpoint.start(cluster.scope, { username, password: passwordOf(username), address });
    await phone.register(cluster.node(people[username].node).sipPlace);
    await cluster.everybodyKnows(people[username].dn);
    return phone;
  };

  it('calls fail for their callers in time, and go through again when it is mended', async () => {
    const one = cluster.node(1);
    await endpoint('bob');
    const alice = await endpoint('alice');
    expect((await alice.call(one.sipPlace, people.bob.dn)).status).toBe(200);

    cluster.network.cut(1, 2);
    const cutAt = Date.now();
    const calls = Array.from({ length: 4 }, () => alice.call(one.sipPlace, people.bob.dn));
    for (const { status } of await Promise.all(calls)) expect(status).toBeGreaterThanOrEqual(400);
    expect(Date.now() - cutAt).toBeLessThan(15_000);
    cluster.network.mend(1, 2);
    expect((await alice.call(one.sipPlace, people.bob.dn)).status).toBe(200);
  });
});
