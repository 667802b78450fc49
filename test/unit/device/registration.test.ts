import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedClock } from '../../../src/process/clock';
import { compareStamps } from '../../../src/process/hlc';
import { RegistrationJournal } from '../../../src/registration/journal';
import type { RegistrationRecord } from '../../../src/registration/record';
import { isRegistrationRecord } from '../../../src/registration/validate';
import { silentLogger } from '../../../src/telemetry/logger';
import { config, FakeUserAgent, GATEWAY, PHONE, settle, TestNode } from './support';

const noGateways = config({ gateways: [] });

function own(node: TestNode): RegistrationRecord[] {
  return [...node.composite.of(node.node)];
}

describe('claims R1, R2, R3: registration', () => {
  test('a phone that registers gets a device process with a PID of this node, and an entry for its lines', () => {
    const node = new TestNode({ config: noGateways }).start();
    expect(node.register()).toMatchObject({
      status: 200,
      headers: { Contact: '<sip:alice@10.0.0.7:5062>;expires=120' },
    });
    expect(own(node)).toEqual([
      {
        key: 'SEP-alice|sip:alice@10.0.0.7:5062',
        kind: 'station',
        device: 'SEP-alice',
        lines: ['1000', '1001'],
        instance: 'sip:alice@10.0.0.7:5062',
        pid: '1.dp.1',
        boot: 100,
        contact: 'sip:alice@10.0.0.7:5062',
        address: 'udp:10.0.0.7:5062',
        stamp: { ms: node.clock.now(), counter: 0, node: 1 },
        expiresAt: node.clock.now() + 120_000,
      },
    ]);
    expect(isRegistrationRecord(own(node)[0])).toBe(true);
  });

  test('it registers with any call manager: the one that accepts it controls it', () => {
    const node = new TestNode({ node: 2, config: noGateways }).start();
    node.register();
    expect(node.records()).toMatchObject([{ pid: '2.dp.1' }]);
  });

  test('a refresh keeps the PID and has a newer stamp and a later expiry', () => {
    const node = new TestNode({ config: noGateways }).start();
    node.register();
    const before = own(node)[0]!;
    node.clock.advance(60_000);
    expect(node.register().status).toBe(200);
    const [after] = own(node);
    expect(after).toMatchObject({ pid: before.pid, expiresAt: before.expiresAt + 60_000 });
    expect(after!.stamp.ms).toBeGreaterThan(before.stamp.ms);
    node.clock.advance(119_000);
    expect(own(node)).toHaveLength(1);
  });

  test('each binding of a device has its own device process', () => {
    const node = new TestNode({ config: noGateways }).start();
    node.register();
    node.register({ contact: '<sip:alice@10.0.0.8:5062>', callId: 'other' });
    expect(node.records().map(({ pid }) => pid)).toEqual(['1.dp.1', '1.dp.2']);
    expect(node.devices.stations().map(({ profile }) => profile.name)).toEqual(['SEP-alice', 'SEP-alice']);
  });

  test('a wrong password gets 401 and leaves no entry', () => {
    const node = new TestNode({ config: noGateways }).start();
    const headers = node.credentials('REGISTER', 'sip:acme.example', 'alice');
    headers.Authorization = headers.Authorization!.replace(/response="./, 'response="x');
    expect(node.send({ headers: { ...headers, To: '<sip:alice@acme.example>' } }).status).toBe(401);
    expect(own(node)).toEqual([]);
  });

  test('404 for an unknown address-of-record comes only after authentication', () => {
    const node = new TestNode({ config: noGateways }).start();
    const headers = { To: '<sip:nobody@acme.example>', CSeq: '1 REGISTER', Contact: '<sip:a@b>' };
    expect(node.send({ headers }).status).toBe(401);
    expect(node.send({ headers: { ...headers, ...node.credentials('REGISTER', 'sip:acme.example') } }).status).toBe(
      404,
    );
  });

  test('claim R15: at capacity a new phone gets 503 and Retry-After, one that is here already is refreshed', () => {
    const [first, second] = noGateways.nodes;
    const node = new TestNode({ config: { ...noGateways, nodes: [{ ...first!, capacity: 1 }, second!] } }).start();
    expect(node.register().status).toBe(200);
    expect(node.register({ username: 'bob' })).toMatchObject({ status: 503, headers: { 'Retry-After': '30' } });
    expect(node.register().status).toBe(200);
    expect(node.records()).toHaveLength(1);
  });

  test('claim R15: a node that drains turns everybody away with 503 and Retry-After', () => {
    const node = new TestNode({ config: noGateways }).start();
    node.devices.drain(5000);
    const answers = [node.register(), node.send({ method: 'OPTIONS' }), node.invite({}).told[0]];
    for (const answer of answers) expect(answer).toMatchObject({ status: 503, headers: { 'Retry-After': '30' } });
  });
});

describe('claim R6: one deletion, with its reason', () => {
  const deletions = (node: TestNode): string[] =>
    node.changes.flatMap((change) => (change.type === 'delete' ? [`${change.record.pid} ${change.reason}`] : []));

  describe('claim M14: the media resource group list that comes with a REGISTER', () => {
    const lists = [{ name: 'voice', groups: [] }];
    const node = (acceptListFromDevice: boolean): TestNode => {
      const { devices } = noGateways;
      const changed = devices.map((device) => ({ ...device, acceptListFromDevice }));
      return new TestNode({ config: { ...noGateways, devices: changed, mediaResourceGroupLists: lists } }).start();
    };
    const asked = (list: string) => ({ headers: { 'X-Tandem-Media-Resource-Group-List': list } });
    const listOf = (of: TestNode): string | undefined => of.devices.stations()[0]?.profile.listFromDevice;

    test('is kept with the binding when the configuration lets the device choose, until the next REGISTER', () => {
      const willing = node(true);
      willing.register(asked('voice'));
      expect(listOf(willing)).toBe('voice');
      willing.register();
      expect(listOf(willing)).toBeUndefined();
    });

    test('is of no account otherwise, or when there is no such list', () => {
      const unwilling = node(false);
      unwilling.register(asked('voice'));
      expect(listOf(unwilling)).toBeUndefined();
      const willing = node(true);
      willing.register(asked('nonsense'));
      expect(listOf(willing)).toBeUndefined();
    });
  });

  test('de-registration', () => {
    const node = new TestNode({ config: noGateways }).start();
    node.register();
    expect(node.register({ expires: '0' }).status).toBe(200);
    expect(deletions(node)).toEqual(['1.dp.1 unregistered']);
    expect(node.devices.ownProcess('1.dp.1')).toBeUndefined();
    node.clock.advance(3_600_000);
    expect(deletions(node)).toHaveLength(1);
  });

  test('claim R7: expiry', () => {
    const node = new TestNode({ config: noGateways }).start();
    node.register();
    node.register({ username: 'bob', expires: '600' });
    node.clock.advance(119_900);
    expect(deletions(node)).toEqual([]);
    node.clock.advance(200);
    expect(deletions(node)).toEqual(['1.dp.1 expired']);
    node.clock.advance(600_000);
    expect(deletions(node)).toEqual(['1.dp.1 expired', '1.dp.2 expired']);
    expect(node.clock.pending).toBe(0);
  });

  test('procedure B: the same binding under another owner with a newer stamp', () => {
    const node = new TestNode({ config: noGateways }).start();
    node.register();
    const mine = own(node)[0]!;
    node.composite.put(2, { ...mine, pid: '2.dp.9', stamp: { ...mine.stamp, ms: mine.stamp.ms - 1, node: 2 } });
    expect(deletions(node)).toEqual([]);
    node.composite.put(2, { ...mine, pid: '2.dp.9', stamp: { ...mine.stamp, ms: mine.stamp.ms + 1, node: 2 } });
    expect(deletions(node)).toEqual(['1.dp.1 moved']);
  });

  test.each([
    ['with its contact', {}],
    ['with all its contacts', { contact: '*' }],
  ])(
    'claim R6: a phone leaves at a node that does not control it, %s: the newer registration is told, then deleted',
    (_, how) => {
      const node = new TestNode({ config: noGateways }).start();
      node.register();
      const mine = own(node)[0]!;
      node.register({ expires: '0' });
      const theirs = { ...mine, pid: '2.dp.9' as const, boot: 9 };
      node.composite.put(2, theirs);
      node.composite.put(2, { ...theirs, key: 'SEP-bob|x', device: 'SEP-bob' });
      node.changes.length = 0;
      node.register({ ...how, expires: '0' });
      expect(node.changes).toMatchObject([
        { type: 'put', owner: 1, record: { key: mine.key, pid: '1.dp.2', boot: mine.boot } },
        { type: 'delete', owner: 1, record: { key: mine.key }, reason: 'unregistered' },
      ]);
      expect(compareStamps(node.changes[0]!.record.stamp, theirs.stamp)).toBeGreaterThan(0);
    },
  );

  test.each([
    ['its next request here', {}, true],
    ['all contacts', { contact: '*' }, true],
    ['a registration of another Call-ID', { callId: 'other' }, false],
    ['a request after others of the same Call-ID that went elsewhere', { headers: { CSeq: '9 REGISTER' } }, false],
  ])(
    'a phone that has moved from here takes leave, by %s: is its registration there untouched?',
    (_, how, untouched) => {
      const node = new TestNode({ config: noGateways }).start();
      node.register();
      const mine = own(node)[0]!;
      const theirs = {
        ...mine,
        pid: '2.dp.9' as const,
        boot: 9,
        stamp: { ...mine.stamp, ms: mine.stamp.ms + 1, node: 2 },
      };
      node.composite.put(2, theirs);
      expect(deletions(node)).toEqual(['1.dp.1 moved']);
      node.changes.length = 0;
      expect(node.register({ ...how, expires: '0' }).status).toBe(200);
      if (untouched) expect(node.changes).toEqual([]);
      else expect(deletions(node)).toEqual(['1.dp.2 unregistered']);
    },
  );

  test('another binding of the same device elsewhere does not move it', () => {
    const node = new TestNode({ config: noGateways }).start();
    node.register();
    const mine = own(node)[0]!;
    const stamp = { ms: mine.stamp.ms + 1, counter: 0, node: 2 };
    node.composite.put(2, { ...mine, key: 'SEP-alice|other', pid: '2.dp.9', stamp });
    expect(deletions(node)).toEqual([]);
  });

  test('a lost SIP server takes the phones on connections with it, not those on UDP', () => {
    const node = new TestNode({ config: noGateways }).start();
    node.register();
    node.register({ username: 'bob', source: { protocol: 'tcp', address: '10.0.0.9', port: 33_333 } });
    node.devices.serverChanged([]);
    expect(deletions(node)).toEqual(['1.dp.2 unreachable']);
  });

  test('claim R7: a closed connection that nobody tells of is found by one poll, twice as often as silence', async () => {
    const node = new TestNode({ config: noGateways }).start();
    node.register();
    node.register({ username: 'bob', source: { protocol: 'tcp', address: '10.0.0.9', port: 33_333 } });
    node.userAgent.answerTo = () => 408;
    node.clock.advance(15_000);
    await settle();
    expect(node.userAgent.requests).toMatchObject([{ method: 'OPTIONS', uri: 'sip:bob@10.0.0.9:33333' }]);
    expect(deletions(node)).toEqual([]);
    node.userAgent.answerTo = () => 410;
    node.clock.advance(5000);
    await settle();
    expect(deletions(node)).toEqual(['1.dp.2 unreachable']);
    node.devices.stop();
    expect(node.clock.pending).toBe(0);
  });

  test('stopping takes everything off the table, and leaves no timer', () => {
    const node = new TestNode().start();
    node.register();
    node.devices.stop();
    expect(deletions(node).sort()).toEqual(['1.dp.1 stopped', '1.gp.1 stopped']);
    expect(node.clock.pending).toBe(0);
  });
});

describe('restoring from the journal', () => {
  let directory: string;
  let clock: SimulatedClock;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'restore-'));
    clock = new SimulatedClock();
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const open = (): Promise<RegistrationJournal> => RegistrationJournal.open({ directory, clock, log: silentLogger });

  async function before(work: (node: TestNode) => void): Promise<void> {
    const journal = await open();
    const node = new TestNode({ config: noGateways, clock, journal, boot: 100 }).start();
    work(node);
    node.devices.stop();
    await journal.close();
  }

  async function restarted(userAgent = new FakeUserAgent(), changed = noGateways): Promise<TestNode> {
    const journal = await open();
    const node = new TestNode({ config: changed, clock, journal, boot: 200, userAgent }).start();
    await settle();
    await journal.close();
    return node;
  }

  test('what a phone did while very many are restored counts, not what the journal had of it', async () => {
    await before((node) => void node.register());
    const kept = await open();
    const [journaled] = kept.bindings();
    if (journaled === undefined) throw new Error('nothing was journaled');
    // The binding of the phone comes after many that are of no device here, thus in a later turn.
    const unknown = Array.from({ length: 200 }, (_, at) => {
      const record = { ...journaled.record, key: `nobody|${at}`, device: 'nobody' };
      return { ...journaled, record };
    });
    kept.delete(journaled.record.key);
    for (const each of [...unknown, journaled]) kept.put(each);
    const node = new TestNode({ config: noGateways, clock, journal: kept, boot: 200 }).start();
    expect(node.records()).toEqual([]);
    node.register();
    const [fresh] = node.records();
    clock.advance(50);
    await settle();
    expect(node.records()).toEqual([fresh]);
    node.devices.stop();
    await kept.close();
    const after = await open();
    expect(after.bindings().map(({ record }) => record.pid)).toEqual([fresh?.pid]);
    await after.close();
  });

  test('a UDP phone is back at once, in the new incarnation, with its old stamp and expiry, and is asked by OPTIONS', async () => {
    await before((node) => void node.register());
    const stamp = { ms: clock.now(), counter: 0, node: 1 };
    const expiresAt = clock.now() + 120_000;
    clock.advance(30_000);
    const node = await restarted();
    expect(own(node)).toMatchObject([
      { pid: '1.dp.1', boot: 200, stamp, expiresAt, contact: 'sip:alice@10.0.0.7:5062' },
    ]);
    expect(node.userAgent.requests).toMatchObject([{ method: 'OPTIONS', uri: 'sip:alice@10.0.0.7:5062' }]);
    clock.advance(91_000);
    expect(own(node)).toEqual([]);
  });

  test('claim R7: one that does not answer is deleted as unreachable', async () => {
    await before((node) => void node.register());
    const userAgent = new FakeUserAgent();
    userAgent.answerTo = () => 408;
    const node = await restarted(userAgent);
    expect(node.changes.at(-1)).toMatchObject({ type: 'delete', reason: 'unreachable' });
  });

  test('any answer of its own says that it is there', async () => {
    await before((node) => void node.register());
    const userAgent = new FakeUserAgent();
    userAgent.answerTo = () => 486;
    expect(own(await restarted(userAgent))).toHaveLength(1);
  });

  test('the order rule holds across the restart', async () => {
    await before((node) => void node.register({ callId: 'constant' }));
    const node = await restarted();
    const headers = {
      ...node.credentials('REGISTER', 'sip:acme.example'),
      To: '<sip:alice@acme.example>',
      Contact: '<sip:alice@10.0.0.7:5062>',
    };
    clock.advance(-1000);
    const old = node.credentials('REGISTER', 'sip:acme.example');
    expect(node.send({ callId: 'constant', headers: { ...headers, ...old, CSeq: '1 REGISTER' } }).status).toBe(500);
    expect(node.send({ callId: 'constant', headers: { ...headers, CSeq: '2 REGISTER' } }).status).toBe(200);
  });

  test.each<[string, (node: TestNode) => void]>([
    ['on a connection', (node) => void node.register({ source: { ...PHONE, protocol: 'tcp' } })],
    [
      'that has unregistered',
      (node) => {
        node.register();
        node.register({ expires: '0' });
      },
    ],
  ])('a phone %s is not restored', async (_, work) => {
    await before(work);
    expect(own(await restarted())).toEqual([]);
  });

  test('a phone whose registration ran out while the node was down is not restored', async () => {
    await before((node) => void node.register({ expires: '30' }));
    clock.advance(30_000);
    const node = await restarted();
    expect(node.changes).toEqual([]);
    expect(node.userAgent.requests).toEqual([]);
  });

  test('a phone that is not configured any more is not restored', async () => {
    await before((node) => void node.register());
    expect(own(await restarted(undefined, { ...noGateways, devices: [] }))).toEqual([]);
  });

  test('a phone that has moved while its node was down takes leave there: its new registration stays', async () => {
    let record: RegistrationRecord | undefined;
    await before((node) => {
      node.register();
      record = own(node)[0];
    });
    const { stamp, ...rest } = record!;
    const journal = await open();
    const node = new TestNode({ config: noGateways, clock, journal, boot: 200 });
    node.composite.put(2, { ...rest, pid: '2.dp.9', stamp: { ...stamp, ms: stamp.ms + 5, node: 2 } });
    node.start();
    await settle();
    node.changes.length = 0;
    node.register({ expires: '0', headers: { CSeq: '2 REGISTER' } });
    expect(node.changes).toEqual([]);
    await journal.close();
  });

  test('what another node holds with a newer stamp wins over what was restored', async () => {
    await before((node) => void node.register());
    const node = await restarted();
    const mine = own(node)[0]!;
    node.composite.put(2, { ...mine, pid: '2.dp.1', stamp: { ms: mine.stamp.ms + 5, counter: 0, node: 2 } });
    expect(node.changes.at(-1)).toMatchObject({ type: 'delete', reason: 'moved' });
  });
});

describe('claim R17: gateways', () => {
  const gatewayRecords = (node: TestNode): string[] => node.records().map(({ pid }) => pid);

  test('the first live node of its list owns a gateway, with a PID of its own', () => {
    const [one, two] = [new TestNode({ node: 1 }), new TestNode({ node: 2 })];
    two.peers.set(1, { sipAddress: '10.0.0.1:5060', boot: 100, live: true });
    one.start();
    two.start();
    expect(gatewayRecords(one)).toEqual(['1.gp.1']);
    expect(gatewayRecords(two)).toEqual([]);
    expect(isRegistrationRecord(own(one)[0])).toBe(true);
    expect(own(one)[0]).toMatchObject({
      kind: 'gateway',
      device: 'gw-dallas',
      address: 'udp:10.9.9.9:5090',
      expiresAt: 0,
    });
  });

  test('the next takes over when it goes, and gives it back when it returns', () => {
    const node = new TestNode({ node: 2 });
    const alive = { sipAddress: '10.0.0.1:5060', boot: 100, live: true };
    node.peers.set(1, alive);
    node.start();
    node.peers.set(1, { ...alive, live: false });
    node.devices.membershipChanged();
    expect(gatewayRecords(node)).toEqual(['2.gp.1']);
    node.peers.set(1, alive);
    node.devices.membershipChanged();
    expect(gatewayRecords(node)).toEqual([]);
    expect(node.changes.at(-1)).toMatchObject({ type: 'delete', reason: 'moved' });
    node.devices.membershipChanged();
    node.clock.advance(120_000);
    expect(gatewayRecords(node)).toEqual([]);
  });

  test('a node that is not in its list never owns it', () => {
    const node = new TestNode({ config: config({ gateways: [{ ...GATEWAY, nodes: [2] }] }) }).start();
    expect(gatewayRecords(node)).toEqual([]);
  });

  test('claim R7: two polls without answer take it off the table, one answer puts it back', async () => {
    const node = new TestNode();
    node.userAgent.answerTo = () => 408;
    node.start();
    await settle();
    expect(gatewayRecords(node)).toEqual(['1.gp.1']);
    node.clock.advance(30_000);
    await settle();
    expect(gatewayRecords(node)).toEqual([]);
    expect(node.changes.at(-1)).toMatchObject({ type: 'delete', reason: 'unreachable' });
    node.userAgent.answerTo = () => 405;
    node.clock.advance(5000);
    await settle();
    expect(gatewayRecords(node)).toEqual(['1.gp.1']);
  });

  test('claim R11: its entry comes back when that of a node that took it at the same time is gone', () => {
    const node = new TestNode().start();
    const mine = own(node)[0]!;
    node.composite.put(2, { ...mine, pid: '2.gp.1', stamp: { ...mine.stamp, ms: mine.stamp.ms + 1, node: 2 } });
    // As the cluster room does on hearing the newer one.
    node.composite.delete(1, mine.key, 'moved');
    expect(gatewayRecords(node)).toEqual([]);
    node.composite.delete(2, mine.key, 'moved');
    expect(gatewayRecords(node)).toEqual(['1.gp.1']);
    expect(own(node)[0]!.stamp).not.toEqual(mine.stamp);
  });

  test('a lost SIP server says nothing of the gateway', async () => {
    const node = new TestNode().start();
    await settle();
    node.userAgent.answerTo = () => 503;
    node.devices.serverChanged([]);
    node.clock.advance(300_000);
    await settle();
    expect(gatewayRecords(node)).toEqual(['1.gp.1']);
  });
});
