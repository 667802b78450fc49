/** The one answer to the question whether two codecs are the same, however they are written. */

export interface Codec {
  /** Registered name where it is a known one, else as written. */
  readonly name: string;
  /** Clock rate of RTP in Hz, as registered (G.722: 8000). */
  readonly rate: number;
  readonly channels: number;
  /** Of `a=fmtp`. */
  readonly parameters?: string;
}

/** Names that devices use for a format with a registered one (RFC 3551 §4.5.6: Annexes A and B of G.729 interoperate with it). */
const ALIASES: Readonly<Record<string, string>> = {
  G729A: 'G729',
  G729B: 'G729',
  G729AB: 'G729',
  'G.729': 'G729',
  'G.729A': 'G729',
  'G.722': 'G722',
  'G.711U': 'PCMU',
  'G.711A': 'PCMA',
  G711U: 'PCMU',
  G711A: 'PCMA',
  'G.723': 'G723',
  'G.723.1': 'G723',
  'G723.1': 'G723',
  G7231: 'G723',
  G721: 'G726-32',
  // RFC 4733 §7.1.1.
  'TELEPHONE-EVENTS': 'telephone-event',
};

/** Formats with one clock rate and number of channels, whatever a device writes (RFC 3551 §4.5.2, RFC 7587 §7). */
const FIXED: Readonly<Record<string, readonly [name: string, rate: number, channels: number]>> = {
  PCMU: ['PCMU', 8000, 1],
  PCMA: ['PCMA', 8000, 1],
  G722: ['G722', 8000, 1],
  G723: ['G723', 8000, 1],
  G728: ['G728', 8000, 1],
  G729: ['G729', 8000, 1],
  GSM: ['GSM', 8000, 1],
  ILBC: ['iLBC', 8000, 1],
  OPUS: ['opus', 48_000, 2],
};

/** These exist in many rates; without any they are at 8000 Hz. */
const SPELLING: Readonly<Record<string, string>> = { 'TELEPHONE-EVENT': 'telephone-event', SPEEX: 'speex' };

const NARROW = 8000;

/** Parameters that both ends must have alike: their packets differ otherwise (RFC 4867 §8.1, RFC 5577 §4, RFC 6416, RFC 3640). */
const DECISIVE: Readonly<Record<string, readonly string[]>> = {
  AMR: ['octet-align', 'crc', 'robust-sorting', 'interleaving'],
  'AMR-WB': ['octet-align', 'crc', 'robust-sorting', 'interleaving'],
  G7221: ['bitrate'],
  'MP4A-LATM': ['config', 'object', 'cpresent'],
  'MPEG4-GENERIC': ['config', 'mode'],
};

function plainName(name: string): string {
  const upper = name.toUpperCase();
  return (ALIASES[upper] ?? name).toUpperCase();
}

/** A codec as it is registered, of a name, clock rate and channels as they are written. */
export function canonicalCodec(
  name: string,
  rate = NARROW,
  channels = 1,
): { name: string; rate: number; channels: number } {
  const plain = plainName(name);
  const fixed = FIXED[plain];
  if (fixed !== undefined) return { name: fixed[0], rate: fixed[1], channels: fixed[2] };
  return { name: SPELLING[plain] ?? ALIASES[name.toUpperCase()] ?? name, rate, channels };
}

function parametersOf({ name, parameters = '' }: Codec): string {
  const said = new Map(
    parameters.split(';').map((part) => {
      const [key = '', value = ''] = part.split('=');
      return [key.trim().toLowerCase(), value.trim().toLowerCase()];
    }),
  );
  const decisive = DECISIVE[name.toUpperCase()] ?? [];
  const value = (key: string): string => (key === 'interleaving' && said.has(key) ? '1' : (said.get(key) ?? '0'));
  const values = decisive.map(value);
  // RFC 4867 §8.1: each of these implies octet-align=1.
  if (decisive[0] === 'octet-align' && values.some((one) => one !== '0')) values[0] = '1';
  return values.join(';');
}

/** True when one end can send what the other has described as this. Payload types do not count; modes of iLBC and annexes do not either. */
export function sameCodec(a: Codec, b: Codec): boolean {
  const [one, other] = [canonicalCodec(a.name, a.rate, a.channels), canonicalCodec(b.name, b.rate, b.channels)];
  return (
    one.name.toUpperCase() === other.name.toUpperCase() &&
    one.rate === other.rate &&
    one.channels === other.channels &&
    parametersOf(a) === parametersOf(b)
  );
}

interface Named {
  /** Upper case. */
  readonly name: string;
  /** Undefined: not said, and any. */
  readonly rate: number | undefined;
}

/** `opus/48000/2`, `PCMA`. */
function read(text: string): Named {
  const [written = '', rate] = text.split('/');
  const plain = plainName(written);
  return { name: plain, rate: FIXED[plain]?.[1] ?? (rate === undefined ? undefined : Number(rate)) };
}

/** The canonical name in upper case, of a text like `opus/48000/2`, for lists and for showing. */
export function codecName(text: string): string {
  return read(text).name;
}

/** True when the names, each with its clock rate where that matters, may mean the same codec: a rate counts only where both say one. */
export function namesSameCodec(a: string, b: string): boolean {
  const [one, other] = [read(a), read(b)];
  return one.name === other.name && (one.rate === undefined || other.rate === undefined || one.rate === other.rate);
}

/** True when `text` (a name, with its clock rate where it matters) names this codec. */
export function namesCodec(text: string, { name, rate }: Pick<Codec, 'name' | 'rate'>): boolean {
  return namesSameCodec(text, `${name}/${rate}`);
}

/** The text for a codec as media resources take it: with the clock rate where it is not 8000 Hz, with channels where there are several. */
export function codecText(codec: Codec): string {
  const { name, rate, channels } = canonicalCodec(codec.name, codec.rate, codec.channels);
  if (channels > 1) return `${name}/${rate}/${channels}`;
  return rate === NARROW ? name : `${name}/${rate}`;
}

/** The same of a name alone: `OPUS` -> `opus/48000/2`. A rate that is said stays. */
export function codecTextOf(text: string): string {
  const [written = '', rate, channels] = text.split('/');
  return codecText({ ...canonicalCodec(written, Number(rate ?? NARROW), Number(channels ?? 1)) });
}

const EVENTS = 'TELEPHONE-EVENT';

/** Digits (RFC 4733), in a name or a codec. */
export function isEvents(codec: string | Pick<Codec, 'name'>): boolean {
  return codecName(typeof codec === 'string' ? codec : codec.name) === EVENTS;
}

/** Formats that ride along with a codec and carry no speech of their own. */
const AUXILIARY = new Set([EVENTS, 'CN', 'RED', 'TONE', 'ULPFEC', 'FLEXFEC-03']);

/** In a name or a codec. */
export function isSpeechCodec(codec: string | Pick<Codec, 'name'>): boolean {
  return !AUXILIARY.has(codecName(typeof codec === 'string' ? codec : codec.name));
}
