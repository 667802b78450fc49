import { Cluster } from '../support/cluster';
import { describeUnless } from '../support/drachtio-limits';
import { eventually, within } from '../support/eventually';
import { figure } from '../support/figures';
import type { BusMessage, Verdict } from '../support/bus-proxy';
import { addFleet, Fleet } from '../support/fleet/fleet';
import type { CallResult } from '../support/fleet/fleet-calls';
import type { FleetPhone } from '../support/fleet/fleet-phone';
import { trialsOf } from '../support/fleet/owed';
import { compareTables, isEqual } from '../support/fleet/tables';
import type { RegistrationRow } from '../support/node-process';

jest.setTimeout(120_000);

/** The nodes of the example in the source documents. */
const [a, b, c] = [1, 2, 3];
const FIRST = 1000;

/** What nodes tell each other of their entries, polls apart: a node whose polls come is on-line. */
function entriesOf(...nodes: readonly number[]): (message: BusMessage) => boolean {
  return ({ type, from }) => nodes.includes(from) && type !== 'poll' && type !== 'goodbye';
}

function when(fits: (message: BusMessage) => boolean, verdict: Verdict): (message: BusMessage) => Verdict {
  return (message) => (fits(message) ? verdict : 'pass');
}

describeUnless('ending')('the procedures of registration replication, on real processes', () => {
  let cluster: Cluster;
  let fleet: Fleet;
  /** Extension 1000. */
  let phone: FleetPhone;

  beforeAll(async () => {
    cluster = await Cluster.start({
      nodes: 3,
      engines: [],
      busProxies: true,
      change: (file) => {
        file.devices = [];
        addFleet(file, 30, FIRST);
      },
    });
    fleet = await Fleet.open(cluster.scope, cluster, { phones: 30, firstNumber: FIRST });
    phone = fleet.phone(0);
  }, 120_000);
  afterAll(() => cluster.close());

  // Each begins with three nodes that have heard everything, and nobody registered.
  beforeEach(async () => {
    for (const node of [a, b, c]) cluster.bus(node).release();
    for (const node of cluster.nodes) if (!node.running) await node.start();
    const present = fleet.phones.filter(({ on }) => on);
    await registered(
      'all have left',
      fleet.each((each) => each.leave(), 200, present),
    );
    for (const node of cluster.nodes) await node.knows([], 30_000);
  }, 120_000);

  const registered = (what: string, work: Promise<void>): Promise<void> => within(30_000, what, work);

  /** Waits until the node's entries for 1000 are those of exactly these nodes; returns them. */
  const entries = (at: number, owners: readonly number[], dn = phone.dn): Promise<RegistrationRow[]> =>
    eventually(
      `node ${at} has entries of ${owners.join(', ') || 'nobody'} for ${dn}`,
      () => cluster.node(at).registrations(dn),
      (rows) =>
        rows
          .map(({ node }) => node)
          .sort()
          .join() === [...owners].sort().join(),
    );

  /** A phone of node b calls 1000. */
  const callFromB = (): Promise<CallResult> => fleet.phone(1).call(phone.dn);

  /** What node b tried for a call that is over: node and outcome. */
  const triedByB = async (call: CallResult): Promise<string[]> => {
    const trials = await eventually(
      'node b has the record of the call',
      () => trialsOf(cluster.node(b), call),
      (seen) => seen !== undefined,
    );
    return (trials ?? []).map(({ node, outcome }) => `node ${node}: ${outcome}`);
  };

  const wholeAgain = (): Promise<unknown> =>
    eventually('equal tables', () => compareTables(cluster, fleet.phones), isEqual);

  it('claim R5, procedure A: a phone registers with one node, and every node adds it, with one PID and incarnation', async () => {
    await registered('at node a', phone.register(a));
    const rows = await Promise.all([a, b, c].map(async (at) => (await entries(at, [a]))[0]));
    expect(rows.map((row) => row?.local)).toEqual([true, false, false]);
    const [first] = rows;
    expect(first?.pid).toMatch(/^1\.dp\.\d+$/);
    for (const row of rows) expect({ ...row, local: true }).toEqual(first);
    const call = await fleet.phone(2).call(phone.dn);
    expect(call.status).toBe(200);
  });

  it('claim R6, procedure B: de-registered, or silent until its lifetime ends, it is gone from every table', async () => {
    const [, , other] = await Fleet.open(cluster.scope, cluster, {
      phones: 3,
      firstNumber: FIRST + 3,
      expires: 5,
    }).then(({ phones }) => phones);
    await registered(
      'both',
      Promise.all([phone.register(a), other?.register(c)]).then(() => undefined),
    );
    for (const at of [a, b, c]) await Promise.all([entries(at, [a]), entries(at, [c], other?.dn)]);
    other?.close();
    await registered('left', phone.leave());
    for (const at of [a, b, c]) await entries(at, []);
    for (const at of [a, b, c]) await entries(at, [], other?.dn);
    expect(cluster.node(a).log()).toMatch(/"device":"fleet-1000".*"reason":"unregistered"/);
    expect(cluster.node(c).log()).toMatch(/"device":"fleet-1005".*"reason":"expired"/);
  });

  it('claim R8, procedure C: a node that comes on-line gets the registrations of every other one, and they its own', async () => {
    await cluster.node(c).kill9();
    const early = fleet.phones.filter((each) => each.node.id !== c);
    await registered(
      'at nodes a and b',
      fleet.each((each) => each.register(), 200, early),
    );
    const started = Date.now();
    await cluster.node(c).start();
    await wholeAgain();
    figure('a newcomer of 20 entries has them all after its start', Date.now() - started, 'ms');
    await registered(
      'at node c',
      fleet.each((each) => each.register(), 200, fleet.phones),
    );
    await wholeAgain();
  });

  it('claim R9, procedure D: a node that is killed is purged from every table, and the entries of the others stay', async () => {
    await registered(
      'all',
      fleet.each((each) => each.register(), 200),
    );
    await wholeAgain();
    const killed = Date.now();
    await cluster.node(a).kill9();
    const home = (node: number): string[] => fleet.phones.filter((each) => each.node.id === node).map(({ dn }) => dn);
    await cluster.node(b).knows([...home(b), ...home(c)]);
    figure('entries of a killed node are purged after', Date.now() - killed, 'ms');
    await cluster.node(c).knows([...home(b), ...home(c)]);
  });

  it('claim R11: extension 1000 moves from node a to node c, which hears the deletion of node a late, and ignores it', async () => {
    await registered('at node a', phone.register(a));
    for (const at of [a, b, c]) await entries(at, [a]);
    cluster.bus(c).judge = when(entriesOf(a), 'hold');
    await registered('at node c', phone.moveTo(c));
    for (const at of [a, b]) await entries(at, [c]);
    const [mine] = (await entries(c, [a, c])).filter((row) => row.local);
    cluster.bus(c).release();
    const [left] = await entries(c, [c]);
    expect(left).toEqual(mine);
    expect((await callFromB()).status).toBe(200);
    await wholeAgain();
  });

  it('claim R12: node b hears the new registration before the old deletion: it keeps both entries, rings the new one, and drops the old one when the deletion comes', async () => {
    await registered('at node a', phone.register(a));
    await entries(b, [a]);
    cluster.bus(b).judge = when(entriesOf(a), 'hold');
    await registered('at node c', phone.moveTo(c));
    await entries(a, [c]);
    await entries(b, [a, c]);
    const call = await callFromB();
    expect(call.status).toBe(200);
    expect(await triedByB(call)).toEqual([`node ${c}: answered`]);
    await entries(b, [a, c]);
    cluster.bus(b).release();
    await entries(b, [c]);
    await wholeAgain();
  });

  it('claim R13: the deletion is lost: the very call that meets the stale entry of node a completes by way of node c, and the table of node b repairs itself', async () => {
    await registered('at node a', phone.register(a));
    for (const at of [a, b, c]) await entries(at, [a]);
    // The phone wavers between a and c, which do not hear of each other for a while; node b hears both.
    cluster.bus(a).judge = when(entriesOf(c), 'hold');
    await registered('at node c', phone.moveTo(c));
    await entries(b, [a, c]);
    cluster.bus(c).judge = when(entriesOf(a), 'hold');
    const stampAtB = async (): Promise<number> =>
      (await entries(b, [a, c])).find(({ node }) => node === a)?.registeredAt ?? 0;
    const before = await stampAtB();
    await registered('at node a again', phone.moveTo(a));
    await eventually('node b takes the entry of node a for the newest', stampAtB, (stamp) => stamp > before);
    // It ends at c, and node b hears neither that nor that node a has let go of it: what was told is lost.
    cluster.bus(b).judge = when(entriesOf(a, c), 'drop');
    await registered('at node c for good', phone.moveTo(c));
    cluster.bus(a).release();
    await entries(a, [c]);
    await entries(b, [a, c]);

    const started = Date.now();
    const call = await callFromB();
    cluster.bus(b).release();
    expect(call.status).toBe(200);
    expect(await triedByB(call)).toEqual([`node ${a}: not mine`, `node ${c}: answered`]);
    await entries(b, [c]);
    figure('a call that met a stale entry was answered after', call.endedAt - started, 'ms');
    expect(cluster.bus(b).dropped).toBeGreaterThan(0);
    cluster.bus(c).release();
    await wholeAgain();
  });
});
