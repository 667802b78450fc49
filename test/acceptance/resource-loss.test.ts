import { Cluster } from '../support/cluster';
import { type ClusterFile, domain, passwordOf, siteOf } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import { figure } from '../support/figures';
import { musicTones } from '../support/music';
import { SipParty } from '../support/sip-party';
import { statusOf } from '../support/sip-text';

jest.setTimeout(240_000);

const PCMU = 0 as const;
const PCMA = 8 as const;

/** Pairs of phones: those of the first half speak PCMU only, their partners PCMA only; the others both. */
interface Pair {
  readonly caller: SipParty;
  readonly callee: SipParty;
}

function user(pair: number, end: 'a' | 'b'): { username: string; number: string; tone: number } {
  const number = `${end === 'a' ? 5 : 6}${String(pair).padStart(3, '0')}`;
  return { username: `u${number}`, number, tone: (end === 'a' ? 400 : 900) + 10 * pair };
}

/** Devices for `count` pairs; callers in the site of node `at`. */
function addUsers(file: ClusterFile, count: number, transcoded: number, site: string): void {
  for (let pair = 0; pair < count; pair += 1) {
    for (const end of ['a', 'b'] as const) {
      const { username, number } = user(pair, end);
      const codecs = pair < transcoded ? [end === 'a' ? 'PCMU' : 'PCMA'] : ['PCMU', 'PCMA'];
      file.devices.push({
        name: `SEP-${username}`,
        username,
        password: passwordOf(username),
        lines: [number],
        site,
        codecs,
      });
    }
  }
}

async function connect(cluster: Cluster, pair: number, transcoded: boolean, node: number): Promise<Pair> {
  const port = cluster.node(node).place.sipPort;
  const start = (end: 'a' | 'b'): Promise<SipParty> => {
    const own = user(pair, end);
    const payloadTypes = transcoded ? [end === 'a' ? PCMU : PCMA] : [PCMA, PCMU];
    return SipParty.start(cluster.scope, { ...own, password: passwordOf(own.username), domain, port, payloadTypes });
  };
  const [caller, callee] = [await start('a'), await start('b')];
  const response = await caller.call(callee.options.number);
  if (statusOf(response) !== 200) throw new Error(`call ${pair}: ${response}`);
  return { caller, callee };
}

function hearEachOther({ caller, callee }: Pair): Promise<unknown> {
  return Promise.all([caller.hears(callee.tone), callee.hears(caller.tone)]);
}

/** Every pair talks, the transcoded ones through their transcoder; the others are held by their callers. */
async function busy(cluster: Cluster, count: number, transcoded: number, node: number): Promise<readonly Pair[]> {
  const pairs: Pair[] = [];
  for (let pair = 0; pair < count; pair += 1) pairs.push(await connect(cluster, pair, pair < transcoded, node));
  await Promise.all(pairs.map(hearEachOther));
  for (const { caller } of pairs.slice(transcoded)) await caller.hold();
  await Promise.all(pairs.slice(transcoded).map(({ callee }) => callee.hears(...musicTones)));
  return pairs;
}

/** Everybody hears again what is meant for them; resolves with the seconds that it took. */
async function soundAgain(pairs: readonly Pair[], transcoded: number, since: number): Promise<number[]> {
  return Promise.all(
    pairs.map(async (pair, at) => {
      // What is on its way still counts as sound of before.
      if (at < transcoded) await hearEachOther(pair);
      else await pair.callee.hears(...musicTones);
      return (Date.now() - since) / 1000;
    }),
  );
}

async function hangUpAll(pairs: readonly Pair[]): Promise<void> {
  for (const { caller } of pairs) await caller.hangUp();
}

/** Node 1 can ask every resource. */
async function resourcesKnown(cluster: Cluster): Promise<void> {
  const names = cluster.file.mediaResources.map(({ name }) => name);
  await eventually(
    'node 1 knows all media resources',
    async () => (await cluster.node(1).api('/api/media-resources')) as { name: string; state: string }[],
    (rows) => names.every((name) => rows.some((row) => row.name === name && row.state === 'up')),
  );
}

const CALLS = 20;
const TRANSCODED = 10;

describe.each([
  { title: 'rtpengine of the own node is killed', node: 1, engineDies: true },
  { title: 'the node that controls the resources is killed with its rtpengine', node: 2, engineDies: true },
  { title: 'the node that controls the resources is killed, and its rtpengine lives', node: 2, engineDies: false },
])('ten held and ten transcoded calls, and $title', ({ node, engineDies }) => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start({
      nodes: 2,
      change: (file) => {
        addUsers(file, CALLS, TRANSCODED, siteOf(1));
        const list = file.mediaResourceGroupLists.find(({ name }) => name === siteOf(1));
        // The calls are those of node 1; the resources that die are of `node`, and the others come next.
        if (node === 2) list?.groups.reverse();
      },
    });
    await resourcesKnown(cluster);
  });
  afterAll(() => cluster.close());

  it('design: all have their sound again, from the resources of the next group', async () => {
    const pairs = await busy(cluster, CALLS, TRANSCODED, 1);
    const engine = cluster.engines.get(node);
    expect(await engine?.sessionsOfCalls()).toHaveLength(CALLS);
    const since = Date.now();
    if (node === 2) await cluster.node(2).kill9();
    if (engineDies) await engine?.kill();
    const other = cluster.engines.get(node === 1 ? 2 : 1);
    await eventually(
      'the other media server has all sessions',
      () => other?.sessionsOfCalls() ?? Promise.resolve([]),
      (sessions) => sessions.length === CALLS,
      { cap: 60_000, every: 50 },
    );
    const seconds = await soundAgain(pairs, TRANSCODED, since);
    figure('first call with its sound again', Math.min(...seconds), 's after the kill');
    figure('last call with its sound again', Math.max(...seconds), 's after the kill');
    if (!engineDies)
      await eventually(
        'the media server whose node is dead plays to nobody',
        () => engine?.sessions() ?? Promise.resolve([]),
        (sessions) => sessions.length === 0,
      );
    await hangUpAll(pairs);
    await cluster.nothingIsLeft();
  });
});

describe('resources that are full', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start({
      change: (file) => {
        addUsers(file, 6, 3, siteOf(1));
        file.mediaResources = file.mediaResources.map((resource) => ({ ...resource, capacity: 1 }));
      },
    });
    await resourcesKnown(cluster);
  });
  afterAll(() => cluster.close());
  afterEach(() => cluster.nothingIsLeft());

  it('claims M7, M12: the next call gets the next transcoder; with none left 488 with a Reason', async () => {
    const pairs = [await connect(cluster, 0, true, 1), await connect(cluster, 1, true, 1)];
    await Promise.all(pairs.map(hearEachOther));
    const winners = await Promise.all(
      ((await cluster.node(1).calls()) as { id: string }[]).map(async ({ id }) => {
        const detail = (await cluster.node(1).api(`/api/calls/${id}`)) as { allocations: { winner?: string }[] };
        return detail.allocations.at(-1)?.winner;
      }),
    );
    expect(winners.sort()).toEqual(['xcode-dallas', 'xcode-san-jose']);
    await expect(connect(cluster, 2, true, 1)).rejects.toThrow(
      /SIP\/2\.0 488[\s\S]*Reason: SIP;cause=488;text="No transcoder available: no common codec: PCMU and PCMA"/,
    );
    const metrics = await (await cluster.node(1).fetch('/metrics')).text();
    expect(metrics).toMatch(
      /tandem_media_allocations_total\{[^}]*transcoder[^}]*refused[^}]*\}|tandem_media_allocations_total\{[^}]*refused[^}]*transcoder[^}]*\}/,
    );
    await hangUpAll(pairs);
  });

  it('claims M7, M12: the next held party gets the next music server; with none left the hold is silent', async () => {
    const pairs: Pair[] = [];
    for (const pair of [3, 4, 5]) pairs.push(await connect(cluster, pair, false, 1));
    await Promise.all(pairs.map(hearEachOther));
    for (const [at, { caller, callee }] of pairs.entries()) {
      await caller.hold();
      if (at < 2) await callee.hears(...musicTones);
      else await callee.hearsNothing();
    }
    for (const pair of pairs) await pair.caller.resume();
    await Promise.all(pairs.map(hearEachOther));
    await hangUpAll(pairs);
  });
});

describe('a media server that is there and does not answer', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start({ change: (file) => addUsers(file, 2, 1, siteOf(1)) });
    await resourcesKnown(cluster);
  });
  afterAll(() => cluster.close());

  it('claims M7, M13: music and transcoder come from the other node', async () => {
    cluster.engines.get(1)?.freeze();
    const transcoded = await connect(cluster, 0, true, 1);
    await hearEachOther(transcoded);
    const held = await connect(cluster, 1, false, 1);
    await held.caller.hold();
    await held.callee.hears(...musicTones);
    expect(await cluster.engines.get(2)?.sessions()).toHaveLength(2);
    await hangUpAll([transcoded, held]);
    cluster.engines.get(1)?.thaw();
    await cluster.nothingIsLeft();
  });
});

describe('the only node with media resources stands still', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start({ engines: [2], change: (file) => addUsers(file, 2, 0, siteOf(1)) });
    await eventually(
      'node 1 knows its music server',
      async () => (await cluster.node(1).api('/api/media-resources')) as { name: string; state: string }[],
      (rows) => rows.some(({ name, state }) => name === 'moh-san-jose' && state === 'up'),
    );
  });
  afterAll(() => cluster.close());

  it('until the others have written it off: whoever is held hears music again when it is back, without a resume', async () => {
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const pair = await connect(cluster, 0, false, 1);
    await hearEachOther(pair);
    await pair.caller.hold();
    await pair.callee.hears(...musicTones);
    two.freezeAll();
    const lost = async (): Promise<boolean> => {
      const [call] = (await one.calls()) as { readonly id: string }[];
      const { allocations } = (await one.api(`/api/calls/${call?.id ?? ''}`)) as { allocations: { winner?: string }[] };
      return allocations.length > 1 && allocations.at(-1)?.winner === undefined;
    };
    await eventually('its music is lost, and there is no other', lost, (is) => is, { cap: 60_000 });
    await pair.callee.hearsNothing();
    two.thawAll();
    await pair.callee.hears(...musicTones);
    await pair.caller.resume();
    await hearEachOther(pair);
    await hangUpAll([pair]);
    await cluster.nothingIsLeft();
  });
});
