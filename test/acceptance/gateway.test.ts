import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { domain, people } from '../support/cluster-config';
import { freePort } from '../support/ports';
import { Sipp } from '../support/sipp';
import { endCalls } from '../support/talk';

jest.setTimeout(120_000);

const gatewayTone = 1700;

describe('claim R17: a gateway, known by its address', () => {
  let cluster: Cluster;
  let port: number;
  let alice: Phone;
  let bob: Phone;

  beforeAll(async () => {
    port = await freePort();
    cluster = await Cluster.start({
      change: (file) => {
        file.gateways.push({ name: 'gw-dallas', uri: `sip:127.0.0.1:${port}`, site: 'dallas', nodes: [1, 2] });
        file.routes.push({ pattern: '9.@', targets: ['gw-dallas'] });
      },
    });
    alice = await cluster.phone('alice');
    bob = await cluster.phone('bob');
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await endCalls(alice, bob);
    await cluster.nothingIsLeft();
  });

  it('claims R3, R4: 9 and a number goes out through it, from both sites, without the 9', async () => {
    const gateway = await Sipp.start(cluster.scope, { scenario: 'answer', port, tone: gatewayTone, trace: true });
    for (const phone of [alice, bob]) {
      await phone.dial('92145551234');
      await phone.established();
      await phone.hearsTones(gatewayTone);
      await phone.hangup();
      await cluster.nothingIsLeft();
    }
    const invites = gateway.messages().match(/^INVITE sip:\S+/gm) ?? [];
    expect(invites.length).toBeGreaterThanOrEqual(2);
    for (const invite of invites) expect(invite).toMatch(/^INVITE sip:2145551234@/);
    await gateway.process.stop();
  });

  it.each([1, 2])('a call comes in from it at node %i, for a phone in Dallas', async (node) => {
    alice.now();
    const caller = await Sipp.start(cluster.scope, {
      scenario: 'gateway-call',
      server: cluster.node(node).sip,
      port,
      users: [{ username: '2145551234', domain, target: people.alice.dn }],
      calls: 1,
      pause: 3000,
      tone: gatewayTone,
    });
    const call = await alice.incoming();
    expect(call.peeruri).toContain('2145551234');
    await alice.accept();
    await alice.hearsTones(gatewayTone);
    expect(await caller.finished()).toMatchObject({ code: 0, successful: 1, failed: 0 });
    await alice.closed();
  });

  it('the same call from another port is refused, and nothing rings', async () => {
    alice.now();
    const stranger = await Sipp.start(cluster.scope, {
      scenario: 'gateway-call',
      server: cluster.node(1).sip,
      users: [{ username: '2145551234', domain, target: people.alice.dn }],
      calls: 1,
    });
    expect(await stranger.finished()).toMatchObject({ code: 1, successful: 0, failed: 1 });
    expect(alice.eventTypes()).not.toContain('CALL_INCOMING');
  });
});
