import { ClusterMessenger, type ProcessMessage, type RequestHandler } from '../../../src/cluster/messenger';
import { SimulatedClock } from '../../../src/process/clock';

const silent: RequestHandler = () => new Promise(() => undefined);

/** Two messengers and what passes between them; `lose` decides about each message. */
class Pair {
  readonly clock = new SimulatedClock();
  readonly passed: ProcessMessage[] = [];
  readonly errors: unknown[] = [];
  lose: (message: ProcessMessage) => boolean = () => false;
  connected = true;
  readonly messengers = new Map([1, 2].map((node) => [node, this.make(node)]));

  get caller(): ClusterMessenger {
    return this.messengers.get(1)!;
  }

  get owner(): ClusterMessenger {
    return this.messengers.get(2)!;
  }

  private make(node: number): ClusterMessenger {
    const at = { ms: this.clock.now(), counter: 0, node };
    return new ClusterMessenger({
      node,
      clock: this.clock,
      header: () => ({ node, boot: 5, token: `t${node}`, at }),
      send: (to, message) => {
        if (!this.connected) return false;
        this.passed.push(message);
        if (!this.lose(message)) this.messengers.get(to)?.receive(message);
        return true;
      },
      onError: (error) => this.errors.push(error),
    });
  }
}

const target = { pid: '2.mp.1', boot: 5 };
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('claim M11: messages to processes by PID', () => {
  it('a request to a process of another node is answered by that node', async () => {
    const pair = new Pair();
    pair.owner.onRequest(async (pid, boot, body) => ({ pid, boot, body }));
    await expect(pair.caller.request(target, { op: 'allocate' }, 900)).resolves.toEqual({
      pid: '2.mp.1',
      boot: 5,
      body: { op: 'allocate' },
    });
    expect(pair.clock.pending).toBe(0);
  });

  it('a request to a process of this node does not use the bus', async () => {
    const pair = new Pair();
    pair.connected = false;
    pair.caller.onRequest(async () => 'here');
    await expect(pair.caller.request({ pid: '1.mp.1', boot: 5 }, null, 900)).resolves.toBe('here');
    expect(pair.clock.pending).toBe(0);
  });

  it('no answer in time is `undefined`', async () => {
    const pair = new Pair();
    pair.owner.onRequest(silent);
    const answer = pair.caller.request(target, null, 900);
    pair.clock.advance(900);
    await expect(answer).resolves.toBeUndefined();
    expect(pair.clock.pending).toBe(0);
  });

  it('without a bus the answer is `undefined` at once', async () => {
    const pair = new Pair();
    pair.connected = false;
    await expect(pair.caller.request(target, null, 900)).resolves.toBeUndefined();
    expect(pair.clock.pending).toBe(0);
  });

  it('a request that is lost is sent again after a third of the deadline', async () => {
    const pair = new Pair();
    pair.owner.onRequest(async () => 'yes');
    pair.lose = () => pair.passed.length === 1;
    const answer = pair.caller.request(target, null, 900);
    pair.clock.advance(300);
    await expect(answer).resolves.toBe('yes');
    expect(pair.passed.map((message) => message.type)).toEqual(['request', 'request', 'reply']);
  });

  it('a request that comes twice is handled once, and a lost reply is given again', async () => {
    const pair = new Pair();
    let handled = 0;
    pair.owner.onRequest(async () => ++handled);
    pair.lose = (message) => message.type === 'reply' && pair.passed.length === 2;
    const answer = pair.caller.request(target, null, 900);
    await settle();
    pair.clock.advance(300);
    await expect(answer).resolves.toBe(1);
    expect(handled).toBe(1);
  });

  it('a request that comes again while it is handled is not handled again', async () => {
    const pair = new Pair();
    let handled = 0;
    let finish: (answer: string) => void = () => undefined;
    pair.owner.onRequest(() => {
      handled += 1;
      return new Promise((resolve) => (finish = resolve));
    });
    const answer = pair.caller.request(target, null, 900);
    pair.clock.advance(300);
    finish('late');
    await expect(answer).resolves.toBe('late');
    expect(handled).toBe(1);
  });

  it('a handler that fails is reported, and the caller gets no answer', async () => {
    const pair = new Pair();
    pair.owner.onRequest(() => Promise.reject(new Error('broken')));
    const answer = pair.caller.request(target, null, 900);
    await settle();
    pair.clock.advance(900);
    await expect(answer).resolves.toBeUndefined();
    expect(pair.errors).toHaveLength(1);
  });

  it('a request that is recorded and sent again is not handled again, however many came meanwhile', async () => {
    const pair = new Pair();
    let handled = 0;
    pair.owner.onRequest(async () => (handled += 1));
    await pair.caller.request(target, null, 900);
    const recorded = pair.passed[0];
    for (let count = 0; count < 2_500; count++) await pair.caller.request(target, null, 900);
    expect(handled).toBe(2_501);
    if (recorded !== undefined) pair.owner.receive(recorded);
    await settle();
    expect(handled).toBe(2_501);
  });

  it('a node that goes off-line fails what waits for it at once', async () => {
    const pair = new Pair();
    pair.owner.onRequest(silent);
    const answer = pair.caller.request(target, null, 900);
    pair.caller.nodeGone(2);
    await expect(answer).resolves.toBeUndefined();
    expect(pair.clock.pending).toBe(0);
  });

  it('a reply from another node than the one asked counts for nothing', async () => {
    const pair = new Pair();
    pair.owner.onRequest(silent);
    const answer = pair.caller.request(target, null, 900);
    const request = pair.passed[0];
    if (request?.type !== 'request') throw new Error('no request');
    pair.caller.receive({ ...request, type: 'reply', node: 3, body: 'forged' });
    pair.clock.advance(900);
    await expect(answer).resolves.toBeUndefined();
  });

  it('a request that was recorded and is played again later is ignored', async () => {
    const pair = new Pair();
    let handled = 0;
    pair.owner.onRequest(async () => ++handled);
    pair.lose = () => true;
    const answer = pair.caller.request(target, null, 900);
    pair.clock.advance(900);
    await answer;
    pair.clock.advance(121_000);
    const request = pair.passed[0];
    if (request !== undefined) pair.owner.receive(request);
    await settle();
    expect(handled).toBe(0);
  });

  it('what is not a PID is not answered', async () => {
    await expect(new Pair().caller.request({ pid: 'nonsense', boot: 1 }, null, 900)).resolves.toBeUndefined();
  });
});
