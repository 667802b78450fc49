import { SimulatedClock } from '../../../src/process/clock';
import { carriedBy, type Outcome, rfc4475, tortureMessages } from '../../fuzz/rfc4475';
import { eventuallyTrue } from '../../support/eventually';
import { Scope } from '../../support/scope';
import type { SipPeer } from '../../support/sip-peer';
import { statusOf } from '../../support/sip-text';
import { type AppRequest, connectApp, type Running, startServer, tcpPeer, udpPeer } from '../sip-server/harness';

const METHODS = ['invite', 'register', 'options', 'message', 'subscribe', 'notify', 'info', 'publish', 'refer'];
const PROBE = 'sip:still-there@127.0.0.1';

/** A server with an application that says 200 to everything; nothing is left of the case before. */
class Bench {
  readonly seen: AppRequest[] = [];
  readonly errors: string[] = [];
  private constructor(
    readonly scope: Scope,
    readonly clock: SimulatedClock,
  ) {}
  running!: Running;

  static async start(scope: Scope): Promise<Bench> {
    const clock = new SimulatedClock();
    const bench = new Bench(scope, clock);
    const log = (event: string, fields: object): void => {
      if (event.includes('error')) bench.errors.push(`${event} ${JSON.stringify(fields)}`);
    };
    bench.running = await startServer(scope, { clock, log });
    await connectApp(scope, bench.running, (app) => {
      for (const method of METHODS) {
        app.use(method, (request, response) => {
          if (request.uri !== PROBE) bench.seen.push(request);
          response.send(200, { headers: { Contact: '<sip:app@localhost>' } });
        });
      }
    });
    return bench;
  }

  /** OPTIONS still goes through to the application and back; so whatever was sent before it on this wire is over. */
  async answers(peer: SipPeer): Promise<void> {
    const response = await peer.ask({ method: 'OPTIONS', uri: PROBE, from: '<sip:probe@127.0.0.1>' }, 5000);
    expect(statusOf(response)).toBe(200);
  }
}

const isProbe = (message: string): boolean => message.includes('probe@127.0.0.1');

function responses(peer: SipPeer): number[] {
  // Line breaks that answer a keep-alive come in front of the next response.
  return peer.received.filter((message) => !isProbe(message)).map((message) => statusOf(message.trimStart()));
}

function check(bench: Bench, peer: SipPeer, outcome: Outcome): void {
  const finals = responses(peer).filter((status) => status >= 200);
  if (outcome.kind === 'seen') {
    const { method, uri, next } = outcome;
    const wanted = next === undefined ? [{ method, uri }] : [{ method, uri }, next];
    expect(bench.seen.map((request) => ({ method: request.method, uri: request.uri }))).toEqual(wanted);
    for (const [name, text] of Object.entries(outcome.has ?? {})) expect(bench.seen[0]?.get(name)).toContain(text);
    // Behind the second one is what is no message: the connection may be closed before its answer is there.
    if (next === undefined) expect(finals).toEqual([200]);
    return;
  }
  expect(bench.seen.map(({ method, uri }) => ({ method, uri }))).toEqual([]);
  expect(finals).toEqual(outcome.kind === 'refused' ? [outcome.status] : []);
}

const user = 'sip:user@example.com';
const messages = tortureMessages();

test('RFC 4475: every message has its outcome in the table', () => {
  expect([...messages.keys()].sort()).toEqual(Object.keys(rfc4475).sort());
});

test('RFC 4475 §3.1.2.15: a display name with a comma and without quotes is taken for one in quotes', async () => {
  const scope = new Scope();
  try {
    const bench = await Bench.start(scope);
    const peer = await udpPeer(scope, bench.running);
    peer.send(Buffer.concat([messages.get('baddn') ?? Buffer.alloc(0), Buffer.from('\r\n')]));
    await bench.answers(peer);
    check(bench, peer, { kind: 'seen', method: 'OPTIONS', uri: 'sip:t.watson@example.org', has: { To: 'Watson' } });
  } finally {
    await scope.close();
  }
});

test('RFC 3261 §8.1.1.8: an INVITE whose Contact cannot be read is refused before anybody rings', async () => {
  const scope = new Scope();
  try {
    const bench = await Bench.start(scope);
    const peer = await udpPeer(scope, bench.running);
    const invite = peer.request({ method: 'INVITE', uri: user, from: '<sip:caller@127.0.0.1>' });
    peer.send(invite.replace(/^Contact:.*$/m, 'Contact: "unended <sip:caller@127.0.0.1>'));
    await bench.answers(peer);
    check(bench, peer, { kind: 'refused', status: 400 });
  } finally {
    await scope.close();
  }
});

describe.each([...messages.keys()])('RFC 4475: %s', (name) => {
  const scope = new Scope();
  afterAll(() => scope.close());
  const { section, outcome, tcp } = rfc4475[name] ?? { section: '?', outcome: { kind: 'dropped' as const } };
  const bytes = messages.get(name) ?? Buffer.alloc(0);

  test(`§${section}: as a datagram it is ${outcome.kind}`, async () => {
    const bench = await Bench.start(scope);
    const peer = await udpPeer(scope, bench.running);
    peer.send(carriedBy(bytes, 'UDP'));
    await bench.answers(peer);
    check(bench, peer, outcome);
    expect(bench.errors).toEqual([]);
  });

  test(`§${section}: on a stream it is ${(tcp ?? outcome).kind}`, async () => {
    const bench = await Bench.start(scope);
    const peer = await tcpPeer(scope, bench.running);
    peer.send(carriedBy(bytes, 'TCP'));
    const wanted = tcp ?? outcome;
    if (wanted.kind === 'unfinished') {
      // Others are served meanwhile, and its time is limited.
      await bench.answers(await tcpPeer(scope, bench.running));
      await eventuallyTrue('the connection is closed', () => {
        bench.clock.advance(10_000);
        return peer.isClosed;
      });
    } else {
      await eventuallyTrue(
        'an answer, or the end',
        () =>
          wanted.kind === 'dropped' ||
          (wanted.kind === 'seen' && wanted.next !== undefined
            ? bench.seen.length > 1
            : responses(peer).some((status) => status >= 200)),
      );
      // A connection whose framing is lost is closed; everybody else goes on.
      await bench.answers(await tcpPeer(scope, bench.running));
      if (!peer.isClosed) await bench.answers(peer).catch(() => expect(peer.isClosed).toBe(true));
    }
    check(bench, peer, wanted);
    expect(bench.errors).toEqual([]);
  });
});
