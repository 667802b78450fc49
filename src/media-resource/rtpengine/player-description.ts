import { type AudioCodec, audioCodecs, isEvents, isSpeechCodec, namesCodec, sameCodec } from '../../sdp';

/** What rtpengine plays a file in (Debian's build: AMR and iLBC are left out without a word), with the payload types we use when free to choose. */
const PLAYABLE: readonly AudioCodec[] = [
  { payload: 8, name: 'PCMA', rate: 8000, channels: 1 },
  { payload: 0, name: 'PCMU', rate: 8000, channels: 1 },
  { payload: 9, name: 'G722', rate: 8000, channels: 1 },
  { payload: 18, name: 'G729', rate: 8000, channels: 1 },
  { payload: 111, name: 'opus', rate: 48000, channels: 2 },
];

function isPlayable(codec: AudioCodec): boolean {
  return PLAYABLE.some((known) => sameCodec(known, codec));
}

/**
 * Codecs to offer: those that the device named last, in its order and under its payload types. Numbers that were used in a
 * dialog must keep their meaning (RFC 3264 §8.3.2), and what is offered like this fits as an answer too.
 */
export function musicCodecs(peer: string | undefined): readonly AudioCodec[] {
  const wanted = peer === undefined ? [] : audioCodecs(peer);
  const speech = wanted.filter((codec) => isSpeechCodec(codec) && isPlayable(codec));
  if (speech.length === 0) return PLAYABLE;
  return [...speech, ...wanted.filter(isEvents)];
}

function rtpMap(codec: AudioCodec): string {
  return `a=rtpmap:${codec.payload} ${codec.name}/${codec.rate}${codec.channels > 1 ? `/${codec.channels}` : ''}`;
}

/** Codecs that may be named without more, with the numbers that we use for them when free to choose. */
const NAMED: readonly AudioCodec[] = [
  ...PLAYABLE,
  { payload: 3, name: 'GSM', rate: 8000, channels: 1 },
  { payload: 4, name: 'G723', rate: 8000, channels: 1 },
  { payload: 101, name: 'telephone-event', rate: 8000, channels: 1 },
];

const FIRST_DYNAMIC = 112;

/** Codecs by their names (`PCMA`, `opus/48000/2`), each with a payload type. Names without a clock rate are at 8000 Hz. */
export function codecsNamed(names: readonly string[]): readonly AudioCodec[] {
  const codecs = names.map((text, index): AudioCodec => {
    const known = NAMED.find((codec) => namesCodec(text, codec));
    if (known !== undefined) return known;
    const [name = '', rate = '8000', channels = '1'] = text.split('/');
    return { payload: FIRST_DYNAMIC + index, name, rate: Number(rate), channels: Number(channels) };
  });
  return codecs.filter(
    (codec, index) => codec.payload < 128 && codecs.findIndex((first) => first.payload === codec.payload) === index,
  );
}

/** Where RTP is sent to. */
export interface MediaAddress {
  readonly address: string;
  readonly port: number;
}

const NOWHERE: MediaAddress = { address: '127.0.0.1', port: 9 };

/** The description of an end that exists only on paper: rtpengine replaces its address by one of its own. With an address: an end of rtpengine itself. */
export function paperDescription(
  codecs: readonly AudioCodec[],
  direction: 'sendrecv' | 'sendonly' | 'recvonly',
  { address, port } = NOWHERE,
): string {
  const network = `IN IP${address.includes(':') ? 6 : 4} ${address}`;
  return [
    'v=0',
    `o=- 1 1 ${network}`,
    's=-',
    `c=${network}`,
    't=0 0',
    `m=audio ${port} RTP/AVP ${codecs.map((codec) => codec.payload).join(' ')}`,
    ...codecs.map(rtpMap),
    `a=${direction}`,
    '',
  ].join('\r\n');
}

/** Packets of another length than this are made for one device only. */
const USUAL_PTIME_MS = 20;

/**
 * The codec in which a device with this answer hears the music, if others may hear the same packets: one that it was offered with the same
 * payload type (`offered`), in packets of the usual length.
 */
export function sharedCodec(offered: readonly AudioCodec[], answer: string): AudioCodec | undefined {
  const [, ptime] = /^a=ptime:(\d+)/m.exec(answer) ?? [];
  const [, longest] = /^a=maxptime:(\d+)/m.exec(answer) ?? [];
  if (ptime !== undefined && Number(ptime) !== USUAL_PTIME_MS) return undefined;
  if (longest !== undefined && Number(longest) < USUAL_PTIME_MS) return undefined;
  const codec = audioCodecs(answer).find(isSpeechCodec);
  if (codec === undefined || !isPlayable(codec)) return undefined;
  return offered.find((one) => one.payload === codec.payload && sameCodec(one, codec));
}
