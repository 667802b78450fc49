import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type ClusterOptions } from '../support/cluster';
import { domain, passwordOf, people, type PhoneName } from '../support/cluster-config';
import { usesDrachtio } from '../support/drachtio';
import { describeUnless } from '../support/drachtio-limits';
import { eventually, eventuallyTrue } from '../support/eventually';
import { figure } from '../support/figures';
import type { NodeProcess } from '../support/node-process';
import { freePort } from '../support/ports';
import { numbersOf, RoamingPhone } from '../support/roaming-phone';
import { SipPeer } from '../support/sip-peer';
import { headerOf, statusOf } from '../support/sip-text';

jest.setTimeout(120_000);

let cluster: Cluster;
afterEach(() => cluster.close());

const start = (change: ClusterOptions['change'] = () => undefined): Promise<Cluster> =>
  Cluster.start({ engines: [], change });

async function register(peer: SipPeer, name: PhoneName, contact = peer.contact(name)): Promise<string> {
  const to = `<sip:${name}@${domain}>`;
  const request = { method: 'REGISTER', uri: `sip:${domain}`, from: to, to, contact };
  return peer.askWithDigest(request, name, passwordOf(name));
}

/** What a call of bob's, from node 2, is answered. */
async function callTo(name: PhoneName): Promise<number> {
  const bob = await cluster.peer(2);
  const uri = `sip:${people[name].dn}@${domain}`;
  const body = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n';
  const invite = { method: 'INVITE', uri, from: `<sip:bob@${domain}>`, body };
  return statusOf(await bob.askWithDigest(invite, 'bob', passwordOf('bob')));
}

async function removed(node: NodeProcess, reason: string): Promise<number> {
  const text = await (await node.fetch('/metrics')).text();
  const match = new RegExp(`tandem_registrations_removed_total{[^}]*reason="${reason}"[^}]*} (\\d+)`).exec(text);
  return Number(match?.[1] ?? 0);
}

async function pollsOf(node: NodeProcess): Promise<number> {
  const text = await (await node.fetch('/metrics')).text();
  return [...text.matchAll(/tandem_polls_total{[^}]*} (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('claim R7: phones are polled', () => {
  it('a phone that falls silent is deleted everywhere, once, and replication does not bring it back', async () => {
    cluster = await start((file) => Object.assign(file.registrar, { pollSeconds: 1, pollMisses: 2 }));
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const phone = await cluster.peer(1);
    expect(statusOf(await register(phone, 'alice'))).toBe(200);
    await two.knows(numbersOf('alice'));
    // Any answer proves life.
    for (let polled = 0; polled < 2; polled += 1) {
      const options = await eventually(
        'the phone is polled',
        () => phone.requests('OPTIONS')[polled] ?? '',
        (message) => message !== '',
      );
      phone.answer(options, '501 Not Implemented');
    }
    expect(await removed(one, 'unreachable')).toBe(0);

    // Node 2 sleeps through the deletion and must find out that it has an entry too many.
    two.freeze();
    const silentSince = Date.now();
    await one.knows([]);
    figure('from the first unanswered poll to the deletion of a silent phone', Date.now() - silentSince, 'ms');
    two.thaw();
    await two.knows([]);
    expect(await removed(one, 'unreachable')).toBe(1);
    expect(one.log()).toMatch(/"reason":"unreachable".*"station deleted"|"station deleted".*"reason":"unreachable"/);
    await pause(2500);
    await Promise.all([one.knows([]), two.knows([])]);
    // Only the node that controls a phone polls it.
    expect(await pollsOf(one)).toBeGreaterThanOrEqual(4);
    expect(await pollsOf(two)).toBe(0);
  });
});

describeUnless('flows')('claim R7: a connection that closes counts at once', () => {
  it('over TCP and WebSocket, on every node; a registration over a newer connection is not touched', async () => {
    const webSocketPort = await freePort();
    cluster = await start((file) => file.nodes[0]?.listen.push(`ws:127.0.0.1:${webSocketPort}`));
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const tcp = (): Promise<SipPeer> => SipPeer.tcp(cluster.scope, '127.0.0.1', one.place.sipPort);
    const [alice, carol] = [await tcp(), await SipPeer.webSocket(cluster.scope, `ws://127.0.0.1:${webSocketPort}`)];
    expect(statusOf(await register(alice, 'alice'))).toBe(200);
    expect(statusOf(await register(carol, 'carol'))).toBe(200);
    await two.knows(numbersOf('alice', 'carol'));

    const closedAt = Date.now();
    carol.close();
    await two.knows(numbersOf('alice'), 5000);
    alice.close();
    await two.knows([], 5000);
    figure('two connections closed, and gone on the other node', Date.now() - closedAt, 'ms');
    await one.knows([]);
    expect(await removed(one, 'unreachable')).toBe(2);

    const [old, fresh] = [await tcp(), await tcp()];
    const instance = ';+sip.instance="<urn:tandem-test:alice>"';
    expect(statusOf(await register(old, 'alice', `${old.contact('alice')}${instance}`))).toBe(200);
    expect(statusOf(await register(fresh, 'alice', `${fresh.contact('alice')}${instance}`))).toBe(200);
    old.close();
    await eventuallyTrue('the server has seen the old connection close', async () => {
      const dave = await SipPeer.tcp(cluster.scope, '127.0.0.1', one.place.sipPort);
      await register(dave, 'dave');
      dave.close();
      await one.knows(numbersOf('alice'), 5000);
      return true;
    });
    const call = callTo('alice');
    const invite = await fresh.message('a call on the new connection', (message) => message.startsWith('INVITE'));
    fresh.answer(invite, '486 Busy Here');
    expect(await call).toBe(486);
  });
});

describe('claim R15: a node at capacity', () => {
  it('answers 305 with the next node of the list of the phone’s site; who is there already is refreshed', async () => {
    cluster = await start((file) => {
      const [node] = file.nodes;
      if (node !== undefined) node.capacity = 1;
      Object.assign(file.registrar, { turnAway: 'redirect' });
      Object.assign(file.sites.dallas ?? {}, { nodes: [1, 2] });
    });
    const [alice, carol] = [await cluster.peer(1), await cluster.peer(1)];
    expect(statusOf(await register(alice, 'alice'))).toBe(200);
    await cluster.node(2).knows(numbersOf('alice'));
    const turnedAway = await register(carol, 'carol');
    expect(statusOf(turnedAway)).toBe(305);
    const port = cluster.node(2).place.sipPort;
    expect(headerOf(turnedAway, 'Contact')).toBe(`<sip:127.0.0.1:${port};transport=udp>`);
    carol.talkTo(port);
    expect(statusOf(await register(carol, 'carol'))).toBe(200);
    expect(statusOf(await register(alice, 'alice'))).toBe(200);
    await cluster.node(1).knows(numbersOf('alice', 'carol'));
  });
});

describe('claim R15: draining', () => {
  it('phones on UDP and TCP have moved, and can be called, before the node ends', async () => {
    cluster = await start((file) => {
      for (const node of file.nodes) Object.assign(node, { drainSeconds: 20 });
    });
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const nodes = [1, 2];
    const alice = RoamingPhone.start(cluster, { name: 'alice', protocol: 'udp', nodes, refreshMs: 500 });
    // Connections that a drachtio-server holds cannot be closed from here: there a phone moves at its next refresh.
    const refreshMs = usesDrachtio ? 500 : 60_000;
    const carol = RoamingPhone.start(cluster, { name: 'carol', protocol: 'tcp', nodes, refreshMs });
    await two.knows(numbersOf('alice', 'carol'));
    const began = Date.now();
    const stopped = one.stop();
    await eventually(
      'both phones are at node 2',
      () => two.registrations(),
      (rows) => rows.length === 2 && rows.every(({ local }) => local),
    );
    expect([await callTo('alice'), await callTo('carol')]).toEqual([486, 486]);
    await stopped;
    figure('from SIGTERM to the end of a node whose phones move', Date.now() - began, 'ms');
    expect([alice.callsSeen, carol.callsSeen]).toEqual([1, 1]);
    expect(alice.answers).toContain('1 503');
    // They had gone before it stopped: it did not have to take them off the table itself.
    expect(one.log()).toContain('"reason":"moved"');
    expect(one.log()).not.toContain('"reason":"stopped"');
  });
});
