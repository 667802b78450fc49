import { createSocket, type Socket } from 'node:dgram';
import type { Scope } from './scope';

/** What a stranger sends instead of speech; nobody else sends it. */
const PAYLOAD = Buffer.alloc(160, 0x2b);
const ROUND_MS = 60;

/** Sends RTP to every port that it is told of, over and over, from an address that is in no description, and counts what it is sent in return. */
export class Stranger {
  /** Packets of RTP and RTCP. */
  received = 0;
  /** Those of RTP. */
  heard = 0;
  private round: NodeJS.Timeout | undefined;
  private sequence = 0;

  private constructor(private readonly socket: Socket) {
    socket.on('message', (message) => {
      if (message.length < 8 || message.readUInt8(0) >> 6 !== 2) return;
      this.received += 1;
      // RFC 5761 §4.
      if (message.readUInt8(1) < 192 || message.readUInt8(1) > 223) this.heard += 1;
    });
    socket.on('error', () => undefined);
  }

  static async open(scope: Scope, address = '127.0.0.66'): Promise<Stranger> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, address, resolve);
    });
    const stranger = new Stranger(socket);
    scope.defer(() => {
      stranger.stop();
      socket.close();
    });
    return stranger;
  }

  /** Whether this is what a stranger has sent. */
  static isFrom(payload: Buffer): boolean {
    return payload.subarray(0, 40).equals(PAYLOAD.subarray(0, 40));
  }

  attack(ports: readonly number[], address = '127.0.0.1', payloadType = 8): void {
    this.stop();
    this.round = setInterval(() => {
      const header = Buffer.alloc(12);
      header.writeUInt8(0x80, 0);
      header.writeUInt8(payloadType, 1);
      header.writeUInt16BE(this.sequence++ & 0xffff, 2);
      header.writeUInt32BE((this.sequence * 160) >>> 0, 4);
      header.writeUInt32BE(0x5ca1ab1e, 8);
      const packet = Buffer.concat([header, PAYLOAD]);
      for (const port of ports) this.socket.send(packet, port, address);
    }, ROUND_MS);
  }

  stop(): void {
    clearInterval(this.round);
  }
}
