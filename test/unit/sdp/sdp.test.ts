import fc from 'fast-check';
import {
  alignAnswer,
  alignMediaLines,
  audioCodecs,
  audioOnly,
  audioTransport,
  effectiveDirection,
  hasCommonAudioCodec,
  holds,
  inactiveAnswer,
  inactiveOffer,
  isSdp,
  mediaLineCount,
  restrictCodecs,
  sameSession,
  unchanged,
  withDirection,
  withOrigin,
  type Origin,
} from '../../../src/sdp';

const lines = (...parts: string[]): string => parts.map((line) => `${line}\r\n`).join('');
const session = (address = '192.0.2.1', version = 1): string =>
  lines('v=0', `o=alice 123 ${version} IN IP4 ${address}`, 's=call', `c=IN IP4 ${address}`, 't=0 0');
const audio = (...attributes: string[]): string =>
  lines('m=audio 49170 RTP/AVP 0 8 101', 'a=rtpmap:101 telephone-event/8000', 'a=fmtp:101 0-15', ...attributes);
const video = (port = 49180): string => lines(`m=video ${port} RTP/AVP 96`, 'a=rtpmap:96 H264/90000');
const origin: Origin = { sessionId: 77, version: 5, address: '198.51.100.9' };

describe('effective direction', () => {
  test('RFC 3264 §5.1: a missing direction means sendrecv', () => {
    expect(effectiveDirection(session() + audio())).toBe('sendrecv');
  });

  test.each(['sendrecv', 'sendonly', 'recvonly', 'inactive'])(
    'RFC 3264 §5.1: %s of the stream is its direction',
    (d) => {
      expect(effectiveDirection(session() + audio(`a=${d}`))).toBe(d);
    },
  );

  test('RFC 4566 §6: the direction of the session holds for a stream without its own', () => {
    expect(effectiveDirection(session() + lines('a=sendonly') + audio())).toBe('sendonly');
    expect(effectiveDirection(session() + lines('a=sendonly') + audio('a=sendrecv'))).toBe('sendrecv');
  });

  test('a removed first stream is passed over', () => {
    const removed = lines('m=audio 0 RTP/AVP 0', 'a=inactive');
    expect(effectiveDirection(session() + removed + audio('a=recvonly'))).toBe('recvonly');
  });

  test('the direction of video is not taken for that of the audio', () => {
    expect(effectiveDirection(session() + video() + lines('a=inactive') + audio())).toBe('sendrecv');
  });
});

describe('RFC 3264 §8.4: hold', () => {
  test.each([
    ['sendonly', session() + audio('a=sendonly'), true],
    ['inactive', session() + audio('a=inactive'), true],
    ['recvonly', session() + audio('a=recvonly'), false],
    ['sendrecv', session() + audio('a=sendrecv'), false],
    ['no direction', session() + audio(), false],
    ['the address 0.0.0.0', session('0.0.0.0') + audio(), true],
    ['the address 0.0.0.0 and sendonly', session('0.0.0.0') + audio('a=sendonly'), true],
    ['the address 0.0.0.0 of the stream', session() + audio('c=IN IP4 0.0.0.0', 'a=sendrecv'), true],
    ['an address of the stream beside 0.0.0.0 of the session', session('0.0.0.0') + audio('c=IN IP4 192.0.2.7'), false],
    [
      'RFC 8839 §4.3: 0.0.0.0 with ICE that trickles',
      session('0.0.0.0') + audio('a=ice-ufrag:x', 'a=ice-options:trickle'),
      false,
    ],
    ['RFC 8839 §4.3: 0.0.0.0 with ICE without a word of trickle', session('0.0.0.0') + audio('a=ice-ufrag:x'), false],
    [
      '0.0.0.0 with candidates of mDNS',
      session() + audio('c=IN IP4 0.0.0.0', 'a=candidate:1 1 udp 1 3b1f.local 5 typ host'),
      false,
    ],
    ['0.0.0.0 with ICE of the session', session('0.0.0.0') + lines('a=ice-ufrag:x') + audio(), false],
    [':: with ICE', session() + audio('c=IN IP6 ::', 'a=ice-ufrag:x'), false],
    ['ICE, and sendonly', session('0.0.0.0') + audio('a=ice-ufrag:x', 'a=sendonly'), true],
    ['the address 0.0.0.0/127', session() + audio('c=IN IP4 0.0.0.0/127'), true],
    ['the address :: of IPv6', session() + audio('c=IN IP6 ::'), true],
    ['the address 0:0:0:0:0:0:0:0', session() + audio('c=IN IP6 0:0:0:0:0:0:0:0'), true],
    ['an ordinary address of IPv6', session() + audio('c=IN IP6 2001:db8::1'), false],
    ['a removed stream', session() + lines('m=audio 0 RTP/AVP 0', 'a=sendonly'), false],
    ['a direction of the session', session() + lines('a=inactive') + audio(), true],
    ['video that is held alone', session() + audio() + video() + lines('a=sendonly'), false],
    ['one of two audio streams', session() + audio('a=sendonly') + audio(), false],
    ['line ends without carriage return', (session() + audio('a=sendonly')).replaceAll('\r', ''), true],
    ['no description at all', '', false],
  ])('%s', (_, sdp, expected) => {
    expect(holds(sdp)).toBe(expected);
  });
});

describe('the answer to a holder', () => {
  const offer =
    session() +
    audio('a=sendonly', 'a=ptime:20', 'a=candidate:1 1 UDP 1 192.0.2.1 49170 typ host') +
    video() +
    lines('m=application 5070 UDP/BFCP *', 'a=floorctrl:c-only') +
    video(0);

  test('RFC 3264 §6: it has every m-line of the offer, in order', () => {
    const answer = inactiveAnswer(offer, origin);
    expect(answer.match(/^m=.*$/gm)).toEqual([
      'm=audio 9 RTP/AVP 0 8 101',
      'm=video 9 RTP/AVP 96',
      'm=application 0 UDP/BFCP *',
      'm=video 0 RTP/AVP 96',
    ]);
  });

  test('a refused stream keeps its own words', () => {
    const fax = session() + audio('a=sendonly') + lines('m=image 4000 udptl t38');
    expect(inactiveAnswer(fax, origin)).toContain('m=image 0 udptl t38\r\n');
  });

  test('RFC 3264 §6.1: it is inactive and keeps the codecs of the offer', () => {
    const answer = inactiveAnswer(offer, origin);
    expect(effectiveDirection(answer)).toBe('inactive');
    expect(audioCodecs(answer)).toEqual(audioCodecs(offer));
    expect(answer).toContain('a=ptime:20\r\n');
  });

  test('it names no address but our own', () => {
    const answer = inactiveAnswer(offer, origin);
    expect(answer).not.toContain('192.0.2.1');
    expect(answer).toContain('c=IN IP4 198.51.100.9\r\n');
    expect(answer).toContain('o=- 77 5 IN IP4 198.51.100.9\r\n');
    expect(isSdp(answer)).toBe(true);
  });

  test('RFC 3264 §6.1: recvonly is given only where the offer allows it', () => {
    expect(effectiveDirection(inactiveAnswer(offer, origin, { direction: 'recvonly' }))).toBe('recvonly');
    const inactive = session() + audio('a=inactive');
    expect(effectiveDirection(inactiveAnswer(inactive, origin, { direction: 'recvonly' }))).toBe('inactive');
    const old = session('0.0.0.0') + audio();
    expect(effectiveDirection(inactiveAnswer(old, origin, { direction: 'recvonly' }))).toBe('recvonly');
  });

  test('RFC 4568 §5.1.2: an SDES stream is accepted with the first known suite, its tag, and a key of the right length', () => {
    const secure =
      session() +
      lines(
        'm=audio 49170 RTP/SAVP 0',
        'a=crypto:3 SOMETHING_ELSE inline:AAAA',
        'a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj',
        'a=sendonly',
      );
    const crypto = inactiveAnswer(secure, origin).match(/^a=crypto:.*$/gm) ?? [];
    expect(crypto).toHaveLength(1);
    const match = /^a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:(\S+)$/.exec(crypto[0] ?? '');
    expect(Buffer.from(match?.[1] ?? '', 'base64')).toHaveLength(30);
    expect(match?.[1]).not.toContain('d0RmdmcmVCspeEc3');
    expect(inactiveAnswer(secure, origin)).toBe(inactiveAnswer(secure, origin));
  });

  test('RFC 8842 §5.5: a DTLS stream keeps the fingerprint and the ICE credentials that the phone had from us', () => {
    const tls = lines('m=audio 49170 UDP/TLS/RTP/SAVPF 111', 'a=rtpmap:111 opus/48000/2', 'a=mid:0', 'a=rtcp-mux');
    const previous =
      session() + lines('a=fingerprint:sha-256 AA:BB') + tls + lines('a=setup:actpass', 'a=ice-ufrag:u', 'a=ice-pwd:p');
    const hold = session() + lines('a=group:BUNDLE 0') + tls + lines('a=fingerprint:sha-256 CC:DD', 'a=sendonly');
    const answer = inactiveAnswer(hold, origin, { previous });
    expect(answer).toContain('a=fingerprint:sha-256 AA:BB\r\n');
    expect(answer).toContain('a=setup:passive\r\n');
    expect(answer).toContain('a=ice-ufrag:u\r\n');
    expect(answer).toContain('a=group:BUNDLE 0\r\n');
    expect(answer).not.toContain('CC:DD');
  });
});

describe('silence for a held party', () => {
  test('RFC 3264 §8: same streams and codecs as before, inactive, with our address', () => {
    const previous = session() + audio('a=sendrecv', 'a=candidate:1 1 UDP 1 192.0.2.1 49170 typ host') + video();
    const offer = inactiveOffer(previous, origin);
    expect(mediaLineCount(offer)).toBe(2);
    expect(audioCodecs(offer)).toEqual(audioCodecs(previous));
    expect(effectiveDirection(offer)).toBe('inactive');
    expect(offer.match(/a=inactive/g)).toHaveLength(2);
    expect(offer).not.toContain('192.0.2.1');
    expect(isSdp(offer)).toBe(true);
  });

  test('a direction of the session does not outlive it', () => {
    expect(inactiveOffer(session() + lines('a=sendrecv', 'a=tool:x') + audio(), origin)).not.toContain('sendrecv');
  });
});

describe('RFC 3264 §8: one session for each dialog', () => {
  test('withOrigin changes the o= line and not one byte else', () => {
    const sdp = session() + audio('a=x-unheard-of:1 2  3', 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc') + video();
    const ours = withOrigin(sdp, origin);
    expect(ours.replace(/^o=.*$/m, '')).toBe(sdp.replace(/^o=.*$/m, ''));
    expect(ours).toContain('o=- 77 5 IN IP4 198.51.100.9\r\n');
    expect(withOrigin(sdp, { ...origin, address: '2001:db8::1', username: 'tandem' })).toContain(
      'o=tandem 77 5 IN IP6 2001:db8::1\r\n',
    );
  });

  test('withOrigin adds a missing o= line behind v=', () => {
    expect(withOrigin('v=0\ns=-\nm=audio 1 RTP/AVP 0', origin)).toBe(
      'v=0\no=- 77 5 IN IP4 198.51.100.9\r\ns=-\nm=audio 1 RTP/AVP 0',
    );
  });

  test('sameSession overlooks the version only', () => {
    expect(sameSession(session('192.0.2.1', 1) + audio(), session('192.0.2.1', 2) + audio())).toBe(true);
    expect(sameSession(session('192.0.2.1') + audio(), session('192.0.2.2') + audio())).toBe(false);
    expect(sameSession(session() + audio(), session() + audio('a=sendonly'))).toBe(false);
  });

  test('RFC 4028 §7.4: unchanged is true for a refresh, whoever is named as its origin, and false for a hold', () => {
    const before = session() + audio();
    expect(unchanged(before, withOrigin(before, origin))).toBe(true);
    expect(unchanged(before, before.replaceAll('\r\n', '\n'))).toBe(true);
    expect(unchanged(before, session() + audio('a=sendonly'))).toBe(false);
    expect(unchanged(before, session('192.0.2.99') + audio())).toBe(false);
  });
});

describe('RFC 3264 §8: the m-lines of a dialog', () => {
  const kinds = (sdp: string): readonly string[] => (sdp.match(/^m=\w+ \d+/gm) ?? []).map((line) => line.slice(2));

  test('an offer that fits is returned as it is', () => {
    const sdp = (session() + audio() + video()).replaceAll('\r\n', '\n');
    expect(alignMediaLines(sdp, session() + audio() + video(0))).toBe(sdp);
    expect(alignMediaLines(sdp, session() + audio())).toBe(sdp);
  });

  test('streams that are gone stay as refused ones', () => {
    const aligned = alignMediaLines(session() + audio(), session() + audio() + video());
    expect(kinds(aligned)).toEqual(['audio 49170', 'video 0']);
    expect(isSdp(aligned)).toBe(true);
  });

  test('streams keep their places and new ones follow', () => {
    const previous = session() + video() + audio();
    const next = session() + audio() + lines('m=application 5 UDP/BFCP *') + video();
    expect(kinds(alignMediaLines(next, previous))).toEqual(['video 49180', 'audio 49170', 'application 5']);
  });

  test('RFC 8843 §7.1.3: a stream keeps its id, and so do the groups', () => {
    const previous = session() + lines('a=group:BUNDLE 0 1') + audio() + lines('a=mid:0') + video() + lines('a=mid:1');
    const next = session() + lines('a=group:BUNDLE one') + audio() + lines('a=mid:one');
    const aligned = alignMediaLines(next, previous);
    expect(aligned.match(/^a=(mid|group).*$/gm)).toEqual(['a=group:BUNDLE 0', 'a=mid:0']);
    expect(alignMediaLines(session() + audio(), previous)).toContain('a=mid:0\r\n');
    expect(alignMediaLines(session() + audio() + lines('a=mid:x'), session() + audio())).toContain('a=mid:x');
  });

  test('an answer gets the form of the offer', () => {
    const offer = session() + audio() + video() + lines('m=application 5 UDP/BFCP *');
    const answer = session() + video() + audio() + lines('m=message 7 TCP/MSRP *');
    expect(kinds(alignAnswer(answer, offer))).toEqual(['audio 49170', 'video 49180', 'application 0']);
  });

  test('RFC 5888 §9.2: a group names only streams that are there', () => {
    const next =
      session() + lines('a=group:BUNDLE 0 1') + audio('a=mid:0') + lines('m=message 7 TCP/MSRP *', 'a=mid:1');
    expect(alignAnswer(next, session() + audio())).toContain('a=group:BUNDLE 0\r\n');
  });
});

test('audioOnly leaves the first audio stream that is not removed', () => {
  const removed = lines('m=audio 0 RTP/AVP 0');
  expect(audioOnly(session() + removed + video() + audio() + audio())).toBe(session() + audio());
  expect(audioOnly(session() + removed + video())).toBeUndefined();
});

describe('codecs', () => {
  const only = (...formats: string[]): string => session() + lines(`m=audio 4 RTP/AVP ${formats.join(' ')}`);

  test('RFC 3551 §6: static payload types have their names, mapped ones theirs', () => {
    expect(audioCodecs(session() + audio())).toEqual([
      { payload: 0, name: 'PCMU', rate: 8000, channels: 1 },
      { payload: 8, name: 'PCMA', rate: 8000, channels: 1 },
      { payload: 101, name: 'telephone-event', rate: 8000, channels: 1, parameters: '0-15' },
    ]);
    const opus = only('111') + lines('a=rtpmap:111 opus/48000/2');
    expect(audioCodecs(opus)).toEqual([{ payload: 111, name: 'opus', rate: 48000, channels: 2 }]);
  });

  test('claim M2: two devices with telephone-event alone in common need a transcoder', () => {
    const pcmu = only('0', '101') + lines('a=rtpmap:101 telephone-event/8000');
    const pcma = only('8', '96') + lines('a=rtpmap:96 telephone-event/8000');
    expect(hasCommonAudioCodec(pcmu, pcma)).toBe(false);
    expect(hasCommonAudioCodec(pcmu, only('18', '0'))).toBe(true);
    expect(hasCommonAudioCodec(pcma, only('97') + lines('a=rtpmap:97 pcma/8000'))).toBe(true);
  });

  test('restrictCodecs drops payload types with their attributes', () => {
    const sdp = session() + audio('a=fmtp:0 x=1', 'a=sendonly');
    expect(restrictCodecs(sdp, ['pcma'])).toBe(session() + audio('a=sendonly').replace('AVP 0 8', 'AVP 8'));
    expect(restrictCodecs(sdp, ['PCMU', 'PCMA'])).toBe(sdp);
    expect(restrictCodecs(sdp, ['G729', 'telephone-event'])).toBeUndefined();
  });

  test('restrictCodecs keeps digits and comfort noise, and the order of the offerer', () => {
    const sdp = only('18', '0', '13', '8', '101') + lines('a=rtpmap:101 telephone-event/8000', 'a=fmtp:18 annexb=no');
    expect(restrictCodecs(sdp, ['PCMA', 'PCMU'])).toBe(
      only('0', '13', '8', '101') + lines('a=rtpmap:101 telephone-event/8000'),
    );
    expect(restrictCodecs(sdp, ['opus'])).toBeUndefined();
  });

  test('RFC 3264 §6: restrictCodecs switches off a further audio stream that has nothing of what is allowed', () => {
    const sdp = session() + audio() + lines('m=audio 5000 RTP/AVP 18', 'a=fmtp:18 annexb=no');
    expect(restrictCodecs(sdp, ['PCMU', 'PCMA'])).toBe(
      session() + audio() + lines('m=audio 0 RTP/AVP 18', 'a=fmtp:18 annexb=no'),
    );
  });

  test('restrictCodecs leaves video and removed audio alone', () => {
    const sdp = session() + audio() + video() + lines('m=audio 0 RTP/AVP 18');
    const restricted = restrictCodecs(sdp, ['PCMU']);
    expect(restricted).toContain(video());
    expect(restricted).toContain('m=audio 0 RTP/AVP 18\r\n');
  });
});

describe('withDirection', () => {
  test('replaces the direction where it stands and adds a missing one', () => {
    expect(withDirection(session() + audio('a=sendrecv', 'a=ptime:20'), 'sendonly')).toBe(
      session() + audio('a=sendonly', 'a=ptime:20'),
    );
    expect(withDirection(session() + audio(), 'inactive')).toBe(session() + audio('a=inactive'));
    expect(withDirection(session() + audio(), 'sendrecv')).toBe(session() + audio());
  });

  test('video is narrowed and never opened', () => {
    const sdp = session() + audio('a=inactive') + video() + lines('a=recvonly');
    expect(withDirection(sdp, 'sendrecv')).toBe(session() + audio('a=sendrecv') + video() + lines('a=recvonly'));
    expect(withDirection(sdp, 'sendonly')).toContain(video() + lines('a=inactive'));
  });
});

test('the transport of the audio is told', () => {
  expect(audioTransport(session() + audio())).toEqual({
    security: 'none',
    feedback: false,
    family: 4,
    address: '192.0.2.1',
    ice: false,
  });
  const dtls = lines('m=audio 4 UDP/TLS/RTP/SAVPF 0', 'c=IN IP6 2001:db8::1', 'a=ice-ufrag:x');
  expect(audioTransport(session() + dtls)).toEqual({
    security: 'dtls',
    feedback: true,
    family: 6,
    address: '2001:db8::1',
    ice: true,
  });
  expect(audioTransport(session() + lines('m=audio 4 RTP/SAVP 0'))).toMatchObject({ security: 'sdes' });
  expect(audioTransport(session())).toBeUndefined();
});

describe('hostile text', () => {
  const everything = (text: string): void => {
    isSdp(text);
    holds(text);
    effectiveDirection(text);
    audioCodecs(text);
    hasCommonAudioCodec(text, text);
    inactiveAnswer(text, origin, { previous: text });
    inactiveOffer(text, origin);
    withOrigin(text, origin);
    unchanged(text, text);
    alignMediaLines(text, session() + audio() + video());
    alignAnswer(session() + audio(), text);
    restrictCodecs(text, ['PCMU']);
    withDirection(text, 'inactive');
    audioTransport(text);
  };

  test('nothing is thrown, whatever the text', () => {
    const fragment = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'v=0\r\n',
        'm=',
        'm=audio',
        ' 0',
        ' 99999',
        'a=',
        'a=rtpmap:',
        'c=IN IP4 ',
        'o=- ',
        '\r\n',
        '\r',
        '__proto__',
      ),
      fc.constantFrom(
        session(),
        audio(),
        video(),
        'a=sendonly\r\n',
        'a=group:BUNDLE a\r\n',
        'a=crypto:1 AEAD_AES_256_GCM x\r\n',
      ),
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 20 }), (parts) => {
        everything(parts.join(''));
      }),
    );
  });

  test('an answer always has the m-lines of its offer', () => {
    const stream = fc.constantFrom(audio(), audio('a=sendonly'), video(), video(0), 'm=weird\r\n', 'm=x 5 TCP *\r\n');
    fc.assert(
      fc.property(fc.array(stream, { maxLength: 6 }), fc.array(stream, { maxLength: 6 }), (a, b) => {
        const [offer, other] = [session() + a.join(''), session() + b.join('')];
        expect(mediaLineCount(inactiveAnswer(offer, origin))).toBe(a.length);
        expect(mediaLineCount(alignAnswer(other, offer))).toBe(a.length);
        expect(mediaLineCount(alignMediaLines(other, offer))).toBeGreaterThanOrEqual(a.length);
      }),
    );
  });

  test.each([
    'm=audio 1 RTP/AVP 0\r\n',
    'm=x\r\n',
    'a=candidate:1 1 UDP 1 1.1.1.1 1 typ host ',
    'a=rtpmap:0 A/1\r\n',
    'a=ssrc:1 ',
    'a=group:BUNDLE 1\r\n',
    '1 ',
  ])('64 kB of %j take no longer than a moment', (unit) => {
    const started = process.cpuUsage();
    const text = `v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\nm=audio 1 RTP/AVP 0 ${unit.repeat(60_000 / unit.length)}`;
    everything(text);
    alignMediaLines(text.replaceAll('m=', 'm=y'), text);
    alignAnswer(text.replaceAll('m=', 'm=y'), text);
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(3000);
  });

  test('what is longer than that, or has more streams than any phone, is no description', () => {
    expect(isSdp(session() + audio().repeat(64))).toBe(true);
    expect(isSdp(session() + audio().repeat(65))).toBe(false);
    expect(isSdp(session() + audio() + 'a=x\r\n'.repeat(20_000))).toBe(false);
  });

  test.each([
    '',
    'hello',
    '{"v":0}',
    'v=0\r\n',
    session(),
    session().replace('o=', 'x=') + audio(),
    'v=1\r\n' + audio(),
  ])('is no description: %j', (text) => {
    expect(isSdp(text)).toBe(false);
  });
});
