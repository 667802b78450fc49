import { decideMediaPath } from '../../../src/media-control';

function sdp(formats: string, options: { protocol?: string; address?: string } = {}): string {
  const { protocol = 'RTP/AVP', address = 'IP4 192.0.2.1' } = options;
  return `v=0\r\no=- 1 1 IN ${address}\r\ns=-\r\nc=IN ${address}\r\nt=0 0\r\nm=audio 4000 ${protocol} ${formats}\r\n`;
}

const end = (
  text: string | undefined,
  codecs?: string[],
): { sdp: string | undefined; codecs: string[] | undefined } => ({
  sdp: text,
  codecs,
});

describe('the media path of a call', () => {
  test('phones with a common codec talk directly', () => {
    expect(decideMediaPath(end(sdp('0 8')), end(sdp('8 18')))).toEqual({ path: 'direct' });
  });

  test('claim M2: no common codec needs a transcoder, and the reason names both sides', () => {
    expect(decideMediaPath(end(sdp('0')), end(sdp('18')))).toEqual({
      path: 'through',
      needs: 'transcoder',
      reason: 'no common codec: PCMU and G729',
      optional: false,
    });
  });

  test('claim M2: a device that is not heard of yet is judged by its configuration', () => {
    const configured = end(undefined, ['G729', 'telephone-event']);
    expect(decideMediaPath(end(sdp('0')), configured)).toMatchObject({ needs: 'transcoder' });
    expect(decideMediaPath(end(sdp('0 18')), configured)).toEqual({ path: 'direct' });
    expect(decideMediaPath(end(sdp('0')), end(undefined))).toEqual({ path: 'direct' });
    expect(decideMediaPath(end(undefined), end(undefined))).toEqual({ path: 'direct' });
  });

  test('claim M4: encryption on one side only, or two address families, need a media termination point', () => {
    const secure = end(sdp('0', { protocol: 'RTP/SAVP' }));
    expect(decideMediaPath(end(sdp('0')), secure)).toMatchObject({
      needs: 'mtp',
      reason: 'encryption differs: none and sdes',
    });
    expect(decideMediaPath(secure, secure)).toEqual({ path: 'direct' });
    const six = end(sdp('0', { address: 'IP6 2001:db8::1' }));
    expect(decideMediaPath(end(sdp('0')), six)).toMatchObject({ needs: 'mtp', reason: 'IPv4 and IPv6' });
    // Where a phone registered from tells what it is likely to be; the call can do without.
    expect(decideMediaPath(end(sdp('0')), { ...end(undefined), presumedFamily: 6 })).toEqual({
      path: 'through',
      needs: 'mtp',
      reason: 'IPv4 and IPv6',
      optional: true,
    });
    expect(decideMediaPath(six, { ...end(sdp('0')), presumedFamily: 6 })).toMatchObject({ optional: false });
  });
});
