import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../support/cluster';
import { passwordOf, people, type PhoneName } from '../../support/cluster-config';
import { describeUnless } from '../../support/drachtio-limits';
import { eventually } from '../../support/eventually';
import type { NodeProcess } from '../../support/node-process';
import { SipEndpoint } from '../../support/sip-endpoint';
import { canMount, SmallDisk } from '../../support/small-disk';

jest.setTimeout(120_000);

interface Trouble {
  readonly what: string;
  begin(disk: SmallDisk, node: NodeProcess): void | Promise<void>;
  end(disk: SmallDisk): void;
  /** It passes by itself. */
  readonly brief?: boolean;
  /** What stands there can be struck out: a restart does not bring it back. */
  readonly canStrike?: boolean;
}

const troubles: readonly Trouble[] = [
  { what: 'is full', begin: (disk) => disk.fill(), end: (disk) => disk.makeRoom(), canStrike: true },
  {
    what: 'is read-only at a start',
    begin: async (disk, node) => {
      await node.kill9();
      disk.readOnly(true);
      await node.start();
    },
    end: (disk) => disk.readOnly(false),
  },
  {
    what: 'has lost its folder',
    begin: (disk) => rmSync(join(disk.directory, 'state'), { recursive: true }),
    end: () => undefined,
    brief: true,
  },
];

if (!canMount) process.stdout.write('skipped: disks that fail (only root may mount one)\n');
const suite = canMount ? describeUnless('ending') : describe.skip;

suite('persistence that stops', () => {
  let cluster: Cluster;
  let node: NodeProcess;
  let disk: SmallDisk;
  const phones = new Map<PhoneName, SipEndpoint>();

  beforeAll(async () => {
    cluster = await Cluster.start({
      engines: [1],
      start: false,
      change: (file) => {
        const [one] = file.nodes;
        if (one !== undefined) Object.assign(one, { stateDir: join(one.stateDir, 'state') });
      },
    });
    node = cluster.node(1);
    disk = SmallDisk.mount(cluster.scope, node.place.stateDir);
    await Promise.all(cluster.nodes.map((each) => each.start()));
    for (const name of ['alice', 'bob', 'carol', 'dave'] as const)
      phones.set(name, await SipEndpoint.start(cluster.scope, { username: name, password: passwordOf(name) }));
  });
  afterAll(() => cluster.close());

  /** All at node 1. */
  const register = async (name: PhoneName, expires = 3600): Promise<void> => {
    await phones.get(name)?.register(node.sipPlace, { expires });
  };
  const dn = (...names: PhoneName[]): string[] => names.map((name) => people[name].dn);
  const problems = async (): Promise<string> => JSON.stringify(await (await node.fetch('/readyz')).json());

  it.each(troubles)(
    'a disk that $what: said until it is whole again; who left stays away, who came stays',
    async (trouble) => {
      await register('alice');
      await register('carol');
      await register('bob', 0);
      await node.knows(dn('alice', 'carol'));
      // On disk within a second.
      await new Promise((later) => setTimeout(later, 1500));
      const before = node.log().length;

      await trouble.begin(disk, node);
      await register('carol', 0);
      await register('bob');
      await node.knows(dn('alice', 'bob'));
      if (trouble.brief !== true) {
        // The last block of the file has room for a few.
        const saysSo = async (): Promise<string> => {
          await register('bob');
          return problems();
        };
        await eventually('readyz says so', saysSo, (text) => text.includes('journal cannot be written'), {
          cap: 20_000,
        });
        expect((await node.fetch('/readyz')).status).toBe(200);
      }
      if (trouble.canStrike === true) {
        // A restart now may know less, and never what was.
        await node.kill9();
        await node.start();
        expect((await node.registrations()).map((row) => row.dn)).not.toContain(people.carol.dn);
        for (const name of ['alice', 'bob'] as const) await register(name);
        await node.knows(dn('alice', 'bob'));
      }

      trouble.end(disk);
      await eventually(
        'it is written again',
        () => node.log().slice(before),
        (log) => /registration journal.*(is|can be) written again|written anew/i.test(log),
        { cap: 20_000 },
      );
      await eventually('no problem is left', problems, (text) => !text.includes('journal cannot be written'), {
        cap: 20_000,
      });
      await node.kill9();
      await node.start();
      const kept = (await node.registrations()).filter(({ local }) => local).map((row) => row.dn);
      expect(kept.sort()).toEqual(dn('alice', 'bob').sort());
      await register('alice', 0);
      await register('bob', 0);
    },
  );
});
