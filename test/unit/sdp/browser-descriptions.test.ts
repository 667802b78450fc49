import { holds, inactiveAnswer, withBundleOfOne, withUnknownAddressExplained } from '../../../src/sdp';

interface Stream {
  readonly kind?: string;
  readonly port?: number;
  readonly mid?: string;
  readonly lines?: readonly string[];
}

function description(streams: readonly Stream[], session: readonly string[] = []): string {
  const media = streams.flatMap(({ kind = 'audio', port = 9, mid, lines = [] }) => [
    `m=${kind} ${port} UDP/TLS/RTP/SAVPF 111`,
    ...lines,
    ...(mid === undefined ? [] : [`a=mid:${mid}`]),
  ]);
  return ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 't=0 0', ...session, ...media, ''].join('\r\n');
}

const BUNDLE = 'a=group:BUNDLE 0 1';
const groupIn = (sdp: string): string | undefined => /^a=group:(.*)$/m.exec(sdp)?.[1]?.trim();

describe('RFC 8843: a bundle of one stream', () => {
  const peer = description([{ mid: '0' }, { kind: 'video', mid: '1' }], [BUNDLE]);
  test.each<[string, readonly Stream[], string | undefined]>([
    ['video is refused', [{ mid: '0' }, { kind: 'video', port: 0, mid: '1' }], 'BUNDLE 0'],
    [
      'audio is refused',
      [
        { mid: '0', port: 0 },
        { kind: 'video', mid: '1' },
      ],
      'BUNDLE 1',
    ],
    ['there is no other', [{ mid: 'audio' }], 'BUNDLE audio'],
    ['two streams have two ports', [{ mid: '0' }, { kind: 'video', mid: '1' }], undefined],
    ['none is used', [{ port: 0, mid: '0' }], undefined],
    ['it has no id', [{}], undefined],
  ])('%s', (_, streams, group) => {
    const made = description(streams);
    expect(groupIn(withBundleOfOne(made, peer))).toBe(group);
    // Who does not bundle is told of no bundle.
    for (const other of [undefined, description([{ mid: '0' }]), description([{ mid: '0' }], ['a=group:LS 0'])])
      expect(withBundleOfOne(made, other)).toBe(made);
  });

  test('a group that is there stays', () => {
    const made = description([{ mid: '0' }], ['a=group:BUNDLE 0']);
    expect(withBundleOfOne(made, peer)).toBe(made);
  });
});

describe('RFC 8839 §4.3.1: with ICE the address 0.0.0.0 is no hold', () => {
  const zero = 'c=IN IP4 0.0.0.0';
  const ice = ['a=ice-ufrag:abcd', 'a=ice-pwd:0123456789012345678901'];
  const optionsIn = (sdp: string): readonly string[] =>
    sdp.match(/^a=ice-options:.*$/gm)?.map((line) => line.trim()) ?? [];

  test.each<[string, readonly string[], readonly string[], readonly string[]]>([
    ['in the stream', [], [zero, ...ice], ['a=ice-options:trickle']],
    ['in the session', [zero, ...ice], [], ['a=ice-options:trickle']],
    ['in IPv6', [], ['c=IN IP6 ::', ...ice], ['a=ice-options:trickle']],
    ['beside other options', [], [zero, ...ice, 'a=ice-options:ice2'], ['a=ice-options:ice2 trickle']],
    ['it says so already', [], [zero, ...ice, 'a=ice-options:trickle'], ['a=ice-options:trickle']],
    ['... among others', [], [zero, ...ice, 'a=ice-options:ice2 trickle'], ['a=ice-options:ice2 trickle']],
    ['... for all', ['a=ice-options:trickle'], [zero, ...ice], ['a=ice-options:trickle']],
    ['without ICE it is one', [], [zero], []],
    ['another address', [], ['c=IN IP4 192.0.2.1', ...ice], []],
  ])('%s', (_, session, lines, options) => {
    const sdp = description([{ lines }], session);
    const told = withUnknownAddressExplained(sdp);
    expect(optionsIn(told)).toEqual(options);
    expect(withUnknownAddressExplained(told)).toBe(told);
    expect(holds(told)).toBe(holds(sdp));
    if (options.length === optionsIn(sdp).length && options[0] === optionsIn(sdp)[0]) expect(told).toBe(sdp);
  });

  test('of a stream that is not used nothing is said', () => {
    const sdp = description([{ port: 0, lines: [zero, ...ice] }]);
    expect(withUnknownAddressExplained(sdp)).toBe(sdp);
  });
});

test('a holder whose video was refused has it refused again; video that it never had offered is taken, silent', () => {
  const origin = { sessionId: 1, version: 1, address: '192.0.2.1' };
  const offer = description([{ mid: '0' }, { kind: 'video', mid: '1' }], [BUNDLE]);
  const video = (previous: string): string | undefined =>
    /^m=video (\d+)/m.exec(inactiveAnswer(offer, origin, { previous }))?.[1];
  expect(video(description([{ mid: '0' }, { kind: 'video', port: 0 }]))).toBe('0');
  expect(video(description([{ mid: '0' }, { kind: 'video', mid: '1' }]))).toBe('9');
  expect(video(description([{ mid: '0' }]))).toBe('9');
});
