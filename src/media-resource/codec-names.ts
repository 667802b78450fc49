import type { AudioCodec } from '../sdp';

/** `opus/48000/2` -> `OPUS`. */
export function codecName(text: string): string {
  return (text.split('/')[0] ?? '').toUpperCase();
}

function rateIn(text: string): number | undefined {
  const rate = text.split('/')[1];
  return rate === undefined ? undefined : Number(rate);
}

/** True when `text` (a name, with its clock rate where it matters) names this codec. */
export function isSameCodec(text: string, codec: Pick<AudioCodec, 'name' | 'rate'>): boolean {
  const rate = rateIn(text);
  return codecName(text) === codec.name.toUpperCase() && (rate === undefined || rate === codec.rate);
}

/** True when the names may mean the same codec: a clock rate counts only where both say one. */
export function namesSameCodec(a: string, b: string): boolean {
  const [rateA, rateB] = [rateIn(a), rateIn(b)];
  return codecName(a) === codecName(b) && (rateA === undefined || rateB === undefined || rateA === rateB);
}
