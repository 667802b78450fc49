import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { domain, people } from '../support/cluster-config';
import { drachtioIsNamed } from '../support/drachtio';
import { itUnless } from '../support/drachtio-limits';
import { eventuallyTrue } from '../support/eventually';
import { runProgram } from '../support/node-process';
import { SipPeer } from '../support/sip-peer';
import { statusOf } from '../support/sip-text';
import { hangUp, talk } from '../support/talk';

jest.setTimeout(120_000);

describe('bad input', () => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;
  let pids: number[];

  beforeAll(async () => {
    cluster = await Cluster.start();
    alice = await cluster.phone('alice');
    bob = await cluster.phone('bob');
    pids = cluster.nodes.flatMap((node) => [node.pid, ...(drachtioIsNamed ? [] : [node.sipServerPid])]);
  });
  afterAll(() => cluster.close());

  /** The same processes as before still put calls through. */
  afterEach(async () => {
    await talk(alice, bob, people.bob.dn);
    await hangUp(alice, bob);
    await cluster.nothingIsLeft();
    expect(cluster.nodes.flatMap((node) => [node.pid, ...(drachtioIsNamed ? [] : [node.sipServerPid])])).toEqual(pids);
  });

  it('malformed packets do no harm', async () => {
    const peer = await cluster.peer(1);
    const good = peer.request({ method: 'INVITE', uri: `sip:2000@${domain}`, from: `<sip:alice@${domain}>` });
    const bad: (string | Buffer)[] = [
      '',
      '\r\n\r\n',
      '\0',
      'INVITE',
      'SIP/2.0 200 OK\r\n\r\n',
      randomBytes(1400),
      good.replace('Content-Length: 0', 'Content-Length: 99999999999999999999'),
      good.replace('Content-Length: 0', 'Content-Length: -1'),
      good.replace(/^Via:.*$/m, 'Via: ;;;;'),
      good.replace(/^CSeq:.*$/m, 'CSeq: 4294967296 INVITE'),
      good.replace(/^From:.*$/m, 'From: "unterminated <sip:x@'),
      good.replace('INVITE sip:', 'INVITE sip:%00%ff@@'),
      good.replace(/^Max-Forwards:.*$/m, 'Max-Forwards: 0'),
      ...Array.from({ length: 50 }, (_, i) => good.slice(0, i * 7)),
    ];
    for (const message of bad) peer.send(message);
    const from = '<sip:test@tandem.test>';
    const response = await peer.ask({ method: 'OPTIONS', uri: `sip:${cluster.node(1).sip}`, from });
    expect(statusOf(response)).toBe(200);
  });

  it('a message of 70 kB over TCP is answered with an error, or its connection closed', async () => {
    const peer = await SipPeer.tcp(cluster.scope, '127.0.0.1', cluster.node(1).place.sipPort);
    const uri = `sip:2000@${domain}`;
    peer.send(peer.request({ method: 'INVITE', uri, from: `<sip:alice@${domain}>`, body: 'x'.repeat(70_000) }));
    await eventuallyTrue(
      'an error or the end of the connection',
      () => peer.isClosed || peer.received.some((message) => statusOf(message) >= 400),
    );
  });

  itUnless('headersWithoutEnd')('headers without end over TCP end in a closed connection or an error', async () => {
    const peer = await SipPeer.tcp(cluster.scope, '127.0.0.1', cluster.node(1).place.sipPort);
    peer.send(`INVITE sip:2000@${domain} SIP/2.0\r\n`);
    const line = `X-Much: ${'y'.repeat(8000)}\r\n`;
    for (let i = 0; i < 40; i++) peer.send(line);
    await eventuallyTrue(
      'an error or the end of the connection',
      () => peer.isClosed || peer.received.some((message) => statusOf(message) >= 400),
    );
  });

  it('a misspelt key in the configuration is named with its line, and nothing is started', async () => {
    const text = readFileSync(cluster.configFile, 'utf8').replace('"redis":', '"reddis":');
    const line = text.split('\n').findIndex((row) => row.includes('"reddis":')) + 1;
    const path = `${cluster.configFile}.misspelt.yaml`;
    writeFileSync(path, text);
    for (const [code, ...command] of [
      [1, 'check', '--config', path],
      [78, 'start', '--config', path, '--node', '1'],
    ] as const) {
      const result = await runProgram(command);
      expect(result.code).toBe(code);
      expect(result.output).toContain('reddis');
      expect(result.output).toMatch(new RegExp(`:${line}\\b|line ${line}\\b`));
    }
    expect((await runProgram(['check', '--config', cluster.configFile])).code).toBe(0);
  });
});
