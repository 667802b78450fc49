import { FakeDevice, profile, sdp, target, World, settled, NODE_ADDRESS } from './kit';

describe('call set-up', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.close());

  const bob = (): FakeDevice => {
    const device = world.device('SEP-bob', '1.dp.2');
    world.route('2000', [target('1.dp.2', 'SEP-bob')]);
    return device;
  };
  /** Two phones that ring at the same time. */
  const two = (): [FakeDevice, FakeDevice] => {
    const devices: [FakeDevice, FakeDevice] = [world.device('SEP-bob', '1.dp.2'), world.device('SEP-carol', '1.dp.3')];
    world.route('2000', [target('1.dp.2', 'SEP-bob')], [target('1.dp.3', 'SEP-carol')]);
    return devices;
  };
  /** The same number at another node first, then here. */
  const failover = (): [FakeDevice, FakeDevice] => {
    const devices: [FakeDevice, FakeDevice] = [
      world.device('node-2', '2.dp.1', 'node'),
      world.device('SEP-bob', '1.dp.2'),
    ];
    world.route('2000', [target('2.dp.1', 'SEP-bob'), target('1.dp.2', 'SEP-bob')]);
    return devices;
  };

  test('a call rings, is answered, and ends with a record', () => {
    const callee = bob();
    const a = world.call();
    expect(callee.asked).toMatchObject({ digits: '2000', maxForwards: 69, caller: { number: '1000' } });
    callee.session.rings();
    expect(a.last('progress')).toMatchObject({ status: 180 });
    expect(world.control.calls()).toMatchObject([{ state: 'ringing', caller: '1000', dialled: '2000' }]);
    world.clock.advance(3000);
    callee.session.answers(sdp('bob'));
    expect(a.last('answer').sdp).toContain('m=audio 4000');
    a.acks();
    expect(world.detail).toMatchObject({ state: 'established', to: 'SEP-bob' });
    world.clock.advance(5000);
    a.hangsUp();
    expect(callee.session.all('bye')).toHaveLength(1);
    expect(world.records).toMatchObject([{ status: 200, endedBy: 'caller', talkMs: 5000, calleeDevice: 'SEP-bob' }]);
    expect(world.control.count).toBe(0);
  });

  test('RFC 3264 §8: each leg sees one session of ours, whoever is behind it', () => {
    const callee = bob();
    const a = world.call();
    expect(callee.asked.sdp).toMatch(new RegExp(`o=- \\d+ 1 IN IP4 ${NODE_ADDRESS}`));
    callee.session.answers(sdp('bob'));
    expect(a.last('answer').sdp).toMatch(new RegExp(`o=- \\d+ 1 IN IP4 ${NODE_ADDRESS}`));
  });

  test('an unknown number is refused with 404, one that nobody is registered for with 480', () => {
    world.routes.set('2001', { type: 'unregistered', matched: '2001' });
    expect(world.call({ dialled: '9999' }).last('reject').status).toBe(404);
    expect(world.call({ dialled: '2001' }).last('reject').status).toBe(480);
    expect(world.records).toMatchObject([{ status: 404 }, { status: 480, matched: '2001' }]);
  });

  test('a browser that dials what leads nowhere is refused without a media termination point', async () => {
    world.routes.set('2001', { type: 'unregistered', matched: '2001' });
    const from = { ...profile('web-alice'), security: 'dtls' as const };
    for (const dialled of ['9999', '2001'])
      world.call({ from, dialled, sdp: sdp('alice', { protocol: 'UDP/TLS/RTP/SAVPF' }) });
    await settled();
    expect(world.records).toMatchObject([{ status: 404 }, { status: 480 }]);
    expect(world.resources.needs).toEqual([]);
  });

  test('RFC 3261 §16.3: a call with no hops left is refused with 483', () => {
    bob();
    expect(world.call({ maxForwards: 0 }).last('reject').status).toBe(483);
  });

  test('RFC 5630 §5.3: a sips call goes to devices that take such calls, or is refused with 480 and a warning', () => {
    const secure = { Warning: '380 acme.example "SIPS Not Allowed"' };
    const [phone, node] = [world.device('SEP-bob', '1.dp.2'), world.device('node-2', '2.dp.2', 'node')];
    world.route('2000', [target('1.dp.2', 'SEP-bob'), target('2.dp.2', 'SEP-bob')]);
    expect(world.call({ secure }).last('reject')).toMatchObject({ status: 480, headers: secure });
    expect([...phone.calls, ...node.calls]).toEqual([]);
    phone.takesSips = true;
    const a = world.call({ secure });
    phone.session.rings();
    expect(a.last('progress').status).toBe(180);
    expect(node.calls).toEqual([]);
    world.call();
    expect(phone.calls).toHaveLength(2);
  });

  test('claim R14: a call from a node is analysed for devices of this node only', () => {
    bob();
    world.call({ from: profile('node-2', 'node') });
    expect(world.analysed).toEqual([{ dialled: '2000', localOnly: true, from: 'node-2' }]);
  });

  test.each(['gateway', 'node'] as const)('a call from outside, by a %s, is never sent to a gateway', (kind) => {
    const caller = { number: '5550100', displayName: undefined, outside: true } as const;
    const gateway = world.device('gw-dallas', '1.gp.1', 'gateway');
    const options = { from: profile('gw-x', kind), caller };
    // Whether digit analysis leads there against its word, or a node names it.
    world.route('2000', [target('1.gp.1', 'gw-dallas', { kind: 'gateway' })]);
    expect(world.call(options).last('reject').status).toBe(480);
    expect(world.analysed).toMatchObject([{ dialled: '2000', numbersOnly: true }]);
    expect(world.call({ ...options, target: gateway }).last('reject').status).toBe(480);
    expect(gateway.calls).toEqual([]);
    // Neither is it after a second look at the tables.
    world.route('2000', [target('2.dp.1', 'SEP-bob')]);
    const bobs = world.device('SEP-bob', '2.dp.1', 'node');
    const call = world.call(options);
    world.route('2000', [target('1.gp.1', 'gw-dallas', { kind: 'gateway' })]);
    bobs.session.rejects(410, { 'X-Not-Mine': 'signed' });
    world.clock.advance(5000);
    expect(call.last('reject').status).toBe(480);
    expect(gateway.calls).toEqual([]);
    expect(world.warnings.splice(0)).toHaveLength(3);
  });

  test('a call from a node that names a device process goes to that one', () => {
    const wanted = new FakeDevice(profile('SEP-bob'), '1.dp.9');
    world.devices.set('1.dp.9', wanted);
    const a = world.call({ from: profile('node-2', 'node'), target: wanted });
    expect(world.analysed).toEqual([]);
    wanted.session.rings();
    expect(a.last('progress').status).toBe(180);
  });

  test('a phone that calls its own number follows the ordinary rules', () => {
    const callee = bob();
    world.call({ from: profile('SEP-bob') });
    expect(callee.calls).toHaveLength(1);
  });

  test('claim R13: a signed "not mine" sends the call to the next entry and refutes the first', () => {
    const [node, here] = failover();
    const a = world.call();
    node.session.rejects(410, { 'X-Not-Mine': 'signed' });
    expect(world.refuted).toEqual([{ node: 2, pid: '2.dp.1', boot: 7 }]);
    here.session.answers(sdp('bob'));
    expect(a.all('answer')).toHaveLength(1);
    expect(world.detail.route.trials).toMatchObject([{ outcome: 'not mine' }, { outcome: 'answered' }]);
  });

  test('claim R13: with nothing but the stale entry the same call waits for the repair, and completes', () => {
    const stale = world.device('node-2', '2.dp.1', 'node');
    world.route('2000', [target('2.dp.1', 'SEP-bob')]);
    const a = world.call();
    stale.session.rejects(410, { 'X-Not-Mine': 'signed' });
    expect(a.all('reject')).toEqual([]);
    // Nothing new is known yet, and the stale entry is not tried again.
    world.clock.advance(300);
    expect(stale.calls).toHaveLength(1);
    const moved = world.device('node-3', '3.dp.1', 'node');
    world.route('2000', [target('3.dp.1', 'SEP-bob'), target('2.dp.1', 'SEP-bob')]);
    world.clock.advance(1500);
    moved.session.answers(sdp('bob'));
    expect(a.all('answer')).toHaveLength(1);
    expect(world.detail.route.trials).toMatchObject([{ outcome: 'not mine' }, { pid: '3.dp.1', outcome: 'answered' }]);
  });

  test('claim R13: when the repair brings nothing new the caller is told 480', () => {
    const stale = world.device('node-2', '2.dp.1', 'node');
    world.route('2000', [target('2.dp.1', 'SEP-bob')]);
    const a = world.call();
    stale.session.rejects(410, { 'X-Not-Mine': 'signed' });
    world.clock.advance(300);
    world.clock.advance(1500);
    expect(stale.calls).toHaveLength(1);
    expect(a.last('reject').status).toBe(480);
    expect(world.control.count).toBe(0);
  });

  test('a caller who gives up while the tables are repaired ends the call', () => {
    const stale = world.device('node-2', '2.dp.1', 'node');
    world.route('2000', [target('2.dp.1', 'SEP-bob')]);
    const a = world.call();
    stale.session.rejects(410, { 'X-Not-Mine': 'signed' });
    a.emit({ type: 'cancelled', reason: undefined });
    world.clock.advance(2000);
    expect(world.records).toMatchObject([{ status: 487, endedBy: 'caller' }]);
    expect(world.clock.pending).toBe(0);
  });

  test.each([404, 480])('claims R13, R14: a signed %i of a node without a PID: the number is not there', (status) => {
    const node = world.device('node-2', '2.dp.1', 'node');
    world.devices.set('node-2', node);
    const here = world.device('SEP-bob', '1.dp.9');
    world.notMine = { pid: undefined, boot: 0 };
    const behindNode = { ...target('2.dp.1', 'node-2', { local: false }), pid: undefined, boot: 0 };
    world.route('2000', [behindNode, target('1.dp.9', 'SEP-bob')]);
    const a = world.call();
    expect(node.calls).toHaveLength(1);
    node.session.rejects(status);
    expect(here.calls).toHaveLength(0);
    expect(a.last('reject').status).toBe(status);
    const again = world.call();
    node.session.rejects(status, { 'X-Not-Mine': 'signed' });
    expect(world.refuted).toEqual([{ node: 2, pid: undefined, boot: 0 }]);
    here.session.answers(sdp('bob'));
    expect(again.all('answer')).toHaveLength(1);
  });

  test('claim R14: a node that calls with a number that is not here is told so, signed', () => {
    const a = world.call({ from: profile('node-2', 'node'), dialled: '5555', notMine: { 'X-Not-Mine': 'signed' } });
    expect(world.analysed).toMatchObject([{ dialled: '5555', localOnly: true }]);
    expect(a.last('reject')).toMatchObject({ status: 404, headers: { 'X-Not-Mine': 'signed' } });
  });

  test('claim R13: a 410 without the signed header is the answer of the phone', () => {
    const [node, here] = failover();
    const a = world.call();
    node.session.rejects(410);
    expect(world.refuted).toEqual([]);
    expect(here.calls).toHaveLength(0);
    expect(a.last('reject').status).toBe(480);
  });

  test.each([408, 500, 503])('a node that says %i is passed over', (status) => {
    const [node, here] = failover();
    world.call();
    node.session.rejects(status);
    expect(here.calls).toHaveLength(1);
  });

  test('a node that gives no sign of life within a second is cancelled and passed over', () => {
    const [node, here] = failover();
    world.call();
    world.clock.advance(999);
    expect(here.calls).toHaveLength(0);
    world.clock.advance(1);
    expect(node.session.all('cancel')).toHaveLength(1);
    expect(here.calls).toHaveLength(1);
  });

  test('a node that is the last to try has five seconds: it may have been started a moment ago, or have much to do', () => {
    const node = world.device('node-2', '2.dp.1', 'node');
    world.route('2000', [target('2.dp.1', 'SEP-bob')]);
    const a = world.call();
    world.clock.advance(4_999);
    expect(node.session.all('cancel')).toEqual([]);
    expect(a.all('reject')).toEqual([]);
    world.clock.advance(1);
    expect(node.session.all('cancel')).toHaveLength(1);
    expect(a.last('reject').status).toBe(480);
  });

  test('of several that give no sign of life only the last has longer', () => {
    const pids = ['2.dp.1', '3.dp.1', '4.dp.1'] as const;
    const nodes = pids.map((pid) => world.device(`node-${pid[0]}`, pid, 'node'));
    world.route(
      '2000',
      pids.map((pid) => target(pid, 'SEP-bob')),
    );
    const a = world.call();
    world.clock.advance(2_000);
    expect(nodes.map((node) => node.calls.length)).toEqual([1, 1, 1]);
    world.clock.advance(4_999);
    expect(a.all('reject')).toEqual([]);
    nodes[2]!.session.rings(183);
    nodes[2]!.session.rings(180);
    world.clock.advance(60_000);
    expect(a.last('progress').status).toBe(180);
  });

  test('a 183 without description is a sign of life of a node and no news for the caller', () => {
    const [node, here] = failover();
    const a = world.call();
    node.session.rings(183);
    world.clock.advance(60_000);
    expect(here.calls).toHaveLength(0);
    expect(a.all('progress')).toEqual([]);
  });

  test('a process that is gone is passed over', () => {
    world.device('SEP-bob', '1.dp.2');
    world.route('2000', [target('1.dp.8', 'SEP-bob'), target('1.dp.2', 'SEP-bob')]);
    world.call();
    expect(world.devices.get('1.dp.2')?.calls).toHaveLength(1);
  });

  test('gateways of a route are tried in order', () => {
    const [one, other] = [world.device('gw-1', '1.gp.1', 'gateway'), world.device('gw-2', '1.gp.2', 'gateway')];
    world.route('9123', [
      target('1.gp.1', 'gw-1', { kind: 'gateway', digits: '123' }),
      target('1.gp.2', 'gw-2', { kind: 'gateway', digits: '123' }),
    ]);
    world.call({ dialled: '9123' });
    one.session.rejects(503);
    expect(other.asked.digits).toBe('123');
  });

  test('the busy of a gateway is an answer: no other gateway is tried', () => {
    const [one, other] = [world.device('gw-1', '1.gp.1', 'gateway'), world.device('gw-2', '1.gp.2', 'gateway')];
    world.route('9123', [target('1.gp.1', 'gw-1', { kind: 'gateway' }), target('1.gp.2', 'gw-2', { kind: 'gateway' })]);
    const a = world.call({ dialled: '9123' });
    one.session.rejects(486);
    expect(other.calls).toHaveLength(0);
    expect(a.last('reject').status).toBe(486);
  });

  test('nobody answers within 180 s: CANCEL, and 480 for the caller', () => {
    const callee = bob();
    const a = world.call();
    callee.session.rings();
    world.clock.advance(180_000);
    expect(callee.session.all('cancel')).toHaveLength(1);
    expect(a.last('reject')).toMatchObject({ status: 480, reason: 'No Answer' });
  });

  describe('of several refusals the caller hears the best', () => {
    test.each([
      [486, 480, 486],
      [404, 603, 603],
      [480, 404, 404],
      [503, 486, 486],
      [500, 404, 404],
    ])('%i and %i: %i', (first, second, best) => {
      const [one, other] = two();
      const a = world.call();
      one.session.rejects(first);
      if (!other.session.over) other.session.rejects(second);
      expect(a.last('reject').status).toBe(best);
    });

    test('RFC 3261 §16.7: a 6xx ends the other branches', () => {
      const [one, other] = two();
      const a = world.call();
      one.session.rejects(603);
      expect(other.session.all('cancel')).toHaveLength(1);
      expect(a.last('reject').status).toBe(603);
    });

    test('nodes that are not there are no fault of the number: 480', () => {
      const node = world.device('node-2', '2.dp.1', 'node');
      world.route('2000', [target('2.dp.1', 'SEP-bob')]);
      const a = world.call();
      node.session.rejects(503);
      expect(a.last('reject').status).toBe(480);
    });

    test('Retry-After, Reason and Warning of the refusal are kept', () => {
      const callee = bob();
      const a = world.call();
      callee.session.rejects(486, { 'Retry-After': '30', Warning: '399 x "no"', Server: 'secret' });
      expect(a.last('reject').headers).toEqual({ 'Retry-After': '30', Warning: '399 x "no"' });
    });
  });

  describe('early media', () => {
    test('with one target the description of an 18x is relayed', () => {
      const callee = bob();
      const a = world.call();
      callee.session.rings(183, sdp('bob'));
      expect(a.last('progress')).toMatchObject({ status: 183 });
      expect(a.last('progress').sdp).toContain('10.0.0.2');
    });

    test('while two ring the caller gets 180 without description', () => {
      const [one, other] = two();
      const a = world.call();
      one.session.rings(180, sdp('bob'));
      other.session.rings(180, sdp('carol'));
      expect(a.all('progress')).toEqual([{ name: 'progress', headers: {}, status: 180 }]);
    });

    test('when only one is left its description is relayed after all', () => {
      const [one, other] = two();
      const a = world.call();
      one.session.rings(183, sdp('bob'));
      other.session.rejects(486);
      expect(a.last('progress').sdp).toContain('10.0.0.2');
    });

    test('while another target of the branch may follow no description is relayed', () => {
      const [node] = failover();
      const a = world.call();
      node.session.rings(183, sdp('bob'));
      expect(a.all('progress')).toEqual([]);
    });

    test('each status is relayed once', () => {
      const [one, other] = two();
      const a = world.call();
      one.session.rings();
      other.session.rings();
      one.session.rings();
      one.session.rings(182);
      expect(a.all('progress').map((command) => command.status)).toEqual([180, 182]);
    });
  });

  describe('several branches', () => {
    test('RFC 3326: the first 200 wins, the others are cancelled with the reason', () => {
      const [one, other] = two();
      const a = world.call();
      other.session.answers(sdp('carol'));
      expect(one.session.last('cancel').reason).toBe('SIP;cause=200;text="Call completed elsewhere"');
      expect(a.last('answer').sdp).toContain('10.0.0.3');
      one.session.rejects(487);
      expect(world.detail.to).toBe('SEP-carol');
    });

    test('a second 200 is ended', () => {
      const [one, other] = two();
      world.call();
      other.session.answers(sdp('carol'));
      one.session.answers(sdp('bob'));
      expect(one.session.all('bye')).toHaveLength(1);
    });
  });

  describe('the caller gives up', () => {
    test('CANCEL ends every branch', () => {
      const [one, other] = two();
      const a = world.call();
      one.session.rings();
      a.emit({ type: 'cancelled', reason: undefined });
      expect(one.session.all('cancel')).toHaveLength(1);
      expect(other.session.all('cancel')).toHaveLength(1);
      expect(world.control.calls()).toEqual([]);
      expect(world.records).toMatchObject([{ status: 487, endedBy: 'caller' }]);
    });

    test('the reason of the CANCEL goes on: a phone must know that the call was answered elsewhere', () => {
      const callee = bob();
      const a = world.call({ from: profile('node-2', 'node') });
      const reasons = [{ protocol: 'SIP', cause: 200, text: 'Call completed elsewhere' }];
      a.emit({ type: 'cancelled', reason: 'Call completed elsewhere', reasons });
      expect(callee.session.last('cancel').reason).toBe('SIP;cause=200;text="Call completed elsewhere"');
    });

    test('a 200 that arrives for a cancelled call is ended', () => {
      const callee = bob();
      const a = world.call();
      a.emit({ type: 'cancelled', reason: undefined });
      callee.session.answers(sdp('bob'));
      expect(callee.session.all('bye')).toHaveLength(1);
    });

    test('a CANCEL that crosses the 200 ends the callee', () => {
      const callee = bob();
      const a = world.call();
      callee.session.answers(sdp('bob'));
      a.emit({ type: 'cancelled', reason: undefined });
      expect(callee.session.all('bye')).toHaveLength(1);
      expect(world.control.calls()).toEqual([]);
    });
  });

  describe('delayed offer', () => {
    test('RFC 3261 §13.2.1: the offer is in the 200 and the answer in the ACK, end to end', () => {
      const callee = bob();
      const a = world.call({ sdp: null });
      expect(callee.asked.sdp).toBeUndefined();
      callee.session.rings(183, sdp('bob'));
      expect(a.all('progress')).toMatchObject([{ status: 183 }]);
      expect(a.last('progress').sdp).toBeUndefined();
      callee.session.answers(sdp('bob'));
      expect(a.last('answer').sdp).toContain('10.0.0.2');
      expect(callee.session.all('acknowledge')).toEqual([]);
      a.acks(sdp('alice'));
      expect(callee.session.last('acknowledge').sdp).toContain('10.0.0.1');
    });

    test('an ACK that never brings the answer ends the call', () => {
      const callee = bob();
      const a = world.call({ sdp: null });
      callee.session.answers(sdp('bob'));
      world.clock.advance(40_000);
      expect(callee.session.all('bye')).toHaveLength(1);
      expect(a.all('bye')).toHaveLength(1);
    });

    test('a 200 without description cannot be answered and ends the branch', () => {
      const callee = bob();
      const a = world.call({ sdp: null });
      callee.session.answers(undefined);
      expect(callee.session.all('bye')).toHaveLength(1);
      expect(a.last('reject').status).toBe(500);
    });
  });

  test('a caller who offers what is no description is refused with 488', () => {
    bob();
    expect(world.call({ sdp: 'nonsense' }).last('reject').status).toBe(488);
  });

  test('draining: new calls get 503 with Retry-After, those that are there go on', () => {
    const callee = bob();
    const a = world.call();
    world.control.drain();
    expect(world.call().last('reject')).toMatchObject({ status: 503, headers: { 'Retry-After': '5' } });
    callee.session.answers(sdp('bob'));
    expect(a.all('answer')).toHaveLength(1);
  });

  test('endAll ends calls in every state', async () => {
    const callee = bob();
    const a = world.call();
    callee.session.answers(sdp('bob'));
    a.acks();
    const ringing = world.call();
    world.control.endAll('Stopping');
    await settled();
    expect(a.last('bye').reason).toContain('Stopping');
    expect(ringing.last('reject').status).toBe(503);
    expect(world.records).toMatchObject([{ endedBy: 'system' }, { endedBy: 'system' }]);
  });

  test('the loss of the SIP server while it rings ends a branch', () => {
    const callee = bob();
    const a = world.call();
    callee.session.emit({ type: 'ended', by: 'server', reason: 'SIP server lost' });
    expect(a.last('reject').status).toBe(480);
  });
});
