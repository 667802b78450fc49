import { type AudioCodec, audioCodecs, isSpeechCodec, namesCodec, namesSameCodec } from '../../sdp';
import { EngineError } from '../ports';
import type { BridgeCodec, Endpoint } from './rooms';

/** Names as rtpengine has them. */
export const NAMES: Readonly<Record<BridgeCodec, string>> = { pcma: 'PCMA', pcmu: 'PCMU', opus: 'opus/48000/2' };

/** What a participant is offered that has not said what it speaks. */
export const OFFERED: readonly string[] = ['opus/48000/2', 'G722', 'PCMA', 'PCMU'];

const PAPER: Readonly<Record<BridgeCodec, AudioCodec>> = {
  pcma: { payload: 8, name: 'PCMA', rate: 8000, channels: 1 },
  pcmu: { payload: 0, name: 'PCMU', rate: 8000, channels: 1 },
  opus: { payload: 111, name: 'opus', rate: 48_000, channels: 2 },
};

/**
 * What stands between bridge and participant: the participant's own first codec where the bridge has it, so that nothing is
 * transcoded; opus for one that speaks wideband, so that nothing of it is lost; else G.711.
 */
export function bridgeCodecFor(description: string | undefined): BridgeCodec {
  const first = description === undefined ? undefined : audioCodecs(description).find(isSpeechCodec);
  if (first === undefined) return 'opus';
  const native = (['pcma', 'pcmu', 'opus'] as const).find((codec) => isCodec(codec, first));
  return native ?? (namesCodec('G722', first) ? 'opus' : 'pcma');
}

export function isCodec(codec: BridgeCodec, { name }: AudioCodec): boolean {
  return namesSameCodec(codec, name);
}

/** The codec's payload type in a description for the bridge. Undefined: it is not in there. */
export function payloadOf(codec: BridgeCodec, description: string): number | undefined {
  return audioCodecs(description).find((candidate) => isCodec(codec, candidate))?.payload;
}

/** Where the first audio stream of a description of rtpengine wants its RTP. */
export function endpointOf(description: string): Endpoint {
  const [session = '', ...media] = description.split(/^m=/m);
  const audio = media.find((section) => section.startsWith('audio ')) ?? '';
  const port = Number(/^audio (\d{1,5}) /.exec(audio)?.[1]);
  const connection = /^c=IN IP[46] (\S+)/m;
  const address = connection.exec(audio)?.[1] ?? connection.exec(session)?.[1];
  if (address === undefined || !(port > 0 && port < 65_536))
    throw new EngineError('error', 'rtpengine does not say where it takes sound');
  return { address, port };
}

/** The bridge's side of a session, for rtpengine: it has one codec. */
export function bridgeDescription(codec: BridgeCodec, payload: number | undefined, at: Endpoint): string {
  const { name, rate, channels, payload: usual } = PAPER[codec];
  const number = payload ?? usual;
  const network = `IN IP${at.address.includes(':') ? 6 : 4} ${at.address}`;
  return [
    'v=0',
    `o=- 1 1 ${network}`,
    's=-',
    `c=${network}`,
    't=0 0',
    `m=audio ${at.port} RTP/AVP ${number}`,
    `a=rtpmap:${number} ${name}/${rate}${channels > 1 ? `/${channels}` : ''}`,
    'a=sendrecv',
    '',
  ].join('\r\n');
}
