/**
 * Which music files may be handed to an engine. rtpengine plays what it cannot read as silence, with a good answer, and a
 * file of Ogg Vorbis kills it; so a file is judged by its content, never by its name.
 */
export type AudioFileKind = 'wav' | 'mp3';

/** Chunk id and size of a RIFF file, and where its content starts. */
function findChunk(bytes: Buffer, wanted: string): { readonly start: number; readonly size: number } | undefined {
  let at = 12;
  while (at + 8 <= bytes.length) {
    const size = bytes.readUInt32LE(at + 4);
    if (bytes.toString('latin1', at, at + 4) === wanted) return { start: at + 8, size };
    at += 8 + size + (size % 2);
  }
  return undefined;
}

/** PCM with 16 bits, one or two channels; what sox and others write as WAVE_FORMAT_EXTENSIBLE comes out silent, so not that. */
function isPlainWav(bytes: Buffer): boolean {
  if (bytes.length < 44 || bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WAVE')
    return false;
  const format = findChunk(bytes, 'fmt ');
  const data = findChunk(bytes, 'data');
  if (format === undefined || data === undefined || format.start + 16 > bytes.length) return false;
  const channels = bytes.readUInt16LE(format.start + 2);
  const rate = bytes.readUInt32LE(format.start + 4);
  return (
    bytes.readUInt16LE(format.start) === 1 &&
    bytes.readUInt16LE(format.start + 14) === 16 &&
    (channels === 1 || channels === 2) &&
    rate >= 8000 &&
    rate <= 48_000 &&
    // At least half a second: a shorter piece would be little but its own seams.
    Math.min(data.size, bytes.length - data.start) >= rate * channels
  );
}

const BIT_RATES_1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const BIT_RATES_2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const SAMPLE_RATES = [44_100, 48_000, 32_000];

/** Length in bytes of the layer III frame whose header is at `at` (ISO/IEC 11172-3 §2.4.2.3, 13818-3); undefined: none is there. */
function frameLength(bytes: Buffer, at: number): number | undefined {
  if (at + 4 > bytes.length) return undefined;
  const header = bytes.readUInt32BE(at);
  const version = (header >>> 19) & 3;
  const layer = (header >>> 17) & 3;
  if (header >>> 21 !== 0x7ff || version === 1 || layer !== 1) return undefined;
  const rateIndex = (header >>> 10) & 3;
  const bitRate = (version === 3 ? BIT_RATES_1 : BIT_RATES_2)[(header >>> 12) & 15];
  const fullRate = SAMPLE_RATES[rateIndex];
  if (fullRate === undefined || bitRate === undefined || bitRate === 0) return undefined;
  const divisor = version === 3 ? 1 : version === 2 ? 2 : 4;
  const perFrame = version === 3 ? 144_000 : 72_000;
  return Math.floor((perFrame * bitRate) / (fullRate / divisor)) + ((header >>> 9) & 1);
}

/** ID3v2: its size is four bytes of seven bits. */
function afterId3(bytes: Buffer): number {
  if (bytes.length < 10 || bytes.toString('latin1', 0, 3) !== 'ID3') return 0;
  const size = bytes.subarray(6, 10).reduce((sum, byte) => sum * 128 + (byte & 0x7f), 0);
  return 10 + size;
}

const FRAMES_TO_BELIEVE = 8;

/** Frames that follow one another, so that chance bytes are not taken for music. */
function isMp3(bytes: Buffer): boolean {
  let at = afterId3(bytes);
  for (let frame = 0; frame < FRAMES_TO_BELIEVE; frame++) {
    const length = frameLength(bytes, at);
    if (length === undefined) return false;
    at += length;
  }
  return at <= bytes.length;
}

/** Undefined: not a file that every engine plays. */
export function audioFileKind(bytes: Buffer): AudioFileKind | undefined {
  if (isPlainWav(bytes)) return 'wav';
  return isMp3(bytes) ? 'mp3' : undefined;
}

const WAV_HEADER_BYTES = 44;

/** Length of a 16-bit mono WAV file. */
function wavBytes(samples: number): number {
  return WAV_HEADER_BYTES + samples * 2;
}

/** A 16-bit mono WAV file; samples from -1 to 1. */
export function encodeWav(samples: Float64Array, rate: number): Buffer {
  const file = Buffer.alloc(wavBytes(samples.length));
  file.write('RIFF', 0, 'latin1');
  file.writeUInt32LE(36 + samples.length * 2, 4);
  file.write('WAVEfmt ', 8, 'latin1');
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(rate, 24);
  file.writeUInt32LE(rate * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36, 'latin1');
  file.writeUInt32LE(samples.length * 2, 40);
  samples.forEach((sample, index) => {
    file.writeInt16LE(Math.round(Math.max(-1, Math.min(1, sample)) * 32_767), WAV_HEADER_BYTES + index * 2);
  });
  return file;
}
