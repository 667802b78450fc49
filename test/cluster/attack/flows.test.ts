import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../../support/cluster';
import { addGateway, domain, people } from '../../support/cluster-config';
import { describeUnless, itUnless } from '../../support/drachtio-limits';
import { eventually } from '../../support/eventually';
import { freePort } from '../../support/ports';
import { LyingPhone, type LyingPhoneOptions } from '../../support/lying-phone';
import { Scope } from '../../support/scope';
import { SipEndpoint } from '../../support/sip-endpoint';
import { SipPeer } from '../../support/sip-peer';

jest.setTimeout(120_000);

let cluster: Cluster;
let gateway: SipEndpoint;
/** What one test makes. */
let scope: Scope;

beforeAll(async () => {
  const port = await freePort();
  cluster = await Cluster.start({
    engines: [],
    change: (file) => addGateway(file, port),
  });
  gateway = await SipEndpoint.start(cluster.scope, { username: 'pstn', password: '', port });
});
afterAll(() => cluster.close());
beforeEach(() => {
  scope = new Scope();
  gateway.peer.received.length = 0;
});
afterEach(async () => {
  await scope.close();
  await nobodyIsRegistered();
});

const sip = (node: number): number => cluster.node(node).place.sipPort;
const instance = (id: string): string => `;+sip.instance="<urn:uuid:00000000-0000-4000-8000-${id.padStart(12, '0')}>"`;

async function phone(options: LyingPhoneOptions & { at?: number; instance?: string }): Promise<LyingPhone> {
  const { at = people[options.name].node } = options;
  const started = await LyingPhone.start(scope, cluster.node(at), options);
  const contact = options.instance === undefined ? started.contact : started.contact + instance(options.instance);
  expect(await started.register({ contact })).toBe(200);
  await cluster.everybodyKnows(people[options.name].dn);
  // Before the socket is closed: UDP phones are known until they expire.
  scope.defer(() => started.peer.isClosed || started.register({ contact: '*', expires: 0 }));
  return started;
}

const numbers = new Set(Object.values(people).map(({ dn }) => dn));

async function nobodyIsRegistered(): Promise<void> {
  for (const node of cluster.nodes)
    await eventually(
      `node ${node.id} knows no phone`,
      async () => (await node.registrations()).filter(({ dn }) => numbers.has(dn)),
      (rows) => rows.length === 0,
    );
}

/** Both sides hold, one after the other, and the caller hangs up; each request arrives at the other. */
async function talk(caller: LyingPhone, callee: LyingPhone): Promise<void> {
  await callee.got('ACK');
  const [atCaller, atCallee] = [caller.requests('INVITE').length, callee.requests('INVITE').length];
  expect(await caller.hold()).toBe(200);
  await callee.got('INVITE', atCallee + 1);
  expect(await caller.resume()).toBe(200);
  expect(await callee.hold()).toBe(200);
  await caller.got('INVITE', atCaller + 1);
  const byes = callee.requests('BYE').length;
  expect(await caller.hangUp()).toBe(200);
  await callee.got('BYE', byes + 1);
}

const ownFlows = describeUnless('flows');

ownFlows('a station that registers the contacts of others', () => {
  it('gets none of their calls, nor anything in them, and nothing is dead when it goes', async () => {
    const alice = await phone({ name: 'alice', protocol: 'udp' });
    const dave = await phone({ name: 'dave', protocol: 'udp' });
    const bob = await phone({ name: 'bob', protocol: 'tcp' });
    const mallory = await phone({ name: 'carol', protocol: 'tcp' });
    const others = [
      alice.contact,
      `<sip:alice@127.0.0.1>`,
      `<sip:777@127.0.0.1:${gateway.port}>`,
      `<sip:2001@127.0.0.1:${sip(2)};transport=tcp>`,
      `<sip:1000@127.0.0.1:${sip(1)};transport=tcp>`,
      bob.contact,
    ];
    expect(await mallory.register({ contact: others.join(', ') })).toBe(200);
    // RFC 5923: "this connection is for requests to node 2".
    const own = `sip:127.0.0.1:${sip(1)}`;
    for (const port of [sip(2), gateway.port]) {
      const alias = mallory.peer.request({ method: 'OPTIONS', uri: own, from: '<sip:x@y>', callId: `alias-${port}` });
      mallory.peer.send(alias.replace(/Via: SIP\/2.0\/TCP [^;]+;/, `Via: SIP/2.0/TCP 127.0.0.1:${port};alias;`));
      await mallory.peer.message('200 to OPTIONS', (message) => message.includes(`alias-${port}`));
    }

    const calls = async (): Promise<void> => {
      expect(await bob.call('1000')).toBe(200);
      await talk(bob, alice);
      expect(await alice.call('2001')).toBe(200);
      await talk(alice, dave);
      expect(await dave.call('2000')).toBe(200);
      await talk(dave, bob);
      const before = gateway.invites.length;
      expect(await alice.call('9777')).toBe(200);
      expect(await alice.hold()).toBe(200);
      expect(await alice.hangUp()).toBe(200);
      expect(gateway.invites.length).toBe(before + 1);
      await gateway.peer.message('BYE', (message) => message.startsWith('BYE'));
    };
    await calls();
    expect(mallory.heard).toEqual([]);
    mallory.peer.close();
    await eventually(
      'mallory is gone',
      () => cluster.node(2).registrations(),
      (rows) => !rows.some(({ dn }) => dn === people.carol.dn),
    );
    for (const each of [alice, bob, dave]) each.peer.received.length = 0;
    await calls();
    await cluster.nothingIsLeft();
  });
});

ownFlows('two phones with one private address (field case B01)', () => {
  it('of two accounts behind two NATs: each gets its own calls, and what is in them', async () => {
    const contact = '<sip:phone@192.168.1.20:5062;transport=tcp>';
    const alice = await phone({ name: 'alice', protocol: 'tcp', contact });
    const carol = await phone({ name: 'carol', protocol: 'tcp', contact });
    const bob = await phone({ name: 'bob', protocol: 'udp' });
    for (const [callee, other] of [
      [alice, carol],
      [carol, alice],
    ] as const) {
      other.peer.received.length = 0;
      bob.peer.received.length = 0;
      callee.peer.received.length = 0;
      expect(await bob.call(people[callee.name].dn)).toBe(200);
      await talk(bob, callee);
      expect(other.heard).toEqual([]);
    }
    await cluster.nothingIsLeft();
  });

  it('of one account: both ring, who answers has the call, the other one gets the CANCEL', async () => {
    for (const contact of [undefined, '<sip:alice@192.168.1.20:5062;transport=tcp>']) {
      const same = contact === undefined ? {} : { contact };
      const one = await phone({ name: 'alice', protocol: 'tcp', ...same, instance: '1' });
      const two = await phone({ name: 'alice', protocol: 'tcp', ...same, instance: '2' });
      const bob = await phone({ name: 'bob', protocol: 'udp' });
      one.behaviour = 'rings';
      two.behaviour = 'rings';
      const call = bob.call('1000');
      const [first] = await Promise.all([one.got('INVITE'), two.got('INVITE')]);
      if (contact === undefined) expect(first).toContain(`INVITE sip:alice@127.0.0.1:${one.peer.port};`);
      // Now it is picked up.
      one.behaviour = 'answers';
      one.peer.onRequest?.(first);
      expect(await call).toBe(200);
      await two.got('CANCEL');
      await talk(bob, one);
      expect(two.heard.filter((method) => method !== 'ACK')).toEqual(['INVITE', 'CANCEL']);
      await scope.close();
      await nobodyIsRegistered();
      scope = new Scope();
    }
  });

  it('of one account over TCP and UDP: both are found; when one leaves the other stays', async () => {
    const one = await phone({ name: 'alice', protocol: 'tcp' });
    const two = await phone({ name: 'alice', protocol: 'udp' });
    const bob = await phone({ name: 'bob', protocol: 'tcp' });
    two.behaviour = '486 Busy Here';
    expect(await bob.call('1000')).toBe(200);
    await two.got('INVITE');
    await talk(bob, one);
    expect(await two.register({ expires: 0 })).toBe(200);
    one.peer.received.length = 0;
    expect(await bob.call('1000')).toBe(200);
    await talk(bob, one);
    expect(two.requests('INVITE')).toHaveLength(1);
    await cluster.nothingIsLeft();
  });

  it('of one account over TCP: one leaves, the other stays; a closed connection is the end of the call at once', async () => {
    const trap = await decoy();
    const contact = `<sip:alice@127.0.0.1:${trap.port};transport=tcp>`;
    const one = await phone({ name: 'alice', protocol: 'tcp', contact });
    const two = await phone({ name: 'alice', protocol: 'tcp' });
    const bob = await phone({ name: 'bob', protocol: 'tcp' });
    expect(await two.register({ expires: 0 })).toBe(200);
    expect(await bob.call('1000')).toBe(200);
    await talk(bob, one);
    expect(two.heard).toEqual([]);
    one.behaviour = 'rings';
    const call = bob.call('1000', 5000);
    await one.got('INVITE', 3);
    one.peer.close();
    const closedAt = Date.now();
    expect(await call).toBeGreaterThanOrEqual(400);
    expect(Date.now() - closedAt).toBeLessThan(4000);
    await trap.untouched();
    await cluster.nothingIsLeft();
  });
});

ownFlows('a phone that comes back over another connection in the middle of a call', () => {
  const cases = (['caller', 'callee'] as const).flatMap((role) =>
    ([1, 2] as const).flatMap((node) => (['closed', 'dead'] as const).map((first) => [role, node, first] as const)),
  );

  it.each(cases)(
    'the %s, called from node %i, its first connection %s: what is in the call reaches it',
    async (role, node, first) => {
      const contact = `<sip:alice@gone.invalid;transport=tcp>${instance('77')}`;
      const alice = await phone({ name: 'alice', protocol: 'tcp', contact });
      const other = await phone({ name: 'alice', protocol: 'tcp' });
      const peer = await phone({ name: node === 1 ? 'carol' : 'bob', at: node, protocol: 'udp' });
      other.behaviour = '486 Busy Here';
      if (role === 'caller') expect(await alice.call(people[peer.name].dn)).toBe(200);
      else expect(await peer.call('1000')).toBe(200);
      const before = alice.peer;
      alice.goTo(await SipPeer.tcp(scope, '127.0.0.1', sip(1)));
      if (first === 'closed') {
        before.close();
        await eventually(
          'the binding is gone',
          () => cluster.node(1).registrations(),
          (rows) => rows.filter(({ dn }) => dn === '1000').length === 1,
        );
      } else before.onRequest = () => undefined;
      expect(await alice.register()).toBe(200);
      expect(await peer.hold()).toBe(200);
      await alice.got('INVITE');
      expect(await peer.resume()).toBe(200);
      expect(await alice.hold()).toBe(200);
      expect(await peer.hangUp()).toBe(200);
      await alice.got('BYE');
      // It is in no call.
      expect(other.heard.filter((method) => method !== 'INVITE' && method !== 'ACK')).toEqual([]);
      expect(before.requests('BYE')).toEqual([]);
      await cluster.nothingIsLeft();
    },
  );
});

ownFlows('a request whose connection is closed before it is answered', () => {
  it('is not answered elsewhere: its Via makes nobody connect', async () => {
    const trap = await decoy();
    const stranger = await SipPeer.tcp(scope, '127.0.0.1', sip(1));
    const request = stranger.request({ method: 'OPTIONS', uri: `sip:127.0.0.1:${sip(1)}`, from: '<sip:x@y>' });
    cluster.node(1).freeze();
    stranger.send(request.replace(/Via: SIP\/2.0\/TCP [^;]+;/, `Via: SIP/2.0/TCP 127.0.0.1:${trap.port};`));
    await pause(200);
    stranger.close();
    await pause(200);
    cluster.node(1).thaw();
    await trap.untouched();
  });
});

/** Somebody who listens on a port for TCP and UDP; what came there. */
async function decoy(port = 0): Promise<{ port: number; touched: string[]; untouched(): Promise<void> }> {
  const touched: string[] = [];
  const server = createServer((socket) => {
    touched.push('a connection');
    socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  const own = typeof address === 'object' && address !== null ? address.port : 0;
  const udp = await SipPeer.udp(scope, '127.0.0.1', 9, '127.0.0.1', own);
  scope.defer(() => void server.close());
  return {
    port: own,
    touched,
    async untouched() {
      await pause(300);
      expect([...touched, ...udp.received]).toEqual([]);
    },
  };
}

ownFlows('what a station says of where it is leads nowhere but to its flow', () => {
  const contacts: [string, (port: number) => string][] = [
    ['maddr', (port) => `<sip:carol@127.0.0.9:${port};maddr=127.0.0.1>`],
    ['maddr over TCP', (port) => `<sip:carol@127.0.0.9:${port};maddr=127.0.0.1;transport=tcp>`],
    ['another port', (port) => `<sip:carol@127.0.0.1:${port}>`],
    ['another transport', (port) => `<sip:carol@127.0.0.1:${port};transport=tcp>`],
    ['a host name', (port) => `<sip:carol@localhost:${port};transport=tcp>`],
    ['a name that nobody knows', () => '<sip:carol@phone.invalid>'],
    ['a transport that nobody has', (port) => `<sip:carol@127.0.0.1:${port};transport=sctp>`],
    ['a flow of its own invention', (port) => `<sip:carol@127.0.0.1:${port};transport=udp;flow=127.0.0.1:${port}>`],
  ];
  const cases = contacts.flatMap(([what, contact]) =>
    (['udp', 'tcp'] as const).map((protocol) => [what, protocol, contact] as const),
  );

  it.each(cases)('Contact with %s, registered over %s', async (_, protocol, contact) => {
    const trap = await decoy();
    const carol = await phone({ name: 'carol', protocol, contact: contact(trap.port) });
    const bob = await phone({ name: 'bob', protocol: 'udp' });
    expect(await bob.call(people.carol.dn)).toBe(200);
    expect(carol.requests('INVITE')[0]).toContain(`INVITE ${contact(trap.port).slice(1, -1)} SIP/2.0`);
    await talk(bob, carol);
    carol.peer.received.length = 0;
    bob.peer.received.length = 0;
    expect(await carol.call('2000')).toBe(200);
    await talk(carol, bob);
    expect(await bob.call(people.carol.dn)).toBe(200);
    await trap.untouched();
    expect(await carol.hangUp()).toBe(200);
    await cluster.nothingIsLeft();
  });

  it.each(['udp', 'tcp'] as const)('Record-Route, Route and Path of a phone on %s', async (protocol) => {
    const trap = await decoy();
    const routes = ['', ';lr', ';transport=tcp;lr', ';transport=tcp'].map(
      (end) => `<sip:127.0.0.1:${trap.port}${end}>`,
    );
    const carol = await phone({ name: 'carol', protocol });
    const bob = await phone({ name: 'bob', protocol: 'udp' });
    for (const route of routes) {
      bob.peer.received.length = 0;
      carol.peer.received.length = 0;
      carol.headers = [`Record-Route: ${route}`, `Route: ${route}`, `Path: ${route}`];
      expect(await carol.register({ headers: [`Path: ${route}`, `Service-Route: ${route}`] })).toBe(200);
      expect(await carol.call('2000')).toBe(200);
      await talk(carol, bob);
      expect(await bob.call(people.carol.dn)).toBe(200);
      expect(await bob.hold()).toBe(200);
      expect(await bob.hangUp()).toBe(200);
      await carol.got('BYE', 1);
    }
    await trap.untouched();
    await cluster.nothingIsLeft();
  });

  it('a re-INVITE that moves the Contact, in both directions', async () => {
    const trap = await decoy();
    const carol = await phone({ name: 'carol', protocol: 'udp' });
    const bob = await phone({ name: 'bob', protocol: 'tcp' });
    expect(await bob.call(people.carol.dn)).toBe(200);
    carol.contact = `<sip:carol@127.0.0.1:${trap.port};transport=tcp>`;
    bob.contact = `<sip:bob@127.0.0.1:${trap.port}>`;
    expect(await carol.hold()).toBe(200);
    await bob.got('INVITE');
    expect(await carol.resume()).toBe(200);
    expect(await bob.hold()).toBe(200);
    await carol.got('INVITE', 2);
    expect(await bob.hangUp()).toBe(200);
    await carol.got('BYE');
    await trap.untouched();
    await cluster.nothingIsLeft();
  });

  it.each(['302 Moved Temporarily', '305 Use Proxy'] as const)('a redirection: %s', async (redirect) => {
    const trap = await decoy();
    const carol = await phone({ name: 'carol', protocol: 'udp' });
    const bob = await phone({ name: 'bob', protocol: 'udp' });
    carol.contact = `<sip:carol@127.0.0.1:${trap.port};transport=tcp>, <sip:911@127.0.0.1:${gateway.port}>`;
    carol.behaviour = redirect;
    expect(await bob.call(people.carol.dn)).toBeGreaterThanOrEqual(300);
    await trap.untouched();
    expect(gateway.invites).toEqual([]);
  });

  it('the top Via of a stranger: maddr and received', async () => {
    const trap = await decoy();
    const stranger = await SipPeer.udp(scope, '127.0.0.1', sip(1));
    const request = stranger.request({ method: 'OPTIONS', uri: `sip:127.0.0.1:${sip(1)}`, from: '<sip:x@y>' });
    for (const parameters of [`;maddr=127.0.0.1`, `;received=127.0.0.1`, `;received=127.0.0.1;maddr=localhost`])
      stranger.send(request.replace(/;branch=\w+;rport/, (end) => `${parameters}${end}${parameters.length}`));
    await stranger.message('an answer', (message) => message.startsWith('SIP/2.0 '));
    await trap.untouched();
  });

  it('a phone registers as the gateway: no number goes there', async () => {
    const carol = await phone({
      name: 'carol',
      protocol: 'udp',
      contact: `<sip:0190123456@carol.example:${gateway.port};maddr=127.0.0.1>`,
    });
    const bob = await phone({ name: 'bob', protocol: 'udp' });
    expect(await bob.call(people.carol.dn)).toBe(200);
    await talk(bob, carol);
    expect(gateway.invites).toEqual([]);
  });
});

ownFlows('every value of a list counts', () => {
  it('REGISTER `old;expires=0, new` over a new connection, on one line and on two', async () => {
    for (const lines of [1, 2]) {
      const old = await phone({ name: 'alice', protocol: 'tcp' });
      const fresh = await LyingPhone.start(scope, cluster.node(1), { name: 'alice', protocol: 'tcp' });
      const bob = await phone({ name: 'bob', protocol: 'udp' });
      const leaving = `${old.contact};expires=0`;
      const contacts =
        lines === 1
          ? { contact: `${leaving}, ${fresh.contact}` }
          : { contact: leaving, headers: [`Contact: ${fresh.contact}`] };
      expect(await fresh.register(contacts)).toBe(200);
      expect(await bob.call('1000')).toBe(200);
      await talk(bob, fresh);
      expect(old.heard).toEqual([]);
      await scope.close();
      await nobodyIsRegistered();
      scope = new Scope();
    }
  });
});

describe('where a phone is on UDP (field case B03)', () => {
  itUnless('flows')(
    'behind a NAT that changes the port: everything comes to where its requests come from',
    async () => {
      const trap = await decoy();
      const alice = await phone({ name: 'alice', protocol: 'udp', contact: `<sip:alice@127.0.0.1:${trap.port}>` });
      const bob = await phone({ name: 'bob', protocol: 'udp' });
      const answeredAt = Date.now();
      expect(await bob.call('1000')).toBe(200);
      await alice.got('ACK', 1, 1000);
      expect(Date.now() - answeredAt).toBeLessThan(2000);
      await talk(bob, alice);
      expect(await alice.call('2000')).toBe(200);
      await bob.got('ACK');
      expect(await bob.hold()).toBe(200);
      await alice.got('INVITE', 3);
      expect(await bob.hangUp()).toBe(200);
      await alice.got('BYE', 2);
      await trap.untouched();
      await cluster.nothingIsLeft();
    },
  );

  it('one that registered from a socket that listens no more is not there, whatever its Contact says', async () => {
    const there = await SipPeer.udp(scope, '127.0.0.1', sip(1));
    const alice = await phone({ name: 'alice', protocol: 'udp', contact: `<sip:alice@127.0.0.1:${there.port}>` });
    const bob = await phone({ name: 'bob', protocol: 'udp' });
    alice.peer.close();
    expect(await bob.call('1000', 40_000)).toBeGreaterThanOrEqual(400);
    expect(there.requests('INVITE')).toEqual([]);
    const again = await LyingPhone.start(scope, cluster.node(1), {
      name: 'alice',
      protocol: 'udp',
      contact: alice.contact,
    });
    expect(await again.register({ contact: '*', expires: 0 })).toBe(200);
  });
});

ownFlows('a REGISTER that waited until its connection was closed', () => {
  it('makes no binding, and the phone stays where it has gone meanwhile', async () => {
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const old = await LyingPhone.start(scope, one, { name: 'alice', protocol: 'tcp' });
    const same = instance('7');
    expect(await old.register({ contact: old.contact + same })).toBe(200);
    await cluster.everybodyKnows('1000');
    const challenge = await old.peer.ask({
      method: 'REGISTER',
      uri: `sip:${domain}`,
      from: `<sip:alice@${domain}>`,
      to: `<sip:alice@${domain}>`,
    });
    const fresh = await LyingPhone.start(scope, two, { name: 'alice', protocol: 'tcp' });
    expect(await fresh.register({ contact: fresh.contact + same })).toBe(200);
    await eventually(
      'node 1 has given her up',
      () => one.registrations(),
      (rows) => rows.filter(({ dn }) => dn === '1000').every(({ node }) => node === 2),
    );
    one.freeze();
    old.sendRegister(challenge, old.contact + same);
    await pause(200);
    old.peer.close();
    await pause(300);
    one.thaw();
    const bob = await phone({ name: 'bob', protocol: 'udp' });
    await pause(500);
    for (const node of [one, two])
      expect((await node.registrations()).filter(({ dn }) => dn === '1000').map(({ node: at }) => at)).toEqual([2]);
    expect(await bob.call('1000')).toBe(200);
    await talk(bob, fresh);
    expect(await fresh.register({ contact: '*', expires: 0 })).toBe(200);
  });
});
