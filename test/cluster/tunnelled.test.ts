import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { passwordOf, people, type ClusterFile } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import { freePort } from '../support/ports';
import { plainSdp } from '../support/raw-line';
import { SipEndpoint } from '../support/sip-endpoint';
import { statusOf } from '../support/sip-text';
import { endCalls, hangUp, hearEachOther, hearsMusic, talk } from '../support/talk';

jest.setTimeout(180_000);

interface Leg {
  readonly pid?: string;
  readonly device: string;
}

interface CallInDetail {
  readonly legs: readonly Leg[];
  readonly route: { readonly trials: readonly { device: string; pid?: string; node: number; outcome: string }[] };
}

async function oneCall(cluster: Cluster, node: number): Promise<CallInDetail> {
  const [call] = (await cluster.node(node).calls()) as { id: string }[];
  return (await cluster.node(node).api(`/api/calls/${call?.id ?? 'none'}`)) as CallInDetail;
}

describe('claim R14: signalling to other nodes is tunnelled', () => {
  let cluster: Cluster;
  let gatewayPort: number;
  const sip = (node: number): number => cluster.node(node).place.sipPort;

  beforeAll(async () => {
    gatewayPort = await freePort();
    cluster = await Cluster.start({
      nodes: 3,
      engines: [1],
      change: (file: ClusterFile) => {
        file.cluster.signalling = 'tunnelled';
        file.gateways.push({ name: 'gw-b', uri: `sip:127.0.0.1:${gatewayPort}`, site: 'dallas', nodes: [2] });
        file.routes.push({ pattern: '9.@', targets: ['gw-b'] });
      },
    });
  });
  afterAll(() => cluster.close());

  const endpoint = async (name: 'carol' | 'dave', at: number): Promise<SipEndpoint> => {
    const phone = await SipEndpoint.start(cluster.scope, { username: name, password: passwordOf(name) });
    expect(statusOf(await phone.register(sip(at), { expires: 3600 }))).toBe(200);
    return phone;
  };

  describe('two phones with sound', () => {
    let alice: Phone;
    let bob: Phone;
    beforeAll(async () => {
      alice = await cluster.phone('alice');
      bob = await cluster.phone('bob');
    });
    afterAll(async () => {
      await endCalls(alice, bob);
      await cluster.nothingIsLeft();
    });

    it('the table of a node has the number of the other node where the PID would stand', async () => {
      const row = (await cluster.node(1).registrations()).find(({ dn }) => dn === people.bob.dn);
      expect(row).toMatchObject({ pid: '2', node: 2, local: false, device: 'node-2' });
      expect(Object.keys(row ?? {})).not.toContain('boot');
      expect(Object.keys(row ?? {})).not.toContain('contact');
      const own = (await cluster.node(2).registrations()).find(({ dn }) => dn === people.bob.dn);
      expect(own).toMatchObject({ pid: '2.dp.1', local: true, device: 'SEP-bob' });
    });

    it('they call each other across nodes, hold and go on', async () => {
      await talk(alice, bob, people.bob.dn);
      expect((await oneCall(cluster, 1)).route.trials).toMatchObject([{ device: 'node-2', node: 2 }]);
      expect((await oneCall(cluster, 1)).route.trials[0]).not.toHaveProperty('pid');
      expect((await oneCall(cluster, 2)).route.trials).toMatchObject([{ device: 'SEP-bob', pid: '2.dp.1' }]);
      await alice.hold();
      await hearsMusic(bob, alice);
      await alice.resume();
      await hearEachOther(alice, bob);
      await hangUp(bob, alice);
      await talk(bob, alice, people.alice.dn);
      await hangUp(bob, alice);
      await cluster.nothingIsLeft();
    });
  });

  it('a call from a third node goes through the gateway of another with the digits as dialled', async () => {
    const gateway = await SipEndpoint.start(cluster.scope, { username: 'pstn', password: '', port: gatewayPort });
    const carol = await endpoint('carol', 3);
    await cluster.everybodyKnows('9.@');
    expect((await carol.call(sip(3), '92145551234')).status).toBe(200);
    expect(gateway.dialled).toEqual([expect.stringMatching(/^sip:2145551234@/)]);
    expect((await gateway.call(sip(2), people.carol.dn, { from: '2145550100' })).status).toBe(200);
    await cluster.nothingIsLeft();
  });

  it('claim R13: a stale entry is answered "nothing here", the call goes on to the next entry, and the table is repaired', async () => {
    const here = await endpoint('dave', 2);
    const there = await endpoint('dave', 3);
    const carol = await endpoint('carol', 1);
    const entries = async (): Promise<string[]> =>
      (await cluster.node(1).registrations()).filter(({ dn }) => dn === people.dave.dn).map(({ pid }) => pid);
    await eventually('both entries', entries, (pids) => pids.sort().join() === '2,3');
    // Without the bus node 1 hears nothing of the deletion.
    await cluster.redis?.stop();
    expect(statusOf(await here.register(sip(2), { expires: 0 }))).toBe(200);
    expect((await entries()).sort()).toEqual(['2', '3']);
    const trials = async (): Promise<string[]> =>
      (await oneCall(cluster, 1)).route.trials.map(({ node, outcome }) => `${node} ${outcome}`).sort();
    // It is answered when the other node has said so: who answers first has the call.
    there.behaviour = 'rings';
    const call = carol.call(sip(1), people.dave.dn, {
      whileItLasts: async () => expect(await trials()).toEqual(['2 not mine', '3 answered']),
    });
    await eventually('node 2 has nothing there', trials, (all) => all.includes('2 not mine'));
    await eventually('it rings', trials, (all) => all.includes('3 ringing'));
    there.peer.answer(there.invites[0] ?? '', '200 OK', { body: plainSdp() });
    const answered = await call;
    expect(answered.status).toBe(200);
    await cluster.redis?.start();
    await eventually('one entry, of node 3', entries, (pids) => pids.join() === '3');
    await cluster.nothingIsLeft();
  });

  it('a number that nobody has registered is refused by the node itself: no node asks a third', async () => {
    const carol = await endpoint('carol', 1);
    expect((await carol.call(sip(1), people.leo.dn)).status).toBe(480);
    expect((await carol.call(sip(1), '5555')).status).toBe(404);
    await cluster.nothingIsLeft();
  });
});
