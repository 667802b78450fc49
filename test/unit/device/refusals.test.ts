import { RefusalLog } from '../../../src/device/refusal-log';
import type { LogFields } from '../../../src/telemetry/logger';
import { silentLogger } from '../../../src/telemetry/logger';
import { SimulatedClock } from '../../../src/process/clock';
import { DOMAIN, TestNode, config, PHONE } from './support';

function logged() {
  const lines: (LogFields & { msg: string })[] = [];
  const log = { ...silentLogger, warn: (fields: LogFields, msg: string) => void lines.push({ ...fields, msg }) };
  return { lines, log };
}

const uri = `sip:${DOMAIN}`;
const to = (user: string, host = DOMAIN) => ({ From: `<sip:${user}@${host}>;tag=1`, To: `<sip:${user}@${host}>` });

describe('every refused registration leaves a line: who, why, what to do', () => {
  test.each<[string, string, (node: TestNode) => unknown]>([
    ['another domain', 'Not Our Domain', (node) => node.send({ uri: 'sip:other.example', headers: to('alice') })],
    ['another domain in To', 'Not Found', (node) => node.register({ headers: to('alice', 'other.example') })],
    ['a number of another device', 'Forbidden', (node) => node.register({ headers: to('2000') })],
    ['a number of nobody', 'Not Found', (node) => node.register({ headers: to('7777') })],
    ['an extension', 'Bad Extension', (node) => node.register({ headers: { Require: 'gruu' } })],
    ['too brief', 'Interval Too Brief', (node) => node.register({ expires: '5' })],
    ['a malformed contact', 'Bad Contact URI', (node) => node.register({ contact: '<sip:a@b?X=y>' })],
    ['a bad CSeq', 'Bad CSeq Or Call-ID', (node) => node.register({ headers: { CSeq: 'x' } })],
    [
      'too many contacts',
      'Too Many Contacts',
      (node) => {
        for (let port = 1; port <= 11; port += 1)
          node.register({ contact: `<sip:alice@10.0.0.7:${port}>`, callId: `c${port}` });
      },
    ],
    ['a gateway that is configured', 'Gateway Does Not Register', (node) => node.register({ username: 'trunk' })],
    ['a stranger with headers of nodes', 'Not A Node', (node) => node.send({ uri, headers: { 'X-Tandem-Node': '1' } })],
  ])('%s', (_, reason, act) => {
    const { lines, log } = logged();
    act(new TestNode({ log }).start());
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ msg: 'registration refused', reason, address: PHONE.address, method: 'REGISTER' });
    expect(typeof lines[0]!.account).toBe('string');
    if (!reason.startsWith('Bad C')) expect(lines[0]!.todo).toMatch(/\w/);
  });

  test.each([
    ['alice', 'wrong password or algorithm'],
    ['nobody', 'no such account'],
  ])('a wrong password of %s: each one that was looked at, with address and account', (username, why) => {
    const { lines, log } = logged();
    const node = new TestNode({ log }).start();
    for (let index = 0; index < 20; index += 1) {
      const challenge = node.send({ uri, method: 'REGISTER' }).headers!['WWW-Authenticate']!;
      const nonce = /nonce="([^"]+)/.exec(challenge)![1]!;
      const Authorization = `Digest username="${username}", realm="${DOMAIN}", nonce="${nonce}", uri="${uri}", response="${'0'.repeat(32)}", algorithm=MD5, qop=auth, nc=00000001, cnonce="x"`;
      node.send({ uri, method: 'REGISTER', headers: { ...to(username), Authorization } });
    }
    const failed = lines.filter(({ msg }) => msg === 'authentication failed');
    expect(failed.map(({ failures }) => failures)).toEqual([1, 2, 3, 4, 5]);
    expect(failed.at(-1)).toMatchObject({ address: PHONE.address, account: username, why, heldUpSeconds: 1 });
    // What is refused unseen has one line.
    expect(lines.filter(({ msg }) => msg === 'registration refused')).toMatchObject([
      { reason: 'Too Many Wrong Passwords' },
    ]);
    expect(JSON.stringify(lines)).not.toContain('0'.repeat(32));
  });

  test('the line of a wrong password is found by the expression of docs/operations.md, also with a hostile name', () => {
    const hostile = 'x","address":"198.51.100.1","msg":"authentication failed';
    const { lines, log } = logged();
    const node = new TestNode({ log }).start();
    const challenge = node.send({ uri, method: 'REGISTER' }).headers!['WWW-Authenticate']!;
    const nonce = /nonce="([^"]+)/.exec(challenge)![1]!;
    const Authorization = `Digest username="${hostile.replace(/"/g, '\\"')}", realm="${DOMAIN}", nonce="${nonce}", uri="${uri}", response="x", algorithm=MD5, qop=auth, nc=00000001, cnonce="x"`;
    node.send({ uri, method: 'REGISTER', headers: { ...to('alice'), Authorization } });
    const failed = lines.find(({ msg }) => msg === 'authentication failed');
    const found = /^\{"level":40,.*?"address":"([^"]+)".*"msg":"authentication failed"\}$/.exec(
      JSON.stringify({ level: 40, time: 't', ...failed }),
    );
    expect(found?.[1]).toBe(PHONE.address);
  });

  test('a node that is full or drains says so', () => {
    const { lines, log } = logged();
    const full = config();
    const node = new TestNode({
      log,
      config: { ...full, nodes: full.nodes.map((one) => ({ ...one, capacity: 1 })) },
    }).start();
    node.register();
    node.register({ username: 'bob', source: { ...PHONE, port: 9 } });
    node.devices.drain(1000);
    node.register({ username: 'bob', source: { ...PHONE, port: 9 } });
    expect(lines.map(({ reason }) => reason)).toEqual(['At Capacity', 'Draining']);
  });

  test('a first request without credentials is no event', () => {
    const { lines, log } = logged();
    new TestNode({ log }).start().send({ uri, headers: to('alice') });
    expect(lines).toEqual([]);
  });
});

describe('the log of refusals', () => {
  test('is bounded for each who and each kind, and tells what it has left out', () => {
    const { lines, log } = logged();
    const clock = new SimulatedClock();
    const refusals = new RefusalLog(log, () => clock.now());
    for (let index = 0; index < 10_000; index += 1) refusals.warn('a', `who-${index % 100}`, { index }, 'refused');
    expect(lines).toHaveLength(20);
    for (let index = 0; index < 10; index += 1) refusals.warn('b', undefined, {}, 'other');
    expect(lines).toHaveLength(30);
    clock.advance(10_001);
    refusals.warn('a', 'who-1', {}, 'refused');
    expect(lines).toHaveLength(30);
    refusals.warn('a', 'new', {}, 'refused');
    expect(lines.at(-1)).toEqual({ leftOut: 9981, msg: 'refused' });
    clock.advance(60_001);
    refusals.warn('a', 'who-1', {}, 'refused');
    expect(lines).toHaveLength(32);
  });
});
