import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../simulation/random';
import { eventually } from './eventually';
import type { Codec } from './media-stream';
import type { MediaParty } from './media-party';
import type { PartyCall } from './party-call';
import type { Hold } from './party-sdp';
import { verdict, verdictOfMember } from './sequence-hearing';
import { park, pickUp } from './sequence-codes';
import { transferAttended, transferBlind, type TransferHost } from './sequence-transfers';
import type { End, Member, Pair, Past, World } from './sequence-world';

const CAP_MS = 30_000;
/** After the last hang-up no phone rings or talks any more within this. */
const ENDED_MS = 10_000;
const REDIALS = 10;
const REDIAL_MS = 500;
const CODECS: readonly (readonly Codec[])[] = [['PCMU'], ['PCMA'], ['G722'], ['PCMA', 'PCMU']];
const HOLDS: readonly Hold[] = ['sendonly', 'sendonly', 'inactive', 'blackhole'];

type Step = (this: Sequence) => Promise<void>;

/**
 * A random sequence of what people do with their phones, and what they must hear meanwhile. Every step is written down in `steps`; what
 * should not be is in `failures`.
 */
export class Sequence implements TransferHost {
  readonly steps: string[] = [];
  readonly failures: string[] = [];
  readonly pairs: Pair[] = [];
  private readonly members: Member[] = [];
  private readonly startedAt = performance.now();
  private readonly nodeKills: number;
  /** Steps that nobody waits for yet. */
  private readonly running = new Set<Promise<void>>();

  constructor(
    readonly random: Random,
    readonly phones: readonly MediaParty[],
    readonly world: World,
    /** A number that leads into a conference which nobody else uses; left out: no conferences. */
    private readonly conference?: string,
  ) {
    this.nodeKills = world.nodeKills;
  }

  /** Never rejects. At the end all have hung up. */
  async run(): Promise<void> {
    const count = 4 + this.random.below(9);
    const choices: readonly Step[] = [
      this.call,
      this.hold,
      this.hold,
      this.resume,
      this.both,
      this.recode,
      this.join,
      this.join,
      this.mute,
      this.kick,
      this.transfer,
      this.transfer,
      this.end,
      this.settle,
    ];
    try {
      await this.call();
      for (let done = 1; done < count; done++) {
        const step = this.random.pick(choices) ?? this.call;
        const work = step.call(this);
        if (this.isAwaited(step) || !this.random.chance(0.3)) await work;
        else this.leave(work);
        await pause(this.random.below(120));
      }
      if (this.random.chance(0.5)) await this.settle();
    } catch (error) {
      this.failures.push(String(error));
    }
    await this.finish();
  }

  private isAwaited(step: Step): boolean {
    return [this.call, this.join, this.settle, this.mute, this.kick, this.transfer].includes(step);
  }

  private get open(): readonly { readonly phone: MediaParty; readonly call: PartyCall }[] {
    return this.phones.flatMap((phone) => phone.open.map((call) => ({ phone, call })));
  }

  private leave(work: Promise<void>): void {
    const caught = work.catch((error: unknown) => void this.failures.push(String(error)));
    this.running.add(caught);
    void caught.then(() => this.running.delete(caught));
  }

  say(step: string): void {
    this.steps.push(`${((performance.now() - this.startedAt) / 1000).toFixed(1)} s ${step}`);
  }

  fail(failure: string): void {
    this.failures.push(failure);
  }

  /** Something was down then, or has been since: much may be otherwise. */
  disturbed(since: Past): boolean {
    return since.broken || this.world.nodeKills > since.nodeKills || this.world.engineKills > since.engineKills;
  }

  private get talks(): readonly (Pair | Member)[] {
    return [...this.pairs, ...this.members];
  }

  private livePair(): Pair | undefined {
    return this.random.pick(this.pairs.filter(({ ends }) => ends.every(({ call }) => call.up)));
  }

  /** A party that could do something. */
  private liveEnd(fits: (call: PartyCall) => boolean): { readonly talk: Pair | Member; readonly end: End } | undefined {
    const live = this.talks.filter(({ ends }) => ends.every(({ call }) => call.up));
    const ends = live.flatMap((talk) => talk.ends.map((end) => ({ talk, end })));
    return this.random.pick(ends.filter(({ end }) => fits(end.call)));
  }

  private async call(): Promise<void> {
    const free = this.phones.filter((phone) => this.callsOf(phone) < 2);
    const caller = this.random.pick(free);
    const callee = this.random.pick(free.filter((phone) => phone !== caller));
    if (caller === undefined || callee === undefined) return;
    const kind = this.random.next();
    if (kind < 0.15) return this.cancelled(caller, callee);
    if (kind < 0.25) return this.refused(caller, callee);
    const before = { ...this.world };
    callee.policy = { type: 'answer', afterMs: this.random.below(200) };
    const { status, call } = await this.dial(caller, callee);
    const other = callee.latest;
    this.say(`${caller.dn} calls ${callee.dn}: ${status}`);
    if (status === 200 && other !== undefined && this.pairs.every(({ ends }) => ends[1].call !== other)) {
      const { nodeKills, engineKills, broken } = before;
      this.pairs.push({
        broken,
        ends: [
          { party: caller, call },
          { party: callee, call: other },
        ],
        nodeKills,
        engineKills,
      });
    } else if (!this.disturbed(before)) this.failures.push(`${caller.dn} calls ${callee.dn}: ${status} ${call.reason}`);
  }

  readonly callsOf = (phone: MediaParty): number => {
    const ends = this.talks.flatMap((talk) => [...talk.ends]);
    return ends.filter(({ party, call }) => party === phone && call.state !== 'ended').length;
  };

  private async dial(caller: MediaParty, callee: MediaParty): Promise<{ status: number; call: PartyCall }> {
    const { call, answered } = await caller.call(callee.dn);
    return { status: await answered, call };
  }

  private async join(): Promise<void> {
    const { conference } = this;
    const caller = this.random.pick(this.phones.filter((phone) => this.callsOf(phone) === 0));
    if (caller === undefined || conference === undefined) return;
    for (let tries = 1; ; tries++) {
      const before = { ...this.world };
      const { call, answered } = await caller.call(conference);
      const status = await answered;
      this.say(`${caller.dn} calls the conference: ${status}`);
      const { nodeKills, engineKills, broken } = before;
      if (status === 200)
        return void this.members.push({
          broken,
          ends: [{ party: caller, call }],
          nodeKills,
          engineKills,
          muted: false,
        });
      if (this.disturbed(before)) return;
      // The number is on its way to another node, or its bridge was started again a moment ago: people dial once more.
      if (tries === REDIALS) return void this.failures.push(`${caller.dn} calls the conference in vain: ${status}`);
      await pause(REDIAL_MS);
    }
  }

  private liveMember(): Member | undefined {
    return this.random.pick(this.members.filter(({ ends: [{ call }] }) => call.up));
  }

  private async moderate(member: Member, command: 'kick' | 'mute' | 'unmute'): Promise<number> {
    const [{ party, call }] = member.ends;
    const before = { ...this.world };
    const status = await this.world.moderate(this.conference ?? '', party.dn, command);
    this.say(`a moderator: ${command} ${party.dn}: ${status}`);
    // It hangs up, or its owner or its bridge has died, or a node since it came in: its own one, or that of the conference.
    const lost = this.world.nodeKills > member.nodeKills;
    const fits = (status >= 200 && status < 300) || !call.up || lost || this.disturbed(before);
    if (!fits) this.failures.push(`a moderator: ${command} ${party.dn}: ${status}`);
    return status;
  }

  /** Mutes a participant, or takes that back. */
  private async mute(): Promise<void> {
    const member = this.liveMember();
    if (member === undefined) return;
    const wish = member.muted !== true;
    member.muted = 'unknown';
    const status = await this.moderate(member, wish ? 'mute' : 'unmute');
    if (status >= 200 && status < 300) member.muted = wish;
  }

  /** A moderator puts a participant out. */
  private async kick(): Promise<void> {
    const member = this.random.chance(0.5) ? this.liveMember() : undefined;
    if (member === undefined) return;
    const status = await this.moderate(member, 'kick');
    if (status < 200 || status >= 300) return;
    const [{ party, call }] = member.ends;
    await eventually(
      `the call of ${party.dn} is ended, who was put out`,
      () => call.state,
      (state) => state === 'ended' || this.world.nodeKills > member.nodeKills,
    );
  }

  /** The caller gives up: while it rings, or just when it is answered. */
  private async cancelled(caller: MediaParty, callee: MediaParty): Promise<void> {
    const patience = this.random.below(400);
    callee.policy = this.random.chance(0.5) ? { type: 'ring' } : { type: 'answer', afterMs: patience };
    const earlier = new Set(callee.open);
    const { call, answered } = await caller.call(callee.dn);
    await pause(patience);
    call.cancel();
    const status = await answered;
    this.say(`${caller.dn} calls ${callee.dn} and cancels after ${patience} ms: ${status}`);
    await this.over('of a cancelled call', callee, earlier);
  }

  private async refused(caller: MediaParty, callee: MediaParty): Promise<void> {
    const before = { ...this.world };
    const status = this.random.pick(['486 Busy Here', '603 Decline', '480 Temporarily Unavailable']) ?? '486 Busy Here';
    callee.policy = { type: 'refuse', status, afterMs: this.random.below(200) };
    const result = await this.dial(caller, callee);
    this.say(`${caller.dn} calls ${callee.dn}, who answers ${status}: ${result.status}`);
    if (result.status !== Number(status.slice(0, 3)) && !this.disturbed(before))
      this.failures.push(`refused with ${status}: ${result.status}`);
  }

  /** What has come to it since `earlier`, and belongs to no pair, ends. What a dead node had rung it for nobody ends. */
  private async over(what: string, party: MediaParty, earlier: ReadonlySet<PartyCall>): Promise<void> {
    const before = { ...this.world };
    try {
      await eventually(
        `${party.dn} is rid ${what}`,
        () =>
          party.open.filter(
            (call) => !earlier.has(call) && this.talks.every(({ ends }) => ends.every((end) => end.call !== call)),
          ).length,
        (left) => left === 0 || this.disturbed(before),
      );
    } catch (error) {
      this.failures.push(String(error));
    }
  }

  private async hold(): Promise<void> {
    const one = this.liveEnd(({ hold }) => hold === 'none');
    if (one !== undefined) await this.change(one.talk, one.end, { hold: this.random.pick(HOLDS) });
  }

  private async both(): Promise<void> {
    const pair = this.livePair();
    if (pair === undefined) return;
    const hold: Hold = pair.ends.some((end) => end.call.hold === 'none') ? 'sendonly' : 'none';
    await Promise.all(pair.ends.map((end) => this.change(pair, end, { hold })));
  }

  private async resume(): Promise<void> {
    const one = this.liveEnd(({ hold }) => hold !== 'none');
    if (one !== undefined) await this.change(one.talk, one.end, { hold: 'none' });
  }

  private async recode(): Promise<void> {
    const one = this.liveEnd(() => true);
    if (one !== undefined) await this.change(one.talk, one.end, { codecs: this.random.pick(CODECS) });
  }

  private async change(
    talk: Past,
    { party, call }: End,
    wish: { hold?: Hold; codecs?: readonly Codec[] },
  ): Promise<void> {
    const before = { ...this.world };
    talk.engineKills = before.engineKills;
    talk.broken = before.broken;
    const status = await call.change(wish);
    this.say(`${party.dn} ${JSON.stringify(wish)}: ${call.statuses.slice(-3).join(' ')}`);
    // The call was being ended when the offer came (RFC 3261 §15.1.2): then its BYE is on its way.
    if (status === 487)
      return eventually(
        'the call ends',
        () => call.up,
        // A node that dies says it too, and sends no BYE any more.
        (up) => !up || this.disturbed(before),
      ).then(() => undefined);
    const odd = status !== 0 && status !== 200 && status !== 491 && status !== 500;
    if (odd && !this.disturbed(before) && call.up) this.failures.push(`${party.dn} ${JSON.stringify(wish)}: ${status}`);
  }

  private transfer(): Promise<void> {
    return (this.random.pick([transferBlind, transferAttended, pickUp, park]) ?? transferBlind)(this);
  }

  private async end(): Promise<void> {
    const one = this.liveEnd(() => true);
    if (one !== undefined) await this.hangUp(one.talk);
  }

  private async hangUp(talk: Pair | Member): Promise<void> {
    const [one, other] = this.random.chance(0.5) ? talk.ends : [talk.ends[1] ?? talk.ends[0], talk.ends[0]];
    const status = await one.call.hangUp();
    this.say(`${one.party.dn} hangs up: ${status}`);
    if (other === undefined) return;
    try {
      await eventually(
        `the call of ${other.party.dn} ends`,
        () => other.call.state,
        (state) => state === 'ended' || this.world.nodeKills > talk.nodeKills,
      );
    } catch (error) {
      this.failures.push(String(error));
    }
  }

  /** Waits until everybody hears what is meant for them. */
  private async settle(): Promise<void> {
    await Promise.all(this.running);
    await this.world.whole();
    for (const pair of this.pairs) await this.settled(pair);
    await this.conferenceSettled();
    this.say('settled');
  }

  private async settled(pair: Pair): Promise<void> {
    const [one, other] = pair.ends;
    // Who lost its node may hear anything.
    const isOver = (): boolean =>
      this.world.nodeKills > pair.nodeKills || pair.ends.some(({ call }) => call.state === 'ended');
    const hears = (): { one: string; other: string } => ({
      one: verdict(one, other, this.disturbed(pair)),
      other: verdict(other, one, this.disturbed(pair)),
    });
    if (isOver()) return;
    try {
      await eventually(
        `${one.party.dn} and ${other.party.dn} hear what they should`,
        hears,
        (seen) => isOver() || (seen.one === 'right' && seen.other === 'right'),
        { cap: CAP_MS, every: 50 },
      );
    } catch (error) {
      const ends = pair.ends.map(({ party, call }) => `${party.dn}: ${call.told()}`);
      const calls = await this.world.calls(pair.ends.map(({ party }) => `party-${party.dn}`));
      throw new Error([String(error), ...ends, calls].join('\n'), { cause: error });
    }
  }

  /** Everybody in the conference who does not hold hears the others who do not, and not itself; there is no music. */
  private async conferenceSettled(): Promise<void> {
    await eventually(
      `the conference hears what it should`,
      () => this.members.map((member) => verdictOfMember(member, this.members, this.world.nodeKills, this.nodeKills)),
      (seen) => seen.every((verdict) => verdict === 'right'),
      { cap: CAP_MS, every: 50 },
    );
  }

  /** All hang up, in any order, and say what could not be ended. */
  private async finish(): Promise<void> {
    await Promise.all(this.running);
    await this.world.whole();
    await Promise.all(
      this.talks.filter(({ ends }) => ends.some(({ call }) => call.up)).map((talk) => this.hangUp(talk)),
    );
    // A CANCEL may have crossed what it was to cancel: then a phone rings or talks until that has come to it, too (RFC 3261 §9.1).
    await eventually(
      'all calls are over',
      () => this.open.length === 0 || this.world.nodeKills > this.nodeKills,
      (over) => over,
      { cap: ENDED_MS },
    ).catch(() => undefined);
    for (const { phone, call } of this.open) {
      // Who lost its node, or the other one's, is told nothing.
      if (this.world.nodeKills === this.nodeKills) this.failures.push(`a call of ${phone.dn} was left: ${call.state}`);
      await call.hangUp();
    }
    for (const phone of this.phones) phone.tidy();
  }
}
