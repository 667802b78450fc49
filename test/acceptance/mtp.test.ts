import { networkInterfaces } from 'node:os';
import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { domain, people } from '../support/cluster-config';
import type { SipParty } from '../support/sip-party';
import { musicTones } from '../support/music';
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

  beforeAll(async () => {
    cluster = await Cluster.start({
      change: (file) => {
        for (const device of file.devices) if (device.username === 'bob') device.delayedOffer = false;
      },
    });
    bob = await cluster.phone('bob');
    carol = await cluster.party('carol', { delayed: true });
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

describe('an SRTP phone that takes new keys', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start();
  });
  afterAll(() => cluster.close());

  it('claims M1, M4: hears the music when an RTP phone holds it, and that phone again afterwards', async () => {
    const leo = await cluster.linphone('leo', 2, { srtp: true });
    const alice = await cluster.party('alice');
    await leo.dial(`sip:${people.alice.dn}@${domain}`);
    await leo.established();
    const both = (): Promise<unknown> => Promise.all([leo.hearsTones(alice.tone), alice.hears(people.leo.tone)]);
    await both();
    await alice.hold();
    await leo.hearsTones(...musicTones);
    await alice.resume();
    await both();
    await alice.hangUp();
    await cluster.nothingIsLeft();
  });
});

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);
if (!hasIpv6)
  process.stdout.write('skipped: IPv4 and IPv6 through a media termination point (this machine has no ::1)\n');

(hasIpv6 ? describe : describe.skip)('an IPv4 phone in Dallas and an IPv6 phone in San Jose', () => {
  let cluster: Cluster;
  let alice: SipParty;
  let bob: SipParty;

  beforeAll(async () => {
    cluster = await Cluster.start({
      // Without it a drachtio-server dies of the ACK to a phone on IPv6.
      drachtioArgs: ['--disable-nat-detection'],
      change: (file) => {
        const node = file.nodes[1];
        node?.listen.push(...node.listen.map((listener) => listener.replace('127.0.0.1', '[::1]')));
      },
    });
    alice = await cluster.party('alice');
    bob = await cluster.party('bob', { address: '::1' });
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await alice.hangUp();
    await bob.hangUp();
    await cluster.nothingIsLeft();
  });

  it.each(['the IPv4 phone', 'the IPv6 phone'] as const)(
    'claim M4: %s calls: they hear each other through a media termination point, also after a hold',
    async (who) => {
      const [caller, callee, number] = who === 'the IPv4 phone' ? [alice, bob, '2000'] : [bob, alice, '1000'];
      const both = (): Promise<unknown> => Promise.all([alice.hears(bob.tone), bob.hears(alice.tone)]);
      expect(statusOf(await caller.call(number))).toBe(200);
      await both();
      expect(await cluster.mediaSessions()).toHaveLength(1);
      const paths = await Promise.all([1, 2].map((node) => mediaAt(cluster, node)));
      expect(paths).toContainEqual(
        expect.objectContaining({ type: 'mtp', why: expect.stringMatching(/^IPv[46] and IPv[46]$/) as string }),
      );
      await caller.hold();
      await callee.hears(...musicTones);
      await caller.resume();
      await both();
    },
  );
});
