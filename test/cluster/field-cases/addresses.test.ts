import { createServer } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../support/cluster';
import { domain, passwordOf, people, type ClusterFile } from '../../support/cluster-config';
import { DnsServer } from '../../support/dns-server';
import { usesDrachtio } from '../../support/drachtio';
import { eventually } from '../../support/eventually';
import { LyingPhone } from '../../support/lying-phone';
import { freePort } from '../../support/ports';
import { plainSdp, RawLine } from '../../support/raw-line';
import { Scope } from '../../support/scope';
import { SipEndpoint } from '../../support/sip-endpoint';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, statusOf } from '../../support/sip-text';

jest.setTimeout(120_000);

describe('field case B05, IPv6 in other spellings', () => {
  let cluster: Cluster;
  let scope: Scope;
  let ipv6Port: number;
  const sip = (node: number): number => cluster.node(node).place.sipPort;

  beforeAll(async () => {
    ipv6Port = await freePort();
    cluster = await Cluster.start({
      engines: [1],
      change: (file: ClusterFile) => {
        if (!usesDrachtio) file.nodes[0]?.listen.push(`udp:[::1]:${ipv6Port}`);
      },
    });
    // A drachtio-server of the tests takes SIP at one port of both loopback addresses.
    if (usesDrachtio) ipv6Port = sip(1);
  });
  afterAll(() => cluster.close());
  beforeEach(() => {
    scope = new Scope();
  });
  afterEach(async () => {
    await scope.close();
    await cluster.nothingIsLeft();
  });

  it.each(['[::1]', '[0:0:0:0:0:0:0:1]', '[0000::0001]', '[::0:1]'])('a phone registers with sip:%s', async (host) => {
    const peer = await SipPeer.udp(scope, '::1', ipv6Port, '::1');
    const address = `<sip:alice@${host}>`;
    const request = { method: 'REGISTER', uri: `sip:${host}`, from: address, to: address, headers: ['Expires: 60'] };
    expect(statusOf(await peer.ask(request))).toBe(401);
    const response = await peer.askWithDigest(request, 'alice', passwordOf('alice'));
    expect(statusOf(response)).toBe(200);
    expect(
      statusOf(await peer.askWithDigest({ ...request, headers: ['Expires: 0'] }, 'alice', passwordOf('alice'))),
    ).toBe(200);
  });

  it.each([1, 2])(
    'a Contact with a mapped address, called from node %i: what is in the call reaches it',
    async (node) => {
      const alice = await LyingPhone.start(scope, cluster.node(1), { name: 'alice', protocol: 'udp' });
      alice.contact = `<sip:alice@[::ffff:127.0.0.1]:${alice.peer.port}>`;
      expect(await alice.register()).toBe(200);
      await cluster.everybodyKnows(people.alice.dn);
      const other = await LyingPhone.start(scope, cluster.node(node), {
        name: node === 1 ? 'carol' : 'bob',
        protocol: 'udp',
      });
      other.contact = `<sip:other@[::FFFF:7F00:1]:${other.peer.port}>`;
      expect(await other.register()).toBe(200);
      await cluster.everybodyKnows(people[other.name].dn);
      expect(await other.call(people.alice.dn)).toBe(200);
      expect(await other.hold()).toBe(200);
      await alice.got('INVITE', 2);
      expect(await other.resume()).toBe(200);
      expect(await alice.hold()).toBe(200);
      await other.got('INVITE');
      expect(await other.hangUp()).toBe(200);
      await alice.got('BYE');
      for (const phone of [alice, other]) expect(await phone.register({ expires: 0 })).toBe(200);
    },
  );

  it.each(['::FFFF:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:127.0.0.1'])(
    'a description with c=IN IP6 %s to a phone of IPv4: they talk directly',
    async (address) => {
      const alice = await RawLine.phone(scope, 'alice', sip(1));
      const bob = await RawLine.phone(scope, 'bob', sip(2));
      for (const name of ['alice', 'bob'] as const) await cluster.everybodyKnows(people[name].dn);
      const body = plainSdp().replace(/IN IP4 127\.0\.0\.1/g, `IN IP6 ${address}`);
      const caller = await alice.call(people.bob.dn, { body });
      const callee = await bob.called(0);
      expect(callee.invite).toContain('c=IN IP4 127.0.0.1');
      callee.answer('200 OK', { body: plainSdp() });
      expect(statusOf(await caller.final())).toBe(200);
      await callee.got('ACK');
      const [call] = (await cluster.node(1).calls()) as readonly { readonly id: string }[];
      expect(await cluster.node(1).api(`/api/calls/${call?.id ?? ''}`)).toMatchObject({ media: { path: 'direct' } });
      expect(statusOf(await caller.ask('BYE'))).toBe(200);
      await callee.got('BYE');
      await alice.leave();
      await bob.leave();
    },
  );
});

/** Runs a node with a name server of ours: a mount of its own over the file that names it. Only root may. */
const canHaveNames = process.getuid?.() === 0 && !usesDrachtio;
if (!canHaveNames) process.stdout.write('skipped: gateways by SRV name (needs root, and the embedded SIP server)\n');

describe('field case B22, where the calls of a gateway come from', () => {
  const scope = new Scope();
  let cluster: Cluster;
  let alice: SipEndpoint;
  let first: SipEndpoint;
  let second: SipEndpoint;
  let byPort: SipEndpoint;
  let ports: { tcp: number; first: number; second: number; byPort: number };
  const sip = (): number => cluster.node(1).place.sipPort;
  const invite = { method: 'INVITE', from: '<sip:2145550100@trunk.example>', body: plainSdp() };
  const dialled = `sip:${people.alice.dn}@${domain}`;

  beforeAll(async () => {
    ports = { tcp: await freePort(), first: await freePort(), second: await freePort(), byPort: await freePort() };
    const name = '127.0.0.53';
    const zone = {
      '_sip._udp.trunk.test': { SRV: [`10 1 ${ports.first} a.trunk.test`, `20 1 ${ports.second} b.trunk.test`] },
      'a.trunk.test': { A: ['127.0.0.1'] },
      'b.trunk.test': { A: ['127.0.0.1'] },
    };
    if (canHaveNames) await DnsServer.start(scope, zone, 1, { address: name, port: 53 });
    const resolver = join(scope.directory('names'), 'resolv.conf');
    writeFileSync(resolver, `nameserver ${name}\n`);
    const mount = `mount --bind ${resolver} /etc/resolv.conf && exec "$0" "$@"`;
    cluster = await Cluster.start({
      nodes: 1,
      redis: false,
      engines: [],
      start: false,
      change: (file: ClusterFile) => {
        const gateway = { site: 'dallas', nodes: [1] };
        file.gateways.push(
          { ...gateway, name: 'gw-tcp', uri: `sip:127.0.0.1:${ports.tcp};transport=tcp` },
          { ...gateway, name: 'gw-port', uri: `sip:127.0.0.1:${ports.byPort}` },
          ...(canHaveNames ? [{ ...gateway, name: 'gw-srv', uri: 'sip:trunk.test' }] : []),
        );
        file.routes.push(
          { pattern: '9.@', targets: [canHaveNames ? 'gw-srv' : 'gw-port'] },
          { pattern: '8.@', targets: ['gw-tcp', 'gw-port'] },
        );
      },
    });
    // A gateway that listens on TCP, and has been asked whether it is there.
    const server = createServer((socket) => {
      socket.on('data', (data) => {
        const kept = data
          .toString()
          .split('\r\n')
          .filter((line) => /^(Via|From|To|Call-ID|CSeq):/i.test(line));
        socket.write(['SIP/2.0 200 OK', ...kept, 'Content-Length: 0', '', ''].join('\r\n'));
      });
      socket.on('error', () => undefined);
      scope.defer(() => socket.destroy());
    });
    await new Promise<void>((listening) => server.listen(ports.tcp, '127.0.0.1', listening));
    scope.defer(() => void server.close());
    const endpoint = (port: number): Promise<SipEndpoint> =>
      SipEndpoint.start(scope, { username: 'pstn', password: '', port });
    first = await endpoint(ports.first);
    second = await endpoint(ports.second);
    byPort = await endpoint(ports.byPort);
    await cluster.node(1).start(canHaveNames ? ['unshare', '--mount', 'sh', '-c', mount] : []);
    alice = await SipEndpoint.start(scope, { username: 'alice', password: passwordOf('alice') });
    expect(statusOf(await alice.register(sip(), { expires: 3600 }))).toBe(200);
    await eventually(
      'the gateways are there',
      async () => (await cluster.node(1).registrations()).map(({ device }) => device),
      (devices) => ['gw-tcp', 'gw-port', ...(canHaveNames ? ['gw-srv'] : [])].every((name) => devices.includes(name)),
    );
  });
  afterAll(async () => {
    await cluster.close();
    await scope.close();
  });
  afterEach(() => {
    for (const one of [alice, first, second, byPort]) one.peer.received.length = 0;
  });

  /** An INVITE that reaches alice, who refuses it; or the status with which it is refused. */
  const reaches = async (peer: SipPeer, uri = dialled): Promise<number> => {
    alice.behaviour = '486 Busy Here';
    const response = await peer.ask({ ...invite, uri });
    expect(alice.invites.length).toBe(statusOf(response) === 486 ? 1 : 0);
    return statusOf(response);
  };

  it('over TCP from an ephemeral port, of a gateway that is configured by TCP', async () => {
    expect(await reaches(await SipPeer.tcp(scope, '127.0.0.1', sip()))).toBe(486);
  });

  it('over UDP from another port than the configured one: a stranger', async () => {
    expect(await reaches(await SipPeer.udp(scope, '127.0.0.1', sip()))).toBe(407);
  });

  it.each([
    `sip:${people.alice.dn}@203.0.113.7`,
    `sip:${people.alice.dn}@carrier.example;user=phone`,
    `sip:${people.alice.dn}@127.0.0.1`,
    `sip:${people.alice.dn};phone-context=acme.example@acme.example`,
    `sip:${people.alice.dn}@${domain};user=phone;transport=udp`,
    `tel:${people.alice.dn}`,
    `tel:${people.alice.dn};phone-context=acme.example`,
    `tel:10-00`,
  ])('it may name us as its network does: %s', async (uri) => {
    expect(await reaches(byPort.peer.towards(sip()), uri)).toBe(486);
  });

  it('a number that nobody has: 404, and a line that says who asked for what', async () => {
    expect(await reaches(byPort.peer.towards(sip()), 'sip:+14085551000@carrier.example;user=phone')).toBe(404);
    expect(cluster.node(1).log()).toMatch(/14085551000/);
  });

  (canHaveNames ? it : it.skip)(
    'by SRV name: calls come from all its targets, and go to the next when one is gone',
    async () => {
      for (const target of [first, second]) {
        expect(await reaches(target.peer.towards(sip()))).toBe(486);
        alice.peer.received.length = 0;
      }
      expect((await alice.call(sip(), '92145551234')).status).toBe(200);
      expect([first.invites.length, second.invites.length]).toEqual([1, 0]);
      expect(headerOf(first.invites[0] ?? '', 'To')).toContain('2145551234');
      first.peer.close();
      expect((await alice.call(sip(), '92145551235')).status).toBe(200);
      expect(second.invites.length).toBe(1);
    },
  );
});
