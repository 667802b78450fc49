import { sourceFlags } from '../../../../src/media-resource/rtpengine/relay-terms';
import { withSourceLearned } from '../../../../src/sdp';

const KEY = 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n';
const DTLS = `a=fingerprint:sha-256 ${'AB:'.repeat(31)}AB\r\na=setup:actpass\r\n`;
const ICE = 'a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=candidate:1 1 udp 1 192.0.2.1 4000 typ host\r\n';

const description = (profile: string, attributes = ''): string =>
  `v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 ${profile} 0\r\n${attributes}`;

const DESCRIBED = ['endpoint-learning-off', 'strict-source'];
const LEARNED = ['endpoint-learning-immediate', 'strict-source'];
/** Which of its valid pairs a peer sends from is its affair (RFC 8445 §12.2). */
const ANY_PAIR = ['endpoint-learning-off'];

describe('whose packets count, by what a party has described', () => {
  it.each([
    ['plain RTP', description('RTP/AVP'), DESCRIBED],
    ['SDES', description('RTP/SAVP', KEY), DESCRIBED],
    ['DTLS-SRTP without ICE', description('UDP/TLS/RTP/SAVP', DTLS), DESCRIBED],
    ['plain RTP with ICE: nothing but the address tells who sends', description('RTP/AVP', ICE), DESCRIBED],
    ['SDES with ICE', description('RTP/SAVP', KEY + ICE), ANY_PAIR],
    ['a browser', description('UDP/TLS/RTP/SAVPF', DTLS + ICE), ANY_PAIR],
    ['plain RTP behind a NAT', withSourceLearned(description('RTP/AVP')), LEARNED],
    ['SDES behind a NAT', withSourceLearned(description('RTP/SAVP', KEY)), LEARNED],
  ])('%s', (_, sdp, flags) => {
    expect(sourceFlags(sdp)).toEqual(flags);
  });
});
