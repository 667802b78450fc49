import { Cluster } from '../support/cluster';
import { people } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import type { SipParty } from '../support/sip-party';
import { statusOf } from '../support/sip-text';

jest.setTimeout(120_000);

interface Half {
  readonly id: string;
  readonly call: string;
  readonly from: string;
  readonly to: string;
  readonly elsewhere: readonly {
    readonly node: number;
    readonly process: string;
    readonly party: Readonly<Record<string, unknown>>;
    readonly resources: readonly { readonly type: string; readonly name: string; readonly why: string }[];
  }[];
}

describe('the two halves of a call between nodes', () => {
  let cluster: Cluster;
  const parties: SipParty[] = [];
  beforeAll(async () => {
    cluster = await Cluster.start();
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    for (const party of parties.splice(0)) await party.hangUp();
    await cluster.nothingIsLeft();
  });

  const halfAt = async (node: number, id?: string): Promise<Half> => {
    const [call] = (await cluster.node(node).calls()) as readonly { readonly id: string }[];
    return (await cluster.node(node).api(`/api/calls/${id ?? call?.id ?? 'none'}`)) as Half;
  };

  const talking = async (): Promise<[SipParty, SipParty]> => {
    const [alice, bob] = [await cluster.party('alice'), await cluster.party('bob')];
    parties.push(alice, bob);
    expect(statusOf(await alice.call(people.bob.dn))).toBe(200);
    await Promise.all([alice.hears(bob.tone), bob.hears(alice.tone)]);
    return [alice, bob];
  };

  it('are found at either node by the name of the call and by either call process, in the log and in records too', async () => {
    const [alice] = await talking();
    const [near, far] = [await halfAt(1), await halfAt(2)];
    expect(near.call).toMatch(/^1\.cp\.\d+-\d+$/);
    for (const [node, own] of [
      [1, near],
      [2, far],
    ] as const)
      for (const id of [near.call, near.id, far.id])
        expect(await halfAt(node, id)).toMatchObject({ id: own.id, call: near.call });
    for (const half of [near, far]) expect(half).toMatchObject({ from: 'SEP-alice', to: 'SEP-bob' });
    expect(near.elsewhere).toMatchObject([
      { node: 2, process: far.id, party: { device: 'SEP-bob', number: people.bob.dn } },
    ]);
    expect(far.elsewhere).toMatchObject([
      { node: 1, process: near.id, party: { device: 'SEP-alice', number: people.alice.dn } },
    ]);
    await alice.hangUp();
    await cluster.nothingIsLeft();
    for (const [node, own] of [
      [1, near],
      [2, far],
    ] as const) {
      await eventually(
        'the line of the call',
        () =>
          cluster
            .node(node)
            .log()
            .split('\n')
            .filter((line) => line.includes('call: over'))
            .at(-1) ?? '',
        (line) => line.includes(`"call":"${near.call}"`) && line.includes(`"process":"${own.id}"`),
      );
      expect(await halfAt(node, near.call)).toMatchObject({ id: own.id, state: 'ended' });
    }
  });

  it("a media resource of the callee's node is seen at the caller's, as long as it serves", async () => {
    const [alice] = await talking();
    const resources = async (): Promise<readonly unknown[]> => (await halfAt(1)).elsewhere[0]?.resources ?? [];
    expect(await resources()).toEqual([]);
    await alice.hold();
    await eventually('the music for bob is known', resources, (now) => now.length === 1);
    expect(await resources()).toMatchObject([{ type: 'moh', why: 'held by SEP-alice' }]);
    await alice.resume();
    await eventually('it is over', resources, (now) => now.length === 0);
  });

  it('a phone that uses the words of nodes is refused, and nothing changes', async () => {
    const [alice, bob] = await talking();
    const before = await halfAt(1);
    const { call, id } = before;
    const word = `process=${call};version=99;number=9999;device=SEP-mallory;node=1;signature=${'A'.repeat(43)}`;
    for (const phone of [alice, bob]) expect(statusOf(await phone.inform('application/x-tandem-half', word))).toBe(403);
    expect(await halfAt(1, id)).toEqual(before);
  });
});
