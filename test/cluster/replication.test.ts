import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../simulation/random';
import { Cluster } from '../support/cluster';
import { describeUnless } from '../support/drachtio-limits';
import { eventually, within } from '../support/eventually';
import { figure } from '../support/figures';
import { Chaos, STARVED_KNOWN_MS } from '../support/fleet/chaos';
import { addFleet, Fleet } from '../support/fleet/fleet';
import type { FleetPhone } from '../support/fleet/fleet-phone';
import { calleeNow, classOf, explain, type CallClass } from '../support/fleet/owed';
import { areEqual, compareTables, isEqual, type Comparison } from '../support/fleet/tables';

/** The long form: `TANDEM_CHURN_SECONDS=1800`; a run again: `TANDEM_SEED=...`. */
const churnSeconds = Number(process.env['TANDEM_CHURN_SECONDS'] ?? 45);
const seed = Number(process.env['TANDEM_SEED'] ?? 448_693_784);
const phoneCount = Number(process.env['TANDEM_PHONES'] ?? 2000);

jest.setTimeout((churnSeconds + 300) * 1000);

const PER_SECOND = { registrations: 400, moves: 20, leaves: 8, returns: 8, refreshes: 10, calls: 10 };
const FAULT_EVERY_MS = 2500;
/** Placed when all tables are equal. */
const FINAL_CALLS = 60;
/** Failed calls that are printed at most. */
const LISTED = 20;
const CONVERGENCE = { cap: 60_000, every: 250 };

/** What came of the calls that were placed. */
class CallBook {
  readonly counts = new Map<string, number>();
  readonly stale: string[] = [];
  readonly failed: string[] = [];

  count(kind: CallClass, ok: boolean): void {
    const name = `${kind}: ${ok ? 'answered' : 'failed'}`;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  get answered(): number {
    return [...this.counts].reduce((sum, [what, count]) => (what.endsWith('answered') ? sum + count : sum), 0);
  }
}

async function placeCall(cluster: Cluster, chaos: Chaos, book: CallBook, caller: FleetPhone, callee: FleetPhone) {
  const before = calleeNow(callee);
  const call = await caller.call(callee.dn);
  const after = calleeNow(callee);
  if (call.status === 200) return book.count(classOf(call, before, after, chaos), true);
  if (classOf(call, before, after, chaos) !== 'owed') return book.count(classOf(call, before, after, chaos), false);
  const { stale, why } = await explain(cluster, call, before);
  await pause(STARVED_KNOWN_MS);
  const kind = classOf(call, before, after, chaos);
  book.count(kind, false);
  if (kind === 'owed') (stale ? book.stale : book.failed).push(why);
}

const isRegistered = ({ ledger }: FleetPhone): boolean => ledger.state === 'registered';

/** Phones move, leave, come back and call, at random. */
class Churn {
  private readonly calls = new Set<Promise<void>>();
  private readonly owing: Record<string, number> = {};
  private lastAt = Date.now();

  constructor(
    private readonly cluster: Cluster,
    private readonly fleet: Fleet,
    private readonly chaos: Chaos,
    private readonly random: Random,
    readonly book: CallBook,
  ) {}

  async run(forMs: number): Promise<void> {
    const end = Date.now() + forMs;
    this.lastAt = Date.now();
    while (Date.now() < end) {
      this.step();
      await pause(20);
    }
    await Promise.all(this.calls);
  }

  /** Calls between phones that are registered, and nothing else. */
  async callAround(count: number): Promise<void> {
    const calls: Promise<void>[] = [];
    for (let call = 0; call < count; call++) {
      const [caller, callee] = [this.pick(isRegistered), this.pick(isRegistered)];
      if (caller !== undefined && callee !== undefined && caller !== callee)
        calls.push(placeCall(this.cluster, this.chaos, this.book, caller, callee));
      await pause(1000 / PER_SECOND.calls);
    }
    await Promise.all(calls);
  }

  private step(): void {
    const now = Date.now();
    const elapsed = now - this.lastAt;
    this.lastAt = now;
    this.often('moves', elapsed, () => {
      const node = this.random.pick(this.cluster.nodes);
      const phone = this.pick((each) => isRegistered(each) && !each.busy);
      if (node !== undefined) void phone?.moveTo(node.id);
    });
    this.often('leaves', elapsed, () => void this.pick((each) => each.on && !each.busy)?.leave());
    this.often('returns', elapsed, () => {
      const phone = this.pick((each) => !each.on);
      void phone?.register(this.random.pick(phone.options.nodes)?.id);
    });
    this.often('refreshes', elapsed, () => void this.pick((each) => each.on && !each.busy)?.refresh());
    this.often('calls', elapsed, () => {
      const caller = this.pick((each) => isRegistered(each) && !each.busy);
      const callee = this.pick(isRegistered);
      if (caller === undefined || callee === undefined || caller === callee) return;
      const call = placeCall(this.cluster, this.chaos, this.book, caller, callee);
      this.calls.add(call);
      void call.finally(() => this.calls.delete(call));
    });
  }

  private often(what: keyof typeof PER_SECOND, elapsed: number, act: () => void): void {
    let due = (this.owing[what] ?? 0) + (elapsed / 1000) * PER_SECOND[what];
    for (; due >= 1; due -= 1) act();
    this.owing[what] = due;
  }

  private pick(fits: (phone: FleetPhone) => boolean): FleetPhone | undefined {
    for (let attempt = 0; attempt < 100; attempt++) {
      const phone = this.random.pick(this.fleet.phones);
      if (phone !== undefined && fits(phone)) return phone;
    }
    return undefined;
  }
}

/** Every phone has its final answer; those whose REGISTER was given up somewhere register once more, where they are. */
async function becomeCertain(fleet: Fleet): Promise<number> {
  await eventually(
    'no phone waits for an answer',
    () => fleet.phones.filter((phone) => phone.busy).length,
    (busy) => busy === 0,
    { cap: 60_000, every: 50 },
  );
  const doubtful = fleet.phones.filter(({ doubtful }) => doubtful);
  for (const phone of doubtful) phone.doubtfulSince = undefined;
  await fleet.each((phone) => (phone.on ? phone.refresh() : Promise.resolve()), PER_SECOND.registrations, doubtful);
  return doubtful.length;
}

function print(fleet: Fleet, chaos: Chaos, book: CallBook): void {
  const { accepted, moved, left, refused, unanswered, late } = fleet.counters;
  figure('REGISTERs answered 200', accepted, '');
  figure('moves to another node', moved, '');
  figure('phones that left', left, '');
  figure('REGISTERs refused, unanswered, answered too late', refused, `${unanswered} ${late}`);
  for (const kind of ['kill', 'pause', 'blink', 'stall', 'stop', 'redis-kill', 'redis-pause', 'starved'] as const)
    figure(`fault: ${kind}`, chaos.count(kind), 'times');
  for (const [what, count] of [...book.counts].sort()) figure(`calls, ${what}`, count, '');
  for (const why of [...book.stale, ...book.failed].slice(0, LISTED)) process.stderr.write(`call: ${why}\n`);
}

describeUnless('ending')(`claims R15, R18: ${phoneCount} phones on five nodes (seed ${seed})`, () => {
  let cluster: Cluster;
  let fleet: Fleet;

  beforeAll(async () => {
    cluster = await Cluster.start({ nodes: 5, engines: [], change: (file) => addFleet(file, phoneCount) });
    fleet = await Fleet.open(cluster.scope, cluster, { phones: phoneCount, expires: 60 });
  }, 120_000);
  afterAll(() => cluster.close(), 60_000);

  it('register, move and leave while nodes and Redis are killed and paused: all tables become equal, and equal to what the phones were told; no call fails because of a stale entry', async () => {
    process.stderr.write(`seed: ${seed} (TANDEM_SEED), churn: ${churnSeconds} s (TANDEM_CHURN_SECONDS)\n`);
    const random = new Random(seed);
    const chaos = new Chaos(cluster, random);
    const churn = new Churn(cluster, fleet, chaos, random, new CallBook());

    await within(
      120_000,
      'all phones registered',
      fleet.each((phone) => phone.register(), PER_SECOND.registrations),
    );
    const watching = chaos.watch();
    try {
      await Promise.all([chaos.run(churnSeconds * 1000, FAULT_EVERY_MS), churn.run(churnSeconds * 1000)]);
      const quiet = Date.now();
      const doubtful = await within(120_000, 'every phone is certain', becomeCertain(fleet));
      figure('phones that registered once more, being in doubt', doubtful, '');
      const certain = Date.now();
      const equal = async (what: string, fits: (seen: Comparison) => boolean): Promise<Comparison> => {
        const seen = await eventually(what, () => compareTables(cluster, fleet.phones), fits, CONVERGENCE);
        figure(
          `${what} after the last phone was certain`,
          Date.now() - certain,
          `ms (${Date.now() - quiet} after the last fault)`,
        );
        return seen;
      };
      await equal('all tables equal each other', areEqual);
      const { entries } = await equal('all tables equal the ledger', isEqual);
      figure('entries of each table', entries[0] ?? 0, '');
      await churn.callAround(FINAL_CALLS);
    } finally {
      chaos.stopWatching();
      await watching;
      print(fleet, chaos, churn.book);
    }

    expect(churn.book.stale).toEqual([]);
    expect(churn.book.answered).toBeGreaterThan(0);
  });
});
