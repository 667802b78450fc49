import { connect, type Socket } from 'node:net';
import { SimulatedClock } from '../../../src/process/clock';
import { eventuallyTrue } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { connectApp, startServer, type Running } from './harness';

let scope: Scope;
let clock: SimulatedClock;
let running: Running;
/** Answers of the application that wait. */
let answers: (() => void)[];

beforeEach(async () => {
  scope = new Scope();
  clock = new SimulatedClock();
  answers = [];
  running = await startServer(scope, { clock });
  await connectApp(scope, running, (app) => {
    app.use('options', (_request, response) => response.send(200));
    app.use('message', (_request, response) => void answers.push(() => response.send(202)));
    app.use('invite', (_request, response) => {
      response.send(180);
      answers.push(() => response.send(486));
    });
  });
});
afterEach(() => scope.close());

/** A client that sends this and nothing more; what it has heard, and whether the server has closed the connection then. */
class Client {
  heard = '';
  closed = false;

  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes: Buffer) => (this.heard += bytes.toString()));
    socket.on('end', () => (this.closed = true));
    socket.on('error', () => undefined);
    scope.defer(() => socket.destroy());
  }

  static async says(text: string): Promise<Client> {
    const socket = connect({ port: running.tcp, host: '127.0.0.1', allowHalfOpen: true });
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
    const client = new Client(socket);
    socket.end(text);
    return client;
  }

  get statuses(): number[] {
    return [...this.heard.matchAll(/^SIP\/2\.0 (\d{3})/gm)]
      .map(([, status]) => Number(status))
      .filter((one) => one > 100);
  }
}

let count = 0;
function request(method: string, more: readonly string[] = []): string {
  count += 1;
  return [
    `${method} sip:b@127.0.0.1 SIP/2.0`,
    `Via: SIP/2.0/TCP 127.0.0.1:5999;branch=z9hG4bKhalf${count}`,
    'Max-Forwards: 70',
    `From: <sip:a@127.0.0.1>;tag=a${count}`,
    'To: <sip:b@127.0.0.1>',
    `Call-ID: half-${count}`,
    `CSeq: 1 ${method}`,
    'Contact: <sip:a@127.0.0.1:5999>',
    ...more,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

const answered = (client: Client, expected: readonly number[]): Promise<void> =>
  eventuallyTrue(expected.join(', '), () => client.statuses.length >= expected.length);
const closed = (client: Client): Promise<void> => eventuallyTrue('the server closes, too', () => client.closed);

describe('RFC 3261 §18.2.2: a client over TCP that sends nothing more gets its answers', () => {
  test.each<[string, () => string, readonly number[]]>([
    ['one', () => request('OPTIONS'), [200]],
    ['several', () => request('OPTIONS') + request('OPTIONS') + request('OPTIONS'), [200, 200, 200]],
    [
      'many',
      () => Array.from({ length: 300 }, () => request('OPTIONS')).join(''),
      new Array(300).fill(200) as number[],
    ],
    ['one that is refused', () => request('FOO'), [501]],
    ['one that cannot be read', () => request('OPTIONS', ['Max-Forwards: x']), [400]],
    ['one that nobody is there for', () => request('PUBLISH'), [503]],
  ])('%s; then the connection is closed', async (_what, text, expected) => {
    const client = await Client.says(text());
    await answered(client, expected);
    expect(client.statuses).toEqual(expected);
    await closed(client);
  });

  test('however long they take', async () => {
    const client = await Client.says(request('MESSAGE') + request('INVITE') + request('OPTIONS'));
    await eventuallyTrue('both at the application', () => answers.length === 2);
    await answered(client, [180, 200]);
    expect(client.closed).toBe(false);
    answers[0]?.();
    await answered(client, [180, 200, 202]);
    expect(client.closed).toBe(false);
    answers[1]?.();
    await answered(client, [180, 200, 202, 486]);
    await closed(client);
    clock.advance(64_000);
    expect([running.server.size.incoming, running.server.transactions.server]).toEqual([0, 0]);
  });

  test('also that of the server, when the application never says anything', async () => {
    const client = await Client.says(request('MESSAGE'));
    await eventuallyTrue('the application has it', () => answers.length === 1);
    clock.advance(32_000);
    await answered(client, [500]);
    await closed(client);
  });

  test.each<[string, () => string]>([
    ['nothing', () => ''],
    ['a keep-alive', () => '\r\n\r\n'],
    ['an ACK', () => request('ACK')],
    ['half a request', () => request('OPTIONS').slice(0, 100)],
  ])('%s has no answer: the connection is closed at once', async (_what, text) => {
    const client = await Client.says(text());
    await closed(client);
    expect(client.statuses).toEqual([]);
  });
});
