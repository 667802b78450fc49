import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { domain, passwordOf, people, type PhoneName } from '../support/cluster-config';
import { SipParty } from '../support/sip-party';
import { endCalls, hangUp, hearEachOther, hearsMusic, talk } from '../support/talk';
import { statusOf } from '../support/sip-text';

jest.setTimeout(150_000);

/** The one call of the node whose resource it is. */
async function mediaAt(cluster: Cluster, node: number): Promise<unknown> {
  const [call] = (await cluster.node(node).calls()) as readonly { readonly id: string }[];
  const detail = (await cluster.node(node).api(`/api/calls/${call?.id ?? ''}`)) as { readonly media?: unknown };
  return detail.media;
}

describe('an SRTP phone in Dallas and an RTP phone in San Jose', () => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;

  beforeAll(async () => {
    cluster = await Cluster.start();
    alice = await cluster.phone('alice', { account: 'mediaenc=srtp-mand', config: ['module srtp.so'] });
    bob = await cluster.phone('bob');
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await endCalls(alice, bob);
    await cluster.nothingIsLeft();
  });

  it('claim M4: the RTP phone calls; a 488 tells that the other one encrypts', async () => {
    await talk(bob, alice, people.alice.dn);
    expect(await mediaAt(cluster, 1)).toMatchObject({ path: 'through' });
    await hangUp(bob, alice);
  });

  it('claim M4: the SRTP phone calls: they talk through a media termination point; so do they after a hold', async () => {
    await talk(alice, bob, people.bob.dn);
    expect(await mediaAt(cluster, 2)).toMatchObject({ path: 'through', type: 'mtp', resource: 'mtp-san-jose' });
    // Not the other way round: baresip 1.0.0 keeps the keys and the suite of the first answer for the whole call.
    await alice.hold();
    await hearsMusic(bob, alice);
    await alice.resume();
    await hearEachOther(alice, bob);
    await hangUp(alice, bob);
  });

  it('claim M4: the RTP phone calls, and it is known that the other one encrypts', async () => {
    await talk(bob, alice, people.alice.dn);
    expect(await mediaAt(cluster, 1)).toMatchObject({ path: 'through' });
    await hangUp(bob, alice);
  });
});

describe('a phone that makes delayed offers', () => {
  let cluster: Cluster;
  let bob: Phone;
  let carol: SipParty;

  const party = (name: PhoneName, more: Partial<SipParty['options']> = {}): Promise<SipParty> => {
    const { dn, node, tone } = people[name];
    const port = cluster.node(node).place.sipPort;
    const options = { username: name, password: passwordOf(name), domain, port, number: dn, tone, ...more };
    return SipParty.start(cluster.scope, options);
  };

  beforeAll(async () => {
    cluster = await Cluster.start({
      change: (file) => {
        for (const device of file.devices) if (device.username === 'bob') device.delayedOffer = false;
      },
    });
    bob = await cluster.phone('bob');
    carol = await party('carol', { delayed: true });
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await endCalls(bob);
    await cluster.nothingIsLeft();
  });

  it('claim M4: talks to one that cannot take them: a media termination point makes the offer', async () => {
    bob.now();
    const called = carol.call(people.bob.dn);
    await bob.incoming();
    await bob.accept();
    expect(statusOf(await called)).toBe(200);
    await Promise.all([bob.hearsTones(carol.tone), carol.hears(people.bob.tone)]);
    expect(await mediaAt(cluster, 2)).toMatchObject({ path: 'through', type: 'mtp', resource: 'mtp-san-jose' });
    // The INVITE that the phone got had an offer.
    expect(bob.trace().find(({ text }) => text.startsWith('INVITE'))?.text).toContain('m=audio');
    bob.now();
    await carol.hangUp();
    await bob.closed();
  });

  it('talks to one that can without anything between them', async () => {
    const dave = await cluster.phone('dave');
    const called = carol.call(people.dave.dn);
    await dave.incoming();
    await dave.accept();
    expect(statusOf(await called)).toBe(200);
    await Promise.all([dave.hearsTones(carol.tone), carol.hears(people.dave.tone)]);
    expect(await cluster.mediaSessions()).toEqual([]);
    await carol.hangUp();
    await dave.closed();
  });
});

describe('a device that requires a media termination point', () => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;

  beforeAll(async () => {
    cluster = await Cluster.start({
      change: (file) => {
        for (const device of file.devices) if (device.username === 'alice') device.mtpRequired = true;
      },
    });
    alice = await cluster.phone('alice');
    bob = await cluster.phone('bob');
  });
  afterAll(() => cluster.close());

  it('claim M4: gets one of its own list, at its own node', async () => {
    await talk(alice, bob, people.bob.dn);
    expect(await mediaAt(cluster, 1)).toMatchObject({ path: 'through', type: 'mtp', resource: 'mtp-dallas' });
    expect(await mediaAt(cluster, 2)).toEqual({ path: 'direct' });
    await hangUp(alice, bob);
    await cluster.nothingIsLeft();
  });
});
