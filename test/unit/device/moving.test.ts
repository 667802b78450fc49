import { Departure } from '../../../src/device/departure';
import type { Flows } from '../../../src/device/ports';
import { SimulatedClock } from '../../../src/process/clock';
import type { SipSource } from '../../../src/sip/user-agent';
import { config, GATEWAY, settle, TestNode } from './support';

const noGateways = config({ gateways: [] });
const TCP: SipSource = { protocol: 'tcp', address: '10.0.0.9', port: 33_333 };
const live = { sipAddress: '10.0.0.2:5060', boot: 1, live: true };

function deletions(node: TestNode): string[] {
  return node.changes.flatMap((change) => (change.type === 'delete' ? [`${change.record.pid} ${change.reason}`] : []));
}

/** A SIP server that tells of its connections. */
class FakeFlows implements Flows {
  readonly closed: string[] = [];
  /** Of those that nobody has closed, too. */
  readonly gone = new Set<string>();
  private readonly listeners: Parameters<Flows['onClosed']>[0][] = [];

  isOpen(flow: string): Promise<boolean> {
    return Promise.resolve(!this.gone.has(flow));
  }

  onClosed(listener: Parameters<Flows['onClosed']>[0]): void {
    this.listeners.push(listener);
  }

  close(flow: string): void {
    this.closed.push(flow);
  }

  /** The connection closes. */
  tell(flow: string): void {
    this.gone.add(flow);
    for (const listener of this.listeners) listener(flow);
  }
}

const flow = (id: number, port = TCP.port): string => `sip:${TCP.address}:${port};transport=tcp;flow=here.${id}`;

describe('claim R7: a connection that closes', () => {
  function start(): { node: TestNode; flows: FakeFlows } {
    const flows = new FakeFlows();
    return { flows, node: new TestNode({ config: noGateways, flows }).start() };
  }

  test('takes what registered over it, at once, and nothing else', async () => {
    const { node, flows } = start();
    node.register();
    await node.registerOver(flow(1), { username: 'bob' });
    flows.tell(flow(2));
    expect(deletions(node)).toEqual([]);
    flows.tell(flow(1));
    expect(deletions(node)).toEqual(['1.dp.2 unreachable']);
    flows.tell(flow(1));
    expect(deletions(node)).toHaveLength(1);
  });

  test('takes a gateway that registered over it', async () => {
    const flows = new FakeFlows();
    const node = new TestNode({ config: config({ gateways: [{ ...GATEWAY, uri: undefined }] }), flows }).start();
    expect((await node.registerOver(flow(1), { username: 'trunk' })).status).toBe(200);
    flows.tell(flow(2));
    expect(deletions(node)).toEqual([]);
    flows.tell(flow(1));
    expect(deletions(node)).toEqual(['1.gp.1 unreachable']);
  });

  test('does not take a phone that has registered over a newer connection', async () => {
    const { node, flows } = start();
    const contact = '<sip:bob@10.0.0.9>;+sip.instance="<urn:bob>"';
    await node.registerOver(flow(1), { username: 'bob', contact });
    await node.registerOver(flow(2, 44_444), { username: 'bob', contact });
    flows.tell(flow(1));
    expect(deletions(node)).toEqual([]);
    flows.tell(flow(2, 44_444));
    expect(deletions(node)).toEqual(['1.dp.1 unreachable']);
  });

  test('an earlier one from the same port is another one', async () => {
    const { node, flows } = start();
    await node.registerOver(flow(1), { username: 'bob' });
    await node.registerOver(flow(2), { username: 'bob' });
    flows.tell(flow(1));
    expect(deletions(node)).toEqual([]);
  });
});

describe('a REGISTER whose connection is closed when its turn comes', () => {
  const contact = '<sip:bob@10.0.0.9>;+sip.instance="<urn:bob>"';

  function closed(): { node: TestNode; flows: FakeFlows } {
    const flows = new FakeFlows();
    const node = new TestNode({ config: noGateways, flows }).start();
    flows.gone.add(flow(1));
    return { node, flows };
  }

  test('binds nobody, and the entry of another node stays', async () => {
    const { node } = closed();
    const other = new TestNode({ config: noGateways, node: 2 }).start();
    other.register({ username: 'bob', contact });
    const [there] = [...other.composite.of(2)];
    node.composite.put(2, there!);
    expect((await node.registerOver(flow(1), { username: 'bob', contact })).status).toBe(408);
    expect(node.records()).toEqual([]);
    expect([...node.composite.of(2)]).toEqual([there]);
    expect(deletions(node)).toEqual([]);
  });

  test('removes nobody, here and elsewhere', async () => {
    const { node } = closed();
    node.register({ username: 'bob', contact });
    const answer = await node.registerOver(flow(1), { username: 'bob', contact: '*', expires: '0' });
    expect(answer.status).toBe(408);
    expect(node.records()).toHaveLength(1);
  });

  test('word of the closing comes before or after it: nothing is left either way', async () => {
    for (const order of ['before', 'after'] as const) {
      const flows = new FakeFlows();
      const node = new TestNode({ config: noGateways, flows }).start();
      if (order === 'before') flows.tell(flow(1));
      await node.registerOver(flow(1), { username: 'bob', contact });
      if (order === 'after') flows.tell(flow(1));
      expect(node.records()).toEqual([]);
    }
  });

  test('without credentials nobody is asked', () => {
    const flows = new FakeFlows();
    flows.isOpen = () => Promise.reject(new Error('asked'));
    const node = new TestNode({ config: noGateways, flows }).start();
    const source: SipSource = { ...TCP, flow: flow(1) };
    expect(node.send({ source, headers: { To: '<sip:bob@acme.example>' } }).status).toBe(401);
  });
});

describe('claim R7: signs of life', () => {
  test('a call from the phone postpones its poll', async () => {
    const node = new TestNode({ config: noGateways }).start();
    node.register();
    node.clock.advance(20_000);
    node.call('2000');
    node.clock.advance(20_000);
    await settle();
    expect(node.userAgent.requests).toEqual([]);
    node.clock.advance(10_000);
    await settle();
    expect(node.userAgent.requests).toHaveLength(1);
  });

  test('pollSeconds 0: nobody is asked, not even after a restart', async () => {
    const registrar = { ...noGateways.registrar, pollSeconds: 0 };
    const node = new TestNode({ config: { ...noGateways, registrar } }).start();
    node.register({ expires: '3600' });
    node.clock.advance(1_000_000);
    await settle();
    expect(node.userAgent.requests).toEqual([]);
  });
});

describe('claim R15: where a phone should be', () => {
  const [one, two] = noGateways.nodes;
  const sites = (nodes: readonly number[]) => ({
    dallas: { mediaResourceGroupList: undefined, codecs: undefined, musicSource: undefined, nodes },
  });
  const devices = noGateways.devices.map((device) => ({ ...device, site: 'dallas' }));
  const redirecting = { ...noGateways.registrar, turnAway: 'redirect' as const };
  const full = { ...noGateways, devices, registrar: redirecting, nodes: [{ ...one!, capacity: 1 }, two!] };

  function fullNode(changed: Partial<typeof full> = {}): TestNode {
    const node = new TestNode({ config: { ...full, sites: sites([1, 2]), ...changed } }).start();
    node.register();
    return node;
  }

  test('RFC 3261 §21.3.4: 305 names the next live node of the list of its site', () => {
    const node = fullNode();
    node.peers.set(2, live);
    const answer = node.register({ username: 'bob' });
    expect(answer).toMatchObject({ status: 305, headers: { Contact: '<sip:10.0.0.2:5060;transport=udp>' } });
    expect(node.register().status).toBe(200);
  });

  test.each<[string, (node: TestNode) => void]>([
    ['is not there', () => undefined],
    ['is off-line', (node) => void node.peers.set(2, { ...live, live: false })],
  ])('503 with Retry-After when the other node %s', (_, prepare) => {
    const node = fullNode();
    prepare(node);
    expect(node.register({ username: 'bob' })).toMatchObject({ status: 503, headers: { 'Retry-After': '30' } });
  });

  test('503 when the other node is at capacity, too, and when the list names nobody else', () => {
    const both = fullNode({
      nodes: [
        { ...one!, capacity: 1 },
        { ...two!, capacity: 1 },
      ],
    });
    both.peers.set(2, live);
    const [mine] = [...both.composite.of(1)];
    both.composite.put(2, { ...mine!, key: 'other', pid: '2.dp.1' });
    expect(both.register({ username: 'bob' }).status).toBe(503);
    const alone = fullNode({ sites: sites([1]) });
    alone.peers.set(2, live);
    expect(alone.register({ username: 'bob' }).status).toBe(503);
  });

  test('a phone that is not at the first live node of its list gets a short registration', () => {
    const node = new TestNode({ config: { ...full, sites: sites([2, 1]) } }).start();
    const seconds = (): string | undefined =>
      /expires=(\d+)/.exec(node.register({ expires: '3600' }).headers?.Contact ?? '')?.[1];
    expect(seconds()).toBe('3600');
    node.peers.set(2, live);
    expect(seconds()).toBe('120');
    expect([...node.devices.homes()]).toEqual([['dallas', 2]]);
  });

  test('while a node drains: refreshes are turned away, the binding stays, leaving is let', () => {
    const node = new TestNode({ config: noGateways }).start();
    node.peers.set(2, live);
    node.register();
    node.register({ username: 'bob' });
    node.devices.drain(10_000);
    expect(node.devices.waitingToMove).toBe(2);
    expect(node.register()).toMatchObject({ status: 503, headers: { 'Retry-After': '30' } });
    expect(node.records()).toHaveLength(2);
    expect(node.register({ expires: '0' }).status).toBe(200);
    const [bob] = [...node.composite.of(1)];
    node.composite.put(2, { ...bob!, pid: '2.dp.1', stamp: { ...bob!.stamp, ms: bob!.stamp.ms + 1, node: 2 } });
    expect(deletions(node)).toEqual(['1.dp.1 unregistered', '1.dp.2 moved']);
    expect(node.devices.waitingToMove).toBe(0);
  });

  test('a node that is alone does not wait for phones to move, and closes nothing', async () => {
    const flows = new FakeFlows();
    const node = new TestNode({ config: noGateways, flows }).start();
    await node.registerOver(flow(1));
    node.devices.drain(10_000);
    node.clock.advance(10_000);
    expect(node.devices.waitingToMove).toBe(0);
    expect(flows.closed).toEqual([]);
  });
});

describe('claim R15: departure of phones on connections', () => {
  const portOf = (name: string): number => Number(/:(\d+);/.exec(name)?.[1]);

  function depart(count: number, busy: Set<string>): { clock: SimulatedClock; closed: number[]; departure: Departure } {
    const clock = new SimulatedClock();
    const closed: number[] = [];
    const departure = new Departure({
      clock,
      withinMs: 5000,
      flows: () =>
        Array.from({ length: count }, (_, port) => flow(1, port)).filter((name) => !closed.includes(portOf(name))),
      inCalls: () => busy,
      devicesOn: (name) => [`phone-${portOf(name)}`],
      close: (name) => void closed.push(portOf(name)),
    });
    return { clock, closed, departure };
  }

  test('they leave a few at a time, and all in the time that there is', () => {
    const { clock, closed, departure } = depart(1000, new Set());
    expect(closed).toHaveLength(20);
    clock.advance(2500);
    expect(closed.length).toBeGreaterThan(480);
    expect(closed.length).toBeLessThan(540);
    clock.advance(2500);
    expect(closed).toHaveLength(1000);
    departure.stop();
    expect(clock.pending).toBe(0);
  });

  test('one in a call leaves after the call', () => {
    const busy = new Set(['phone-0']);
    const { clock, closed, departure } = depart(2, busy);
    clock.advance(6000);
    expect(closed).toEqual([1]);
    busy.clear();
    clock.advance(200);
    expect(closed).toEqual([1, 0]);
    departure.stop();
  });
});
