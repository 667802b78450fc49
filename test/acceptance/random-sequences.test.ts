import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../simulation/random';
import { Sequence } from '../support/call-sequence';
import { Cluster } from '../support/cluster';
import { siteOf } from '../support/cluster-config';
import type { ConferenceBridge } from '../support/conference-bridge';
import { eventually } from '../support/eventually';
import { figure } from '../support/figures';
import { FleetSocket } from '../support/fleet/fleet-socket';
import { addParty, MediaParty } from '../support/media-party';
import type { Codec } from '../support/media-stream';
import type { Rtpengine } from '../support/rtpengine';
import type { World } from '../support/sequence-world';

/** The choices of a run are the same each time unless it is told otherwise; the timing of the processes never is. */
const seed = Number(process.env['SEQUENCE_SEED'] ?? 700_000);
/** A named seed repeats that one sequence. */
const runs = Number(process.env['SEQUENCE_RUNS'] ?? (process.env['SEQUENCE_SEED'] === undefined ? 50 : 1));

/** Sequences that go on at the same time; what is killed disturbs them all. */
const AT_A_TIME = 10;
/** After so many rounds nothing may be left. */
const ROUNDS_OF_AN_ERA = 5;
/** Leases last 30 s, and servers that come back are audited every 30 s. */
const LEFT_CAP_MS = 45_000;

jest.setTimeout(120_000 + runs * 10_000);

/** What the phones of a sequence speak, and whether that is configured or has to be learned. */
const speaks: readonly { readonly codecs: readonly Codec[]; readonly configured: boolean }[] = [
  { codecs: ['PCMA', 'PCMU'], configured: false },
  { codecs: ['PCMU'], configured: true },
  { codecs: ['PCMA'], configured: false },
  { codecs: ['G722'], configured: true },
  { codecs: ['PCMA', 'PCMU'], configured: true },
  { codecs: ['PCMU'], configured: false },
];

interface Lease {
  readonly holder: string;
}

interface Resource {
  readonly name: string;
  readonly state: string;
  readonly inUse?: number;
  readonly answeredAt?: number;
  readonly leases?: readonly Lease[];
}

interface CallRow {
  readonly id: string;
  readonly from: string;
  readonly to: string | undefined;
}

function numberOf(place: number, phone: number): string {
  return String(70_000 + 100 * place + phone);
}

function conferenceOf(place: number): string {
  return String(8_000 + place);
}

function nodeOf(phone: number): number {
  return 1 + (phone % 2);
}

/** What a round loses: servers of media, nodes, both at once, or nothing. */
type Victim = { readonly engine: number } | { readonly node: number } | { readonly bridge: number };
const disasters: readonly (readonly Victim[])[] = [
  [],
  [{ engine: 1 }],
  [{ engine: 2 }],
  [{ engine: 1 }, { engine: 2 }],
  [{ node: 1 }],
  [{ node: 2 }],
  [{ node: 1 }, { engine: 1 }],
  [{ node: 2 }, { engine: 1 }],
  [{ bridge: 1 }],
  [{ bridge: 2 }, { node: 1 }],
];

/** A FreeSWITCH that is only named cannot be killed. */
const possible =
  process.env['FREESWITCH'] === undefined || process.env['FREESWITCH_BIN'] !== undefined
    ? disasters
    : disasters.filter((victims) => victims.every((victim) => !('bridge' in victim)));

/** One cluster, the phones of its sequences, and what is done to it. */
class Stage {
  private readonly world: World = {
    ...{ nodeKills: 0, engineKills: 0, broken: false },
    whole: () => this.repair,
    calls: (devices) => this.callsOf(devices),
    moderate: (conference, number, command) => this.moderate(conference, number, command).catch(() => 0),
  };
  private repair: Promise<void> = Promise.resolve();
  private readonly phones: MediaParty[][] = [];

  private constructor(readonly cluster: Cluster) {}

  static async set(): Promise<Stage> {
    const cluster = await Cluster.start({
      bridges: [1, 2],
      engineOptions: { mediaPorts: 800 },
      change: (file) => {
        file.conferences = Array.from({ length: AT_A_TIME }, (_, place) => ({
          number: conferenceOf(place),
          name: `room-${place}`,
        }));
        file.park = { slots: '601-640' };
        file.numbers = Array.from({ length: AT_A_TIME }, (_, place) =>
          speaks.map((_, phone) => ({ number: numberOf(place, phone), pickupGroup: `group-${place}` })),
        ).flat();
        for (const site of Object.values(file.sites)) site.codecs = ['PCMA', 'PCMU', 'G722', 'telephone-event'];
        for (let place = 0; place < AT_A_TIME; place++)
          for (const [phone, { codecs, configured }] of speaks.entries())
            addParty(file, numberOf(place, phone), nodeOf(phone), configured ? codecs : undefined);
        // Half of the phones use the media servers of the other node first.
        for (const device of file.devices)
          if (/[345]$/.test(device.name)) device.mediaResourceGroupList = siteOf(device.site === siteOf(1) ? 2 : 1);
      },
    });
    const stage = new Stage(cluster);
    for (let place = 0; place < Math.min(AT_A_TIME, runs); place++) await stage.open(place);
    for (const place of stage.phones) for (const { dn } of place) await cluster.everybodyKnows(dn);
    return stage;
  }

  private async open(place: number): Promise<void> {
    const socket = await FleetSocket.open();
    this.cluster.scope.defer(() => socket.close());
    const phones = speaks.map(({ codecs }, phone) => {
      const nodePort = this.cluster.node(nodeOf(phone)).place.sipPort;
      const options = { dn: numberOf(place, phone), tone: 1000 + 170 * phone, codecs, nodePort, socket };
      return new MediaParty({ ...options, stubborn: phone % 3 === 0 });
    });
    this.cluster.scope.defer(() => phones.forEach((phone) => phone.close()));
    this.phones.push(phones);
    await Promise.all(phones.map((phone) => phone.register()));
  }

  /** Several sequences at once, and a disaster among them; what should not be. */
  async round(seeds: readonly number[]): Promise<string[]> {
    const random = new Random(-1 - (seeds[0] ?? 0));
    const sequences = seeds.map((own, place) => {
      const draw = new Random(own);
      const phones = (this.phones[place] ?? []).slice(draw.below(2)).slice(0, 2 + draw.below(5));
      return { own, sequence: new Sequence(draw, phones, this.world, conferenceOf(place)) };
    });
    const disaster = random.pick(possible) ?? [];
    const since = Date.now();
    const struck = this.strike(disaster, 500 + random.below(2500), random.below(2500));
    await Promise.all([struck, ...sequences.map(({ sequence }) => sequence.run())]);
    figure(`${seeds.length} sequences with ${JSON.stringify(disaster)}`, (Date.now() - since) / 1000, 's');
    if (process.env['SEQUENCE_SEED'] !== undefined)
      for (const { own, sequence } of sequences) process.stderr.write(`${own}: ${sequence.steps.join('; ')}\n`);
    return sequences.flatMap(({ own, sequence: { failures, steps } }) =>
      failures.length === 0
        ? []
        : [
            `SEQUENCE_SEED=${own} (with ${JSON.stringify(disaster)}):\n  ${[...steps, ...failures.map((text) => `!! ${text}`)].join('\n  ')}`,
          ],
    );
  }

  private phonesOf(node: number): readonly MediaParty[] {
    return this.phones.flatMap((phones) => phones.filter((_, phone) => nodeOf(phone) === node));
  }

  private async strike(victims: readonly Victim[], after: number, downtime: number): Promise<void> {
    await pause(after);
    let repaired: () => void = () => undefined;
    this.repair = new Promise((resolve) => (repaired = resolve));
    try {
      this.world.broken = victims.length > 0;
      await Promise.all(victims.map((victim) => this.lose(victim)));
      if (victims.length > 0) await pause(downtime);
      await Promise.all(victims.map((victim) => this.restore(victim)));
    } finally {
      this.world.broken = false;
      repaired();
    }
  }

  private async lose(victim: Victim): Promise<void> {
    if ('node' in victim) {
      this.world.nodeKills += 1;
      await this.cluster.node(victim.node).kill9();
      for (const phone of this.phonesOf(victim.node)) phone.nodeLost();
    } else {
      this.world.engineKills += 1;
      await this.serverOf(victim)?.kill();
    }
  }

  private serverOf(victim: Exclude<Victim, { readonly node: number }>): Rtpengine | ConferenceBridge | undefined {
    return 'engine' in victim ? this.cluster.engines.get(victim.engine) : this.cluster.bridge(victim.bridge);
  }

  private async restore(victim: Victim): Promise<void> {
    if (!('node' in victim)) {
      await this.serverOf(victim)?.start();
    } else {
      await this.cluster.node(victim.node).start();
      const own = this.phonesOf(victim.node);
      await Promise.all(own.map((phone) => phone.register()));
      for (const { dn } of own) await this.cluster.everybodyKnows(dn);
    }
    await this.resourcesAreUp(Date.now());
  }

  private async resources(node: number): Promise<readonly Resource[]> {
    return (await this.cluster.node(node).api('/api/media-resources')) as Resource[];
  }

  /** A node that has not asked an engine since it was started again may still take it for one that is well, and then for lost. */
  private async resourcesAreUp(since: number): Promise<void> {
    const answered = ({ inUse, answeredAt = 0 }: Resource): boolean => inUse === undefined || answeredAt > since;
    for (const { id } of this.cluster.nodes)
      await eventually(
        `node ${id} has all media resources`,
        () => this.resources(id),
        (rows) => rows.every((row) => row.state === 'up' && answered(row)),
      );
  }

  private async callsOf(devices: readonly string[]): Promise<string> {
    const found: string[] = [];
    for (const node of this.cluster.nodes)
      for (const { id, from, to } of (await node.calls()) as CallRow[])
        if (devices.includes(from) || (to !== undefined && devices.includes(to)))
          found.push(`node ${node.id}: ${JSON.stringify(await node.api(`/api/calls/${id}`))}`);
    return found.join('\n');
  }

  /** By the API of a node that runs, whichever owns the conference. */
  private async moderate(conference: string, number: string, command: 'kick' | 'mute' | 'unmute'): Promise<number> {
    const running = this.cluster.nodes.filter((node) => node.running);
    const node = running[Number(number) % running.length];
    if (node === undefined) return 0;
    const path = `/api/conferences/${conference}`;
    const response = await node.fetch(path);
    if (response.status !== 200) return response.status;
    const { members } = (await response.json()) as { members: { id: string; number: string }[] };
    // One that lost its node may still be there beside the one that dialled again.
    const id = members.findLast((member) => member.number === number)?.id ?? 'nobody';
    const member = `${path}/members/${id}`;
    const answer =
      command === 'kick'
        ? await node.command('DELETE', member)
        : await node.command('PATCH', member, { muted: command === 'mute' });
    return answer.status;
  }

  /** Calls, leases and sessions that are there. */
  async left(): Promise<string[]> {
    const left: string[] = [];
    for (const node of this.cluster.nodes) {
      for (const call of await node.calls()) left.push(`node ${node.id}: ${JSON.stringify(call)}`);
      for (const { name, inUse = 0, leases = [] } of await this.resources(node.id))
        if (inUse > 0) left.push(`${name}: ${JSON.stringify(leases)}`);
    }
    for (const [node, engine] of this.cluster.engines)
      for (const session of await engine.sessions()) left.push(`rtpengine of node ${node}: ${session}`);
    for (const [node, bridge] of this.cluster.bridges) {
      for (const session of await bridge.participants())
        left.push(`participant at the bridge of node ${node}: ${session}`);
      for (const room of await bridge.rooms()) left.push(`room at the bridge of node ${node}: ${room}`);
    }
    return left;
  }

  /** Errors that should not happen, of the nodes as they run now. */
  async errors(): Promise<string[]> {
    const found: string[] = [];
    for (const node of this.cluster.nodes) {
      const lines = (await (await node.fetch('/metrics')).text()).split('\n');
      const counted = lines.filter((line) => /^tandem_errors_total.* [1-9]/.test(line));
      if (counted.length === 0) continue;
      found.push(
        ...counted,
        ...node
          .log()
          .split('\n')
          .filter((line) => line.includes('"level":50'))
          .slice(-20),
      );
    }
    return found;
  }
}

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(() => stage.cluster.close());

it('design: random sequences of calls, while resources and nodes die, leave no call, no lease and no session', async () => {
  process.stderr.write(`SEQUENCE_SEED=${seed} SEQUENCE_RUNS=${runs}\n`);
  const failures: string[] = [];
  for (let done = 0; done < runs;) {
    for (let round = 0; round < ROUNDS_OF_AN_ERA && done < runs; round++) {
      const count = Math.min(AT_A_TIME, runs - done);
      failures.push(...(await stage.round(Array.from({ length: count }, (_, index) => seed + done + index))));
      done += count;
    }
    const since = Date.now();
    await eventually(
      `nothing is left after ${done} sequences`,
      () => stage.left(),
      (left) => left.length === 0,
      { cap: LEFT_CAP_MS, every: 200 },
    );
    figure(`after ${done} sequences nothing is left after`, (Date.now() - since) / 1000, 's');
  }
  if (failures.length > 0) throw new Error(failures.join('\n'));
  expect(await stage.errors()).toEqual([]);
});
