import { Cluster } from '../support/cluster';
import { people } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import type { SipParty } from '../support/sip-party';
import { statusOf } from '../support/sip-text';
import { endCalls, hangUp, talk } from '../support/talk';

jest.setTimeout(150_000);

const PCMU = 0;
const PCMA = 8;

interface Detail {
  readonly media?: unknown;
  readonly codecPolicy?: unknown;
  readonly allocations: readonly { readonly why: string; readonly winner?: string }[];
}

/** The only call of a node. */
async function detailAt(cluster: Cluster, node: number): Promise<Detail> {
  const [call] = (await cluster.node(node).calls()) as readonly { readonly id: string }[];
  return (await cluster.node(node).api(`/api/calls/${call?.id ?? ''}`)) as Detail;
}

describe('codec policies between three sites on two nodes', () => {
  let cluster: Cluster;
  const parties: SipParty[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start({
      change: (file) => {
        file.sites['austin'] = { mediaResourceGroupList: 'san-jose', codecs: ['PCMU', 'G722', 'telephone-event'] };
        for (const device of file.devices) if (device.username === 'dave') device.site = 'austin';
        file.codecPolicies = [
          { between: ['dallas', 'san-jose'], codecs: ['PCMA'] },
          { between: ['dallas', 'austin'], codecs: ['G722'] },
        ];
      },
    });
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    for (const party of parties) await party.hangUp();
    await cluster.nothingIsLeft();
  });

  it('phones that prefer PCMU speak PCMA where only that is allowed, whoever offers, in the first INVITE and later', async () => {
    const alice = await cluster.party('alice', { payloadTypes: [PCMU, PCMA] });
    const bob = await cluster.party('bob', { payloadTypes: [PCMU, PCMA] });
    parties.push(alice, bob);
    const speakPcma = async (): Promise<void> => {
      await Promise.all([alice.hears(bob.tone), bob.hears(alice.tone)]);
      expect([alice, bob].map((party) => party.rtp.packets.at(-1)?.payloadType)).toEqual([PCMA, PCMA]);
    };
    expect(statusOf(await alice.call(people.bob.dn))).toBe(200);
    await speakPcma();
    const allowed = { sites: ['dallas', 'san-jose'], codecs: ['PCMA'] };
    expect(await detailAt(cluster, 1)).toMatchObject({ media: { path: 'direct' }, codecPolicy: allowed });
    expect(await cluster.mediaSessions()).toEqual([]);
    for (const holder of [alice, bob]) {
      await holder.hold();
      await holder.resume();
      await speakPcma();
    }
    await alice.hangUp();
    await eventually(
      'bob has no call',
      () => Promise.resolve(bob.talking),
      (talking) => !talking,
    );
    await cluster.nothingIsLeft();
    expect(statusOf(await bob.call(people.alice.dn))).toBe(200);
    await speakPcma();
    await bob.hangUp();
  });

  it('a phone without an allowed codec talks through a transcoder of its own site; only what is allowed goes to the other', async () => {
    const carol = await cluster.phone('carol', { codecs: 'pcmu' });
    const dave = await cluster.phone('dave', { codecs: 'pcmu,G722/16000/1' });
    try {
      await talk(carol, dave, people.dave.dn);
      const { media, allocations } = await detailAt(cluster, 1);
      expect(media).toMatchObject({ path: 'through', type: 'transcoder', resource: 'xcode-dallas' });
      expect(allocations.at(-1)).toMatchObject({
        why: expect.stringMatching(/^policy dallas\/austin allows G722; SEP-carol speaks PCMU/) as string,
        winner: 'xcode-dallas',
      });
      expect((await detailAt(cluster, 2)).media).toEqual({ path: 'direct' });
      expect(dave.trace().find(({ text }) => text.startsWith('INVITE'))?.text).toMatch(
        /^m=audio \d+ RTP\/AVP 9( 101)?\r?$/m,
      );
      expect(await cluster.mediaSessions()).toHaveLength(1);
      await hangUp(carol, dave);
      await talk(dave, carol, people.carol.dn);
      expect(await cluster.mediaSessions()).toHaveLength(1);
      await hangUp(dave, carol);
    } finally {
      await endCalls(carol, dave);
    }
  });
});

describe('a call whose codecs change on the way', () => {
  let cluster: Cluster;
  let alice: SipParty;
  let bob: SipParty;

  beforeAll(async () => {
    cluster = await Cluster.start();
    alice = await cluster.party('alice', { payloadTypes: [PCMA, PCMU] });
    bob = await cluster.party('bob', { payloadTypes: [PCMA] });
  });
  afterAll(() => cluster.close());

  const inUse = async (): Promise<readonly string[]> => {
    const perNode = await Promise.all(cluster.nodes.map((node) => node.api('/api/media-resources')));
    const resources = perNode.flat() as readonly { readonly name: string; readonly inUse: number }[];
    return resources.filter((resource) => resource.inUse > 0).map(({ name }) => name);
  };

  it.each(['the caller', 'the callee'] as const)(
    'claim M2: %s leaves no common codec, and comes back: a transcoder is put in, and taken out again',
    async (who) => {
      const [changing, other] = who === 'the caller' ? [alice, bob] : [bob, alice];
      const both = async (): Promise<void> => {
        await Promise.all([alice.hears(bob.tone), bob.hears(alice.tone)]);
      };
      other.speaks([PCMA]);
      changing.speaks([PCMA, PCMU]);
      expect(statusOf(await alice.call(people.bob.dn))).toBe(200);
      await both();
      expect(await cluster.mediaSessions()).toEqual([]);
      expect(statusOf(await changing.recode([PCMU]))).toBe(200);
      await both();
      expect([changing, other].map((party) => party.rtp.packets.at(-1)?.payloadType)).toEqual([PCMU, PCMA]);
      expect(await cluster.mediaSessions()).toHaveLength(1);
      expect(await inUse()).toHaveLength(1);
      expect(statusOf(await changing.recode([PCMA]))).toBe(200);
      await both();
      expect(changing.rtp.packets.at(-1)?.payloadType).toBe(PCMA);
      await eventually('no media resource is in use', inUse, (names) => names.length === 0);
      await alice.hangUp();
      await cluster.nothingIsLeft();
    },
  );
});
