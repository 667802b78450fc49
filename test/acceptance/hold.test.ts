import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { people, type PhoneName } from '../support/cluster-config';
import { endCalls, hangUp, hearEachOther, hearsMusic, talk } from '../support/talk';

jest.setTimeout(150_000);

interface Place {
  readonly title: string;
  readonly caller: PhoneName;
  readonly callee: PhoneName;
  /** Nodes with a music server. */
  readonly engines: readonly number[];
}

const places: readonly Place[] = [
  { title: 'from Dallas to San Jose', caller: 'alice', callee: 'bob', engines: [1, 2] },
  { title: 'within one node', caller: 'alice', callee: 'carol', engines: [1] },
  { title: 'within one node, the music server on the other', caller: 'alice', callee: 'carol', engines: [2] },
  { title: 'from Dallas to San Jose, the only music server in San Jose', caller: 'alice', callee: 'bob', engines: [2] },
];

describe.each(places)('a call $title', ({ caller, callee, engines }) => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;

  beforeAll(async () => {
    cluster = await Cluster.start({ engines });
    alice = await cluster.phone(caller);
    bob = await cluster.phone(callee);
  });
  afterAll(() => cluster.close());

  beforeEach(() => talk(alice, bob, people[callee].dn));
  afterEach(async () => {
    await endCalls(alice, bob);
    await cluster.nothingIsLeft();
  });

  it('claims R1, R4, R10: each hears the other, and when the callee hangs up the caller is told', async () => {
    await hearEachOther(alice, bob);
    expect(await cluster.node(1).calls()).toHaveLength(1);
    await hangUp(bob, alice);
  });

  it('claims M1, M5, M11, M12: the held party hears the music, and not the holder; then each other again', async () => {
    await bob.hold();
    await hearsMusic(alice, bob);
    await bob.hearsNothing();
    await bob.resume();
    await hearEachOther(alice, bob);
    await hangUp(bob, alice);
  });

  it('the caller can hold as well', async () => {
    await alice.hold();
    await hearsMusic(bob, alice);
    await alice.hearsNothing();
    await alice.resume();
    await hearEachOther(alice, bob);
  });

  it('both hold: no music for who holds; the first to hold resumes first', async () => {
    await bob.hold();
    await hearsMusic(alice, bob);
    await alice.hold();
    await Promise.all([alice.hearsNothing(), bob.hearsNothing()]);
    await bob.resume();
    await hearsMusic(bob, alice);
    await alice.resume();
    await hearEachOther(alice, bob);
  });

  it('both hold: the last to hold resumes first', async () => {
    await bob.hold();
    // Her re-INVITE must not cross that with the music: baresip sends none any more in a dialog in which one of its own got 491.
    await hearsMusic(alice, bob);
    await alice.hold();
    await Promise.all([alice.hearsNothing(), bob.hearsNothing()]);
    await alice.resume();
    await hearsMusic(alice, bob);
    await bob.resume();
    await hearEachOther(alice, bob);
  });

  it('a call that is ended while it is held leaves nothing behind', async () => {
    await bob.hold();
    await hearsMusic(alice, bob);
    expect(await cluster.mediaSessions()).toHaveLength(1);
    await hangUp(alice, bob);
  });
});
