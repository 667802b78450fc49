import { Cluster } from '../support/cluster';
import { eventuallyTrue } from '../support/eventually';
import { musicTones } from '../support/music';
import { description, RawPhone } from '../support/raw-phone';
import { Stranger } from '../support/stranger';
import { statusOf } from '../support/sip-text';

jest.setTimeout(100_000);

/** Who sends RTP to every port of the media servers, from an address of his own, while two nodes join, hold and resume a call. */
describe('strangers on the network', () => {
  let cluster: Cluster;
  let alice: RawPhone;
  let bob: RawPhone;
  let stranger: Stranger;
  let version = 0;

  const audio = (phone: RawPhone, direction = 'sendrecv', address = '127.0.0.1'): string => {
    version += 1;
    const lines = description(version, `m=audio ${phone.rtp.port} RTP/AVP 8`, 'a=rtpmap:8 PCMA/8000', `a=${direction}`);
    return lines.replaceAll('127.0.0.1', address);
  };

  beforeAll(async () => {
    cluster = await Cluster.start({
      engineOptions: { mediaPorts: 80 },
      change: (file) => {
        for (const device of file.devices) if (device.username === 'alice') device.mtpRequired = true;
      },
    });
    alice = await RawPhone.start(cluster.scope, 'alice', cluster.node(1).place.sipPort);
    bob = await RawPhone.start(cluster.scope, 'bob', cluster.node(2).place.sipPort);
    await cluster.everybodyKnows('1000');
    await cluster.everybodyKnows('2000');
    bob.answer = (offer) => audio(bob, offer.includes('a=sendonly') ? 'recvonly' : 'sendrecv');
    alice.answer = (offer) => audio(alice, offer.includes('a=sendonly') ? 'recvonly' : 'sendrecv');
    stranger = await Stranger.open(cluster.scope);
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    stranger.stop();
    await alice.hangUp();
    await bob.hangUp();
    await eventuallyTrue('both have hung up', () => !alice.talking && !bob.talking);
    await cluster.nothingIsLeft();
  });

  const attack = (): void => stranger.attack([...cluster.engines.values()].flatMap((engine) => engine.mediaPorts));

  /** This tone and no other, with nothing of the stranger's. */
  async function hears(phone: RawPhone, ...tones: readonly number[]): Promise<void> {
    const from = stranger.heard;
    await phone.rtp.hearsTones(phone.name, tones);
    expect(phone.rtp.packets.filter(({ payload }) => Stranger.isFrom(payload))).toEqual([]);
    expect(stranger.heard).toBe(from);
  }

  it('neither hear nor are heard: talk through a media termination point, music of a silent party, resumed talk from another port', async () => {
    attack();
    expect(statusOf(await alice.call('bob', audio(alice)))).toBe(200);
    alice.say(440);
    bob.say(1000);
    await Promise.all([hears(alice, 1000), hears(bob, 440)]);
    // Bob says nothing while he is held.
    bob.rtp.stopSending();
    alice.rtp.stopSending();
    const before = bob.told.length;
    expect(statusOf(await alice.reinvite(audio(alice, 'sendonly')))).toBe(200);
    await bob.nextTold(before, 'is held');
    await hears(bob, ...musicTones);
    expect(statusOf(await alice.reinvite(audio(alice)))).toBe(200);
    await eventuallyTrue('bob is resumed', () => bob.heard.includes('a=sendrecv'));
    alice.say(440);
    bob.say(1000);
    await Promise.all([hears(alice, 1000), hears(bob, 440)]);
  });

  it('a phone behind a NAT talks through its media termination point, and hears music', async () => {
    const hidden = (direction?: string): string => audio(alice, direction, '10.200.1.2');
    expect(statusOf(await alice.call('bob', hidden()))).toBe(200);
    expect(bob.heard).not.toContain('x-media-source');
    alice.say(440);
    bob.say(1000);
    await Promise.all([hears(alice, 1000), hears(bob, 440)]);
    attack();
    await Promise.all([hears(alice, 1000), hears(bob, 440)]);
    stranger.stop();
    // It goes on sending, as phones behind a NAT do.
    alice.answer = (offer) => {
      setTimeout(() => alice.say(440), 50);
      return hidden(offer.includes('a=sendonly') ? 'recvonly' : 'sendrecv');
    };
    bob.rtp.stopSending();
    const before = alice.told.length;
    expect(statusOf(await bob.reinvite(audio(bob, 'sendonly')))).toBe(200);
    await alice.nextTold(before, 'is held');
    await hears(alice, ...musicTones);
    attack();
    await hears(alice, ...musicTones);
  });
});
