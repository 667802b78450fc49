import {
  audioCodecs,
  codecText,
  codecTextOf,
  hasCommonAudioCodec,
  namesCodec,
  namesSameCodec,
  restrictCodecs,
  sameCodec,
  withCanonicalCodecs,
  withOwnNumbers,
} from '../../../src/sdp';
import { decideMediaPath, type MediaEnd } from '../../../src/media-control';

/** A description with these payload types; the rest are attributes. */
const sdp = (formats: string, ...attributes: readonly string[]): string =>
  [
    'v=0',
    'o=- 1 1 IN IP4 192.0.2.1',
    's=-',
    'c=IN IP4 192.0.2.1',
    't=0 0',
    `m=audio 4000 RTP/AVP ${formats}`,
    ...attributes.map((line) => `a=${line}`),
    '',
  ].join('\r\n');

/** Field cases and more of their kind: two ways to write one codec. */
const SAME: readonly (readonly [what: string, a: string, b: string])[] = [
  ['RFC 3551 §4.5.2: G722 at 16000', sdp('9', 'rtpmap:9 G722/16000'), sdp('9', 'rtpmap:9 G722/8000')],
  ['the same, without rtpmap', sdp('9', 'rtpmap:9 G722/16000'), sdp('9')],
  ['G722 under a dynamic number', sdp('97', 'rtpmap:97 G722/16000/1'), sdp('9')],
  [
    'RFC 3551 §4.5.6: G729 Annex A',
    sdp('18', 'rtpmap:18 G729A/8000'),
    sdp('18', 'rtpmap:18 G729/8000', 'fmtp:18 annexb=no'),
  ],
  ['G729 without rtpmap', sdp('18'), sdp('18', 'rtpmap:18 G729/8000/1')],
  ['G729 Annexes A and B', sdp('98', 'rtpmap:98 g729ab/8000', 'fmtp:98 annexb=yes'), sdp('18', 'fmtp:18 annexb=no')],
  ['RFC 7587 §7: opus without channels', sdp('111', 'rtpmap:111 opus/48000'), sdp('96', 'rtpmap:96 opus/48000/2')],
  [
    'opus with parameters',
    sdp('111', 'rtpmap:111 OPUS/48000/2', 'fmtp:111 useinbandfec=1;stereo=1'),
    sdp('96', 'rtpmap:96 opus/48000/2'),
  ],
  ['RFC 4855 §3: names in any case', sdp('0', 'rtpmap:0 pcmu/8000'), sdp('0', 'rtpmap:0 PCMU/8000')],
  ['a channel that is the default', sdp('8', 'rtpmap:8 PCMA/8000/1'), sdp('8')],
  [
    'modes of iLBC',
    sdp('97', 'rtpmap:97 iLBC/8000', 'fmtp:97 mode=30'),
    sdp('98', 'rtpmap:98 ILBC/8000', 'fmtp:98 mode=20'),
  ],
  [
    'AMR: octet-align=0 is the default',
    sdp('96', 'rtpmap:96 AMR/8000', 'fmtp:96 octet-align=0'),
    sdp('97', 'rtpmap:97 amr/8000/1', 'fmtp:97 mode-set=0,2,4,7'),
  ],
  [
    'AMR: crc implies octet-align',
    sdp('96', 'rtpmap:96 AMR/8000', 'fmtp:96 crc=1'),
    sdp('97', 'rtpmap:97 AMR/8000', 'fmtp:97 octet-align=1; crc=1'),
  ],
  ['G.723.1 by its full name', sdp('4'), sdp('97', 'rtpmap:97 G723.1/8000', 'fmtp:97 annexa=no')],
  ['G.726 under the number that it once had', sdp('2'), sdp('97', 'rtpmap:97 G726-32/8000')],
  ['speex wideband', sdp('97', 'rtpmap:97 SPEEX/16000'), sdp('98', 'rtpmap:98 speex/16000/1')],
  ['L16 in stereo', sdp('10'), sdp('97', 'rtpmap:97 L16/44100/2')],
];

const DIFFERENT: readonly (readonly [what: string, a: string, b: string])[] = [
  ['laws', sdp('0'), sdp('8')],
  ['speex narrow and wide', sdp('97', 'rtpmap:97 speex/8000'), sdp('97', 'rtpmap:97 speex/16000')],
  ['L16 mono and stereo', sdp('11'), sdp('10')],
  ['L16 rates', sdp('97', 'rtpmap:97 L16/8000'), sdp('97', 'rtpmap:97 L16/16000')],
  [
    'RFC 4867: AMR octet-aligned or not',
    sdp('96', 'rtpmap:96 AMR/8000', 'fmtp:96 octet-align=1'),
    sdp('96', 'rtpmap:96 AMR/8000'),
  ],
  ['AMR narrow and wide', sdp('96', 'rtpmap:96 AMR/8000'), sdp('96', 'rtpmap:96 AMR-WB/16000')],
  [
    'RFC 5577: bit rates of G.722.1',
    sdp('96', 'rtpmap:96 G7221/16000', 'fmtp:96 bitrate=24000'),
    sdp('96', 'rtpmap:96 G7221/16000', 'fmtp:96 bitrate=32000'),
  ],
  ['G.726 rates', sdp('96', 'rtpmap:96 G726-32/8000'), sdp('96', 'rtpmap:96 G726-16/8000')],
  ['RFC 3551 §4.5.4: packing of G.726', sdp('96', 'rtpmap:96 G726-32/8000'), sdp('96', 'rtpmap:96 AAL2-G726-32/8000')],
  ['G729 and G729D', sdp('18'), sdp('97', 'rtpmap:97 G729D/8000')],
  ['digits only', sdp('101', 'rtpmap:101 telephone-event/8000'), sdp('101', 'rtpmap:101 telephone-event/8000')],
  ['a number that nobody has explained', sdp('96'), sdp('96')],
];

const end = (description: string): MediaEnd => ({ sdp: description, codecs: undefined });

describe.each(SAME)('one codec, written in two ways: %s', (_, a, b) => {
  test('needs nothing between the ends, whoever offers, and has one name', () => {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      expect(hasCommonAudioCodec(one, other)).toBe(true);
      expect(decideMediaPath(end(one), end(other))).toEqual({ path: 'direct' });
    }
    const [one, other] = [audioCodecs(a)[0]!, audioCodecs(b)[0]!];
    expect(sameCodec(one, other)).toBe(true);
    expect(codecText(one).toUpperCase()).toBe(codecText(other).toUpperCase());
    expect(namesCodec(codecText(one), other)).toBe(true);
    // By configuration alone, too, and through a policy that names it.
    const named: MediaEnd = { sdp: undefined, codecs: [one.name] };
    expect(decideMediaPath(named, end(b))).toEqual({ path: 'direct' });
    expect(restrictCodecs(b, [one.name])).toBe(b);
    expect(decideMediaPath(end(a), end(b), { sites: ['x', 'y'], codecs: [one.name] })).toEqual({ path: 'direct' });
  });

  test('a media server is told its registered name', () => {
    expect(audioCodecs(withCanonicalCodecs(a))).toEqual(audioCodecs(a));
    const [map] = /^a=rtpmap:.*$/m.exec(withCanonicalCodecs(a)) ?? [];
    if (map !== undefined) expect(map).not.toMatch(/G722\/16000|G729A|opus\/48000$/i);
  });
});

test.each(DIFFERENT)('different codecs: %s', (_, a, b) => {
  expect(hasCommonAudioCodec(a, b)).toBe(false);
  expect(hasCommonAudioCodec(b, a)).toBe(false);
});

test('RFC 4733: events of one clock rate are not those of another', () => {
  const events = (rate: number) => ({ name: 'telephone-event', rate, channels: 1 });
  expect(sameCodec(events(8000), { ...events(8000), parameters: '0-15' })).toBe(true);
  expect(sameCodec(events(8000), events(48_000))).toBe(false);
});

test('names of configuration and of media servers, with and without rates', () => {
  const same: [string, string][] = [
    ['G722', 'G722/16000'],
    ['opus', 'OPUS/48000/2'],
    ['G729', 'g729a'],
    ['speex', 'speex/32000'],
    ['PCMU', 'pcmu/8000/1'],
  ];
  for (const [a, b] of same) expect([a, b, namesSameCodec(a, b)]).toEqual([a, b, true]);
  expect(namesSameCodec('speex/8000', 'speex/16000')).toBe(false);
  expect(['opus', 'OPUS/48000', 'g722/16000', 'G729A', 'speex/16000', 'PCMA/8000/1'].map(codecTextOf)).toEqual([
    'opus/48000/2',
    'opus/48000/2',
    'G722',
    'G729',
    'speex/16000',
    'PCMA',
  ]);
});

describe('RFC 3264 §6.1: an answerer that numbers formats in its own way', () => {
  const offer = sdp('8 96', 'rtpmap:96 telephone-event/8000', 'fmtp:96 0-15');
  const events = ['rtpmap:101 telephone-event/8000', 'fmtp:101 0-11'];
  const answer = sdp('8 101', ...events);

  test('keeps its digits, under its number, in the answer that a media server has made without them', () => {
    expect(audioCodecs(withOwnNumbers(sdp('8'), answer, offer))).toEqual(audioCodecs(answer));
    expect(withOwnNumbers(sdp('8 96', 'rtpmap:96 telephone-event/8000'), answer, offer)).not.toContain('101');
  });

  test('keeps its codec where none would be left', () => {
    const opus = sdp('111', 'rtpmap:111 opus/48000/2');
    const own = sdp('96', 'rtpmap:96 opus/48000/2');
    expect(audioCodecs(withOwnNumbers(sdp(''), own, opus))).toEqual(audioCodecs(own));
  });

  test('gets nothing that was not offered, and no number that means something else to the offerer', () => {
    expect(withOwnNumbers(sdp('8'), answer, sdp('8'))).toBe(sdp('8'));
    const taken = sdp('8 96 101', 'rtpmap:96 telephone-event/8000', 'rtpmap:101 opus/48000/2');
    expect(withOwnNumbers(sdp('8'), answer, taken)).toBe(sdp('8'));
  });
});
