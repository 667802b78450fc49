import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { Cluster } from '../support/cluster';
import { domain, passwordOf } from '../support/cluster-config';
import { describeUnless } from '../support/drachtio-limits';
import { eventually } from '../support/eventually';
import { SipPeer } from '../support/sip-peer';
import { headerOf, randomToken, statusOf } from '../support/sip-text';

jest.setTimeout(120_000);

/** Resident memory, in MB. */
function memoryOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

const turn = (ms = 0): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describeUnless('ownBounds')('a node under attack', () => {
  let cluster: Cluster;
  let alice: SipPeer;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start({ nodes: 1, redis: false, engines: [] });
    alice = await cluster.peer(1);
    alice.onRequest = (request) => alice.answer(request, '200 OK');
    const from = `<sip:alice@${domain}>`;
    const options = { method: 'REGISTER', uri: `sip:${domain}`, from, to: from };
    expect(statusOf(await alice.askWithDigest(options, 'alice', passwordOf('alice')))).toBe(200);
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  afterAll(() => cluster.close());

  const from127 = (address: string): Promise<SipPeer> =>
    SipPeer.udp(cluster.scope, '127.0.0.1', cluster.node(1).place.sipPort, address);

  const stranger = (peer: SipPeer): string =>
    peer.request({ method: 'INVITE', uri: `sip:1001@${domain}`, from: `<sip:${randomToken()}@${domain}>` });

  const options = (): { method: string; uri: string; from: string } => ({
    method: 'OPTIONS',
    uri: `sip:${cluster.node(1).sip}`,
    from: `<sip:x@${domain}>`,
  });

  /** Clients of one address; how many of them are still connected can be asked. */
  async function crowd(port: number, count: number): Promise<() => number> {
    let open = 0;
    for (let index = 0; index < count; index += 1) {
      const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.66' });
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('connect', () => (open += 1));
      socket.on('close', () => (open -= 1));
      socket.resume();
      if (index % 100 === 99) await turn();
    }
    await eventually(
      'a crowd',
      () => sockets.filter((socket) => !socket.connecting).length,
      (settled) => settled === count,
      { cap: 20_000 },
    );
    return () => open;
  }

  test('a datagram of a stranger draws one, and never more by itself', async () => {
    const peer = await from127('127.0.0.66');
    const text = stranger(peer);
    peer.send(text);
    await peer.message('407', (message) => statusOf(message) === 407);
    // Timers A and G would have acted three times.
    await turn(3_600);
    expect(peer.received.map(statusOf)).toEqual([407]);
    expect(peer.received.join('').length).toBeLessThan(4 * text.length);
  });

  test('two thousand INVITEs of one source do not stand before the OPTIONS of another', async () => {
    const attacker = await from127('127.0.0.66');
    const other = await from127('127.0.0.2');
    for (let sent = 0; sent < 2_000; sent += 1) {
      attacker.send(stranger(attacker));
      if (sent % 50 === 49) await new Promise(setImmediate);
    }
    expect(statusOf(await other.ask(options(), 10_000))).toBe(200);
    const before = attacker.received.filter((message) => statusOf(message) === 407).length;
    expect(before).toBeLessThan(1_000);
    await eventually(
      'the attacker too is served',
      () => attacker.received.filter((message) => statusOf(message) === 407).length,
      (count) => count > 1_000,
    );
  });

  test('forged sources: nobody else is refused, and little is kept', async () => {
    const node = cluster.node(1);
    const attackers = await Promise.all(
      Array.from({ length: 300 }, (_, index) => from127(`127.1.${index % 100}.${1 + (index % 250)}`)),
    );
    const other = await from127('127.0.0.2');
    const before = memoryOf(node.sipServerPid);
    const answers: number[] = [];
    let flooding = true;
    const asking = (async () => {
      while (flooding) {
        answers.push(statusOf(await other.ask(options(), 20_000)));
        answers.push(statusOf(await alice.ask({ ...options(), from: `<sip:alice@${domain}>` }, 20_000)));
      }
    })();
    for (let sent = 0; sent < 6_000; sent += 1) {
      const attacker = attackers[sent % attackers.length];
      attacker?.send(stranger(attacker));
      if (sent % 30 === 29) await turn(10);
    }
    flooding = false;
    await asking;
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(memoryOf(node.sipServerPid) - before).toBeLessThan(300);
  });

  test('a body of several parts that is hard to cut holds nobody up', async () => {
    const { sipPort } = cluster.node(1).place;
    const attacker = await SipPeer.tcp(cluster.scope, '127.0.0.1', sipPort);
    const body = `--x\r\n\r\n\r\nContent-Type:${' '.repeat(60_000)}`;
    const model = attacker.request({ method: 'INVITE', uri: `sip:1001@${domain}`, from: `<sip:x@${domain}>`, body });
    attacker.send(model.replace('application/sdp', 'multipart/mixed;boundary=x'));
    await attacker.message('a refusal', (message) => statusOf(message) >= 300, 10_000);
    const other = await from127('127.0.0.2');
    expect(statusOf(await other.ask(options(), 10_000))).toBe(200);
  });

  test('a crowd of silent connections of one address keeps nobody else out', async () => {
    const { sipPort } = cluster.node(1).place;
    await crowd(sipPort, 1_200);
    const other = await SipPeer.tcp(cluster.scope, '127.0.0.1', sipPort);
    expect(statusOf(await other.ask(options(), 10_000))).toBe(200);
  });

  test('unfinished messages of a crowd take bounded memory', async () => {
    const node = cluster.node(1);
    const before = memoryOf(node.sipServerPid);
    const open = await crowd(node.place.sipPort, 600);
    const head = `INVITE sip:x SIP/2.0\r\n${`X: ${'a'.repeat(7_900)}\r\n`.repeat(31)}`;
    for (const [index, socket] of sockets.entries()) {
      socket.write(head);
      if (index % 20 === 19) await turn(5);
    }
    await eventually('some give way', open, (count) => count < 500, { cap: 20_000 });
    expect(memoryOf(node.sipServerPid) - before).toBeLessThan(300);
    expect(statusOf(await alice.ask({ ...options(), from: `<sip:alice@${domain}>` }, 10_000))).toBe(200);
  });

  test('megabytes of requests, all at once on several connections, do not stand before others, nor is the server taken for dead', async () => {
    const node = cluster.node(1);
    const server = node.sipServerPid;
    const other = await from127('127.0.0.2');
    const request = (): string => other.request(options()).replaceAll('UDP', 'TCP');
    for (let index = 0; index < 20; index += 1) {
      const socket = connect({ port: node.place.sipPort, host: '127.0.0.1', localAddress: `127.0.0.${100 + index}` });
      sockets.push(socket);
      socket.on('error', () => undefined);
      // What is answered is never read.
      socket.write(Array.from({ length: 2_000 }, request).join(''));
    }
    const took: number[] = [];
    for (let asked = 0; asked < 10; asked += 1) {
      const before = Date.now();
      expect(statusOf(await other.ask(options(), 6_000))).toBe(200);
      took.push(Date.now() - before);
      await turn(100);
    }
    expect(Math.max(...took)).toBeLessThan(4_000);
    expect(node.sipServerPid).toBe(server);
    expect(node.log()).not.toMatch(/the SIP server does not answer/);
  });

  test('idle HTTP connections do not stop /healthz', async () => {
    await crowd(cluster.node(1).place.adminPort, 400);
    for (let asked = 0; asked < 5; asked += 1) expect((await cluster.node(1).fetch('/healthz')).status).toBe(200);
  });

  test('a SIP server that hangs is killed and started again, and the phone is not blamed', async () => {
    const node = cluster.node(1);
    const before = node.sipServerPid;
    process.kill(before, 'SIGSTOP');
    await eventually(
      'readyz says so',
      async () => (await node.fetch('/readyz')).text(),
      (text) => /the SIP server (does not answer|is not connected)/.test(text),
      { cap: 10_000, every: 20 },
    );
    await node.ready();
    expect(node.sipServerPid).not.toBe(before);
    expect((await node.registrations('1000')).map(({ dn }) => dn)).toEqual(['1000']);
    expect(await (await node.fetch('/metrics')).text()).toMatch(/^tandem_sip_server_restarts_total\S* 1$/m);
    expect(node.log()).toMatch(/the embedded SIP server hangs: it is killed/);
    const other = await from127('127.0.0.2');
    expect(headerOf(await other.ask(options(), 10_000), 'CSeq')).toBe('1 OPTIONS');
  });
});
