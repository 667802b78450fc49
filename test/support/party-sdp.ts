/** Session descriptions as a party writes and reads them; on purpose not the grammar of the product. */

import { type Codec, payloadTypes } from './media-stream';

/** How a party holds: by its direction, or by the address 0.0.0.0 (RFC 3264 §8.4). */
export type Hold = 'none' | 'sendonly' | 'inactive' | 'blackhole';
type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** The audio of the other end. */
export interface RemoteAudio {
  readonly address: string;
  readonly port: number;
  readonly direction: Direction;
  /** Those that a party knows, in the order of the description. */
  readonly codecs: readonly Codec[];
}

/** Undefined: no audio. */
export function readSdp(sdp: string): RemoteAudio | undefined {
  const line = /^m=audio (\d+) \S+ ([\d ]+)/m.exec(sdp);
  const address = /^c=IN IP4 ([\d.]+)/m.exec(sdp)?.[1];
  if (line === null || address === undefined) return undefined;
  const offered = (line[2] ?? '').trim().split(/ +/).map(Number);
  const known = Object.entries(payloadTypes) as [Codec, number][];
  const codecs = offered.flatMap((type) => known.filter(([, own]) => own === type).map(([codec]) => codec));
  const direction = /^a=(sendrecv|sendonly|recvonly|inactive)\s*$/m.exec(sdp)?.[1];
  return { address, port: Number(line[1]), direction: (direction ?? 'sendrecv') as Direction, codecs };
}

function own(hold: Hold): Direction {
  return hold === 'none' || hold === 'blackhole' ? 'sendrecv' : hold;
}

/** Our direction in an answer: what we want, as far as the offer lets us (RFC 3264 §6.1). */
export function answerDirection(hold: Hold, offered: Direction): Direction {
  const sends = (hold === 'none' || hold === 'sendonly') && (offered === 'sendrecv' || offered === 'recvonly');
  const hears = hold === 'none' && (offered === 'sendrecv' || offered === 'sendonly');
  if (sends) return hears ? 'sendrecv' : 'sendonly';
  return hears ? 'recvonly' : 'inactive';
}

/** Everything of a description but its version. */
export function describe(port: number, codecs: readonly Codec[], hold: Hold, direction: Direction = own(hold)): string {
  return [
    `c=IN IP4 ${hold === 'blackhole' ? '0.0.0.0' : '127.0.0.1'}`,
    't=0 0',
    `m=audio ${port} RTP/AVP ${[...codecs.map((codec) => payloadTypes[codec]), 101].join(' ')}`,
    ...codecs.map((codec) => `a=rtpmap:${payloadTypes[codec]} ${codec}/8000`),
    'a=rtpmap:101 telephone-event/8000',
    'a=fmtp:101 0-15',
    `a=${direction}`,
    '',
  ].join('\r\n');
}

export function complete(body: string, version: number): string {
  return ['v=0', `o=party 1 ${version} IN IP4 127.0.0.1`, 's=-', body].join('\r\n');
}
