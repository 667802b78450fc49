import { Cluster } from './cluster';
import { addParty, MediaParty } from './media-party';
import { FleetSocket } from './fleet/fleet-socket';
import { eventually } from './eventually';
import { latest, type Side, talk } from './transfer-stage';

/** Nodes, and phones in pairs that call each other: which node each registers with. */
export interface StageOptions {
  /** By pair: the nodes of both. */
  readonly pairs: readonly (readonly [number, number])[];
  readonly nodes?: number;
  /** Last changes to the configuration of a phone. */
  readonly device?: (dn: string) => Record<string, unknown>;
  readonly surviveSeconds?: number;
}

export interface Pair {
  readonly caller: MediaParty;
  readonly callee: MediaParty;
}

/** Calls whose call manager is killed. */
export class SurvivalStage {
  private constructor(
    readonly cluster: Cluster,
    readonly pairs: readonly Pair[],
    /** Who hears of nothing, and transfers go to. */
    readonly third: MediaParty,
  ) {}

  static async start({ pairs, nodes = 3, device, surviveSeconds }: StageOptions): Promise<SurvivalStage> {
    const dns = pairs.map((_, index) => [`${71000 + index * 2}`, `${71001 + index * 2}`] as const);
    const third = '71999';
    const cluster = await Cluster.start({
      nodes,
      engines: [2],
      change: (file) => {
        for (const [index, [a, b]] of dns.entries()) {
          addParty(file, a, pairs[index]?.[0] ?? 1);
          addParty(file, b, pairs[index]?.[1] ?? 1);
        }
        addParty(file, third, 2);
        for (const phone of file.devices) Object.assign(phone, device?.(phone.username));
        if (surviveSeconds !== undefined) Object.assign(file.cluster, { surviveSeconds });
      },
    });
    try {
      const socket = await FleetSocket.open();
      cluster.scope.defer(() => socket.close());
      const party = async (dn: string, node: number, tone: number): Promise<MediaParty> => {
        const { sipPort } = cluster.node(node).place;
        const made = new MediaParty({ dn, tone, codecs: ['PCMU', 'PCMA'], nodePort: sipPort, socket });
        cluster.scope.defer(() => made.close());
        await made.register();
        return made;
      };
      const made = await Promise.all(
        dns.map(async ([a, b], index) => ({
          caller: await party(a, pairs[index]?.[0] ?? 1, 700),
          callee: await party(b, pairs[index]?.[1] ?? 1, 1100),
        })),
      );
      const stage = new SurvivalStage(cluster, made, await party(third, 2, 1500));
      for (const dn of [...dns.flat(), third]) await cluster.everybodyKnows(dn);
      return stage;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** Everybody talks. */
  async talk(): Promise<(readonly [Side, Side])[]> {
    const calls: (readonly [Side, Side])[] = [];
    for (const { caller, callee } of this.pairs) calls.push(await talk(caller, callee));
    return calls;
  }

  port(node: number): number {
    return this.cluster.node(node).place.sipPort;
  }

  close(): Promise<void> {
    return this.cluster.close();
  }
}

/** The longest time without a packet of sound for a phone, while it is looked at. */
export class Gaps {
  longest = 0;
  private last = performance.now();

  constructor(readonly party: MediaParty) {
    party.onSound = (at) => {
      this.longest = Math.max(this.longest, at - this.last);
      this.last = at;
    };
  }

  /** What is missing until now counts, too. */
  end(): number {
    this.party.onSound = undefined;
    return Math.max(this.longest, performance.now() - this.last);
  }
}

/** Waits until a phone has taken up another dialog than before; its call now. */
export async function takenUp({ party, call }: Side, cap = 20_000): Promise<Side> {
  await eventually(
    `${party.dn} has taken up its call again`,
    () => party.open.map((each) => each.told()).join(),
    () => call.state === 'ended' && party.latest?.up === true,
    { cap, every: 20 },
  );
  return { party, call: await latest(party) };
}
