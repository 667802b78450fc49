import type { Phone } from '../support/baresip';
import { Cluster, type PhoneOptions } from '../support/cluster';
import { type ClusterFile, people, type PhoneName } from '../support/cluster-config';
import { endCalls, hangUp, hearEachOther, hearsMusic, talk } from '../support/talk';

jest.setTimeout(150_000);

interface Allocation {
  readonly type: string;
  readonly why: string;
  readonly device: string;
  readonly winner?: string;
  readonly ends?: readonly { readonly device: string; readonly codecs?: readonly string[] }[];
  readonly trials: readonly { readonly device: string; readonly outcome: string; readonly ms: number }[];
}

interface Detail {
  readonly media?: { readonly path: string; readonly type?: string; readonly resource?: string };
  readonly allocations: readonly Allocation[];
}

/** The only call of a node. */
async function detailAt(cluster: Cluster, node: number): Promise<Detail> {
  const [call] = (await cluster.node(node).calls()) as readonly { readonly id: string }[];
  if (call === undefined) throw new Error(`node ${node} has no call`);
  return (await cluster.node(node).api(`/api/calls/${call.id}`)) as Detail;
}

/** Tells the configuration what a phone speaks. */
function speaks(file: ClusterFile, name: PhoneName, codecs: readonly string[]): void {
  const device = file.devices.find(({ username }) => username === name);
  if (device !== undefined) device.codecs = codecs;
}

interface Pair {
  readonly title: string;
  readonly caller: PhoneName;
  readonly callee: PhoneName;
  readonly codecs: readonly [PhoneOptions['codecs'], PhoneOptions['codecs']];
  readonly change?: (file: ClusterFile) => void;
  /** The node that puts the transcoder in, and which. */
  readonly by: number;
  readonly resource: string;
}

const pairs: readonly Pair[] = [
  {
    title: 'a G.722-only phone and a PCMU-only phone of one node',
    caller: 'alice',
    callee: 'carol',
    codecs: ['G722/16000/1', 'pcmu'],
    change: (file) => speaks(file, 'alice', ['G722', 'telephone-event']),
    by: 1,
    resource: 'xcode-dallas',
  },
  {
    title: 'a G.722-only phone in Dallas and a PCMU-only phone in San Jose',
    caller: 'alice',
    callee: 'bob',
    codecs: ['G722/16000/1', 'pcmu'],
    change: (file) => speaks(file, 'alice', ['G722', 'telephone-event']),
    by: 2,
    resource: 'xcode-san-jose',
  },
  {
    title: 'an Opus-only phone and a PCMA-only phone; nothing is configured, a 488 tells',
    caller: 'alice',
    callee: 'bob',
    codecs: ['pcma', 'opus/48000/2'],
    change: (file) => {
      for (const site of Object.values(file.sites)) site.codecs = ['PCMA', 'PCMU', 'opus', 'telephone-event'];
    },
    by: 2,
    resource: 'xcode-san-jose',
  },
  {
    title: "the callee's node has no transcoder for it, the caller's has",
    caller: 'alice',
    callee: 'bob',
    codecs: ['G722/16000/1', 'pcmu'],
    change: (file) => {
      file.mediaResourceGroupLists.push({ name: 'music-only', groups: [] });
      for (const device of file.devices) if (device.username === 'bob') device.mediaResourceGroupList = 'music-only';
    },
    by: 1,
    resource: 'xcode-dallas',
  },
];

describe.each(pairs)('$title', ({ caller, callee, codecs, change, by, resource }) => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;

  beforeAll(async () => {
    cluster = await Cluster.start(change === undefined ? {} : { change });
    alice = await cluster.phone(caller, { codecs: codecs[0] });
    bob = await cluster.phone(callee, { codecs: codecs[1] });
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await endCalls(alice, bob);
    await cluster.nothingIsLeft();
  });

  it('claim M2: talk through a transcoder, and the call says why and which', async () => {
    await talk(alice, bob, people[callee].dn);
    const { media, allocations } = await detailAt(cluster, by);
    expect(media).toMatchObject({ path: 'through', type: 'transcoder', resource });
    expect(allocations.at(-1)).toMatchObject({ type: 'transcoder', winner: resource });
    expect(allocations.at(-1)?.ends?.map(({ device }) => device)).toHaveLength(2);
    // At the node of the caller it is seen too, whichever of the two has put it in.
    expect((await detailAt(cluster, 1)).media).toMatchObject({ path: 'through', type: 'transcoder', resource });
    expect(await cluster.mediaSessions()).toHaveLength(1);
    await hangUp(alice, bob);
  });

  it('the other way round as well', async () => {
    await talk(bob, alice, people[caller].dn);
    expect(await cluster.mediaSessions()).toHaveLength(1);
    await hangUp(bob, alice);
  });
});

describe('a transcoded call from Dallas to San Jose', () => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;

  beforeAll(async () => {
    cluster = await Cluster.start({ change: (file) => speaks(file, 'alice', ['G722', 'telephone-event']) });
    alice = await cluster.phone('alice', { codecs: 'G722/16000/1' });
    bob = await cluster.phone('bob', { codecs: 'pcmu' });
  });
  afterAll(() => cluster.close());
  beforeEach(() => talk(alice, bob, people.bob.dn));
  afterEach(async () => {
    await endCalls(alice, bob);
    await cluster.nothingIsLeft();
  });

  it.each(['alice', 'bob'] as const)(
    'claims M1, M2: %s holds, the other hears the music; then each other again',
    async (name) => {
      const [holder, held] = name === 'alice' ? [alice, bob] : [bob, alice];
      await holder.hold();
      await hearsMusic(held, holder);
      await holder.resume();
      await hearEachOther(alice, bob);
      await hangUp(alice, bob);
    },
  );
});

describe('without any transcoder', () => {
  let cluster: Cluster;
  let alice: Phone;

  beforeAll(async () => {
    cluster = await Cluster.start({ nodes: 1, engines: [], change: (file) => speaks(file, 'alice', ['G722']) });
    alice = await cluster.phone('alice', { codecs: 'G722/16000/1' });
    await cluster.phone('carol', { codecs: 'pcmu' });
  });
  afterAll(() => cluster.close());

  it('RFC 3326: the caller gets 488 with a Reason that names what was missing', async () => {
    alice.now();
    await alice.dial(people.carol.dn);
    await alice.closed();
    const refusal = alice.trace().find(({ text }) => text.startsWith('SIP/2.0 488'))?.text;
    expect(refusal).toMatch(
      /^Reason: SIP;cause=488;text="No transcoder available: no common codec: G722 and PCMU, PCMA"$/m,
    );
    const metrics = await (await cluster.node(1).fetch('/metrics')).text();
    expect(metrics).toMatch(/tandem_media_allocations_total\{[^}]*outcome="refused"[^}]*\} [1-9]/);
  });
});
