import { execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from './eventually';
import type { Scope } from './scope';
import { decodeG711, encodePcma, encodePcmu, encodeWav, hearsTones, makeTones, type Sound } from './sound';

/** Codecs of 160 octets in 20 ms, with their static payload types. */
export const PAYLOAD_TYPES = { PCMU: 0, PCMA: 8, G722: 9 } as const;
export type ListenerCodec = keyof typeof PAYLOAD_TYPES;

function encodeTone(hz: number, payloadType: 0 | 8 | 9): Buffer {
  if (payloadType === 8) return encodePcma(makeTones([hz], 1));
  if (payloadType === 0) return encodePcmu(makeTones([hz], 1));
  const input = encodeWav(makeTones([hz], 1, 16_000));
  return execFileSync('ffmpeg', ['-v', 'error', '-i', 'pipe:0', '-f', 'g722', 'pipe:1'], { input });
}

function decodeG722(input: Buffer): Sound {
  const args = ['-v', 'error', '-f', 'g722', '-i', 'pipe:0', '-f', 's16le', '-ar', '16000', 'pipe:1'];
  const bytes = execFileSync('ffmpeg', args, { input });
  const samples = Float64Array.from({ length: bytes.length >> 1 }, (_, index) => bytes.readInt16LE(2 * index) / 32_768);
  return { rate: 16_000, samples };
}

interface Packet {
  readonly payloadType: number;
  readonly payload: Buffer;
  /** `address:port` of the sender. */
  readonly from: string;
}

/** An end point of G.711 RTP in this process: says exactly what arrives at a port, and sends a tone. */
export class RtpListener {
  readonly packets: Packet[] = [];
  private sender: NodeJS.Timeout | undefined;
  private sequence = Math.floor(Math.random() * 0x8000);

  private constructor(
    private readonly socket: Socket,
    readonly address: string,
    readonly port: number,
  ) {
    socket.on('message', (message, from) => {
      if (message.length < 12 || (message.readUInt8(0) & 0xc0) !== 0x80) return;
      const start = 12 + 4 * (message.readUInt8(0) & 0x0f);
      this.packets.push({
        payloadType: message.readUInt8(1) & 0x7f,
        payload: message.subarray(start),
        from: `${from.address}:${from.port}`,
      });
    });
    socket.on('error', () => undefined);
  }

  static async open(scope: Scope, address = '127.0.0.1', port = 0): Promise<RtpListener> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, address, resolve);
    });
    const listener = new RtpListener(socket, address, socket.address().port);
    scope.defer(() => {
      listener.stopSending();
      socket.close();
    });
    return listener;
  }

  /** A session description that offers this port. */
  sdp(
    direction: 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive' = 'sendrecv',
    version = 1,
    codecs: readonly ListenerCodec[] = ['PCMA', 'PCMU'],
  ): string {
    const types = codecs.map((codec) => PAYLOAD_TYPES[codec]);
    const network = `IN IP${this.address.includes(':') ? 6 : 4} ${this.address}`;
    return [
      'v=0',
      `o=- 1 ${version} ${network}`,
      's=-',
      `c=${network}`,
      't=0 0',
      `m=audio ${this.port} RTP/AVP ${types.join(' ')}`,
      ...codecs.map((codec) => `a=rtpmap:${PAYLOAD_TYPES[codec]} ${codec}/8000`),
      `a=${direction}`,
      '',
    ].join('\r\n');
  }

  /** Sends a tone, PCMA (8), PCMU (0) or G722 (9) in packets of 20 ms, until `stopSending`. */
  send(hz: number, address: string, port: number, payloadType: 0 | 8 | 9 = 8): void {
    this.stopSending();
    const tone = encodeTone(hz, payloadType);
    const source = Math.floor(Math.random() * 0xffffffff);
    const started = Date.now();
    let sent = 0;
    this.sender = setInterval(() => {
      for (; sent < (Date.now() - started) / 20; sent++) {
        const header = Buffer.alloc(12);
        header.writeUInt8(0x80, 0);
        header.writeUInt8(payloadType, 1);
        header.writeUInt16BE(this.sequence++ & 0xffff, 2);
        header.writeUInt32BE((sent * 160) >>> 0, 4);
        header.writeUInt32BE(source, 8);
        const start = (sent * 160) % tone.length;
        this.socket.send(Buffer.concat([header, tone.subarray(start, start + 160)]), port, address);
      }
    }, 10);
  }

  /** Presses a digit (0 to 9) for 200 ms, as a telephone-event of RFC 4733 at 8000 Hz. Resolves when it is over. */
  async press(digit: number, payloadType: number, address: string, port: number): Promise<void> {
    const timestamp = Math.floor(Math.random() * 0x8000_0000);
    const source = Math.floor(Math.random() * 0xffffffff);
    for (let part = 1; part <= 12; part++) {
      const packet = Buffer.alloc(16);
      packet.writeUInt8(0x80, 0);
      packet.writeUInt8(payloadType | (part === 1 ? 0x80 : 0), 1);
      packet.writeUInt16BE(this.sequence++ & 0xffff, 2);
      packet.writeUInt32BE(timestamp, 4);
      packet.writeUInt32BE(source, 8);
      packet.writeUInt8(digit, 12);
      // The last three say that it is over.
      packet.writeUInt8((part > 9 ? 0x80 : 0) | 10, 13);
      packet.writeUInt16BE(160 * Math.min(part, 10), 14);
      this.socket.send(packet, port, address);
      await pause(20);
    }
  }

  stopSending(): void {
    clearInterval(this.sender);
  }

  /** What arrives in the next seconds, decoded. */
  async hear(seconds: number): Promise<Sound> {
    const before = this.packets.length;
    await pause(seconds * 1000);
    const heard = this.packets.slice(before);
    const wideband = heard.filter((packet) => packet.payloadType === PAYLOAD_TYPES.G722);
    if (wideband.length > 0) return decodeG722(Buffer.concat(wideband.map(({ payload }) => payload)));
    const parts = heard
      .filter((packet) => packet.payloadType === 0 || packet.payloadType === 8)
      .map((packet) => Array.from(decodeG711(packet.payload, packet.payloadType)));
    return { rate: 8000, samples: Float64Array.from(parts.flat()) };
  }

  /** Waits until these tones, and nothing else, arrive; `who` is for the failure. */
  async hearsTones(who: string, tones: readonly number[]): Promise<void> {
    let heard = await this.hear(0.3);
    await eventually(
      `${who} hears ${tones.join(' and ')} Hz`,
      async () => {
        heard = await this.hear(0.4);
        return heard.samples.length;
      },
      () => hearsTones(heard, tones),
      { every: 0 },
    );
  }
}
