import type { z } from 'zod';
import { codecName, isSpeechCodec } from '../sdp';
import type { CheckedSections } from './cross-references';
import { formatPath, suggestion, type Path } from './problem';
import type * as schemas from './schema';
import type { Source } from './source';

/** Registered names of audio formats (RFC 4855) that telephones speak: with a misspelt one no call would do without a transcoder. */
const SPEECH = [
  ...['PCMU', 'PCMA', 'G722', 'G729', 'G7291', 'G723', 'G728', 'G719', 'G7221', 'G711-0', 'UEMCLIP'],
  ...['G726-16', 'G726-24', 'G726-32', 'G726-40', 'DVI4', 'LPC', 'QCELP', 'L8', 'L16', 'L24', 'CLEARMODE'],
  ...['GSM', 'GSM-EFR', 'GSM-HR-08', 'AMR', 'AMR-WB', 'AMR-WB+', 'EVS', 'EVRC', 'EVRC0', 'EVRCB', 'EVRCWB'],
  ...['opus', 'iLBC', 'iSAC', 'SILK', 'speex', 'BV16', 'BV32', 'MELP', 'MP4A-LATM', 'mpeg4-generic'],
];
const NAMES = [...SPEECH, 'telephone-event', 'CN', 'red'];
const KNOWN = new Set(NAMES.map(codecName));

/** The two sites of a policy; one site twice for one that is within it. Undefined: it says neither. */
export function sitesOf({
  between,
  within,
}: z.infer<typeof schemas.codecPolicySchema>): readonly [string, string] | undefined {
  const [one, other] = between ?? [within, within];
  return one === undefined || other === undefined ? undefined : [one, other];
}

/** One policy for each pair of sites, with codecs that can carry speech. */
export function checkCodecPolicies(source: Source, sections: CheckedSections): void {
  const first = new Map<string, Path>();
  for (const { path, value } of sections.codecPolicies) {
    const at = [...path, value.between === undefined ? 'within' : 'between'];
    if ((value.between === undefined) === (value.within === undefined))
      source.problem(path, 'needs either between: [SITE, SITE] or within: SITE');
    const sites = sitesOf(value);
    if (sites !== undefined) {
      if (value.between !== undefined && sites[0] === sites[1])
        source.problem(at, `names one site twice; for calls inside it write within: ${sites[0]}`);
      const pair = JSON.stringify([...sites].sort());
      const earlier = first.get(pair);
      if (earlier === undefined) first.set(pair, path);
      else source.problem(at, `has the same sites as ${formatPath(earlier)}`);
    }
    checkCodecNames(source, path, value.codecs);
  }
}

/** Of everything that has `codecs`: names that are known, and one at least that carries speech. */
export function checkCodecNames(source: Source, path: Path, codecs: readonly string[] | undefined): void {
  if (codecs === undefined) return;
  codecs.forEach((name, index) => {
    const at = [...path, 'codecs', index];
    if (!KNOWN.has(codecName(name)))
      source.problem(at, `unknown codec ${source.shown(at, name)}${suggestion(name, new Set(NAMES))}`);
  });
  if (!codecs.some(isSpeechCodec)) source.problem([...path, 'codecs'], 'must name a codec that carries speech');
}
