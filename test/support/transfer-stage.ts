import { Cluster, type ClusterOptions } from './cluster';
import { domain } from './cluster-config';
import { eventually } from './eventually';
import { FleetSocket } from './fleet/fleet-socket';
import { addParty, MediaParty } from './media-party';
import type { Heard } from './media-stream';
import type { PartyCall } from './party-call';

/** One end of a call, and whose it is. */
export interface Side {
  readonly party: MediaParty;
  readonly call: PartyCall;
}

/** Where a party is: its node, and which of that node's. */
export type At = readonly [node: number, index: number];

/** Hz; far from each other and from the music. */
const TONES = [700, 1100, 1500, 1900, 2300];

/** The numbers of the parties by the node that they register with: at each as many as a transfer needs. */
export const NUMBERS: Readonly<Record<number, readonly string[]>> = {
  1: ['70001', '70002', '70003', '70004'],
  2: ['70005', '70006', '70007'],
  3: ['70008', '70009'],
};

/** Longer than what `PartyCall.heard` looks at. */
const LISTENED_MS = 500;

/** Three nodes with their music, and telephones at each that transfer and are transferred. */
export class TransferStage {
  private constructor(
    readonly cluster: Cluster,
    private readonly parties: ReadonlyMap<string, MediaParty>,
  ) {}

  static async start(options: ClusterOptions = {}): Promise<TransferStage> {
    const places = Object.entries(NUMBERS).flatMap(([node, dns]) => dns.map((dn) => [dn, Number(node)] as const));
    const cluster = await Cluster.start({
      nodes: 3,
      engines: [1, 2, 3],
      ...options,
      change: (file) => {
        for (const [dn, node] of places) addParty(file, dn, node);
        options.change?.(file);
      },
    });
    try {
      const parties = new Map<string, MediaParty>();
      const socket = await FleetSocket.open();
      cluster.scope.defer(() => socket.close());
      for (const [index, [dn, node]] of places.entries()) {
        const nodePort = cluster.node(node).place.sipPort;
        const tone = TONES[index % TONES.length] ?? 0;
        const party = new MediaParty({ dn, tone, codecs: ['PCMU', 'PCMA'], nodePort, socket });
        cluster.scope.defer(() => party.close());
        await party.register();
        parties.set(dn, party);
      }
      for (const [dn] of places) await cluster.everybodyKnows(dn);
      return new TransferStage(cluster, parties);
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** The nth party of a node, from 0. */
  party(node: number, index: number): MediaParty {
    const party = this.parties.get(NUMBERS[node]?.[index] ?? '');
    if (party === undefined) throw new Error(`node ${node} has no party ${index}`);
    return party;
  }

  /** The phones of a node notice that it is gone: nothing of what they had there is answered any more. */
  nodeLost(node: number): void {
    for (const party of this.partiesOf(node)) {
      party.nodeLost();
      for (const call of party.open) call.over(0);
    }
  }

  /** It is there again, with its phones. */
  async restart(node: number): Promise<void> {
    await this.cluster.node(node).start();
    for (const party of this.partiesOf(node)) await party.register();
    for (const { dn } of this.partiesOf(node)) await this.cluster.everybodyKnows(dn);
  }

  private partiesOf(node: number): readonly MediaParty[] {
    return (NUMBERS[node] ?? []).flatMap((dn) => this.parties.get(dn) ?? []);
  }

  /** Ends what a test has left, and sees that nothing is left anywhere. */
  async clear(): Promise<void> {
    for (const party of this.parties.values()) {
      party.policy = { type: 'answer', afterMs: 0 };
      for (const call of party.open) await call.hangUp();
      party.tidy();
    }
    await this.cluster.nothingIsLeft();
    await this.cluster.nothingIsLeased();
  }

  close(): Promise<void> {
    return this.cluster.close();
  }
}

/** One calls the other, who answers by itself; they hear each other. */
export async function talk(caller: MediaParty, callee: MediaParty): Promise<readonly [Side, Side]> {
  const { call, answered } = await caller.call(callee.dn);
  const status = await answered;
  if (status !== 200) throw new Error(`${caller.dn} calls ${callee.dn}: ${status}`);
  const sides = [
    { party: caller, call },
    { party: callee, call: await latest(callee) },
  ] as const;
  await hearEachOther(...sides);
  return sides;
}

/** The call that has come last, when it is up. */
export async function latest(party: MediaParty): Promise<PartyCall> {
  const call = await eventually(
    `${party.dn} has a call`,
    () => party.latest,
    (found) => found !== undefined,
  );
  if (call === undefined) throw new Error('no call');
  return call;
}

export async function hears(side: Side, wanted: Heard, whom?: Side): Promise<void> {
  await eventually(
    `${side.party.dn} hears ${wanted} ${whom?.party.dn ?? ''}`,
    () => `${side.call.heard(whom?.party.tone ?? side.party.tone)} ${side.call.told()}`,
    (heard) => heard.startsWith(`${wanted} `),
    { cap: 10_000 },
  );
}

/** Each hears the other, and nothing else. */
export async function hearEachOther(one: Side, other: Side): Promise<void> {
  await Promise.all([hears(one, 'tone', other), hears(other, 'tone', one)]);
}

/** One holds, by `call.change`: the other hears music, and the holder nothing. */
export async function hold(holder: Side, held: Side): Promise<void> {
  const status = await holder.call.change({ hold: 'sendonly' });
  if (status !== 200) throw new Error(`${holder.party.dn} holds: ${status}`);
  await Promise.all([hears(held, 'music'), hears(holder, 'nothing')]);
}

export async function resume(holder: Side, held: Side): Promise<void> {
  const status = await holder.call.change({ hold: 'none' });
  if (status !== 200) throw new Error(`${holder.party.dn} resumes: ${status}`);
  await hearEachOther(holder, held);
}

/**
 * Waits until nobody is left alone: all calls of these parties are over, or two of them hear each other and nobody else has a call. Gives
 * the numbers of those who talk.
 */
export async function nobodyIsAlone(...parties: readonly MediaParty[]): Promise<readonly string[]> {
  const open = (): readonly Side[] => parties.flatMap((party) => party.open.map((call) => ({ party, call })));
  const paired = ([one, other, ...more]: readonly Side[]): boolean =>
    one === undefined ||
    (other !== undefined &&
      more.length === 0 &&
      one.call.heard(other.party.tone) === 'tone' &&
      other.call.heard(one.party.tone) === 'tone');
  // What was heard before is heard for as long as one listens.
  let since: number | undefined;
  await eventually(
    'nobody is left alone',
    () => open().map(({ party, call }) => `${party.dn} hears ${call.heard(party.tone)} ${call.told()}`),
    () => {
      since = paired(open()) ? (since ?? Date.now()) : undefined;
      return since !== undefined && (open().length === 0 || Date.now() - since > LISTENED_MS);
    },
    { cap: 15_000 },
  );
  return open().map(({ party }) => party.dn);
}

/** Waits until a call is over. */
export async function over({ party, call }: Side): Promise<void> {
  await eventually(
    `the call of ${party.dn} is over`,
    () => call.told(),
    () => call.state === 'ended',
    { cap: 10_000 },
  );
}

/** Waits until the transferor was told how it has ended; the statuses, each once. */
export async function outcome({ party, call }: Side): Promise<readonly number[]> {
  await eventually(
    `${party.dn} is told how its transfer has ended`,
    () => call.referral.statuses.join(),
    () => call.referral.ended,
    { cap: 20_000 },
  );
  return call.referral.statuses;
}

/** Who is to be called: a number, and the dialog to take the place of. */
export function referTo(number: string, replaces?: string): string {
  return `<sip:${number}@${domain}${replaces === undefined ? '' : `?Replaces=${encodeURIComponent(replaces)}`}>`;
}
