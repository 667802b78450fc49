import fc from 'fast-check';
import { decideMediaPath } from '../../../src/media-control';
import {
  agreedPart,
  alignAnswer,
  alignMediaLines,
  audioCodecs,
  audioTransport,
  effectiveDirection,
  holds,
  inactiveAnswer,
  inactiveOffer,
  offeredAgain,
  withOneAudioStream,
  withoutFurtherAudio,
} from '../../../src/sdp';

interface Line {
  readonly kind: 'audio' | 'video';
  readonly protocol: string;
  readonly direction: string;
  /** Of PCMU, PCMA, G722, G729. */
  readonly payload: number;
  readonly offered: boolean;
  readonly accepted: boolean;
}

const line: fc.Arbitrary<Line> = fc.record({
  kind: fc.constantFrom('audio' as const, 'audio' as const, 'video' as const),
  protocol: fc.constantFrom('RTP/AVP', 'RTP/SAVP', 'RTP/AVPF'),
  direction: fc.constantFrom('sendrecv', 'sendonly', 'recvonly', 'inactive'),
  payload: fc.constantFrom(0, 8, 9, 18),
  offered: fc.boolean(),
  accepted: fc.boolean(),
});

/** The lines in use are those of these places; each has a port, and an address, of its own. */
function described_(lines: readonly Line[], inUse: (line: Line) => boolean, mids = false): string {
  const media = lines.flatMap((one, at) => [
    `m=${one.kind} ${inUse(one) ? 4000 + at : 0} ${one.protocol} ${one.kind === 'audio' ? one.payload : 96}`,
    `c=IN IP4 10.0.0.${at + 1}`,
    `a=${one.direction}`,
    ...(one.protocol === 'RTP/SAVP'
      ? ['a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1c']
      : []),
    ...(mids ? [`a=mid:${at}`] : []),
  ]);
  const places = lines.flatMap((one, at) => (inUse(one) ? [at] : []));
  const group = mids && places.length > 0 ? [`a=group:BUNDLE ${places.join(' ')}`] : [];
  return ['v=0', 'o=- 1 1 IN IP4 10.0.0.1', 's=-', 't=0 0', ...group, ...media, ''].join('\r\n');
}

/** `audio 1`: a line of that kind in use at this place. */
function inUse(sdp: string, kind = 'audio'): readonly number[] {
  const lines = sdp.match(/^m=.*/gm) ?? [];
  return lines.flatMap((text, at) => (text.startsWith(`m=${kind} `) && !text.startsWith(`m=${kind} 0 `) ? [at] : []));
}

const count = (sdp: string): number => sdp.match(/^m=/gm)?.length ?? 0;
const origin = { sessionId: 7, version: 1, address: '192.0.2.1' };

/** What somebody makes who knows of one audio stream only. */
const single = (protocol: string): string =>
  `v=0\r\no=- 2 1 IN IP4 10.0.9.9\r\ns=-\r\nc=IN IP4 10.0.9.9\r\nt=0 0\r\nm=audio 7000 ${protocol} 8\r\n`;

const exchange = fc.array(line, { minLength: 1, maxLength: 5 }).map((lines) => {
  const offer = described_(lines, ({ offered }) => offered);
  const answer = described_(lines, ({ offered, accepted }) => offered && accepted);
  const agreed = lines.flatMap(({ offered, accepted }, at) => (offered && accepted ? [at] : []));
  const audio = agreed.filter((at) => lines[at]?.kind === 'audio');
  return { lines, offer, answer, audio };
});

describe('any offer of several lines and any answer to it', () => {
  test('what is said of the media is said of the agreed lines', () => {
    fc.assert(
      fc.property(exchange, ({ lines, offer, answer, audio }) => {
        const view = agreedPart(offer, answer);
        expect(count(view)).toBe(lines.length);
        expect(inUse(view)).toEqual(audio);
        const first = lines[audio[0] ?? -1];
        expect(audioCodecs(view).map(({ payload }) => payload)).toEqual(first === undefined ? [] : [first.payload]);
        expect(audioTransport(view)?.address).toBe(first === undefined ? undefined : `10.0.0.${(audio[0] ?? 0) + 1}`);
        expect(effectiveDirection(view)).toBe(first?.direction ?? 'inactive');
        const listening = audio.some((at) => ['sendrecv', 'recvonly'].includes(lines[at]?.direction ?? ''));
        expect(holds(view)).toBe(audio.length > 0 && !listening);
      }),
    );
  });

  test('the next offers and answers use agreed lines only, each in its place', () => {
    fc.assert(
      fc.property(exchange, fc.constantFrom('RTP/AVP', 'RTP/SAVP'), ({ lines, offer, answer, audio }, protocol) => {
        const told = agreedPart(offer, answer);
        // Music, another phone, a media server: one audio stream for one that was in use.
        const next = alignMediaLines(single(protocol), offer, told);
        expect(count(next)).toBeGreaterThanOrEqual(lines.length);
        expect(inUse(next)).toHaveLength(1);
        if (audio.length > 0) expect(audio).toContain(inUse(next)[0]);
        expect(inUse(inactiveOffer(told, origin))).toEqual(audio);
        // All lines are offered again: by a hold, a resume, a refresh.
        const again = described_(lines, () => true);
        const before = audio.length > 0 ? audio : inUse(again);
        expect(inUse(offeredAgain(again, told))).toEqual(before);
        const silent = inactiveAnswer(again, origin, { previous: told });
        expect(count(silent)).toBe(lines.length);
        expect(inUse(silent)).toEqual(before);
      }),
    );
  });

  test('a media server is given one audio stream, and what it makes comes back in the place of that', () => {
    fc.assert(
      fc.property(exchange, ({ lines, offer, answer, audio }) => {
        const told = agreedPart(offer, answer);
        const again = described_(lines, () => true);
        const chosen = withOneAudioStream(again, told);
        const places = inUse(again);
        expect(inUse(chosen)).toHaveLength(Math.min(places.length, 1));
        if (audio.length > 0) expect(audio).toContain(inUse(chosen)[0]);
        const given = withoutFurtherAudio(again, told);
        expect(inUse(given)).toHaveLength(Math.min(places.length, 1));
        expect(count(given)).toBe(lines.length - Math.max(places.length - 1, 0));
        expect(audioCodecs(given)).toEqual(audioCodecs(chosen));
        expect(audioTransport(given)).toEqual(audioTransport(chosen));
        if (places.length === 0) return;
        const back = alignAnswer(single(lines[inUse(chosen)[0] ?? 0]?.protocol ?? ''), chosen);
        expect(count(back)).toBe(lines.length);
        expect(inUse(back)).toEqual(inUse(chosen));
      }),
    );
  });

  test('nothing stands between ends of which one line each would do', () => {
    const end = (sdp: string): { sdp: string; codecs: undefined } => ({ sdp, codecs: undefined });
    const described = fc.array(line, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(described, described, (a, b) => {
        const fits = (one: Line, other: Line): boolean =>
          one.kind === 'audio' &&
          other.kind === 'audio' &&
          one.offered &&
          other.offered &&
          one.payload === other.payload &&
          (one.protocol === 'RTP/SAVP') === (other.protocol === 'RTP/SAVP');
        const usable = [a, b].every((lines) => lines.some(({ kind, offered }) => kind === 'audio' && offered));
        if (!usable) return;
        const [one, other] = [a, b].map((lines) => described_(lines, ({ offered }) => offered));
        const direct = a.some((x) => b.some((y) => fits(x, y)));
        expect(decideMediaPath(end(one!), end(other!)).path).toBe(direct ? 'direct' : 'through');
      }),
    );
  });

  test('RFC 8843 §7.3.3: what is refused is not in a bundle', () => {
    fc.assert(
      fc.property(exchange, ({ lines, answer }) => {
        const view = agreedPart(
          described_(lines, ({ offered }) => offered, true),
          answer,
        );
        const bundled = /^a=group:BUNDLE (.*)$/m.exec(view)?.[1]?.trim().split(' ') ?? [];
        expect(bundled.map(Number)).toEqual([...inUse(view), ...inUse(view, 'video')].sort());
      }),
    );
  });
});

describe('lines and their places', () => {
  const media = (...lines: string[]): string => `v=0\r\n${lines.map((text) => `m=${text}\r\n`).join('')}`;
  const kinds = (sdp: string): string[] => sdp.match(/(?<=^m=)\w+ \d+ \S+/gm) ?? [];

  test.each([
    ['one stream goes where one is in use', ['audio 5 RTP/AVP 0'], ['audio 0 RTP/SAVP 0', 'audio 4 RTP/AVP 0'], [0, 5]],
    [
      'of two in use to that of its own profile',
      ['audio 5 RTP/AVP 0'],
      ['audio 3 RTP/SAVP 0', 'audio 4 RTP/AVP 0'],
      [0, 5],
    ],
    ['of two alike to the first', ['audio 5 RTP/AVP 0'], ['audio 3 RTP/AVP 0', 'audio 4 RTP/AVP 0'], [5, 0]],
    [
      'who has as many lines says which is in use from now on',
      ['audio 0 RTP/SAVP 0', 'audio 6 RTP/AVP 0'],
      ['audio 3 RTP/SAVP 0', 'audio 0 RTP/AVP 0'],
      [0, 6],
    ],
    ['of another kind none is taken', ['audio 5 RTP/AVP 0'], ['video 0 RTP/AVP 96', 'audio 4 RTP/SAVP 0'], [0, 5]],
  ])('%s', (_, sections, pattern, ports) => {
    const aligned = alignMediaLines(media(...sections), media(...pattern));
    expect(kinds(aligned).map((text) => Number(text.split(' ')[1]))).toEqual(ports);
  });

  test('a stream in which somebody can speak is preferred', () => {
    const offer = media('audio 3 RTP/AVP 101', 'audio 4 RTP/SAVP 0', 'audio 5 RTP/AVP 8', 'video 6 RTP/AVP 96');
    expect(kinds(withOneAudioStream(offer))).toEqual([
      'audio 0 RTP/AVP',
      'audio 4 RTP/SAVP',
      'audio 0 RTP/AVP',
      'video 6 RTP/AVP',
    ]);
    expect(kinds(withoutFurtherAudio(offer))).toEqual(['audio 4 RTP/SAVP', 'video 6 RTP/AVP']);
  });

  test('what needs no change is not touched', () => {
    const odd = 'v=0\r\nm=audio 5 RTP/AVP 0\nm=video 0 RTP/AVP 96\r\nx';
    expect([agreedPart(odd, odd), offeredAgain(odd, odd), withOneAudioStream(odd), withoutFurtherAudio(odd)]).toEqual([
      odd,
      odd,
      odd,
      odd,
    ]);
  });
});
