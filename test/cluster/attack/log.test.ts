import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../../support/cluster';
import { domain } from '../../support/cluster-config';
import { describeUnless } from '../../support/drachtio-limits';
import { eventually } from '../../support/eventually';
import { freePort } from '../../support/ports';
import { SipPeer } from '../../support/sip-peer';
import { randomToken } from '../../support/sip-text';

jest.setTimeout(120_000);

const COUNT = 500;
/** What nobody would see, or would see in another order, and what would fill the log. */
const ODD = `\u202e\u009b\u200b${'x'.repeat(2_000)}`;

interface Attack {
  readonly kind: string;
  readonly message: (peer: SipPeer) => string;
  /** A line that tells of it; undefined: there is nothing that an operator should know. */
  readonly told?: RegExp;
}

const invite = (peer: SipPeer, headers: readonly string[] = []): string =>
  peer.request({
    method: 'INVITE',
    uri: `sip:1001@${domain}`,
    from: `"${ODD}" <sip:${randomToken()}@${domain}>`,
    callId: `${ODD}${randomToken()}`,
    headers,
  });

const signed = ['X-Tandem-Node: 1', 'X-Tandem-Time: 1', `X-Tandem-Signature: ${'ab'.repeat(32)}`];
const digest = `Authorization: Digest username="alice${ODD}", realm="${domain}", nonce="x", uri="sip:${domain}", response="${'ab'.repeat(16)}"`;

const attacks: readonly Attack[] = [
  { kind: 'forged requests of a node', message: (peer) => invite(peer, signed), told: /request refused|refused/ },
  { kind: 'strangers', message: (peer) => invite(peer) },
  {
    kind: 'wrong credentials',
    message: (peer) =>
      peer.request({ method: 'REGISTER', uri: `sip:${domain}`, from: `<sip:alice@${domain}>`, headers: [digest] }),
  },
  {
    kind: 'malformed',
    message: (peer) => invite(peer).replace(/CSeq: .*/, `CSeq: ${ODD}`),
    told: /sip\.message\.malformed/,
  },
  {
    kind: 'damaged start line',
    message: (peer) => invite(peer).replace('INVITE ', 'INVITE'),
    told: /sip\.message\.malformed/,
  },
  {
    kind: 'another version',
    message: (peer) => invite(peer).replace(' SIP/2.0\r', ' SIP/7.0\r'),
    told: /sip\.message\.malformed/,
  },
  { kind: 'unknown method', message: (peer) => invite(peer).replaceAll('INVITE', 'WHATEVER') },
  { kind: 'outside of a dialog', message: (peer) => invite(peer).replaceAll('INVITE', 'BYE') },
  { kind: 'an ACK for nothing', message: (peer) => invite(peer).replaceAll('INVITE', 'ACK') },
  { kind: 'a response to nothing', message: (peer) => invite(peer).replace(/^INVITE .*/, 'SIP/2.0 200 OK') },
  { kind: 'another domain', message: (peer) => invite(peer).replace(`1001@${domain}`, '1001@elsewhere.invalid') },
  { kind: 'no SIP', message: () => `GET /${ODD} HTTP/1.1\r\nHost: x\r\n\r\n`, told: /sip\.message\.malformed/ },
];

describeUnless('ownBounds')('what strangers fill of the log', () => {
  let cluster: Cluster;
  let wsPort: number;

  beforeAll(async () => {
    wsPort = await freePort();
    cluster = await Cluster.start({
      nodes: 1,
      redis: false,
      engines: [],
      change: (file) => file.nodes[0]?.listen.push(`ws:127.0.0.1:${wsPort}`),
    });
  });
  afterAll(() => cluster.close());

  const bytesOf = (text: string): number => Buffer.byteLength(text);

  test.each(attacks)(
    '$kind: five hundred leave a bounded number of bytes, nothing invisible',
    async ({ message, told }) => {
      const node = cluster.node(1);
      const peer = await SipPeer.udp(cluster.scope, '127.0.0.1', node.place.sipPort, '127.0.0.66');
      const before = node.log().length;
      for (let sent = 0; sent < COUNT; sent += 1) {
        peer.send(message(peer));
        if (sent % 20 === 19) await pause(5);
      }
      const other = await SipPeer.udp(cluster.scope, '127.0.0.1', node.place.sipPort, '127.0.0.2');
      await other.ask({ method: 'OPTIONS', uri: `sip:${node.sip}`, from: `<sip:x@${domain}>` });
      if (told !== undefined)
        await eventually(
          'a line',
          () => node.log().slice(before),
          (text) => told.test(text),
        );
      const text = node.log().slice(before);
      expect(bytesOf(text)).toBeLessThan(600_000);
      expect(text).not.toMatch(/[\p{Cf}\u007f-\u009f]/u);
      peer.close();
    },
  );

  test('connections that are turned away: who, and why', async () => {
    const node = cluster.node(1);
    const before = node.log().length;
    const upgrade = (header: string): Promise<void> =>
      new Promise((done) => {
        const socket = connect(wsPort, '127.0.0.1', () => {
          const key = `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`;
          const head = ['GET / HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade', key];
          socket.write([...head, 'Sec-WebSocket-Version: 13', header, '', ''].join('\r\n'));
        });
        socket.on('error', () => undefined);
        socket.on('close', () => done());
        socket.resume();
      });
    for (let opened = 0; opened < 100; opened += 1) {
      await upgrade('Sec-WebSocket-Protocol: sip\r\nOrigin: https://evil.example');
      await upgrade('Sec-WebSocket-Protocol: chat');
    }
    const text = await eventually(
      'both are told',
      () => node.log().slice(before),
      (lines) => /sip\.client\.origin.*https:\/\/evil\.example/.test(lines) && /sip\.client\.no-sip.*chat/.test(lines),
    );
    expect(bytesOf(text)).toBeLessThan(600_000);
  });
});
