import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../../support/cluster';
import { domain, passwordOf, people, type PhoneName } from '../../support/cluster-config';
import { describeUnless } from '../../support/drachtio-limits';
import { eventually } from '../../support/eventually';
import { SipEndpoint } from '../../support/sip-endpoint';
import { statusOf } from '../../support/sip-text';

jest.setTimeout(120_000);

/** The fsync of the journal, and the word of one node to another. */
const SETTLED_MS = 1_500;
const names: readonly PhoneName[] = ['alice', 'bob', 'carol', 'dave', 'leo'];
/** Tables are what they should be six poll periods after the last fault. */
const CONVERGED_MS = 6_000;

describeUnless('ending')('all nodes are killed, and started again', () => {
  let cluster: Cluster;
  const phones = new Map<PhoneName, SipEndpoint>();

  beforeAll(async () => {
    cluster = await Cluster.start({ engines: [] });
    for (const name of names)
      phones.set(name, await SipEndpoint.start(cluster.scope, { username: name, password: passwordOf(name) }));
  });
  afterAll(() => cluster.close());

  const register = async (name: PhoneName, node: number, expires = 3600, all?: '*'): Promise<void> => {
    const phone = phones.get(name);
    const contact = all ?? `<sip:${name}@127.0.0.1:${phone?.port}>;+sip.instance="<urn:killed:${name}>"`;
    const answer = await phone?.register(cluster.node(node).sipPlace, { expires, contact });
    expect(statusOf(answer ?? '')).toBe(200);
  };
  const journal = (node: number): string => join(cluster.node(node).place.stateDir, 'registrations.journal');

  it('phones that took their leave stay away, wherever they did, also when a disk is set back; another one is there', async () => {
    const [one, two] = [cluster.node(1), cluster.node(2)];
    for (const name of names) await register(name, 1);
    for (const node of [one, two]) await node.knows(names.map((name) => people[name].dn));
    await pause(SETTLED_MS);
    const before = `${journal(1)}.before`;
    copyFileSync(journal(1), before);

    // At its node, whose disk does not know it afterwards.
    await register('carol', 1, 0);
    // At the node that it has moved to.
    await register('leo', 2);
    await register('leo', 2, 0);
    await pause(SETTLED_MS);
    await one.kill9();
    // At the other node, as its own is down.
    await register('dave', 2, 0);
    await eventually(
      'node 2 has given node 1 up',
      () => two.registrations(),
      (rows) => rows.length === 0,
      { cap: 15_000 },
    );
    // The same, of everything, at a node that knows nothing of it.
    await register('bob', 2, 0, '*');
    await pause(SETTLED_MS);
    await two.kill9();
    copyFileSync(before, journal(1));
    await Promise.all([one.start(), two.start()]);
    await pause(CONVERGED_MS);
    for (const node of [one, two]) expect((await node.registrations()).map(({ dn }) => dn)).toEqual([people.alice.dn]);
  });

  it('a node is killed when it has heard that its phone is elsewhere, where it is not: it has the phone again', async () => {
    const [one, two] = [cluster.node(1), cluster.node(2)];
    await register('alice', 1);
    await pause(SETTLED_MS);
    const connection = await cluster.connection(2);
    const address = `<sip:alice@${domain}>`;
    const request = { method: 'REGISTER', uri: `sip:${domain}`, from: address, to: address };
    const contact = `${connection.contact('alice')};+sip.instance="<urn:killed:alice>"`;
    const asked = connection.askWithDigest({ ...request, contact }, 'alice', passwordOf('alice'));
    expect(statusOf(await asked)).toBe(200);
    const owners = async (): Promise<string> =>
      (await one.registrations(people.alice.dn)).map(({ node }) => node).join();
    await eventually('node 1 has given her up', owners, (nodes) => nodes === '2');

    await one.kill9();
    await one.start();
    await two.knows([people.alice.dn]);
    await eventually('she is at node 2', owners, (nodes) => nodes === '2');
    connection.close();
    await eventually('she is at node 1 again', owners, (nodes) => nodes === '1');
    expect((await phones.get('bob')?.call(two.sipPlace, people.alice.dn))?.status).toBe(200);
  });
});
