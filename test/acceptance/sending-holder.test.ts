import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { domain, passwordOf, people } from '../support/cluster-config';
import { musicTones } from '../support/music';
import { freePort } from '../support/ports';
import { Sipp } from '../support/sipp';
import { endCalls } from '../support/talk';

jest.setTimeout(150_000);

/** The stream of a holder that goes on sending must not reach the party that listens to music (RFC 3264 §8.4). */
describe('a holder that goes on sending while it holds', () => {
  let cluster: Cluster;
  let alice: Phone;

  beforeAll(async () => {
    cluster = await Cluster.start();
    alice = await cluster.phone('alice');
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await endCalls(alice);
    await cluster.nothingIsLeft();
  });

  const variants = [
    { title: 'a=sendonly', direction: 'sendonly', connection: '127.0.0.1' },
    { title: 'a=inactive', direction: 'inactive', connection: '127.0.0.1' },
    { title: 'c=0.0.0.0, as RFC 2543 holds', direction: 'sendrecv', connection: '0.0.0.0' },
    { title: 'c=0.0.0.0 and a=sendonly', direction: 'sendonly', connection: '0.0.0.0' },
  ];

  it.each(variants)('sipp in San Jose holds by $title: alice hears the music alone', async (variant) => {
    const { direction, connection } = variant;
    const dave = { username: 'dave', domain, password: passwordOf('dave'), target: people.alice.dn };
    const port = await freePort();
    const server = cluster.node(2).sip;
    const registration = await Sipp.start(cluster.scope, {
      scenario: 'register',
      server,
      users: [dave],
      port,
      calls: 1,
    });
    expect(await registration.finished()).toMatchObject({ code: 0 });
    alice.now();
    const holder = await Sipp.start(cluster.scope, {
      scenario: 'hold',
      server,
      users: [dave],
      port,
      calls: 1,
      pause: 6000,
      tone: people.dave.tone,
      variables: { direction, connection },
    });
    await alice.incoming();
    await alice.accept();
    await alice.hearsTones(people.dave.tone);
    await alice.hearsTones(...musicTones);
    await alice.doesNotHear([people.dave.tone], 2);
    expect(await holder.finished()).toMatchObject({ code: 0, successful: 1 });
    await alice.closed();
  });

  it('linphone in San Jose holds with music of its own: alice hears ours; then each other again', async () => {
    const leo = await cluster.linphone('leo');
    await alice.dial(people.leo.dn);
    await leo.incoming();
    await leo.accept();
    await alice.established();
    await Promise.all([alice.hearsTones(people.leo.tone), leo.hearsTones(people.alice.tone)]);
    await leo.hold();
    await alice.hearsTones(...musicTones);
    await alice.doesNotHear([people.leo.tone], 2);
    await leo.resume();
    await Promise.all([alice.hearsTones(people.leo.tone), leo.hearsTones(people.alice.tone)]);
    await leo.hangup();
    await alice.closed();
  });
});

describe('linphone as the held party', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start();
  });
  afterAll(() => cluster.close());

  it('claim M5: hears the music while bob holds it, and bob again after', async () => {
    const leo = await cluster.linphone('leo', 1);
    const bob = await cluster.phone('bob');
    await leo.dial(people.bob.dn);
    await bob.incoming();
    await bob.accept();
    await bob.established();
    await Promise.all([bob.hearsTones(people.leo.tone), leo.hearsTones(people.bob.tone)]);
    await bob.hold();
    await leo.hearsTones(...musicTones);
    await bob.resume();
    await Promise.all([bob.hearsTones(people.leo.tone), leo.hearsTones(people.bob.tone)]);
    await leo.hangup();
    await bob.closed();
    await cluster.nothingIsLeft();
  });
});
