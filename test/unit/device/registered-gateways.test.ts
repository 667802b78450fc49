import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedClock } from '../../../src/process/clock';
import { RegistrationJournal } from '../../../src/registration/journal';
import { isRegistrationRecord } from '../../../src/registration/validate';
import { silentLogger } from '../../../src/telemetry/logger';
import { answerOf, config, DOMAIN, GATEWAY, PHONE, settle, TestNode } from './support';

const registering = config({ gateways: [{ ...GATEWAY, uri: undefined, nodes: [] }] });
const AT = { protocol: 'udp', address: '10.9.9.9', port: 5090 };
const caller = { number: '1000', displayName: undefined, device: 'SEP-alice' };
const call = { caller, digits: '5551234', sdp: 'v=0\r\n', maxForwards: 68 };

function started(clock = new SimulatedClock(), journal?: RegistrationJournal, boot?: number): TestNode {
  return new TestNode({
    config: registering,
    clock,
    ...(journal === undefined ? {} : { journal }),
    ...(boot === undefined ? {} : { boot }),
  }).start();
}

function registers(
  node: TestNode,
  options: Parameters<TestNode['register']>[0] = {},
): ReturnType<TestNode['register']> {
  return node.register({ username: 'trunk', source: AT, ...options });
}

const reasons = (node: TestNode): string[] =>
  node.changes.flatMap((change) => (change.type === 'delete' ? [`${change.record.pid} ${change.reason}`] : []));

describe('claim R17: a gateway that registers', () => {
  test('is a device of the node that accepts it, with a PID of its own', () => {
    const node = started();
    expect(node.records()).toEqual([]);
    expect(registers(node)).toMatchObject({
      status: 200,
      headers: { Contact: '<sip:trunk@10.9.9.9:5090>;expires=120' },
    });
    const [record] = [...node.composite.of(1)];
    expect(record).toMatchObject({
      key: 'gw-dallas|gw-dallas',
      kind: 'gateway',
      device: 'gw-dallas',
      lines: [],
      pid: '1.gp.1',
      contact: 'sip:trunk@10.9.9.9:5090',
      address: 'udp:10.9.9.9:5090',
      expiresAt: node.clock.now() + 120_000,
    });
    expect(isRegistrationRecord(record)).toBe(true);
  });

  test('a wrong password and a foreign address-of-record are refused', () => {
    const node = started();
    const headers = node.credentials('REGISTER', `sip:${DOMAIN}`, 'trunk', AT);
    const request = { source: AT, uri: `sip:${DOMAIN}` };
    const rest = { CSeq: '1 REGISTER', Contact: '<sip:trunk@10.9.9.9:5090>' };
    expect(node.send({ ...request, headers: { ...rest, ...headers, To: '<sip:alice@acme.example>' } }).status).toBe(
      403,
    );
    headers.Authorization = headers.Authorization!.replace(/response="./, 'response="x');
    expect(node.send({ ...request, headers: { ...rest, ...headers, To: '<sip:trunk@acme.example>' } }).status).toBe(
      401,
    );
    expect(node.records()).toEqual([]);
  });

  test('it has one binding: a new contact replaces the one before, and the PID stays', () => {
    const node = started();
    registers(node);
    const moved = { ...AT, port: 5099 };
    expect(registers(node, { source: moved, callId: 'after-reboot' })).toMatchObject({
      headers: { Contact: '<sip:trunk@10.9.9.9:5099>;expires=120' },
    });
    expect(node.records()).toMatchObject([{ pid: '1.gp.1', contact: 'sip:trunk@10.9.9.9:5099' }]);
    expect(registers(node, { contact: '<sip:a@10.9.9.9>, <sip:b@10.9.9.9>', callId: 'two' }).status).toBe(403);
  });

  test('the de-registration of a contact that it has no more changes nothing; that of its own deletes it', () => {
    const node = started();
    registers(node);
    registers(node, { contact: '<sip:trunk@10.9.9.9:5099>' });
    expect(registers(node, { contact: '<sip:trunk@10.9.9.9:5090>', expires: '0' }).status).toBe(200);
    expect(reasons(node)).toEqual([]);
    registers(node, { contact: '<sip:trunk@10.9.9.9:5099>', expires: '0' });
    expect(reasons(node)).toEqual(['1.gp.1 unregistered']);
    registers(node);
    registers(node, { contact: '*', expires: '0' });
    expect(reasons(node)).toEqual(['1.gp.1 unregistered', '1.gp.2 unregistered']);
  });

  test('an older request of the same call is refused (RFC 3261 §10.3, step 7)', () => {
    const node = started();
    const credentials = node.credentials('REGISTER', `sip:${DOMAIN}`, 'trunk', AT);
    node.clock.advance(1000);
    registers(node);
    registers(node);
    const late = node.send({
      uri: `sip:${DOMAIN}`,
      source: AT,
      callId: 'register-trunk',
      headers: {
        ...credentials,
        To: '<sip:trunk@acme.example>',
        CSeq: '1 REGISTER',
        Contact: '<sip:trunk@10.9.9.9:5555>',
      },
    });
    expect(late.status).toBe(500);
    expect(node.records()).toMatchObject([{ contact: 'sip:trunk@10.9.9.9:5090' }]);
  });

  test('claim R7: it expires', () => {
    const node = started();
    registers(node);
    node.clock.advance(119_000);
    expect(node.records()).toHaveLength(1);
    node.clock.advance(2000);
    expect(reasons(node)).toEqual(['1.gp.1 expired']);
  });

  test('claim R7: it is polled, and deleted when it does not answer; registering brings it back', async () => {
    const node = started();
    registers(node, { expires: '3600' });
    await settle();
    expect(node.userAgent.requests).toMatchObject([{ method: 'OPTIONS', uri: 'sip:trunk@10.9.9.9:5090' }]);
    node.userAgent.answerTo = () => 408;
    node.clock.advance(30_000);
    await settle();
    expect(node.records()).toHaveLength(1);
    node.clock.advance(5000);
    await settle();
    expect(reasons(node)).toEqual(['1.gp.1 unreachable']);
    const polls = node.userAgent.requests.length;
    node.clock.advance(600_000);
    await settle();
    expect(node.userAgent.requests).toHaveLength(polls);
    registers(node);
    expect(node.records()).toMatchObject([{ pid: '1.gp.2' }]);
  });

  test('procedure B: it has registered with another node since', () => {
    const node = started();
    registers(node);
    const mine = [...node.composite.of(1)][0]!;
    node.composite.put(2, { ...mine, pid: '2.gp.1', stamp: { ...mine.stamp, ms: mine.stamp.ms - 1, node: 2 } });
    expect(reasons(node)).toEqual([]);
    node.composite.put(2, { ...mine, pid: '2.gp.1', stamp: { ...mine.stamp, ms: mine.stamp.ms + 1, node: 2 } });
    expect(reasons(node)).toEqual(['1.gp.1 moved']);
    node.clock.advance(3_600_000);
    expect(reasons(node)).toHaveLength(1);
  });

  test('calls go to its contact with the digits, by way of the address that it registered from', () => {
    const node = started();
    registers(node, { contact: '<sip:trunk@192.168.1.4:5060;x=y>' });
    node.devices.router.resolve({ pid: '1.gp.1', boot: 100, node: 1, digits: '5551234' })!.call(call);
    expect(node.userAgent.invites).toMatchObject([
      {
        uri: 'sip:5551234@192.168.1.4:5060;x=y',
        nextHop: 'sip:10.9.9.9:5090;transport=udp',
      },
    ]);
    expect(answerOf(node.userAgent.invites[0]!.digest)).toContain('username="trunk"');
  });

  test('one on a connection is called on that connection, and goes with it', () => {
    const node = started();
    registers(node, { source: { ...AT, protocol: 'tcp' }, contact: '<sip:trunk@10.9.9.9:5060;transport=tcp>' });
    node.devices.router.resolve({ pid: '1.gp.1', boot: 100, node: 1, digits: '5551234' })!.call(call);
    expect(node.userAgent.invites[0]!.nextHop).toBe('sip:10.9.9.9:5090;transport=tcp');
    node.devices.serverChanged([]);
    expect(reasons(node)).toEqual(['1.gp.1 unreachable']);
  });

  test('its calls are known by the address that it registered from, or by digest', () => {
    const node = started();
    const uri = `sip:1000@${DOMAIN}`;
    const headers = { From: '<sip:5551234@pstn>;tag=1' };
    expect(node.invite({ uri, source: AT, headers }).told).toMatchObject([{ status: 407 }]);
    registers(node);
    node.invite({ uri, source: AT, headers });
    const elsewhere = { ...PHONE, port: 6000 };
    node.invite({
      uri,
      source: elsewhere,
      headers: { ...headers, ...node.credentials('INVITE', uri, 'trunk', elsewhere) },
    });
    const expected = { from: { name: 'gw-dallas', kind: 'gateway' }, pid: '1.gp.1', caller: { number: '5551234' } };
    expect(node.calls).toMatchObject([expected, expected]);
    expect(node.invite({ uri, source: elsewhere, headers }).told).toMatchObject([{ status: 407 }]);
  });

  test('the address proves nothing for the next REGISTER: that needs the digest again', async () => {
    const node = started();
    registers(node);
    expect(node.send({ source: AT, headers: { To: '<sip:trunk@acme.example>' } }).status).toBe(401);
  });

  test('it outlives a restart, unless it has expired or its configuration has an address now', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'gateways-'));
    const clock = new SimulatedClock();
    const open = (): Promise<RegistrationJournal> => RegistrationJournal.open({ directory, clock, log: silentLogger });
    try {
      const first = await open();
      const node = started(clock, first);
      registers(node);
      node.devices.stop();
      expect(node.records()).toEqual([]);
      await first.close();
      const second = await open();
      const again = started(clock, second, 101);
      expect(again.records()).toMatchObject([{ pid: '1.gp.1', contact: 'sip:trunk@10.9.9.9:5090' }]);
      again.devices.stop();
      await second.close();
      const third = await open();
      const configured = new TestNode({ clock, journal: third, boot: 102 }).start();
      expect(configured.records()).toMatchObject([{ pid: '1.gp.1', contact: 'sip:10.9.9.9:5090' }]);
      configured.devices.stop();
      await third.close();
      const fourth = await open();
      expect(fourth.bindings()).toEqual([]);
      await fourth.close();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
