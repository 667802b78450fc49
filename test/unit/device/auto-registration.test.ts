import fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AutoRegistrationConfig } from '../../../src/config/types';
import { Claims, type Claim } from '../../../src/device/auto-registration-claims';
import { ClaimFile, type ClaimStore } from '../../../src/device/auto-registration-store';
import { readReportedIdentity } from '../../../src/device/device-identity';
import { Devices } from '../../../src/device/devices';
import { Lines } from '../../../src/line/lines';
import { SimulatedClock } from '../../../src/process/clock';
import { HybridClock } from '../../../src/process/hlc';
import { PidAllocator } from '../../../src/process/pid';
import { CompositeSet } from '../../../src/registration/composite-set';
import { isRegistrationRecord } from '../../../src/registration/validate';
import { silentLogger } from '../../../src/telemetry/logger';
import { createMetrics } from '../../../src/telemetry/metrics';
import { credentialsFor, receivedRequest } from '../sip/support';
import { type Answer, config, FakeSession, FakeUserAgent, headerReader } from './support';

const AUTOMATIC: AutoRegistrationConfig = {
  numbers: ['3000', '3001', '3002', '3003'],
  username: 'setup',
  password: 'setup-password',
  from: [],
  site: 'dallas',
  mediaResourceGroupList: undefined,
  userClass: undefined,
  codecs: undefined,
};

const place = (last: number) => ({ protocol: 'udp', address: `10.1.0.${last}`, port: 5060 });
const instance = (last: number): string => `urn:uuid:0f6c2b3e-0000-4000-8000-00000000000${last}`;

/** One node, with devices that are not configured around it. */
class Node {
  readonly composite = new CompositeSet();
  readonly metrics = createMetrics({ process: false });
  readonly calls: string[] = [];
  readonly devices: Devices;
  private cseq = 0;

  constructor(
    readonly node: number,
    store?: ClaimStore,
    automatic: AutoRegistrationConfig = AUTOMATIC,
    readonly clock = new SimulatedClock(),
  ) {
    this.devices = new Devices({
      config: config({ gateways: [], autoRegistration: automatic }),
      lines: new Lines({ devices: [], numbers: [] }),
      node,
      boot: node,
      userAgent: new FakeUserAgent(),
      clock: this.clock,
      composite: this.composite,
      nodes: { find: () => undefined },
      journal: undefined,
      ...(store === undefined ? {} : { givenNumbers: store }),
      pids: new PidAllocator(node),
      stamps: new HybridClock(node, () => this.clock.now()),
      log: silentLogger,
      metrics: this.metrics,
      onCall: (call) => void this.calls.push(`${call.caller.number} ${call.from.name}`),
      random: () => 0,
    });
    this.devices.start([{ protocol: 'udp', address: `10.0.0.${node}`, port: 5060 }]);
  }

  send(method: string, uri: string, last: number, headers: Record<string, string>, digest = true): Answer {
    const ask = (more: Record<string, string>): Answer => {
      const answers: Answer[] = [];
      const request = receivedRequest({ method, uri, source: place(last), headers: { ...headers, ...more } });
      if (method === 'INVITE') {
        const session = new FakeSession();
        this.devices.invited({ request, session, trustRoute: () => undefined });
        return session.told[0] ?? { status: 0 };
      }
      this.devices.requested({ request, respond: (status, rest = {}) => void answers.push({ status, ...rest }) });
      return answers[0]!;
    };
    if (!digest) return ask({});
    const challenge = ask({}).headers ?? {};
    const text = credentialsFor(challenge['WWW-Authenticate'] ?? challenge['Proxy-Authenticate'] ?? '', {
      username: 'setup',
      password: 'setup-password',
      method,
      uri,
    });
    return ask({ [method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization']: text });
  }

  register(last: number, headers: Record<string, string | undefined> = {}, digest = true): Answer {
    const own: Record<string, string | undefined> = {
      To: '<sip:setup@acme.example>',
      From: '<sip:setup@acme.example>;tag=1',
      CSeq: `${(this.cseq += 1)} REGISTER`,
      Contact: `<sip:x@10.1.0.${last}>;+sip.instance="<${instance(last)}>"`,
    };
    const all = Object.entries({ ...own, ...headers }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    );
    return this.send('REGISTER', 'sip:acme.example', last, Object.fromEntries(all) as Record<string, string>, digest);
  }

  number(last: number, headers: Record<string, string> = {}): string | undefined {
    return this.register(last, headers).headers?.['X-Tandem-Number'];
  }

  /** Tells this node what the other has. */
  hear(other: Node): void {
    for (const record of other.composite.of(other.node)) this.composite.put(other.node, record);
  }
}

describe('claim R16: a device asks to be given a number', () => {
  test('it is told in the 200, has a device process, and keeps it', () => {
    const node = new Node(1);
    const answer = node.register(7);
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'P-Associated-URI': '<sip:3000@acme.example>', 'X-Tandem-Number': '3000' },
    });
    const [record] = [...node.composite.of(1)];
    expect(record).toMatchObject({
      lines: ['3000'],
      pid: '1.dp.1',
      assignment: { identity: `instance:${instance(7)}` },
    });
    expect(isRegistrationRecord(record)).toBe(true);
    expect(node.number(7)).toBe('3000');
    expect([...node.composite.of(1)][0]?.pid).toBe('1.dp.1');
    expect(node.number(8)).toBe('3002');
  });

  test('without the shared account, and when it is off, it is refused', () => {
    expect(new Node(1).register(7, {}, false).status).toBe(401);
    const off = new Node(1, undefined, { ...AUTOMATIC, from: ['10.2.0.0/16'] });
    expect(off.register(7)).toMatchObject({ status: 403, reason: 'Not From Here' });
  });

  test('a pool that is used up is answered 503 with a Warning, and counted', async () => {
    const node = new Node(1);
    expect([1, 2, 3, 4].map((last) => node.number(last)).sort()).toEqual(['3000', '3001', '3002', '3003']);
    const answer = node.register(5);
    expect(answer).toMatchObject({ status: 503, reason: 'No Number Free' });
    expect(answer.headers).toMatchObject({ 'Retry-After': '300' });
    expect(answer.headers?.Warning).toMatch(/^399 acme.example "no/);
    expect(await node.metrics.text()).toContain('tandem_auto_registrations_total{result="exhausted"} 1');
    expect(node.number(4)).toBeDefined();
  });

  test('at another node it has the same number, also when it has gone meanwhile', () => {
    const [one, two] = [new Node(1), new Node(2)];
    expect(one.number(7)).toBe('3000');
    two.hear(one);
    two.composite.purge(1, 'off-line');
    expect(two.number(7)).toBe('3000');
    expect(two.number(8)).toBe('3001');
  });

  test('nodes that do not hear each other give different numbers', () => {
    const [one, two] = [new Node(1), new Node(2)];
    expect([one.number(1), one.number(2), two.number(3), two.number(4)]).toEqual(['3000', '3002', '3001', '3003']);
  });

  test('two devices with one number: the older keeps it, the other is given another at its next REGISTER', () => {
    const small = { ...AUTOMATIC, numbers: ['3000', '3001'] };
    const clock = new SimulatedClock();
    const [one, two] = [new Node(1, undefined, small, clock), new Node(2, undefined, small, clock)];
    expect(one.number(1)).toBe('3000');
    clock.advance(1000);
    expect(two.number(2)).toBe('3001');
    clock.advance(1000);
    expect(one.number(3)).toBe('3001');
    one.hear(two);
    two.hear(one);
    expect(one.register(3).status).toBe(503);
    expect(two.number(2)).toBe('3001');
  });

  test('the name and the MAC address are reported', () => {
    const node = new Node(1);
    node.register(7, { 'User-Agent': 'Yealink SIP-T46S 66.84.0.15 80:5e:c0:12:34:56' });
    expect([...node.composite.of(1)]).toMatchObject([{ device: 'SEP805EC0123456', mac: '80:5e:c0:12:34:56' }]);
  });

  test('its calls are known by the address that it registered from, and by nothing that it says', () => {
    const node = new Node(1);
    const uri = 'sip:1000@acme.example';
    const From = '<sip:1000@acme.example>;tag=1';
    expect(node.send('INVITE', uri, 7, { From })).toMatchObject({ status: 403, reason: 'Register First' });
    node.register(7);
    expect(node.send('INVITE', uri, 7, { From }).status).toBe(0);
    expect(node.calls).toEqual([expect.stringMatching(/^3000 auto-/)]);
    expect(node.send('INVITE', uri, 8, { From })).toMatchObject({ status: 403 });
  });

  test('it cannot take the address-of-record of a configured device, nor its name', () => {
    const node = new Node(1);
    expect(node.register(7, { To: '<sip:alice@acme.example>' })).toMatchObject({ status: 403 });
    const Contact = `<sip:x@10.1.0.7>;+sip.instance="<${instance(7)}>";+u.sip!devicename.ccm.cisco.com="SEP-alice"`;
    node.register(8, { Contact });
    expect([...node.composite.of(1)].map(({ device }) => device)).not.toContain('SEP-alice');
  });

  test('what it cannot be known by is refused; a query gives no number', () => {
    const node = new Node(1);
    expect(node.register(7, { Contact: '<sip:x@10.1.0.7>' })).toMatchObject({
      status: 403,
      reason: 'No Device Identity',
    });
    expect(node.register(7, { Contact: undefined }).status).toBe(403);
    expect(node.register(7, { Expires: '0' }).status).toBe(404);
    expect(node.number(7)).toBe('3000');
    expect(node.register(7, { Contact: undefined })).toMatchObject({
      status: 200,
      headers: { 'X-Tandem-Number': '3000' },
    });
    expect(node.register(7, { Contact: '*', Expires: '0' }).status).toBe(200);
    expect([...node.composite.of(1)]).toEqual([]);
    expect(node.number(7)).toBe('3000');
  });

  test('trusted networks: no password from there, digest for what names a configured user, nothing from elsewhere', () => {
    const trusted = { ...AUTOMATIC, username: undefined, password: undefined, from: ['10.1.0.0/16'] };
    const node = new Node(1, undefined, trusted);
    const To = '<sip:door@acme.example>';
    expect(node.register(7, { To, Contact: '<sip:door@10.1.0.7>' }, false)).toMatchObject({ status: 200 });
    expect([...node.composite.of(1)]).toMatchObject([{ lines: ['3000'], assignment: { identity: 'user:door' } }]);
    expect(node.register(8, { To: '<sip:alice@acme.example>' }, false).status).toBe(401);
    const From = '<sip:door@acme.example>;tag=1';
    expect(node.send('INVITE', 'sip:1000@acme.example', 7, { From }, false).status).toBe(0);
    expect(node.send('INVITE', 'sip:1000@acme.example', 8, { From }, false).status).toBe(407);
    const elsewhere = new Node(1, undefined, { ...trusted, from: ['10.2.0.0/16'] });
    expect(elsewhere.register(7, { To }, false).status).toBe(401);
  });
});

describe('claim R16: numbers outlive a restart', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'given-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('in a file of each node that has heard of them, also when its last line is torn', () => {
    const [one, two] = [new Node(1), new Node(2, new ClaimFile(directory, silentLogger))];
    one.number(7);
    two.number(8);
    two.hear(one);
    const path = join(directory, 'auto-registration.jsonl');
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"identity":"x`);
    const again = new Node(2, new ClaimFile(directory, silentLogger));
    expect([again.number(7), again.number(8)]).toEqual(['3000', '3001']);
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(3);
  });
});

describe('claims of numbers', () => {
  const claim = fc
    .record({
      identity: fc.integer({ min: 1, max: 5 }),
      number: fc.integer({ min: 0, max: 3 }),
      ms: fc.nat({ max: 8 }),
    })
    .map(({ identity, number, ms }): Claim => {
      const at = { ms, counter: 0, node: 1 };
      return { identity: `d${identity}`, number: `300${number}`, device: `d${identity}`, mac: undefined, at };
    });
  const standing = (claims: readonly Claim[]): string[] => {
    const table = new Claims(AUTOMATIC.numbers);
    for (const each of claims) table.add(each);
    return [...table.standing()].map(({ identity, number }) => `${identity} ${number}`).sort();
  };

  it('claim R18: whatever the order in which they are heard, the same stand, and none contradict each other', () => {
    fc.assert(
      fc.property(
        fc
          .array(claim, { maxLength: 12 })
          .chain((claims) => fc.tuple(fc.constant(claims), fc.shuffledSubarray(claims, { minLength: claims.length }))),
        ([claims, shuffled]) => {
          const result = standing(claims);
          expect(standing(shuffled)).toEqual(result);
          for (const part of [0, 1])
            expect(new Set(result.map((each) => each.split(' ')[part])).size).toBe(result.length);
        },
      ),
    );
  });
});

describe('what a REGISTER tells of the device', () => {
  test.each<[string, Record<string, string>, string | undefined, string | undefined]>([
    [
      'UUID of version 1',
      { Contact: '<sip:a@b>;+sip.instance="<urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8>"' },
      'instance:urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8',
      '00:c0:4f:d4:30:c8',
    ],
    [
      'random UUID',
      { Contact: '<sip:a@b>;+sip.instance="<urn:uuid:6ba7b810-9dad-41d1-80b4-00c04fd430c8>"' },
      'instance:urn:uuid:6ba7b810-9dad-41d1-80b4-00c04fd430c8',
      undefined,
    ],
    [
      'UUID of nothing but the MAC',
      { Contact: '<sip:a@b>;+sip.instance="<urn:uuid:00000000-0000-0000-0000-00c04fd430c8>"' },
      'instance:urn:uuid:00000000-0000-0000-0000-00c04fd430c8',
      '00:c0:4f:d4:30:c8',
    ],
    [
      'RFC 9039 §4.1',
      { Contact: '<sip:a@b>;+sip.instance="<urn:dev:mac:0024beffff804ff1>"' },
      'instance:urn:dev:mac:0024beffff804ff1',
      '00:24:be:80:4f:f1',
    ],
    [
      'name in the contact',
      { Contact: '<sip:a@b>;+u.sip!devicename.ccm.cisco.com="SEP00C04FD430C8"' },
      'name:SEP00C04FD430C8',
      '00:c0:4f:d4:30:c8',
    ],
    [
      'User-Agent',
      { Contact: '<sip:a@b>', 'User-Agent': 'PolycomVVX-VVX_410-UA/5.9.5 64-16-7f-12-34-ab' },
      'mac:64:16:7f:12:34:ab',
      '64:16:7f:12:34:ab',
    ],
    ['a group address is no device', { Contact: '<sip:a@b>', 'User-Agent': 'x 01005e000001' }, undefined, undefined],
    ['user part of To', { Contact: '<sip:a@b>', To: '<sip:door@acme.example>' }, 'user:door', undefined],
    ['nothing', { Contact: '<sip:a@b' }, undefined, undefined],
  ])('%s', (_, headers, identity, mac) => {
    expect(readReportedIdentity(headerReader(headers))).toMatchObject({ identity, mac });
  });
});
