import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../support/cluster';
import { eventuallyTrue, within } from '../support/eventually';
import { FleetSocket } from '../support/fleet/fleet-socket';
import { addParty, MediaParty } from '../support/media-party';
import type { Codec } from '../support/media-stream';
import type { PartyCall } from '../support/party-call';
import { processorSeconds } from '../support/processes';
import { quantile } from '../support/sipp';
import { note, report } from './result';

const HELD = [1, 50, 200] as const;
/** Holds that are measured for each number of parties on hold. */
const HOLDS = 30;
const CAP_MS = 30_000;
const PROCESSOR_MS = 1500;
/** Parties that are brought at the same time. */
const AT_A_TIME = 10;
/** The node of all parties. */
const HOME = 1;

/** Two parties that talk; the caller holds. */
interface Pair {
  readonly holder: PartyCall;
  readonly held: PartyCall;
}

const places = [
  { where: 'own node', engine: 1 },
  { where: 'other node', engine: 2 },
] as const;

/** What one party costs rtpengine with a player that many share, and with one of its own. */
const SHARED = { codecs: ['PCMA', 'G722'], held: 200 } as const;

function numberOf(pair: number, end: 'holder' | 'held'): string {
  return String((end === 'holder' ? 50_000 : 60_000) + pair);
}

async function startCluster(engine: number, codec: Codec = 'PCMA', sharedMusic = true): Promise<Cluster> {
  return Cluster.start({
    engines: [engine],
    // Four for each session, and two where it is fed by a player that others share.
    engineOptions: { mediaPorts: 1600 },
    change: (file) => {
      for (const resource of file.mediaResources) if (resource.type === 'moh') resource.sharedMusic = sharedMusic;
      for (let pair = 0; pair < Math.max(...HELD); pair++)
        for (const end of ['holder', 'held'] as const) addParty(file, numberOf(pair, end), HOME, [codec]);
    },
  });
}

/** The media server can be asked by the node of the parties. */
async function musicIsKnown(cluster: Cluster): Promise<void> {
  await eventuallyTrue('the music server is known', async () => {
    const rows = (await cluster.node(HOME).api('/api/media-resources')) as { type: string; state: string }[];
    return rows.some(({ type, state }) => type === 'moh' && state === 'up');
  });
}

class Crowd {
  readonly pairs: Pair[] = [];

  constructor(
    private readonly cluster: Cluster,
    private readonly codec: Codec = 'PCMA',
  ) {}

  private async party(dn: string): Promise<MediaParty> {
    const nodePort = this.cluster.node(HOME).place.sipPort;
    const socket = await FleetSocket.open();
    const party = new MediaParty({ dn, tone: 1000, codecs: [this.codec], nodePort, socket });
    this.cluster.scope.defer(() => {
      party.close();
      socket.close();
    });
    await party.register();
    return party;
  }

  /** Calls more pairs, until there are so many; the new ones are on hold then. */
  async growTo(count: number): Promise<void> {
    while (this.pairs.length < count) {
      const size = Math.min(AT_A_TIME, count - this.pairs.length);
      const first = this.pairs.length;
      const more = Array.from({ length: size }, async (_, index) => this.pair(first + index));
      this.pairs.push(...(await Promise.all(more)));
    }
  }

  private async pair(at: number): Promise<Pair> {
    const caller = await this.party(numberOf(at, 'holder'));
    const callee = await this.party(numberOf(at, 'held'));
    const { call: holder, answered } = await caller.call(callee.dn);
    const status = await answered;
    const held = callee.latest;
    if (status !== 200 || held === undefined) throw new Error(`call ${at} was answered with ${status}`);
    await hold({ holder, held });
    return { holder, held };
  }

  async hangUp(): Promise<void> {
    await Promise.all(this.pairs.map(({ holder }) => holder.hangUp()));
  }
}

/** Resolves with the milliseconds from the re-INVITE to the first packet of music. */
async function hold({ holder, held }: Pair): Promise<number> {
  const direct = holder.stream.port;
  let stop: () => void = () => undefined;
  const heard = new Promise<number>((resolve) => {
    held.stream.onPacket = ({ port, at }) => {
      if (port !== direct) resolve(at);
    };
    stop = () => (held.stream.onPacket = undefined);
  });
  const since = performance.now();
  const status = await holder.change({ hold: 'sendonly' });
  if (status !== 200) throw new Error(`the hold was answered with ${status}`);
  try {
    return (await within(CAP_MS, 'music is heard', heard)) - since;
  } finally {
    stop();
  }
}

/** The two hear each other again. */
async function resume({ holder, held }: Pair): Promise<void> {
  const status = await holder.change({ hold: 'none' });
  if (status !== 200) throw new Error(`the hold was ended with ${status}`);
  const hearsHolder = (): boolean => {
    const last = held.stream.last(30);
    return last.length > 0 && last.every(({ port }) => port === holder.stream.port);
  };
  await eventuallyTrue('the held party hears the holder again', hearsHolder, { every: 5 });
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

/** How long the walks of the lists took, as the calls explain them, ms. */
async function allocationTimes(cluster: Cluster): Promise<readonly number[]> {
  const times: number[] = [];
  for (const { id } of (await cluster.node(HOME).calls()) as { id: string }[]) {
    const call = (await cluster.node(HOME).api(`/api/calls/${id}`)) as { allocations: { type: string; ms: number }[] };
    times.push(...call.allocations.filter(({ type }) => type === 'moh').map(({ ms }) => ms));
  }
  return times;
}

async function measure(cluster: Cluster, crowd: Crowd, where: string, engine: number): Promise<void> {
  const held = crowd.pairs.length;
  const times: number[] = [];
  for (let done = 0; done < HOLDS; done++) {
    const pair = crowd.pairs[done % held];
    if (pair === undefined) continue;
    await resume(pair);
    times.push(await hold(pair));
  }
  const common = { bench: 'moh', where, held } as const;
  report({ ...common, metric: 'first packet p50', value: rounded(quantile(times, 0.5)), unit: 'ms', holds: HOLDS });
  report({ ...common, metric: 'first packet p99', value: rounded(quantile(times, 0.99)), unit: 'ms', holds: HOLDS });
  const value = await processorShare(cluster, engine, held);
  report({ ...common, metric: 'rtpengine for each held party', value, unit: '% of a core' });
}

/** Of rtpengine for each held party, in % of a core. */
async function processorShare(cluster: Cluster, engine: number, held: number): Promise<number> {
  const pid = cluster.engines.get(engine)?.pid ?? 0;
  const [before, since] = [processorSeconds(pid), performance.now()];
  await pause(PROCESSOR_MS);
  const share = (processorSeconds(pid) - before) / ((performance.now() - since) / 1000);
  return Math.round((share / held) * 10_000) / 100;
}

async function shareOf(codec: Codec, sharedMusic: boolean): Promise<number> {
  const cluster = await startCluster(HOME, codec, sharedMusic);
  try {
    await musicIsKnown(cluster);
    const crowd = new Crowd(cluster, codec);
    await crowd.growTo(SHARED.held);
    const value = await processorShare(cluster, HOME, SHARED.held);
    await crowd.hangUp();
    await cluster.nothingIsLeft();
    return value;
  } finally {
    await cluster.close();
  }
}

/** The same music and number of parties, with one player for all after the first, and with one for each. */
async function compareShared(): Promise<void> {
  for (const codec of SHARED.codecs) {
    note(`moh: ${SHARED.held} on hold in ${codec}, with a shared player and with players of their own`);
    const [shared, own] = [await shareOf(codec, true), await shareOf(codec, false)];
    const common = { bench: 'moh', codec, held: SHARED.held, unit: '% of a core' } as const;
    report({ ...common, metric: 'rtpengine for each held party, shared player', value: shared });
    report({ ...common, metric: 'rtpengine for each held party, own player', value: own });
    report({ ...common, metric: 'own player by shared player', value: rounded(own / shared), unit: 'times' });
  }
}

/**
 * From the holder's re-INVITE to the first packet of music at the held party, by real nodes and a real rtpengine. The number of parties on hold
 * stays the same: one is taken back and held again.
 */
export async function benchMoh(): Promise<void> {
  for (const { where, engine } of places) {
    const cluster = await startCluster(engine);
    try {
      await musicIsKnown(cluster);
      const crowd = new Crowd(cluster);
      for (const count of HELD) {
        note(`moh: ${count} on hold, music server at the ${where}`);
        await crowd.growTo(count);
        await measure(cluster, crowd, where, engine);
      }
      const times = await allocationTimes(cluster);
      const common = { bench: 'moh', where, unit: 'ms', allocations: times.length } as const;
      report({ ...common, metric: 'allocation p50', value: rounded(quantile(times, 0.5)) });
      report({ ...common, metric: 'allocation p99', value: rounded(quantile(times, 0.99)) });
      await crowd.hangUp();
      await cluster.nothingIsLeft();
    } finally {
      await cluster.close();
    }
  }
  await compareShared();
}
