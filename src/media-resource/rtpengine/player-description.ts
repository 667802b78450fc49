import { type AudioCodec, audioCodecs, isSpeechCodec } from '../../sdp';
import { isSameCodec } from '../codec-names';

/** What rtpengine plays a file in (Debian's build: AMR and iLBC are left out without a word), with the payload types we use when free to choose. */
const PLAYABLE: readonly AudioCodec[] = [
  { payload: 8, name: 'PCMA', rate: 8000, channels: 1 },
  { payload: 0, name: 'PCMU', rate: 8000, channels: 1 },
  { payload: 9, name: 'G722', rate: 8000, channels: 1 },
  { payload: 18, name: 'G729', rate: 8000, channels: 1 },
  { payload: 111, name: 'opus', rate: 48000, channels: 2 },
];

function isPlayable(codec: AudioCodec): boolean {
  return PLAYABLE.some(
    (known) =>
      known.name.toUpperCase() === codec.name.toUpperCase() &&
      known.rate === codec.rate &&
      known.channels === codec.channels,
  );
}

/**
 * Codecs to offer: those that the device named last, in its order and under its payload types. Numbers that were used in a
 * dialog must keep their meaning (RFC 3264 §8.3.2), and what is offered like this fits as an answer too.
 */
export function musicCodecs(peer: string | undefined): readonly AudioCodec[] {
  const wanted = peer === undefined ? [] : audioCodecs(peer);
  const speech = wanted.filter((codec) => isSpeechCodec(codec) && isPlayable(codec));
  if (speech.length === 0) return PLAYABLE;
  return [...speech, ...wanted.filter((codec) => codec.name.toLowerCase() === 'telephone-event')];
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
    const known = NAMED.find((codec) => isSameCodec(text, codec));
    if (known !== undefined) return known;
    const [name = '', rate = '8000', channels = '1'] = text.split('/');
    return { payload: FIRST_DYNAMIC + index, name, rate: Number(rate), channels: Number(channels) };
  });
  return codecs.filter(
    (codec, index) => codec.payload < 128 && codecs.findIndex((first) => first.payload === codec.payload) === index,
  );
}

/** The description of an end that exists only on paper: rtpengine replaces its address by one of its own. */
export function paperDescription(codecs: readonly AudioCodec[], direction: 'sendrecv' | 'sendonly'): string {
  return [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    `m=audio 9 RTP/AVP ${codecs.map((codec) => codec.payload).join(' ')}`,
    ...codecs.map(rtpMap),
    `a=${direction}`,
    '',
  ].join('\r\n');
}

/** The description of a music player. */
export function playerDescription(peer: string | undefined): string {
  return paperDescription(musicCodecs(peer), 'sendonly');
}
