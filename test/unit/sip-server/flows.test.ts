import { readFlowMessage, type FlowMessage } from '../../../src/sip-server/flow-messages';
import { FlowQuestions } from '../../../src/sip-server/flow-questions';
import { FLOW_HEADER, NamedFlows } from '../../../src/sip-server/core/named-flows';
import type { Flow, ListenPoint, Protocol, TransportLayer } from '../../../src/sip-server/layers';
import { getHeaders } from '../../../src/sip-message/headers';
import type { SipRequest } from '../../../src/sip-message/message';

const point = (protocol: Protocol, port = 5060): ListenPoint => ({ protocol, address: '192.0.2.1', port });
const points = [point('udp'), point('udp', 5080), point('tcp'), point('ws', 8080)];

const flow = (protocol: Protocol, connection: number | undefined, local = point(protocol)): Flow => ({
  protocol,
  remoteAddress: '192.0.2.7',
  remotePort: 40_000,
  local,
  ...(connection === undefined ? {} : { connection }),
});

/** Connections are open until they are in `closed`. */
function start(closed = new Set<number>()): { flows: NamedFlows; told: string[]; closed: Set<number> } {
  const told: string[] = [];
  const transport = {
    points,
    isOpen: (connection: number) => !closed.has(connection),
    pointFor: (protocol: Protocol) => points.find((each) => each.protocol === protocol),
    finish: (connection: number) => void closed.add(connection),
  } as unknown as TransportLayer;
  return { flows: new NamedFlows(transport, (name) => told.push(name)), told, closed };
}

describe('names of flows', () => {
  test('lead over their own connection, though another comes from the same port', () => {
    const { flows } = start();
    const [first, second] = [flows.nameOf(flow('tcp', 1)), flows.nameOf(flow('tcp', 2))];
    expect(flows.hopOf(first)).toMatchObject({ kind: 'address', destination: { connection: 1 }, isFlow: true });
    expect(flows.hopOf(second)).toMatchObject({ kind: 'address', destination: { connection: 2 }, isFlow: true });
  });

  test('are next hops with the address, for a server that does not know the parameter', () => {
    const { flows } = start();
    expect(flows.nameOf(flow('ws', 1))).toMatch(/^sip:192\.0\.2\.7:40000;transport=ws;flow=[\w-]+\.1$/);
    expect(flows.nameOf({ ...flow('udp', undefined), remoteAddress: '2001:db8::7' })).toMatch(
      /^sip:\[2001:db8::7\]:40000;transport=udp;flow=/,
    );
  });

  test('lead nowhere once the connection is closed, and never to another one', () => {
    const { flows, closed } = start();
    const name = flows.nameOf(flow('tcp', 1));
    closed.add(1);
    expect(flows.hopOf(name)).toMatchObject({ kind: 'gone' });
    flows.closed(1);
    expect(flows.hopOf(name)).toMatchObject({ kind: 'gone' });
    expect(flows.size).toBe(0);
    expect(start().flows.hopOf(name)).toMatchObject({ kind: 'gone' });
  });

  test('of datagrams leave from the listener that took them in, over a restart too', () => {
    const local = point('udp', 5080);
    const name = start().flows.nameOf(flow('udp', undefined, local));
    expect(start().flows.hopOf(name)).toMatchObject({
      kind: 'address',
      destination: { protocol: 'udp', address: '192.0.2.7', port: 40_000, local },
      point: local,
      isFlow: true,
    });
    expect(start().flows.hopOf('sip:192.0.2.7:40000;transport=udp;flow')).toMatchObject({ point: points[0] });
  });

  test('a next hop without the parameter is none', () => {
    expect(start().flows.hopOf('sip:192.0.2.7:40000;transport=tcp')).toBeUndefined();
  });

  test('a REGISTER carries that of its own flow, whatever its sender has written', () => {
    const { flows } = start();
    const register: SipRequest = {
      kind: 'request',
      method: 'REGISTER',
      uri: 'sip:acme.example',
      headers: [
        { name: 'x-tandem-flow', value: 'sip:10.0.0.1;flow=a' },
        { name: 'X-Tandem-Flow', value: 'sip:10.0.0.2;flow=b' },
      ],
      body: Buffer.alloc(0),
    };
    expect(getHeaders(flows.named(register, flow('tcp', 1)), FLOW_HEADER)).toEqual([flows.nameOf(flow('tcp', 1))]);
    expect(register.headers).toHaveLength(2);
  });
});

describe('where a phone listens', () => {
  const request = (answerPort?: number): SipRequest => ({
    ...{ kind: 'request', method: 'REGISTER', uri: 'sip:acme.example', headers: [], body: Buffer.alloc(0) },
    ...(answerPort === undefined ? {} : { answerPort }),
  });

  test.each([
    ['udp', undefined, undefined, 40_000],
    ['udp', 5060, undefined, 5060],
    ['tcp', undefined, 1, 40_000],
    ['tcp', 5060, 1, 40_000],
  ] as const)(
    'over %s, answers wanted at %p: requests go to the same port',
    (protocol, answerPort, connection, port) => {
      const { flows } = start();
      const [name = ''] = getHeaders(flows.named(request(answerPort), flow(protocol, connection)), FLOW_HEADER);
      expect(name).toContain(`:${port};`);
      expect(flows.hopOf(name)).toMatchObject({ kind: 'address', destination: { port } });
    },
  );
});

describe('claim R7: flows that are watched', () => {
  test('are told when they close, once; others are not', () => {
    const { flows, told } = start();
    const [first] = [flows.nameOf(flow('tcp', 1)), flows.nameOf(flow('tcp', 2))];
    expect(flows.watch(first)).toBe(true);
    flows.closed(2);
    expect(told).toEqual([]);
    flows.closed(1);
    flows.closed(1);
    expect(told).toEqual([first]);
  });

  test('one that is closed is not watched, though it has a name', () => {
    const { flows, closed } = start(new Set([1]));
    expect(flows.watch(flows.nameOf(flow('tcp', 1)))).toBe(false);
    const second = flows.nameOf(flow('tcp', 2));
    closed.add(2);
    expect(flows.watch(second)).toBe(false);
    expect(flows.watch(flows.nameOf(flow('udp', undefined)))).toBe(false);
  });
});

describe('messages between the embedded server and its parent', () => {
  test('are read as they were written', () => {
    for (const message of [
      { type: 'flow-closed', flow: 'sip:a' },
      { type: 'find-flow', id: 3, dialog: 'a;from-tag=b' },
      { type: 'flow-found', id: 3, flow: 'sip:a' },
      { type: 'flow-found', id: 4 },
      { type: 'close-flow', flow: 'sip:a' },
      { type: 'watch-flows', id: 1, flows: ['sip:a'] },
      { type: 'flows-watched', id: 1, open: [true] },
    ])
      expect(readFlowMessage(JSON.parse(JSON.stringify(message)))).toEqual(message);
  });

  test.each([
    undefined,
    null,
    'flow-closed',
    {},
    { type: 'flow-closed', flow: 1 },
    { type: 'find-flow', id: 3 },
    { type: 'flow-found', id: 3, flow: 1 },
    { type: 'flow-found', flow: 'sip:a' },
    { type: 'other', flow: 'sip:a' },
    { type: 'watch-flows', flows: ['sip:a'] },
    { type: 'watch-flows', id: 1, flows: [1] },
    { type: 'flows-watched', id: 1, open: true },
    { type: 'close-flow', flow: null },
  ])('anything else is none: %j', (value) => {
    expect(readFlowMessage(value)).toBeUndefined();
  });

  test('questions of one turn go with one message, and each gets its answer', async () => {
    const sent: FlowMessage[] = [];
    const questions = new FlowQuestions((message) => sent.push(message));
    const answers = Promise.all([questions.ask('sip:a'), questions.ask('sip:b')]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toEqual([{ type: 'watch-flows', id: 1, flows: ['sip:a', 'sip:b'] }]);
    questions.answered(1, [true, false]);
    expect(await answers).toEqual([true, false]);
  });

  test('a server that is gone has no flow', async () => {
    const questions = new FlowQuestions(() => undefined);
    const asked = questions.ask('sip:a');
    await new Promise((resolve) => setImmediate(resolve));
    const collected = questions.ask('sip:b');
    questions.end();
    expect(await Promise.all([asked, collected, questions.ask('sip:c')])).toEqual([false, false, false]);
  });
});
