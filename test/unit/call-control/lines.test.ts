import type { NumberConfig } from '../../../src/config/types';
import type { Pid } from '../../../src/process/pid';
import { Lines } from '../../../src/line/lines';
import { type FakeDevice, type FakeSession, profile, sdp, settled, target, World } from './kit';

const NOTHING = {
  displayName: undefined,
  busyTrigger: undefined,
  maxCalls: undefined,
  noAnswerSeconds: undefined,
  pickupGroup: undefined,
};

/** Bob has the line 2000, and shares it with Carol when the test calls him there. */
class Node extends World {
  readonly bob = this.device('SEP-bob', '1.dp.2');
  readonly carol = this.device('SEP-carol', '1.dp.3');

  constructor(line: Partial<NumberConfig>) {
    super({ lines: new Lines({ devices: [], numbers: [{ ...NOTHING, number: '2000', ...line }] }) });
    this.route('2000', [target('1.dp.2', 'SEP-bob')]);
  }

  /** Who of another node calls a device here, as that node does: by its PID, with the name of the call. */
  callFrom(node: number, number: string, device: FakeDevice, call = `${node}.cp.${number}-7`): FakeSession {
    const caller = { number, displayName: undefined };
    const process = { pid: `${node}.cp.1` as Pid, boot: 7 };
    const half = { version: 1, process, party: { ...caller, device: `SEP-${number}` }, resources: [] };
    const context = { call, why: 'call', forwardedFrom: [], passed: [node], half } as const;
    const from = { ...profile(`node-${node}`, 'node'), node };
    return this.call({ from, pid: undefined, caller, target: device, context });
  }

  bobCalls(): FakeSession {
    return this.call({
      from: this.bob.profile,
      pid: '1.dp.2',
      caller: { number: '2000', displayName: undefined },
      dialled: '1000',
    });
  }
}

const status = (session: FakeSession): number | undefined => session.all('reject').at(-1)?.status;

function answered(session: FakeSession, device: FakeDevice): FakeSession {
  device.session.rings();
  device.session.answers(sdp('bob'));
  session.acks();
  return device.session;
}

describe('a line with a busy trigger', () => {
  test.each([1, 2, 3])(
    'of %i takes that many calls, and refuses the next with 486 without asking the device',
    async (most) => {
      const node = new Node({ busyTrigger: most });
      for (let calls = 0; calls < most; calls += 1) expect(status(node.call())).toBeUndefined();
      expect(status(node.call())).toBe(486);
      expect(node.bob.calls).toHaveLength(most);
      await node.close();
    },
  );

  test.each<[string, (node: Node) => void]>([
    ['one that rings', (node) => void node.call()],
    ['one that is answered', (node) => void answered(node.call(), node.bob)],
    [
      'one that it made itself',
      (node) =>
        void (
          node.device('SEP-alice', '1.dp.1'),
          node.route('1000', [target('1.dp.1', 'SEP-alice', { digits: '1000' })]),
          node.bobCalls()
        ),
    ],
    ['one from another node', (node) => void node.callFrom(2, '1000', node.bob)],
    ['one that only rings at another device of the line', (node) => void node.callFrom(2, '1000', node.carol)],
  ])('counts %s', async (_what, first) => {
    const node = new Node({ busyTrigger: 1 });
    first(node);
    expect(status(node.call())).toBe(486);
    expect(status(node.callFrom(2, '1001', node.bob))).toBe(486);
    await node.close();
  });

  test.each<[string, (node: Node) => void]>([
    ['is over', (node) => answered(node.call(), node.bob).hangsUp()],
    ['was refused', (node) => (node.call(), node.bob.session.rejects(603))],
    ['was cancelled', (node) => node.call().emit({ type: 'cancelled', reason: undefined })],
    [
      'is of another line',
      (node) => (
        node.route('3000', [target('1.dp.3', 'SEP-carol', { digits: '3000' })]),
        void node.call({ dialled: '3000' })
      ),
    ],
    [
      'is one of a caller with that number at another node',
      (node) => {
        node.route('3000', [target('1.dp.3', 'SEP-carol', { digits: '3000' })]);
        const caller = { number: '2000', displayName: undefined };
        node.call({ from: { ...profile('node-2', 'node'), node: 2 }, pid: undefined, caller, dialled: '3000' });
      },
    ],
  ])('does not count one that %s', async (_what, first) => {
    const node = new Node({ busyTrigger: 1 });
    first(node);
    expect(status(node.call())).toBeUndefined();
    await node.close();
  });

  it('rings all its devices for one call, also when a node calls each by itself', async () => {
    const node = new Node({ busyTrigger: 1 });
    node.route('2000', [target('1.dp.2', 'SEP-bob')], [target('1.dp.3', 'SEP-carol')]);
    const local = node.call();
    expect([node.bob, node.carol].map(({ calls }) => calls.length)).toEqual([1, 1]);
    local.emit({ type: 'cancelled', reason: undefined });
    const across = [node.callFrom(2, '1000', node.bob), node.callFrom(2, '1000', node.carol)];
    expect(across.map(status)).toEqual([undefined, undefined]);
    expect(status(node.callFrom(2, '1000', node.bob, '2.cp.8-7'))).toBe(486);
    await node.close();
  });

  it('is busy at one of two nodes: the other still rings', async () => {
    const node = new Node({ busyTrigger: 1 });
    answered(node.call(), node.bob);
    const elsewhere = node.device('node-2', '2.dp.1', 'node');
    node.route('2000', [target('1.dp.2', 'SEP-bob')], [target('2.dp.1', 'SEP-carol')]);
    const second = node.call();
    expect(node.bob.calls).toHaveLength(1);
    elsewhere.session.answers(sdp('carol'));
    expect(second.all('answer')).toHaveLength(1);
    await node.close();
  });

  it('tells the caller busy when the others do not answer either', async () => {
    const node = new Node({ busyTrigger: 1 });
    answered(node.call(), node.bob);
    const elsewhere = node.device('node-2', '2.dp.1', 'node');
    node.route('2000', [target('1.dp.2', 'SEP-bob')], [target('2.dp.1', 'SEP-carol')]);
    const second = node.call();
    elsewhere.session.rejects(480);
    expect(status(second)).toBe(486);
    await node.close();
  });
});

describe('a line with most calls', () => {
  it('makes no more, and says why', async () => {
    const node = new Node({ maxCalls: 2, busyTrigger: 1 });
    node.device('SEP-alice', '1.dp.1');
    node.route('1000', [target('1.dp.1', 'SEP-alice', { digits: '1000' })]);
    answered(node.call(), node.bob);
    expect(status(node.bobCalls())).toBeUndefined();
    expect(node.bobCalls().last('reject')).toMatchObject({ status: 403, reason: 'Too Many Calls On This Line' });
    await node.close();
  });

  it('hinders neither who has no line of ours nor a node that names the number', async () => {
    const node = new Node({ maxCalls: 1 });
    const caller = { number: '2000', displayName: undefined };
    answered(node.call(), node.bob);
    node.route('3000', [target('1.dp.3', 'SEP-carol', { digits: '3000' })]);
    for (const from of [profile('gw', 'gateway'), { ...profile('node-2', 'node'), node: 2 }])
      expect(status(node.call({ from, caller, dialled: '3000' }))).toBeUndefined();
    await node.close();
  });
});

describe('a line with a time of its own', () => {
  test.each<[string, (node: Node) => FakeSession]>([
    ['called here', (node) => node.call()],
    ['called from another node', (node) => node.callFrom(2, '1000', node.bob)],
    [
      'at another node',
      (node) => {
        node.device('node-2', '2.dp.1', 'node');
        node.route('2000', [target('2.dp.1', 'SEP-bob')]);
        const session = node.call();
        node.devices.get('2.dp.1')?.session.rings();
        return session;
      },
    ],
  ])('%s rings so long', async (_what, call) => {
    const node = new Node({ noAnswerSeconds: 20 });
    const session = call(node);
    node.clock.advance(19_999);
    expect(status(session)).toBeUndefined();
    node.clock.advance(1);
    expect(status(session)).toBe(480);
    await settled();
    await node.close();
  });

  it('does not shorten the ringing of a gateway that is sent the same digits', async () => {
    const node = new Node({ noAnswerSeconds: 20 });
    node.device('gw', '1.gp.1', 'gateway');
    node.route('92000', [target('1.gp.1', 'gw', { kind: 'gateway', digits: '2000' })]);
    const session = node.call({ dialled: '92000' });
    node.clock.advance(20_000);
    expect(status(session)).toBeUndefined();
    await node.close();
  });
});
