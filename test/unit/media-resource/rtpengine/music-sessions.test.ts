import { EngineError } from '../../../../src/media-resource/ports';
import type { CommandName, Commands, Reply } from '../../../../src/media-resource/rtpengine/commands';
import { MusicSessions } from '../../../../src/media-resource/rtpengine/music-sessions';
import { OWN_PLAYERS, SHUT_MS } from '../../../../src/media-resource/rtpengine/source-book';
import { SimulatedClock } from '../../../../src/process/clock';

type Parameters = Readonly<Record<string, unknown>>;

interface Call {
  /** Where each subscriber is sent to. */
  readonly subscribers: Map<string, string>;
  /** Where each tag was sent to last. */
  readonly addresses: Map<string, string>;
  player: string | undefined;
  packets: number;
}

function sdpOf(port: number, codecs = '8', direction = 'recvonly'): string {
  return `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP ${codecs}\r\na=${direction}\r\n`;
}

/** As much of rtpengine as music needs. Each call listens at a port of its own. */
class FakeRtpengine implements Commands {
  readonly calls = new Map<string, Call>();
  readonly log: string[] = [];
  /** Seats that were served at the port of who sat there before. */
  readonly strays: string[] = [];
  /** The command fails when this says why. */
  refuse: (name: CommandName, parameters: Parameters) => string | undefined = () => undefined;
  /** Is awaited before each command. */
  gate: (name: CommandName, parameters: Parameters) => Promise<void> = () => Promise.resolve();
  private readonly ports = new Map<string, number>();

  async run(name: CommandName, parameters: Parameters = {}): Promise<Reply> {
    const id = String(parameters['call-id']);
    const tag = typeof parameters['to-tag'] === 'string' ? parameters['to-tag'] : '';
    this.log.push([name, id, tag].filter((part) => part !== '').join(' '));
    await this.gate(name, parameters);
    const refusal = this.refuse(name, parameters);
    if (refusal !== undefined) throw new EngineError(refusal === 'down' ? 'down' : 'error', `rtpengine: ${refusal}`);
    if (name === 'offer' || name === 'publish') this.begin(id);
    const call = this.calls.get(id);
    if (name === 'delete') this.calls.delete(id);
    else if (call === undefined) throw new EngineError('error', 'rtpengine: Unknown call-ID');
    else return this.serve(name, call, id, tag, parameters);
    return {};
  }

  /** Who is served by a source, at which ports. */
  served(source: string): readonly string[] {
    return [...(this.calls.get(source)?.subscribers ?? [])].map(([tag, port]) => `${tag} ${port}`);
  }

  portOf(session: string): number {
    const port = this.ports.get(session) ?? 10_000 + this.ports.size;
    this.ports.set(session, port);
    return port;
  }

  close(): void {
    this.calls.clear();
  }

  private begin(id: string): void {
    if (!this.calls.has(id))
      this.calls.set(id, { subscribers: new Map(), addresses: new Map(), player: undefined, packets: 0 });
  }

  private serve(name: CommandName, call: Call, id: string, tag: string, parameters: Parameters): Reply {
    if (name === 'playMedia') call.player = String(parameters['file']);
    if (name === 'subscribeRequest') {
      // As rtpengine does: a tag that comes back is served where it was before, until it says otherwise.
      const before = call.addresses.get(tag);
      if (before !== undefined && before !== '9') this.strays.push(`${tag} ${before}`);
      call.subscribers.set(tag, before ?? '');
    }
    if (name === 'subscribeAnswer') {
      if (!call.subscribers.has(tag))
        throw new EngineError('error', 'rtpengine: Failed to process subscription answer');
      const port = /^m=audio (\d+)/m.exec(String(parameters['sdp']))?.[1] ?? '';
      call.addresses.set(tag, port);
      call.subscribers.set(tag, port);
    }
    if (name === 'unsubscribe') call.subscribers.delete(tag);
    if (name !== 'query') return { sdp: sdpOf(this.portOf(id)) };
    if (call.player !== undefined) call.packets += 50;
    const streams = [{ stats: { packets: call.packets } }];
    const subscribers = [...call.subscribers.keys()].map((subscriber) => ({ tag: subscriber }));
    return { tags: { source: { subscribers, medias: [{ streams }] } } };
  }
}

let rtpengine: FakeRtpengine;
let clock: SimulatedClock;
let music: MusicSessions;
let failures: string[];
let lost: string[];

function session(number: number): string {
  return `acme-1-500-${number}`;
}

const source = `${session(4)}-music1`;

beforeEach(() => {
  rtpengine = new FakeRtpengine();
  clock = new SimulatedClock();
  [failures, lost] = [[], []];
  music = new MusicSessions({
    commands: rtpengine,
    clock,
    sharing: true,
    onSourceFailure: (what) => failures.push(what),
    onLost: (one) => lost.push(one),
  });
});

async function hold(number: number, codecs = '8'): Promise<void> {
  await music.offer(session(number), sdpOf(4000, '8 0', 'sendrecv'));
  await music.connect(session(number), '/music.wav', sdpOf(4000, codecs));
}

/** Holds parties 1 to `last`, one after another. */
async function holdUpTo(last: number): Promise<void> {
  for (let number = 1; number <= last; number++) await hold(number);
}

/** Whatever was begun is through. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
}

function hasOwnPlayer(number: number): boolean {
  return rtpengine.calls.get(session(number))?.player === '/music.wav';
}

function seatOf(seat: number, number: number): string {
  return `seat-${seat} ${rtpengine.portOf(session(number))}`;
}

test('those after the first are served by one source, at the ports of their own sessions', async () => {
  await holdUpTo(5);
  expect([1, 2, 3, 4, 5].map(hasOwnPlayer)).toEqual([true, true, true, false, false]);
  expect(rtpengine.served(source)).toEqual([seatOf(1, 4), seatOf(2, 5)]);
  expect(rtpengine.calls.get(source)?.player).toBe('/music.wav');
  expect(music.sources()).toEqual([source]);
});

test('parties that come at the same time wait for the same source', async () => {
  await holdUpTo(OWN_PLAYERS);
  await Promise.all([4, 5, 6].map((number) => hold(number)));
  expect(rtpengine.served(source)).toHaveLength(3);
  expect(rtpengine.log.filter((line) => line.startsWith('publish'))).toHaveLength(1);
});

test('a source that cannot be made: all who waited for it get players of their own, and nothing is left of it', async () => {
  await holdUpTo(OWN_PLAYERS);
  rtpengine.refuse = (name, { 'call-id': id }) =>
    name === 'playMedia' && String(id).includes('music') ? 'Failed to start media playback' : undefined;
  await Promise.all([4, 5].map((number) => hold(number)));
  await settled();
  expect([4, 5].map(hasOwnPlayer)).toEqual([true, true]);
  expect([rtpengine.calls.has(source), music.sources(), failures.length]).toEqual([false, [], 1]);
  // Nobody is given two players.
  expect(rtpengine.log.filter((line) => line === `playMedia ${session(5)}`)).toHaveLength(1);
});

test('a party that cannot be served by the source has a player of its own; the others stay', async () => {
  await holdUpTo(4);
  rtpengine.refuse = (name) => (name === 'subscribeRequest' ? 'Ran out of ports' : undefined);
  await hold(5);
  expect([hasOwnPlayer(5), failures.length, music.sources()]).toEqual([true, 1, [source]]);
  expect(rtpengine.served(source)).toEqual([seatOf(1, 4)]);
});

test('a seat is left before its session is ended, and the last one ends the source', async () => {
  await holdUpTo(5);
  rtpengine.log.length = 0;
  await music.end(session(4));
  expect(rtpengine.log).toEqual([
    `subscribeAnswer ${source} seat-1`,
    `unsubscribe ${source} seat-1`,
    `delete ${session(4)}`,
  ]);
  rtpengine.log.length = 0;
  await music.end(session(5));
  expect(rtpengine.log).toEqual([`delete ${source}`, `delete ${session(5)}`]);
  for (const number of [1, 2, 3]) await music.end(session(number));
  expect([...rtpengine.calls.keys()]).toEqual([]);
});

test('an answer that changes nothing is no work for the source; another codec leaves it; another port is followed', async () => {
  await holdUpTo(5);
  rtpengine.log.length = 0;
  await music.connect(session(5), '/music.wav', sdpOf(4000));
  expect(rtpengine.log).toEqual([`answer ${session(5)} phone`]);
  const answerFrom = rtpengine.portOf(session(99));
  jest.spyOn(rtpengine, 'portOf').mockReturnValueOnce(answerFrom);
  await music.connect(session(5), '/music.wav', sdpOf(4001));
  expect(rtpengine.served(source)).toEqual([seatOf(1, 4), `seat-2 ${answerFrom}`]);
  await music.connect(session(5), '/music.wav', sdpOf(4000, '0'));
  expect([hasOwnPlayer(5), rtpengine.served(source)]).toEqual([true, [seatOf(1, 4)]]);
});

test('a seat of before sends nothing to the port of who sat there: somebody else may have been given it', async () => {
  await holdUpTo(6);
  await music.end(session(5));
  await hold(7);
  expect(rtpengine.served(source)).toEqual([seatOf(1, 4), seatOf(3, 6), seatOf(2, 7)]);
  expect(rtpengine.strays).toEqual([]);
});

test('a device that stops listening leaves its seat and may come back', async () => {
  await holdUpTo(5);
  await music.connect(session(5), '/music.wav', sdpOf(4000, '8', 'inactive'));
  expect(rtpengine.served(source)).toEqual([seatOf(1, 4)]);
  await music.connect(session(5), '/music.wav', sdpOf(4000));
  expect(rtpengine.served(source)).toEqual([seatOf(1, 4), seatOf(2, 5)]);
});

test('a source that is gone soon: its parties get players of their own in their sessions', async () => {
  await holdUpTo(6);
  rtpengine.calls.delete(source);
  await music.inspect();
  await settled();
  expect([4, 5, 6].map(hasOwnPlayer)).toEqual([true, true, true]);
  expect([failures.length, lost, music.sources()]).toEqual([1, [], []]);
});

test('a source whose player is silent for some looks, after a long time: its parties go to a new one', async () => {
  await holdUpTo(6);
  clock.advance(SHUT_MS);
  rtpengine.calls.get(source)!.player = undefined;
  for (let look = 0; look < 3; look++) {
    expect(failures).toEqual([]);
    await music.inspect();
  }
  await settled();
  expect(rtpengine.calls.has(source)).toBe(false);
  const [next = ''] = music.sources();
  expect(rtpengine.served(next)).toEqual([seatOf(1, 4), seatOf(2, 5), seatOf(3, 6)]);
  for (let look = 0; look < 5; look++) await music.inspect();
  expect([failures.length, lost]).toEqual([1, []]);
});

test('rtpengine does not answer a look: that says nothing of the source', async () => {
  await holdUpTo(5);
  rtpengine.refuse = () => 'down';
  for (let look = 0; look < 5; look++) await music.inspect();
  rtpengine.refuse = () => undefined;
  await music.inspect();
  expect([failures, rtpengine.served(source).length]).toEqual([[], 2]);
});

test('a party that cannot be given other music is ended, and its holder told', async () => {
  await holdUpTo(5);
  rtpengine.calls.delete(source);
  rtpengine.refuse = (name, { 'call-id': id }) => (name === 'playMedia' && id === session(5) ? 'no' : undefined);
  await music.inspect();
  await settled();
  expect([hasOwnPlayer(4), lost, rtpengine.calls.has(session(5)), music.knows(session(5))]).toEqual([
    true,
    [session(5)],
    false,
    false,
  ]);
});

test('a party that is given back while its source is replaced gets nothing any more', async () => {
  await holdUpTo(5);
  rtpengine.calls.delete(source);
  await music.inspect();
  await music.end(session(5));
  await settled();
  expect([...rtpengine.calls.keys()].sort()).toEqual([1, 2, 3, 4].map(session));
  expect(lost).toEqual([]);
});

test('a source that fails while a party sits down: the party has music all the same, once', async () => {
  await holdUpTo(4);
  let failed = false;
  rtpengine.gate = async (name, { 'call-id': id }) => {
    if (name !== 'subscribeAnswer' || id !== source || failed) return;
    failed = true;
    rtpengine.calls.delete(source);
    await music.inspect();
  };
  await hold(5);
  await settled();
  expect([hasOwnPlayer(4), hasOwnPlayer(5), lost, music.sources()]).toEqual([true, true, [], []]);
  expect(rtpengine.log.filter((line) => line === `playMedia ${session(5)}`)).toHaveLength(1);
});

test('a seat that could not be cleared is cleared at the next look, and nobody sits there before', async () => {
  await holdUpTo(5);
  rtpengine.refuse = (name) => (name === 'unsubscribe' ? 'down' : undefined);
  await music.end(session(4));
  rtpengine.refuse = () => undefined;
  await hold(6);
  expect(rtpengine.served(source)).toEqual(['seat-1 9', seatOf(2, 5), seatOf(3, 6)]);
  await music.inspect();
  expect(rtpengine.served(source)).toEqual([seatOf(2, 5), seatOf(3, 6)]);
  await hold(7);
  expect(rtpengine.served(source)).toEqual([seatOf(2, 5), seatOf(3, 6), seatOf(1, 7)]);
  expect(rtpengine.strays).toEqual([]);
});

test('a party that rtpengine does not serve at its seat is given another one', async () => {
  await holdUpTo(5);
  rtpengine.calls.get(source)!.subscribers.delete('seat-2');
  await music.inspect();
  expect(rtpengine.served(source)).toEqual([seatOf(1, 4), seatOf(3, 5)]);
  expect([hasOwnPlayer(5), failures]).toEqual([false, []]);
});

test('sessions that rtpengine has lost leave their seats; a list that may be cut off says nothing', async () => {
  await holdUpTo(5);
  await music.compare(async () => ({ ids: [], complete: false }));
  expect(rtpengine.served(source)).toHaveLength(2);
  await music.compare(async () => ({ ids: [1, 2, 3, 5].map(session), complete: true }));
  expect([rtpengine.served(source), music.knows(session(4))]).toEqual([[seatOf(2, 5)], false]);
  expect(await music.compareOne(session(5), async () => false)).toBe(false);
  expect([rtpengine.calls.has(source), music.sources()]).toEqual([false, []]);
});

test('all sessions are lost with a restart of rtpengine: nothing is remembered, and the next holds start anew', async () => {
  await holdUpTo(6);
  rtpengine.calls.clear();
  await music.compare(async () => ({ ids: [], complete: true }));
  await settled();
  expect(music.sources()).toEqual([]);
  for (const number of [11, 12, 13, 14]) await hold(number);
  expect(rtpengine.served(`${session(14)}-music2`)).toEqual([seatOf(1, 14)]);
  expect(failures).toEqual([]);
});
