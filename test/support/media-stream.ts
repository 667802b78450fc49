import { createSocket, type Socket } from 'node:dgram';
import { DEFAULT_MUSIC_TONES } from '../../src/media-resource/music';
import { decodeG711, encodePcma, encodePcmu, hearsTones, isSilent, makeTones, share, type Sound } from './sound';

/** What a party may speak, with its payload type (RFC 3551 §6). */
export const payloadTypes = { PCMU: 0, PCMA: 8, G722: 9 } as const;
export type Codec = keyof typeof payloadTypes;

export interface Packet {
  readonly payloadType: number;
  readonly payload: Buffer;
  /** Port of the sender. */
  readonly port: number;
  /** `performance.now()`. */
  readonly at: number;
}

/** What a party hears; `nothing`: no packets. `speech` is whatever is neither music nor the tone that was asked about. */
export type Heard = 'nothing' | 'silence' | 'music' | 'tone' | 'speech' | 'both';

const PACKET_MS = 20;
const SAMPLES = 160;
const KEPT = 30;
/** Fewer packets in the time that is looked at are stragglers. */
const STRAGGLERS = 3;

/** G.711 of a tone; for G.722 octets that decode to noise. Exactly one second, so that it can be repeated. */
function encoded(codec: Codec, tone: number): Buffer {
  if (codec === 'G722') return Buffer.from(Array.from({ length: 8000 }, (_, index) => (index * 89) % 251));
  return (codec === 'PCMU' ? encodePcmu : encodePcma)(makeTones([tone], 1));
}

const tones = new Map<string, Buffer>();

function soundOf(codec: Codec, tone: number): Buffer {
  const key = `${codec} ${tone}`;
  const known = tones.get(key) ?? encoded(codec, tone);
  tones.set(key, known);
  return known;
}

/** All streams of this process send at the same ticks. */
const senders = new Set<MediaStream>();
let ticker: NodeJS.Timeout | undefined;

function tick(): void {
  const now = performance.now();
  for (const stream of senders) stream.sendDue(now);
}

/** One end of an RTP stream: sends a tone, and keeps the packets that came last. */
export class MediaStream {
  /** Called for each packet of RTP. */
  onPacket: ((packet: Packet) => void) | undefined;
  received = 0;
  private recent: Packet[] = [];
  private target: { readonly address: string; readonly port: number; readonly codec: Codec } | undefined;
  private startedAt = 0;
  private sent = 0;
  private sequence = Math.floor(Math.random() * 0x8000);
  private readonly source = Math.floor(Math.random() * 0xffffffff);
  private closed = false;

  private constructor(
    private readonly socket: Socket,
    readonly tone: number,
    readonly port: number,
  ) {
    socket.on('message', (message, from) => this.take(message, from.port));
    socket.on('error', () => undefined);
  }

  static async open(tone: number): Promise<MediaStream> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, '127.0.0.1', resolve);
    });
    return new MediaStream(socket, tone, socket.address().port);
  }

  /** Sends its tone there from now on, a packet every 20 ms. */
  send(codec: Codec, address: string, port: number): void {
    if (this.closed) return;
    const { target } = this;
    if (target?.codec === codec && target.address === address && target.port === port) return;
    this.target = { codec, address, port };
    this.startedAt = performance.now();
    this.sent = 0;
    senders.add(this);
    ticker ??= setInterval(tick, PACKET_MS / 2);
  }

  mute(): void {
    this.target = undefined;
    senders.delete(this);
    if (senders.size > 0) return;
    clearInterval(ticker);
    ticker = undefined;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.mute();
    this.socket.close();
  }

  /** Sends the packets whose time has come; after a pause of the process only the last few. */
  sendDue(now: number): void {
    const { target } = this;
    if (target === undefined) return;
    const due = Math.floor((now - this.startedAt) / PACKET_MS);
    for (this.sent = Math.max(this.sent, due - 5); this.sent < due; this.sent++) {
      const sound = soundOf(target.codec, this.tone);
      const header = Buffer.alloc(12);
      header.writeUInt8(0x80, 0);
      header.writeUInt8(payloadTypes[target.codec], 1);
      header.writeUInt16BE(this.sequence++ & 0xffff, 2);
      header.writeUInt32BE((this.sent * SAMPLES) >>> 0, 4);
      header.writeUInt32BE(this.source, 8);
      const start = (this.sent * SAMPLES) % sound.length;
      this.socket.send(Buffer.concat([header, sound.subarray(start, start + SAMPLES)]), target.port, target.address);
    }
  }

  /** Packets of the last milliseconds. */
  last(ms: number): readonly Packet[] {
    const since = performance.now() - ms;
    return this.recent.filter(({ at }) => at >= since);
  }

  /** What came in the last milliseconds. `isMusic` knows the music of packets that are not G.711, by the port that they came from. */
  heard(tone: number, isMusic: (port: number) => boolean, ms = 400): Heard {
    const packets = this.last(ms);
    if (packets.length < STRAGGLERS) return 'nothing';
    const g711 = packets.filter(({ payloadType }) => payloadType === 0 || payloadType === 8);
    if (g711.length < STRAGGLERS) return packets.every(({ port }) => isMusic(port)) ? 'music' : 'speech';
    return listen(g711, tone);
  }

  /** Whether it was these tones together, and nothing else. */
  heardAll(tones: readonly number[], ms = 400): boolean {
    const packets = this.last(ms).filter(({ payloadType }) => payloadType === 0 || payloadType === 8);
    return packets.length >= STRAGGLERS && hearsTones(soundIn(packets), tones);
  }

  private take(message: Buffer, port: number): void {
    if (message.length < 12 || (message.readUInt8(0) & 0xc0) !== 0x80) return;
    const payloadType = message.readUInt8(1) & 0x7f;
    // RTCP on the same port (RFC 5761 §4).
    if (payloadType >= 72 && payloadType <= 76) return;
    const payload = message.subarray(12 + 4 * (message.readUInt8(0) & 0x0f));
    const packet = { payloadType, payload, port, at: performance.now() };
    this.received += 1;
    this.recent.push(packet);
    if (this.recent.length > 2 * KEPT) this.recent = this.recent.slice(-KEPT);
    this.onPacket?.(packet);
  }
}

function soundIn(packets: readonly Packet[]): Sound {
  const samples = packets.flatMap(({ payload, payloadType }) => Array.from(decodeG711(payload, payloadType)));
  return { rate: 8000, samples: Float64Array.from(samples) };
}

function listen(packets: readonly Packet[], tone: number): Heard {
  const sound = soundIn(packets);
  if (isSilent(sound)) return 'silence';
  if (hearsTones(sound, DEFAULT_MUSIC_TONES)) return 'music';
  if (hearsTones(sound, [tone])) return 'tone';
  const music = DEFAULT_MUSIC_TONES.reduce((sum, hz) => sum + share(sound, hz), 0);
  return music > 0.25 ? 'both' : 'speech';
}
