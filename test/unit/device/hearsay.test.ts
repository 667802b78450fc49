import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedClock } from '../../../src/process/clock';
import { CompositeSet } from '../../../src/registration/composite-set';
import { RegistrationJournal } from '../../../src/registration/journal';
import { silentLogger } from '../../../src/telemetry/logger';
import { config, GATEWAY, PHONE, settle, TestNode } from './support';

const UDP_GATEWAY = { protocol: 'udp', address: '10.9.9.9', port: 5090 };
const registering = config({ gateways: [{ ...GATEWAY, uri: undefined, nodes: [] }] });
const MINUTE_MS = 60_000;

describe('claim R12: what another node says of a device, and the journal', () => {
  let directory: string;
  let clock: SimulatedClock;
  let journal: RegistrationJournal;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'hearsay-'));
    clock = new SimulatedClock();
    journal = await open();
  });
  afterEach(async () => {
    await journal.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const open = (): Promise<RegistrationJournal> => RegistrationJournal.open({ directory, clock, log: silentLogger });
  const kinds = {
    phone: { source: PHONE, username: 'alice' },
    gateway: { source: UDP_GATEWAY, username: 'trunk' },
  };
  type Kind = keyof typeof kinds;

  const start = (boot: number): TestNode => new TestNode({ config: registering, clock, journal, boot });
  const onDisk = (): string[] => journal.bindings().map(({ record }) => record.device);

  /** The same device at node 2, so much later than here. */
  function elsewhere(node: TestNode, laterMs: number): void {
    const [{ record } = { record: undefined }] = journal.bindings();
    if (record === undefined) throw new Error('nothing is written down');
    const pid = record.kind === 'gateway' ? '2.gp.1' : '2.dp.1';
    node.composite.put(2, { ...record, pid, boot: 7, stamp: { ms: record.stamp.ms + laterMs, counter: 0, node: 2 } });
  }

  /** What happens, and whether the device is here then, and on disk. */
  const courses: readonly {
    readonly what: string;
    readonly happens: (node: TestNode, key: string) => void;
    readonly here: boolean;
    readonly stays: boolean;
  }[] = [
    { what: 'nothing', happens: () => undefined, here: true, stays: true },
    { what: 'it is older there', happens: (node) => elsewhere(node, -5), here: true, stays: true },
    { what: 'it is newer there', happens: (node) => elsewhere(node, 5), here: false, stays: true },
    {
      what: 'it is newer there by a clock that is wrong',
      happens: (node) => {
        node.disbelieves.add(2);
        elsewhere(node, 2 * MINUTE_MS);
      },
      here: true,
      stays: true,
    },
    {
      what: 'it is newer there, which is confirmed',
      happens: (node, key) => {
        elsewhere(node, 5);
        node.devices.movedBinding(key, 'settled');
      },
      here: false,
      stays: false,
    },
    {
      what: 'it is newer there, and gone again',
      happens: (node, key) => {
        elsewhere(node, 5);
        node.composite.delete(2, key, 'unreachable');
        node.devices.movedBinding(key, 'back');
      },
      here: true,
      stays: true,
    },
    {
      what: 'it is newer there, and gone when it has expired here',
      happens: (node, key) => {
        elsewhere(node, 5);
        node.composite.delete(2, key, 'unreachable');
        clock.advance(2 * MINUTE_MS);
        node.devices.movedBinding(key, 'back');
      },
      here: false,
      stays: false,
    },
    {
      what: 'another node knows it as dead',
      happens: (node, key) => void node.composite.delete(1, key, 'unregistered'),
      here: false,
      stays: false,
    },
  ];
  const cases = (['phone', 'gateway'] as const).flatMap((kind) =>
    courses.flatMap((course) =>
      (['as it runs', 'as it restores it'] as const).map((when) => ({ kind, when, ...course })),
    ),
  );

  test.each(cases)(
    'a $kind: $what, $when: here $here, after a restart of the node alone $stays',
    async ({ kind, when, happens, here, stays }: { kind: Kind } & (typeof cases)[number]) => {
      let node = start(100).start();
      node.register(kinds[kind]);
      const key = journal.bindings()[0]?.record.key ?? '';
      if (when === 'as it restores it') {
        node.devices.stop();
        await journal.close();
        journal = await open();
        // What the others say was heard before, where it can be.
        node = start(101);
        if (happens.length === 1) happens(node, key);
        node.start();
        await settle();
        if (happens.length > 1) happens(node, key);
      } else happens(node, key);
      const device = kind === 'phone' ? 'SEP-alice' : GATEWAY.name;
      expect(node.records().map((record) => record.device)).toEqual(here ? [device] : []);
      expect(onDisk()).toEqual(stays ? [device] : []);

      // Those that tell of it are not there when it begins again.
      node.devices.stop();
      await journal.close();
      journal = await open();
      const again = start(200).start();
      expect(again.records().map((record) => record.device)).toEqual(stays ? [device] : []);
      again.devices.stop();
      expect(clock.pending).toBeLessThanOrEqual(2);
    },
  );

  test('what this node cannot order, as its clock was set, is the oldest of all, and is not lost', async () => {
    const node = start(100).start();
    node.register(kinds.phone);
    node.devices.stop();
    await journal.close();
    clock = new SimulatedClock(clock.now() - 10 * MINUTE_MS);
    journal = await open();
    const again = start(200).start();
    expect([...again.composite.of(1)]).toMatchObject([{ device: 'SEP-alice', stamp: { ms: 0 } }]);
    elsewhere(again, -9 * MINUTE_MS);
    expect(again.records()).toEqual([]);
    expect(onDisk()).toEqual(['SEP-alice']);
    again.devices.stop();
  });

  test.each(['after', 'before'] as const)(
    'a phone that took its leave of everything at a node that knew nothing of it, which is killed then: what turns up %s it has begun again is ended',
    async (when) => {
      const node = start(100).start();
      node.register({ ...kinds.phone, contact: '*', expires: '0' });
      await journal.close();
      journal = await open();
      const composite = new CompositeSet();
      const other = new TestNode({ config: registering, clock: new SimulatedClock(clock.now() - MINUTE_MS), node: 2 });
      other.start().register(kinds.phone);
      const [old] = [...other.composite.of(2)];
      if (old === undefined) throw new Error('not registered');
      if (when === 'before') composite.put(2, old);
      const again = new TestNode({ config: registering, clock, journal, boot: 200, composite }).start();
      if (when === 'after') composite.put(2, old);
      const told = again.changes.filter(({ owner }) => owner === 1);
      expect(told.map(({ type, record }) => `${type} ${record.device}`)).toEqual(['put SEP-alice', 'delete SEP-alice']);
      again.devices.stop();
    },
  );
});
