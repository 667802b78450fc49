import type { CancelTimer } from '../../process/clock';
import { parsePid, type Pid } from '../../process/pid';
import { formatReplaces, type Replaces } from '../../sip/replaces';
import type { Party } from '../../device/party';
import { spokenBy } from '../core/agreed';
import { type Bridge, bridgeOf, type CallState } from '../core/call-state';
import type { Leg } from '../core/leg';
import type { CallControlDependencies } from '../dependencies';
import { MAX_SPOKEN, type PartnerText } from './partner-messages';

/** Calls in one message; more wait for its answer. */
const IN_ONE_MESSAGE = 10;
const ANSWER_MS = 3000;
const AGAIN_MS = 2000;

/** A phone of this node in a call with another one of this node. */
interface End {
  readonly dialog: Replaces;
  readonly party: Party;
}

interface Pair {
  /** A message about it has been sent. */
  told: boolean;
  readonly call: string;
  readonly ends: readonly [End, End];
  /** What the second speaks, when they talk to each other directly. */
  readonly spoken: string | undefined;
}

/**
 * The node that goes on with the calls between our own phones when we die: the next live one by its number. It is told of a call when that was answered, when
 * somebody else is in it, and when it is over; each message waits for the answer to the one before, and has all that is news by then.
 */
export class Partner {
  private node: number | undefined;
  private readonly pairs = new Map<Pid, Pair>();
  /** Not told yet. */
  private readonly news = new Set<Pid>();
  /** Nodes that know of calls of ours and are not our partner any more. */
  private readonly former = new Set<number>();
  private anew = true;
  private waiting: CancelTimer | 'answer' | undefined;
  private stopped = false;

  constructor(private readonly deps: Pick<CallControlDependencies, 'otherNodes' | 'boot' | 'clock' | 'surviveMs'>) {}

  /** A call has gone on. */
  follow(state: CallState): void {
    if (this.stopped || this.deps.otherNodes === undefined || (this.deps.surviveMs ?? 0) === 0) return;
    const { pid } = state.facts;
    const [before, pair] = [this.pairs.get(pid), pairOf(state)];
    if (pair === undefined) {
      if (before === undefined) return;
      this.pairs.delete(pid);
      if (!before.told) return void this.news.delete(pid);
    } else {
      if (before !== undefined && isSame(before, pair)) return;
      this.pairs.set(pid, { ...pair, told: before?.told === true });
    }
    this.news.add(pid);
    this.tell();
  }

  nodeGone(node: number): void {
    if (node !== this.node) return;
    this.former.add(node);
    this.node = undefined;
    this.tellAll();
  }

  /** It has lost what it was told. */
  nodeRestarted(node: number): void {
    if (node === this.node) this.tellAll();
  }

  nodeBack(node: number): void {
    if (this.node === undefined) this.tellAll();
    else if (node !== this.node && this.former.delete(node)) void this.send(node, { anew: true, calls: [] });
  }

  /** Our calls are over, all of them. */
  stop(): void {
    this.stopped = true;
    if (typeof this.waiting === 'function') this.waiting();
    if (this.node !== undefined && this.pairs.size > 0) void this.send(this.node, { anew: true, calls: [] });
  }

  private tellAll(): void {
    this.anew = true;
    for (const pid of this.pairs.keys()) this.news.add(pid);
    if (this.news.size > 0) this.tell();
  }

  private tell(): void {
    if (this.waiting !== undefined || this.stopped || this.news.size === 0) return;
    this.node ??= this.next([...this.news][0]);
    const { node, anew } = this;
    if (node === undefined) {
      // Nobody knows of what is over.
      for (const pid of this.news) if (!this.pairs.has(pid)) this.news.delete(pid);
      return;
    }
    const told = [...this.news].slice(0, IN_ONE_MESSAGE);
    for (const pid of told) this.news.delete(pid);
    this.anew = false;
    this.waiting = 'answer';
    void this.send(node, { ...(anew ? { anew } : {}), calls: told.map((pid) => this.written(pid)) }).then((ok) => {
      this.waiting = undefined;
      if (ok || this.stopped || node !== this.node) return this.tell();
      for (const pid of told) this.news.add(pid);
      this.anew ||= anew;
      this.waiting = this.deps.clock.setTimer(AGAIN_MS, () => {
        this.waiting = undefined;
        this.tell();
      });
    });
  }

  private async send(node: number, { anew, calls }: Pick<PartnerText, 'anew' | 'calls'>): Promise<boolean> {
    const own = this.own;
    if (own === undefined) return true;
    const message: PartnerText = {
      op: 'keep',
      node: own,
      boot: this.deps.boot,
      ...(anew === true ? { anew } : {}),
      calls,
    };
    return (await this.deps.otherNodes?.ask(node, message, ANSWER_MS)) === true;
  }

  private own: number | undefined;

  /** The next one by its number, and after the last one the first. */
  private next(ofOurs: Pid | undefined): number | undefined {
    this.own ??= ofOurs === undefined ? undefined : parsePid(ofOurs)?.node;
    const live = [...(this.deps.otherNodes?.live() ?? [])].sort((a, b) => a - b);
    return live.find((node) => node > (this.own ?? 0)) ?? live[0];
  }

  private written(process: Pid): PartnerText['calls'][number] {
    const pair = this.pairs.get(process);
    if (pair === undefined) return { process };
    pair.told = true;
    const [a, b] = pair.ends;
    const spoken = pair.spoken === undefined ? {} : { spoken: pair.spoken };
    return { process, kept: { call: pair.call, ends: [written(a), written(b)], ...spoken } };
  }
}

function written({ dialog, party: { device, number, displayName } }: End): {
  device: string;
  number: string;
  displayName?: string;
  dialog: string;
} {
  const named = displayName === undefined || displayName === '' ? {} : { displayName: displayName.slice(0, 256) };
  return { device, number, ...named, dialog: formatReplaces(dialog) };
}

function isSame({ ends: [a, b], spoken }: Pair, { ends: [c, d], spoken: other }: Pair): boolean {
  return (
    spoken === other && a.dialog === c.dialog && b.dialog === d.dialog && a.party === c.party && b.party === d.party
  );
}

/** The two phones of an answered call, if both are of this node and can be asked to go on. A browser's keys are lost with its call manager. */
function pairOf(state: CallState): Pair | undefined {
  const bridge = bridgeOf(state);
  if (state.kind !== 'established' || bridge === undefined) return undefined;
  const [a, b] = [endOf(state.legs.get(bridge.seats.a)), endOf(state.legs.get(bridge.seats.b))];
  if (a === undefined || b === undefined || a.party.device === b.party.device) return undefined;
  return { told: false, call: state.facts.call, ends: [a, b], spoken: spokenIn(state, bridge) };
}

function spokenIn({ legs }: CallState, { seats, path }: Bridge): string | undefined {
  const ends = [legs.get(seats.a), legs.get(seats.b)];
  const talk = path.step === 'direct' && ends.every((leg) => leg?.connection === 'peer' && !leg.holds);
  const spoken = talk && ends[1] !== undefined ? spokenBy(ends[1]) : undefined;
  return spoken !== undefined && spoken.length <= MAX_SPOKEN ? spoken : undefined;
}

function endOf(leg: Leg | undefined): End | undefined {
  if (leg?.dialog === undefined || leg.phase !== 'confirmed' || leg.profile.kind !== 'station') return undefined;
  const { security, presumedSecurity } = leg.profile;
  if (security === 'dtls' || presumedSecurity === 'dtls') return undefined;
  return { dialog: leg.dialog, party: leg.party };
}
