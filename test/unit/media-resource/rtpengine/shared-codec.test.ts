import { musicCodecs, sharedCodec } from '../../../../src/media-resource/rtpengine/player-description';

function answer(payloads: string, ...lines: readonly string[]): string {
  return ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', `m=audio 4000 RTP/AVP ${payloads}`]
    .concat(lines, ['a=recvonly', ''])
    .join('\r\n');
}

const offered = musicCodecs(answer('96 8 0 9 101', 'a=rtpmap:96 opus/48000/2', 'a=rtpmap:101 telephone-event/8000'));

test.each([
  ['the only codec', answer('0'), 0],
  ['the first codec of several', answer('9 8 0'), 9],
  ['the first that is speech', answer('101 8', 'a=rtpmap:101 telephone-event/8000'), 8],
  ['the payload type of the device', answer('96', 'a=rtpmap:96 OPUS/48000/2', 'a=fmtp:96 useinbandfec=1'), 96],
  ['the usual length said in words', answer('8', 'a=ptime:20', 'a=maxptime:150'), 8],
])('packets may be shared: %s', (_, sdp, payload) => {
  expect(sharedCodec(offered, sdp)?.payload).toBe(payload);
});

test.each([
  ['another length', answer('8', 'a=ptime:30')],
  ['not so long', answer('8', 'a=maxptime:10')],
  ['another payload type than was offered', answer('111', 'a=rtpmap:111 opus/48000/2')],
  ['a number with another meaning', answer('96', 'a=rtpmap:96 G722/8000')],
  ['a codec that was not offered', answer('18')],
  ['a codec that rtpengine does not play, before one that it plays', answer('97 8', 'a=rtpmap:97 iLBC/8000')],
  ['no codec at all', answer('101', 'a=rtpmap:101 telephone-event/8000')],
  ['no audio', 'v=0\r\n'],
])('packets are made for the device alone: %s', (_, sdp) => {
  expect(sharedCodec(offered, sdp)).toBeUndefined();
});
