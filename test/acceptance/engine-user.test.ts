import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { people } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import { Scope } from '../support/scope';
import { hearsMusic, talk } from '../support/talk';

jest.setTimeout(100_000);

/** Files of the node are closed to others unless it opens them, as under the shipped unit. */
const closed = ['sh', '-c', 'umask 077; exec "$@"', 'sh'];

// Who is not root cannot start an engine as somebody else.
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;
asRoot('a media server that runs as another user than its node', () => {
  let scope: Scope;
  let cluster: Cluster;
  beforeEach(() => {
    scope = new Scope();
  });
  afterEach(async () => {
    await cluster.close();
    await scope.close();
  });

  async function start(musicDir: string | undefined): Promise<{ readonly alice: Phone; readonly carol: Phone }> {
    cluster = await Cluster.start({
      nodes: 1,
      redis: false,
      engines: [1],
      engineOptions: { user: 'nobody' },
      launch: () => ({ wrapper: closed }),
      change: (file) => {
        const [node] = file.nodes;
        if (node !== undefined && musicDir !== undefined) node.musicDir = musicDir;
      },
    });
    const [alice, carol] = [await cluster.phone('alice'), await cluster.phone('carol')];
    await talk(alice, carol, people.carol.dn);
    return { alice, carol };
  }

  it('plays the music of a folder that others may enter', async () => {
    const folder = scope.directory('music');
    chmodSync(folder, 0o755);
    const { alice, carol } = await start(join(folder, 'music'));
    await alice.hold();
    await hearsMusic(carol, alice);
  });

  it('cannot read a closed folder: the hold is silent, and the node says why', async () => {
    const { alice } = await start(undefined);
    await alice.hold();
    await eventually(
      'the log has what the engine says, and what to look for',
      () => cluster.node(1).log(),
      (log) => /"reason":"rtpengine: [^"]+","msg":"[^"]*can its user read \/[^"]+\.wav\?"/.test(log),
    );
  });
});
