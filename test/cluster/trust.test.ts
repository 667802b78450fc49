import { formatContext } from '../../src/device/node-context';
import { CONTEXT_HEADER, NodeSignature } from '../../src/sip/node-signature';
import { Cluster } from '../support/cluster';
import { addGateway, type ClusterFile, domain, passwordOf, people } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import { freePort } from '../support/ports';
import { SipEndpoint } from '../support/sip-endpoint';
import { SipPeer } from '../support/sip-peer';
import { headerOf, statusOf } from '../support/sip-text';

jest.setTimeout(240_000);

describe('who is trusted with what, at whole nodes', () => {
  let port: number;
  let cluster: Cluster;
  let gateway: SipEndpoint;
  let alice: SipEndpoint;
  let bob: SipEndpoint;
  const sip = (node: number): number => cluster.node(node).place.sipPort;
  const sdp = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

  beforeAll(async () => {
    port = await freePort();
    cluster = await Cluster.start({
      nodes: 2,
      engines: [],
      change: (file: ClusterFile) => {
        addGateway(file, port, [1, 2]);
        Object.assign(file.devices[0]!, { digest: ['SHA-256', 'MD5'] });
      },
    });
    gateway = await SipEndpoint.start(cluster.scope, { username: 'pstn', password: '', port });
    alice = await SipEndpoint.start(cluster.scope, { username: 'alice', password: passwordOf('alice') });
    bob = await SipEndpoint.start(cluster.scope, { username: 'bob', password: passwordOf('bob') });
    expect(statusOf(await alice.register(sip(1), { expires: 3600 }))).toBe(200);
    expect(statusOf(await bob.register(sip(2), { expires: 3600 }))).toBe(200);
    for (const { dn } of [people.alice, people.bob]) await cluster.everybodyKnows(dn);
    await cluster.everybodyKnows('9.@');
  });
  afterAll(() => cluster.close());

  /** An INVITE of the gateway at a node; the final response. */
  const calls = (node: number, uri: string, from: string, headers: readonly string[] = []): Promise<string> =>
    gateway.peer.towards(sip(node)).ask({ method: 'INVITE', uri, from, headers, body: sdp });

  it.each([1, 2])('A3: a call of the gateway at node %i reaches no gateway', async (node) => {
    const before = gateway.invites.length;
    for (const uri of [`sip:92145551234@${domain}`, `sip:92145551234@127.0.0.1:${port}`, 'tel:92145551234'])
      expect(statusOf(await calls(node, uri, `<sip:5550100@127.0.0.1>`))).toBe(404);
    expect(gateway.invites.length).toBe(before);
  });

  it('A3: TCP from the address of a gateway that is configured by UDP is a stranger', async () => {
    const tcp = await cluster.connection(1);
    const invite = { method: 'INVITE', uri: `sip:${people.alice.dn}@${domain}`, from: '<sip:5550100@x>', body: sdp };
    expect(statusOf(await tcp.ask(invite))).toBe(407);
  });

  it.each([1, 2])('A3: who claims a number of ours is not shown as one of us, from node %i', async (node) => {
    for (const phone of [alice, bob]) {
      const before = phone.invites.length;
      const number = phone === alice ? people.alice.dn : people.bob.dn;
      const from = `"Carol" <sip:${people.carol.dn}@${domain}>`;
      const claims = [`P-Asserted-Identity: <sip:${people.carol.dn}@${domain}>`];
      expect(statusOf(await calls(node, `sip:${number}@${domain}`, from, claims))).toBe(200);
      const invite = phone.invites.at(-1) ?? '';
      expect(phone.invites.length).toBe(before + 1);
      expect(headerOf(invite, 'From')).not.toContain(people.carol.dn);
      expect(headerOf(invite, 'P-Asserted-Identity')).toBeUndefined();
    }
  });

  it.each([1, 2])('B10: a number that is withheld is shown to no phone, from node %i', async (node) => {
    for (const phone of [alice, bob]) {
      const number = phone === alice ? people.alice.dn : people.bob.dn;
      const anonymous = '"Anonymous" <sip:anonymous@anonymous.invalid>';
      const identity = 'P-Asserted-Identity: <sip:+14085550100@127.0.0.1>';
      expect(statusOf(await calls(node, `sip:${number}@${domain}`, anonymous, [identity, 'Privacy: id']))).toBe(200);
      expect(phone.invites.at(-1)).not.toContain('5550100');
      expect(statusOf(await calls(node, `sip:${number}@${domain}`, anonymous, [identity]))).toBe(200);
      expect(headerOf(phone.invites.at(-1) ?? '', 'From')).toContain('+14085550100');
    }
  });

  it.each([1, 2])(
    'B10: a phone that withholds its number is known to the gateway alone, from node %i',
    async (node) => {
      const [phone, name] = node === 1 ? [alice, 'alice' as const] : [bob, 'bob' as const];
      const uri = `sip:92145551234@${domain}`;
      const from = `<sip:${name}@${domain}>`;
      const invite = { method: 'INVITE', uri, from, headers: ['Privacy: id'], body: sdp };
      const response = await phone.peer.towards(sip(node)).askWithDigest(invite, name, passwordOf(name));
      expect(statusOf(response)).toBe(200);
      const seen = gateway.invites.at(-1) ?? '';
      expect(headerOf(seen, 'P-Asserted-Identity')).toContain(people[name].dn);
      expect(headerOf(seen, 'Privacy')).toBe('id');
      expect(headerOf(seen, 'From')).toContain('anonymous@anonymous.invalid');
    },
  );

  it.each(['dallas.tandem.test', 'TANDEM.Test', 'tandem.test.', 'tandem.test:5060', 'tandem.test;transport=tcp'])(
    'B06: a phone may know the exchange as %s',
    async (host) => {
      const peer = await cluster.peer(1);
      const address = `<sip:alice@${host.split(/[;:]/)[0] ?? ''}>`;
      const register = { method: 'REGISTER', uri: `sip:${host}`, from: address, to: address, headers: ['Expires: 60'] };
      const response = await peer.askWithDigest(register, 'alice', passwordOf('alice'));
      expect(statusOf(response)).toBe(200);
    },
  );

  it('B07, A7: everybody is offered SHA-256 and MD5, a line each, whoever there is', async () => {
    const peer = await cluster.peer(1);
    for (const user of ['alice', 'bob', 'nobody'])
      for (const [method, name] of [
        ['REGISTER', 'WWW-Authenticate'],
        ['INVITE', 'Proxy-Authenticate'],
      ] as const) {
        const from = `<sip:${user}@${domain}>`;
        const response = await peer.ask({ method, uri: `sip:${domain}`, from, to: from });
        const lines = response.split('\r\n').filter((line) => line.startsWith(`${name}:`));
        expect(lines.map((line) => /algorithm=([A-Z0-9-]+)/.exec(line)?.[1])).toEqual(['SHA-256', 'MD5']);
      }
  });

  it('A7: guessing is held up, and the phone at its own address is not', async () => {
    const attacker = await SipPeer.udp(cluster.scope, '127.0.0.1', sip(1), '127.0.0.77');
    const from = `<sip:alice@${domain}>`;
    const guess = { method: 'REGISTER', uri: `sip:${domain}`, from, to: from };
    const answers = [];
    for (let index = 0; index < 30; index += 1)
      answers.push(statusOf(await attacker.askWithDigest(guess, 'alice', `guess-${index}`)));
    expect(answers.filter((status) => status === 401).length).toBeLessThanOrEqual(8);
    expect(new Set(answers)).toEqual(new Set([401, 403]));
    expect(statusOf(await alice.register(sip(1), { expires: 3600 }))).toBe(200);
    expect(cluster.logs()).toMatch(/"address":"127\.0\.0\.77".*"account":"alice".*"msg":"authentication failed"/);
  });

  it('A9: an INVITE between nodes that was signed before a start is nothing after it', async () => {
    const self = async (): Promise<number> => {
      const nodes = (await cluster.node(2).api('/api/nodes')) as readonly { node: number; boot: number }[];
      return nodes.find(({ node }) => node === 2)?.boot ?? 0;
    };
    const boot = await self();
    const signature = new NodeSignature({
      secret: cluster.file.cluster.secret,
      node: 1,
      boot: 1,
      now: () => Date.now(),
    });
    const uri = `sip:${people.bob.dn}@127.0.0.1:${sip(2)};transport=tcp`;
    const assertedIdentity = `<sip:${people.alice.dn}@${domain}>`;
    const party = { number: people.alice.dn, displayName: undefined, device: 'SEP-alice' };
    const half = { version: 1, process: { pid: '1.cp.1', boot: 1 } as const, party, resources: [] };
    const context = formatContext({ call: '1.cp.1-1', why: 'call', forwardedFrom: [], passed: [1], half });
    const captured = (callId: string) => ({
      ...{ method: 'INVITE', uri, callId, body: sdp, from: assertedIdentity },
      headers: Object.entries({
        'P-Asserted-Identity': assertedIdentity,
        [CONTEXT_HEADER]: context,
        ...signature.sign({ method: 'INVITE', uri, callId, assertedIdentity, context, body: sdp }, { node: 2, boot }),
      }).map(([name, value]) => `${name}: ${value}`),
    });
    expect(statusOf(await (await cluster.connection(2)).ask(captured('first')))).toBe(200);
    const replay = captured('second');
    await cluster.node(2).stop();
    await cluster.node(2).start();
    await eventually('a new life', self, (now) => now > boot);
    await bob.register(sip(2), { expires: 3600 });
    const before = bob.invites.length;
    expect(statusOf(await (await cluster.connection(2)).ask(replay))).toBe(410);
    expect(bob.invites.length).toBe(before);
  });
});
