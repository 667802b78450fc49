import { chmodSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../support/cluster';
import { describeUnless } from '../support/drachtio-limits';
import { eventually, within } from '../support/eventually';
import { figure } from '../support/figures';
import { addFleet, Fleet } from '../support/fleet/fleet';
import type { FleetPhone } from '../support/fleet/fleet-phone';
import { compareTables, isEqual } from '../support/fleet/tables';
import type { NodeProcess } from '../support/node-process';

jest.setTimeout(120_000);

const PHONES = 300;
/** Longer than the test: no phone repairs by a refresh what the journal should have kept. */
const LIFETIME_S = 600;
/** A root that obeys the permissions of files. */
const withoutOverride =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--'] : [];

describeUnless('ending')('the journal of local bindings, on real processes', () => {
  let cluster: Cluster;
  let fleet: Fleet;
  let node: NodeProcess;
  let other: NodeProcess;

  beforeAll(async () => {
    cluster = await Cluster.start({ engines: [], change: (file) => addFleet(file, PHONES) });
    node = cluster.node(1);
    other = cluster.node(2);
    fleet = await Fleet.open(cluster.scope, cluster, { phones: PHONES, expires: LIFETIME_S });
  }, 120_000);
  afterAll(() => cluster.close());

  const journal = (): string => join(node.place.stateDir, 'registrations.journal');
  const home = (of: NodeProcess): FleetPhone[] => fleet.phones.filter((phone) => phone.options.nodes[0]?.id === of.id);
  const certain = (phones: readonly FleetPhone[]): FleetPhone[] =>
    phones.filter((phone) => phone.ledger.state === 'registered' && !phone.busy && !phone.doubtful);
  const logSince = (length: number): string => node.log().slice(length);

  /** The numbers that the node controls. */
  const local = async (of: NodeProcess): Promise<string[]> =>
    (await of.registrations()).flatMap((row) => (row.local ? row.dn : [])).sort();
  const numbers = (phones: readonly FleetPhone[]): string[] => phones.map(({ dn }) => dn).sort();

  /** The phone whose binding is on the line before the last of the file. */
  const journaled = (phone: FleetPhone): Promise<unknown> =>
    eventually(
      `${phone.dn} is in the journal`,
      () => readFileSync(journal(), 'utf8'),
      (text) => text.includes(`"fleet-${phone.dn}"`),
    );

  it('claims R7, R18: a node that is killed while phones register takes up their bindings when it is back: they can be called at once, and are asked whether they are there', async () => {
    const phones = home(node);
    const early = phones.slice(0, 50);
    await fleet.each((phone) => phone.register(), 200, home(other).slice(0, 5));
    await within(
      30_000,
      'the first phones',
      fleet.each((phone) => phone.register(), 200, early),
    );
    await Promise.all(early.map(journaled));
    const all = fleet.each((phone) => phone.register(), 200, phones.slice(50));
    await eventually(
      'some more are registered',
      () => certain(phones).length,
      (count) => count >= 80,
      { every: 5 },
    );
    await node.kill9();
    const told = certain(phones).filter(
      (phone) => phone.ledger.state === 'registered' && phone.ledger.node === node.id,
    );
    const [gone] = told;
    if (gone === undefined) throw new Error('no phone is registered');
    // Without power: it says nothing more.
    gone.on = false;

    await node.start();
    const restored = await local(node);
    for (const phone of early.slice(1)) expect(restored).toContain(phone.dn);
    figure('phones with a 200 of the killed node, restored of them', told.length, `${restored.length}`);
    const call = await home(other)[0]?.call(early[1]?.dn ?? '');
    expect(call?.status).toBe(200);
    await eventually(
      'each is asked by OPTIONS',
      () => early.filter((phone) => phone.on && phone.calls.optionsReceived === 0).length,
      (unasked) => unasked === 0,
    );
    await eventually(
      'the phone that says nothing is deleted',
      () => node.registrations(gone.dn),
      (rows) => rows.length === 0,
    );
    expect(node.log()).toMatch(new RegExp(`"device":"fleet-${gone.dn}".*"reason":"unreachable"`));
    gone.ledger = { state: 'off' };

    await within(60_000, 'the phones that were cut off', all);
    await eventually(
      'no phone waits',
      () => fleet.phones.some(({ busy }) => busy),
      (busy) => !busy,
    );
    await fleet.each(
      (phone) => (phone.on ? phone.refresh() : Promise.resolve()),
      200,
      fleet.phones.filter(({ doubtful }) => doubtful),
    );
    await eventually('equal tables', () => compareTables(cluster, fleet.phones), isEqual);
  });

  /** Each leaves its phones registered at the node, and the file as it describes. */
  const damages: readonly {
    readonly what: string;
    readonly damage: (path: string) => void;
    readonly says: RegExp;
    /** Bindings that are lost. */
    readonly lost: number | 'all';
  }[] = [
    {
      what: 'ends within a line',
      damage: (path) => truncateSync(path, readFileSync(path).length - 20),
      says: /"corruptLines":0,"tornTail":true.*journal was damaged/,
      lost: 1,
    },
    {
      what: 'has garbage in the middle',
      damage: (path) => {
        const bytes = readFileSync(path);
        const start = bytes.indexOf(0x0a, Math.floor(bytes.length / 2)) + 1;
        bytes.fill(0xff, start + 10, start + 60);
        writeFileSync(path, bytes);
      },
      says: /"corruptLines":1,"tornTail":false.*journal was damaged/,
      lost: 1,
    },
    {
      what: 'is nothing but garbage',
      damage: (path) => writeFileSync(path, Buffer.alloc(100_000, 'garbage \0\xff\n')),
      says: /"corruptLines":\d+.*journal was damaged/,
      lost: 'all',
    },
    {
      what: 'is a directory',
      damage: (path) => {
        rmSync(path);
        mkdirSync(join(path, 'inside'), { recursive: true });
      },
      says: /journal not readable.*\n(.*\n)*.*journal cannot be written; registrations go on/,
      lost: 'all',
    },
    {
      what: 'may not be read',
      damage: (path) => chmodSync(path, 0),
      says: /EACCES.*journal not readable/,
      lost: 'all',
    },
  ];

  it.each(damages)('a journal that $what is survived, and the log says so', async ({ what, damage, says, lost }) => {
    const phones = home(node).slice(0, 20);
    await node.kill9();
    rmSync(journal(), { recursive: true, force: true });
    await node.start();
    await within(
      30_000,
      'registered',
      fleet.each((phone) => phone.register(node.id), 200, phones),
    );
    await Promise.all(phones.map(journaled));
    const elsewhere = await local(other);
    await node.kill9();
    damage(journal());
    const before = node.log().length;
    await node.start(what === 'may not be read' ? withoutOverride : []);

    const restored = await local(node);
    expect(restored).toHaveLength(lost === 'all' ? 0 : phones.length - lost);
    for (const dn of restored) expect(numbers(phones)).toContain(dn);
    expect(logSince(before)).toMatch(says);
    expect(await local(other)).toEqual(elsewhere);
    // Those that were lost come back with their next REGISTER, as after any restart.
    await within(
      30_000,
      'registered again',
      fleet.each((phone) => phone.register(node.id), 200, phones),
    );
    expect(await local(node)).toEqual(numbers(phones));
    const call = await home(other)[0]?.call(phones[3]?.dn ?? '');
    expect(call?.status).toBe(200);
  });
});
