import { RegisteredFlows } from '../../../src/sip-server/core/registered-flows';
import { readFlowMessage, type FlowAddress } from '../../../src/sip-server/flow-messages';
import type { Flow, Protocol } from '../../../src/sip-server/layers';

const flow = (protocol: Protocol, connection: number | undefined, port = 40_000): Flow => ({
  protocol,
  remoteAddress: '192.0.2.7',
  remotePort: port,
  local: { protocol, address: '192.0.2.1', port: 5060 },
  ...(connection === undefined ? {} : { connection }),
});

function start(closed: readonly number[] = []): { flows: RegisteredFlows; told: FlowAddress[] } {
  const told: FlowAddress[] = [];
  const flows = new RegisteredFlows(
    (connection) => !closed.includes(connection),
    (address) => told.push(address),
  );
  return { flows, told };
}

describe('claim R7: connections over which a REGISTER was accepted', () => {
  test('are told when they close, once; others are not', () => {
    const { flows, told } = start();
    flows.learn(flow('tcp', 1));
    flows.learn(flow('tcp', 1));
    flows.closed(2);
    expect(told).toEqual([]);
    flows.closed(1);
    flows.closed(1);
    expect(told).toEqual([{ protocol: 'tcp', address: '192.0.2.7', port: 40_000 }]);
    expect(flows.size).toBe(0);
  });

  test('a WebSocket has the name by which the application knows it', () => {
    const { flows, told } = start();
    flows.learn(flow('wss', 1));
    expect(flows.find({ protocol: 'tcp', address: '192.0.2.7', port: 40_000 })).toBe(1);
    flows.closed(1);
    expect(told).toMatchObject([{ protocol: 'tcp' }]);
  });

  test('one that closed before its REGISTER was answered is told at once', () => {
    const { flows, told } = start([1]);
    flows.learn(flow('tcp', 1));
    expect(told).toHaveLength(1);
    expect(flows.size).toBe(0);
  });

  test('UDP has none', () => {
    const { flows, told } = start();
    flows.learn(flow('udp', undefined));
    expect([flows.size, told.length]).toEqual([0, 0]);
  });

  test('a newer connection from the same port keeps its name when the older one closes', () => {
    const { flows } = start();
    flows.learn(flow('tcp', 1));
    flows.learn(flow('tcp', 2));
    flows.closed(1);
    expect(flows.find({ protocol: 'tcp', address: '192.0.2.7', port: 40_000 })).toBe(2);
  });
});

describe('messages between the embedded server and its parent', () => {
  const address = { protocol: 'tcp', address: '192.0.2.7', port: 40_000 };

  test('are read as they were written', () => {
    for (const message of [
      { type: 'flow-closed', flow: address, at: 1 },
      { type: 'close-flow', flow: address },
    ])
      expect(readFlowMessage(JSON.parse(JSON.stringify(message)))).toEqual(message);
  });

  test.each([
    undefined,
    null,
    'flow-closed',
    {},
    { type: 'flow-closed', flow: address },
    { type: 'other', flow: address },
    { type: 'close-flow', flow: { ...address, port: '40000' } },
    { type: 'close-flow', flow: null },
  ])('anything else is none: %j', (value) => {
    expect(readFlowMessage(value)).toBeUndefined();
  });
});
