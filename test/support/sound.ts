import { readFileSync } from 'node:fs';

/** Mono samples, -1 to 1. */
export interface Sound {
  readonly rate: number;
  readonly samples: Float64Array;
}

/** Root mean square; 0 for nothing. */
export function rms(samples: Float64Array): number {
  if (samples.length === 0) return 0;
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / samples.length);
}

/** Power of one frequency by the Goertzel algorithm, as mean square of that tone. */
function tonePower(samples: Float64Array, rate: number, hz: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * hz) / rate);
  let last = 0;
  let previous = 0;
  for (const sample of samples) {
    const next = sample + coefficient * last - previous;
    previous = last;
    last = next;
  }
  const magnitude = last * last + previous * previous - coefficient * last * previous;
  return (2 * magnitude) / (samples.length * samples.length);
}

const block = 0.1;

/** How much of the sound's power is the tone (0 to 1): mean over blocks of 100 ms, so that a gap shifts no phase. */
export function share(sound: Sound, hz: number): number {
  const size = Math.round(sound.rate * block);
  let tone = 0;
  let all = 0;
  for (let start = 0; start + size <= sound.samples.length; start += size) {
    const part = sound.samples.subarray(start, start + size);
    tone += tonePower(part, sound.rate, hz);
    all += rms(part) ** 2;
  }
  return all < 1e-9 ? 0 : Math.min(1, tone / all);
}

/** Loudness of one tone (root mean square), however much else is heard. */
export function toneLevel(sound: Sound, hz: number): number {
  return Math.sqrt(share(sound, hz)) * rms(sound.samples);
}

/** Clear sound of at least 0.2 s in which these tones together are nearly all of the power, and each has its part. */
export function hearsTones(sound: Sound, tones: readonly number[]): boolean {
  if (sound.samples.length < sound.rate * 0.2 || rms(sound.samples) < 0.01) return false;
  const shares = tones.map((hz) => share(sound, hz));
  return shares.every((part) => part > 0.1) && shares.reduce((sum, part) => sum + part, 0) > 0.85;
}

/** Nothing, or nothing but quantisation noise. */
export function isSilent(sound: Sound): boolean {
  return rms(sound.samples) < 0.005;
}

/** For a failure message. */
export function describeSound(sound: Sound, tones: readonly number[]): string {
  const parts = tones.map((hz) => `${hz} Hz ${share(sound, hz).toFixed(3)}`).join(', ');
  return `${(sound.samples.length / sound.rate).toFixed(2)} s, rms ${rms(sound.samples).toFixed(4)}, ${parts}`;
}

export interface WavFile {
  readonly rate: number;
  readonly channels: number;
  /** Where the samples begin; they go on to the end of the file, whatever the header says: it may still grow. */
  readonly start: number;
}

/** Reads the header of a 16-bit WAV file that may still be written to; undefined when it is not there yet. */
export function wavHeader(bytes: Buffer, fallbackRate = 8000): WavFile | undefined {
  if (bytes.length < 44) return undefined;
  if (bytes.toString('latin1', 0, 4) !== 'RIFF') return { rate: fallbackRate, channels: 1, start: 44 };
  const data = bytes.indexOf('data', 12, 'latin1');
  if (data < 0) return undefined;
  return {
    rate: bytes.readUInt32LE(24) || fallbackRate,
    channels: bytes.readUInt16LE(22) || 1,
    start: data + 8,
  };
}

/** The sound of a WAV file from byte `from` on (0: all), first channel. */
export function readWav(path: string, from = 0, fallbackRate = 8000): Sound {
  const bytes = readFileSync(path);
  const header = wavHeader(bytes, fallbackRate);
  if (header === undefined) return { rate: fallbackRate, samples: new Float64Array(0) };
  const frame = 2 * header.channels;
  const start = header.start + Math.ceil(Math.max(0, from - header.start) / frame) * frame;
  const count = Math.max(0, Math.floor((bytes.length - start) / frame));
  const samples = new Float64Array(count);
  for (let i = 0; i < count; i++) samples[i] = bytes.readInt16LE(start + i * frame) / 32768;
  return { rate: header.rate, samples };
}

/** Fails when any of the tones is in the sound that `who` hears. */
export function mustNotHear(who: string, sound: Sound, tones: readonly number[]): void {
  const heard = tones.filter((hz) => !isSilent(sound) && share(sound, hz) > 0.02);
  if (heard.length > 0) throw new Error(`${who} must not hear: ${describeSound(sound, heard)}`);
}

/** Makes the sum of tones. */
export function makeTones(tones: readonly number[], seconds: number, rate = 8000, level = 0.4): Sound {
  const samples = new Float64Array(Math.round(seconds * rate));
  for (let i = 0; i < samples.length; i++) {
    let value = 0;
    for (const hz of tones) value += Math.sin((2 * Math.PI * hz * i) / rate);
    samples[i] = (level * value) / tones.length;
  }
  return { rate, samples };
}

/** A 16-bit mono WAV file. */
export function encodeWav(sound: Sound): Buffer {
  const data = Buffer.alloc(sound.samples.length * 2);
  sound.samples.forEach((sample, i) => data.writeInt16LE(Math.round(sample * 32767), i * 2));
  const header = Buffer.alloc(44);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + data.length, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(sound.rate, 24);
  header.writeUInt32LE(sound.rate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(data.length, 40);
  return Buffer.concat([header, data]);
}

/** ITU-T G.711 A-law, one sample. */
function encodeAlaw(sample: number): number {
  let value = Math.max(-32768, Math.min(32767, Math.round(sample * 32767))) >> 3;
  const positive = value >= 0;
  if (!positive) value = -value - 1;
  let segment = 0;
  while (segment < 7 && value > (0x20 << segment) - 1) segment++;
  const mantissa = segment < 2 ? (value >> 1) & 0x0f : (value >> segment) & 0x0f;
  return ((segment << 4) | mantissa) ^ (positive ? 0xd5 : 0x55);
}

function decodeAlaw(code: number): number {
  const value = code ^ 0x55;
  const segment = (value & 0x70) >> 4;
  const mantissa = (value & 0x0f) << 4;
  const magnitude = segment === 0 ? mantissa + 8 : (mantissa + 0x108) << (segment - 1);
  return ((value & 0x80) !== 0 ? magnitude : -magnitude) / 32768;
}

/** ITU-T G.711 mu-law, one octet. */
function decodeUlaw(code: number): number {
  const value = ~code & 0xff;
  const magnitude = ((((value & 0x0f) << 3) + 0x84) << ((value & 0x70) >> 4)) - 0x84;
  return ((value & 0x80) !== 0 ? -magnitude : magnitude) / 32768;
}

/** ITU-T G.711 mu-law, one sample. */
function encodeUlaw(sample: number): number {
  const value = Math.max(-32768, Math.min(32767, Math.round(sample * 32767))) >> 2;
  const biased = Math.min(Math.abs(value) + 33, 8191);
  const segment = Math.max(0, Math.floor(Math.log2(biased)) - 5);
  const mantissa = (biased >> (segment + 1)) & 0x0f;
  return ~((value < 0 ? 0x80 : 0) | (segment << 4) | mantissa) & 0xff;
}

/** G.711 mu-law at 8000 Hz. */
export function encodePcmu(sound: Sound): Buffer {
  return Buffer.from(Array.from(sound.samples, encodeUlaw));
}

/** G.711 A-law at 8000 Hz. */
export function encodePcma(sound: Sound): Buffer {
  return Buffer.from(Array.from(sound.samples, encodeAlaw));
}

/** G.711 of a payload type: 0 is mu-law, 8 is A-law (RFC 3551 §6). */
export function decodeG711(payload: Buffer, payloadType: number): Float64Array {
  return Float64Array.from(payload, payloadType === 8 ? decodeAlaw : decodeUlaw);
}
