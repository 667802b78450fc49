import { descriptionFault, hasSameTransport, isSdp } from '../../../src/sdp';

const whole = [
  'v=0',
  'o=- 1 1 IN IP4 192.0.2.1',
  's=-',
  'c=IN IP4 192.0.2.1',
  't=0 0',
  'm=audio 5004 RTP/AVP 0 8',
  'a=rtpmap:0 PCMU/8000',
];
const text = (lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');
const without = (start: string): string => text(whole.filter((line) => !line.startsWith(start)));
const instead = (start: string, line: string): string =>
  text(whole.map((before) => (before.startsWith(start) ? line : before)));

describe('what is missing in a description (RFC 8866 §5): it would be missing under our own o= line', () => {
  test.each([
    ['nothing', text(whole), undefined],
    ['v=', without('v='), 'no v=0 line at the beginning'],
    ['another version', instead('v=', 'v=1'), 'no v=0 line at the beginning'],
    ['o=', without('o='), 'no o= line'],
    ['half an o=', instead('o=', 'o=- 1 1'), 'no o= line'],
    ['s=', without('s='), 's'],
    ['t=', without('t='), 't'],
    ['m=', text(whole.slice(0, 5)), 'no m= line'],
    ['c=', without('c='), 'no c= line'],
    ['half a c=', instead('c=', 'c=IN IP4'), 'no c= line'],
    ['a port', instead('m=', 'm=audio RTP/AVP 0'), 'malformed m= line'],
    ['a port below 65536', instead('m=', 'm=audio 70000 RTP/AVP 0'), 'malformed m= line'],
    ['formats', instead('m=', 'm=audio 5004 RTP/AVP'), 'malformed m= line'],
    [
      'c= of one of two streams',
      text([...whole.filter((line) => !line.startsWith('c=')), 'c=IN IP4 192.0.2.1', 'm=video 6000 RTP/AVP 96']),
      'no c= line',
    ],
    [
      'c= of a stream that is not used',
      text([...whole.filter((line) => !line.startsWith('c=')), 'c=IN IP4 192.0.2.1', 'm=video 0 RTP/AVP 96']),
      undefined,
    ],
    [
      'c= of the session, when the stream has one',
      text([...whole.filter((line) => !line.startsWith('c=')), 'c=IN IP6 2001:db8::1']),
      undefined,
    ],
  ])('%s', (_, sdp, fault) => {
    if (fault === undefined) expect(descriptionFault(sdp)).toBeUndefined();
    else expect(descriptionFault(sdp)).toContain(fault);
    expect(isSdp(sdp)).toBe(fault === undefined);
  });
});

describe('whether who knows one description finds the audio of another', () => {
  const key = (value: string): string => `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${value}`;
  test.each([
    ['the same', text(whole), text(whole), true],
    ['other codecs', text(whole), instead('m=', 'm=audio 5004 RTP/AVP 8'), true],
    ['another port', text(whole), instead('m=', 'm=audio 5006 RTP/AVP 0'), false],
    ['another address', text(whole), instead('c=', 'c=IN IP4 192.0.2.2'), false],
    [
      'one of the keys, under the tag of an answer',
      text([...whole, key('a'), key('b').replace(':1', ':2')]),
      text([...whole, key('b')]),
      true,
    ],
    ['another key', text([...whole, key('a')]), text([...whole, key('b')]), false],
    ['ICE begins anew', text([...whole, 'a=ice-ufrag:a']), text([...whole, 'a=ice-ufrag:b']), false],
    ['no audio any more', text(whole), instead('m=', 'm=audio 0 RTP/AVP 0'), false],
  ])('%s', (_, known, next, same) => expect(hasSameTransport(known, next)).toBe(same));
});
