import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { SimulatedClock } from '../../src/process/clock';
import { createSrf, guardMessages, type SrfApplication } from '../../src/sip/drachtio/srf';
import { encodeFrame } from '../../src/sip-server/control/frame';
import { OFFER, RawApplication, type Running, SECRET, startServer, udpPeer } from '../integration/sip-server/harness';
import { eventually, within } from '../support/eventually';
import { Scope } from '../support/scope';
import { SipPeer } from '../support/sip-peer';
import { headerOf, methodOf, statusOf } from '../support/sip-text';
import { spoils } from './mutations';
import { carriedBy, tortureMessages } from './rfc4475';

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff);
const runs = Number(process.env.FUZZ_RUNS ?? 100_000);
const PROBE = 'sip:probe@127.0.0.1';
/** Few enough for the socket's buffer to hold them. */
const BATCH = 50;
/** Growth that a leak of a hundred bytes for each message would exceed. */
const MAX_GROWTH = 6 * 1024 * 1024;

jest.setTimeout(300_000);

const METHODS = ['INVITE', 'ACK', 'BYE', 'CANCEL', 'REGISTER', 'OPTIONS', 'PRACK', 'UPDATE', 'SUBSCRIBE', 'NOTIFY'];
const MORE_METHODS = ['REFER', 'INFO', 'MESSAGE', 'PUBLISH'];

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapUsed(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

/** Where a batch takes its messages from: requests, answers to what the server has sent, and RFC 4475. */
type Base =
  | { readonly kind: 'request' | 'response'; readonly pick: number }
  | { readonly kind: 'torture'; readonly pick: number };

const base: fc.Arbitrary<Base> = fc.record({
  kind: fc.constantFrom('request', 'request', 'request', 'response', 'torture'),
  pick: fc.nat(1_000_000),
});
const item = fc.tuple(base, spoils);

class Target {
  readonly errors: string[] = [];
  readonly appErrors: string[] = [];
  readonly clock = new SimulatedClock();
  running!: Running;
  raw!: RawApplication;
  udp!: SipPeer;
  private srf: SrfApplication | undefined;
  private readonly torture = [...tortureMessages().values()];
  private count = 0;
  private probes = 0;

  constructor(private readonly scope: Scope) {}

  async start(): Promise<void> {
    this.running = await startServer(this.scope, {
      clock: this.clock,
      locate: () => Promise.resolve([]),
      log: (event, fields) => {
        if (event.includes('error')) this.errors.push(`${event} ${JSON.stringify(fields)}`);
      },
    });
    this.udp = await udpPeer(this.scope, this.running);
    await this.connectApplications();
  }

  async connectApplications(): Promise<void> {
    await this.startApplication();
    this.raw = await RawApplication.connect(this.scope, this.running, SECRET);
  }

  /** A call that rings, or that both sides want, may go on for ever: it ends with its application. */
  disconnectApplications(): void {
    this.raw.close();
    this.srf?.disconnect();
  }

  /** As the call manager uses drachtio-srf: what makes it throw is dropped. */
  private async startApplication(): Promise<void> {
    const srf = createSrf();
    this.srf = srf;
    for (const method of [...METHODS, ...MORE_METHODS].map((one) => one.toLowerCase())) {
      srf.use(method, (request, response) => {
        const status = method === 'invite' && request.uri !== PROBE ? [486, 200, 404][this.count % 3] : 200;
        response.send(status ?? 200, undefined, {
          headers: { Contact: '<sip:app@localhost>' },
          body: status === 200 ? OFFER : '',
        });
      });
    }
    const connected = new Promise<void>((resolve) => srf.on('connect', () => resolve()));
    srf.on('error', () => undefined);
    srf.connect({
      host: '127.0.0.1',
      port: this.running.server.control.port,
      secret: SECRET,
      reconnect: { maxAttempts: 1 },
    });
    await within(10_000, 'connect event', connected);
    guardMessages(srf, (error) => this.appErrors.push(String(error)));
  }

  private bytes({ kind, pick }: Base, peer: SipPeer, protocol: 'UDP' | 'TCP'): Buffer {
    if (kind === 'torture') return carriedBy(this.torture[pick % this.torture.length] ?? Buffer.alloc(0), protocol);
    const requests = this.udp.received.filter((message) => methodOf(message) !== undefined);
    const request = requests[pick % Math.max(1, requests.length)];
    if (kind === 'response' && request !== undefined) return answerTo(request, pick);
    const all = [...METHODS, ...MORE_METHODS];
    const method = all[pick % all.length] ?? 'INVITE';
    const last = this.udp.received.at(-1 - (pick % 20));
    const to = /\r\nTo: (.*)\r\n/.exec(last ?? '')?.[1];
    const text = peer.request({
      method,
      uri: 'sip:someone@127.0.0.1',
      from: `<sip:alice@127.0.0.1>;tag=${pick % 5}`,
      callId: `c${this.count % 40}`,
      cseq: 1 + (pick % 6),
      headers:
        pick % 2 === 0 ? [] : ['Supported: 100rel, timer', 'Session-Expires: 100;refresher=uac', 'Event: presence'],
      body: pick % 3 === 0 ? OFFER : '',
      ...(to === undefined || pick % 2 === 0 ? {} : { to }),
    });
    return Buffer.from(text);
  }

  /** A frame of a control connection whose message is spoilt; where it is sent to stays. */
  private frame(pick: number, spoil: (message: Buffer) => Buffer): Buffer {
    const sip = this.raw.frames.filter((frame) => frame.split('|')[1] === 'sip').at(-1 - (pick % 10));
    const tokens = sip?.split('\r\n')[0]?.split('|') ?? [];
    const method = METHODS[pick % METHODS.length] ?? 'INVITE';
    const route = `sip:127.0.0.1:${this.udp.port}`;
    const [first, message] = [
      [
        `sip|||${route}`,
        `${method} sip:bob@example.invalid SIP/2.0\r\nSubject: x\r\nContact: <sip:a@localhost>\r\n\r\n${OFFER}`,
      ],
      [`sip||${tokens[9] ?? 'none'}`, `${method} sip:placeholder SIP/2.0\r\nContact: <sip:a@localhost>\r\n\r\n`],
      [
        `sip|${tokens[8] ?? 'none'}|`,
        `SIP/2.0 ${[100, 180, 183, 200, 302, 404][pick % 6]} X\r\nRequire: 100rel\r\n\r\n${OFFER}`,
      ],
      [`sip|${tokens[8] ?? 'none'}|`, 'CANCEL sip:bob@127.0.0.1 SIP/2.0\r\n\r\n'],
    ][pick % 4] ?? ['', ''];
    const start = (message ?? '').indexOf('\r\n') + 2;
    const text = (message ?? '').slice(0, start) + spoil(Buffer.from((message ?? '').slice(start))).toString('latin1');
    return encodeFrame(`i${pick}|${first}`, Buffer.from(text));
  }

  async batch(items: readonly (readonly [Base, (message: Buffer) => Buffer])[]): Promise<void> {
    const streams = new Scope();
    for (const [from, spoil] of items) {
      this.count += 1;
      const way = this.count % 8;
      if (way === 0 && !this.raw.closed) this.raw.write(this.frame(from.pick, spoil));
      else if (way === 1) await this.onStream(streams, from, spoil);
      else this.udp.send(spoil(this.bytes(from, this.udp, 'UDP')).subarray(0, 60_000));
    }
    await this.stillThere();
    await streams.close();
    this.udp.forgetAllBut(40);
    this.raw.frames.splice(0, Math.max(0, this.raw.frames.length - 40));
    if (this.raw.closed) this.raw = await RawApplication.connect(this.scope, this.running, SECRET);
    this.clock.advance(700);
  }

  /** Each on a connection of its own: the server may have to close it. Something good comes first. */
  private async onStream(scope: Scope, from: Base, spoil: (message: Buffer) => Buffer): Promise<void> {
    const peer = await SipPeer.tcp(scope, '127.0.0.1', this.running.tcp);
    if (from.pick % 4 === 0) peer.send(this.bytes({ kind: 'request', pick: from.pick }, peer, 'TCP'));
    peer.send(spoil(this.bytes(from, peer, 'TCP')));
  }

  /** The server and the application answer; whatever came before on this wire has been dealt with. */
  async stillThere(): Promise<void> {
    const callId = `probe-${this.probes++}`;
    this.udp.send(this.udp.request({ method: 'OPTIONS', uri: PROBE, from: '<sip:probe@127.0.0.1>', callId }));
    const seen = await eventually(
      'an answer to OPTIONS',
      () => this.udp.received.find((message) => statusOf(message) > 0 && headerOf(message, 'Call-ID') === callId) ?? '',
      (response) => response !== '',
      { every: 1 },
    );
    expect(statusOf(seen)).toBe(200);
  }
}

function answerTo(request: string, pick: number): Buffer {
  const status = ['100 Trying', '180 Ringing', '183 Progress', '200 OK', '401 No', '486 Busy', '503 Later'][pick % 7];
  const copied = request.split('\r\n').filter((line) => /^(Via|From|To|Call-ID|CSeq|Record-Route):/i.test(line));
  const tagged = copied.map((line) =>
    /^To:/i.test(line) && !line.includes(';tag=') ? `${line};tag=t${pick % 3}` : line,
  );
  const body = pick % 2 === 0 ? OFFER : '';
  const more = ['RSeq: 5', 'Require: 100rel', 'Contact: <sip:z@127.0.0.1:9>', 'Session-Expires: 90'].slice(pick % 4);
  return Buffer.from(
    [`SIP/2.0 ${status}`, ...tagged, ...more, `Content-Length: ${body.length}`, '', body].join('\r\n'),
  );
}

test('mutated messages and commands: the server answers on, forgets everything, and does not grow', async () => {
  process.stdout.write(`sip-server fuzz: FUZZ_SEED=${seed} FUZZ_RUNS=${runs}\n`);
  const scope = new Scope();
  try {
    const target = new Target(scope);
    await target.start();
    const started = Date.now();
    const quarter = Math.ceil(runs / BATCH / 4);
    let before = 0;
    for (let i = 0; i * BATCH < runs; i++) {
      await target.batch(fc.sample(item, { seed: seed + i, numRuns: Math.min(BATCH, runs - i * BATCH) }));
      if (i === quarter) before = await idle(target);
    }
    const took = (Date.now() - started) / 1000;
    const growth = (await idle(target)) - before;
    process.stdout.write(
      `sip-server fuzz: ${runs} in ${took.toFixed(1)} s; heap grew by ${(growth / 1024 / 1024).toFixed(1)} MB; ` +
        `${target.appErrors.length} messages that drachtio-srf cannot read\n`,
    );
    expect(target.errors).toEqual([]);
    expect(growth).toBeLessThan(MAX_GROWTH);
    await target.stillThere();
    target.disconnectApplications();
  } finally {
    await scope.close();
  }
});

/** Time passes until nothing is under way; then the heap. */
async function idle(target: Target): Promise<number> {
  target.disconnectApplications();
  await eventually(
    'nothing is under way',
    () => {
      target.clock.advance(40_000);
      const { size, transactions } = target.running.server;
      return { ...size, ...transactions };
    },
    (open) => Object.values(open).every((count) => count === 0),
    { cap: 60_000, every: 10 },
  );
  await target.connectApplications();
  return heapUsed();
}
