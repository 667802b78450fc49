import { parseConfig } from '../../../src/config/load';
import { formatProblem } from '../../../src/config/problem';
import { audioCodecs, namesCodec } from '../../../src/sdp';

const config = (codecs: string): string =>
  [
    'cluster: { name: acme, domain: acme.example, secret: cluster-secret }',
    "nodes: [{ id: 1, name: n1, site: dallas, listen: ['udp:127.0.0.1:5060'], drachtio: embedded }]",
    `sites: { dallas: { codecs: [${codecs}] } }`,
  ].join('\n');

const problems = (codecs: string): readonly string[] => {
  const result = parseConfig(config(codecs), { file: '/etc/tandem/tandem.yaml', env: {} });
  return result.ok ? [] : result.problems.map(formatProblem).filter((line) => line.includes('codec'));
};

describe('names of codecs in the configuration mean what they mean in descriptions', () => {
  test.each([
    ['G729A', '18'],
    ['g729ab', '18'],
    ['G.729', '18'],
    ['G.711u', '0'],
    ['pcma', '8'],
    ['G722/16000', '9'],
    ['G.722', '9'],
    ['OPUS/48000', '111', 'a=rtpmap:111 opus/48000/2'],
    ['opus/48000/2', '111', 'a=rtpmap:111 OPUS/48000'],
    ['ILBC', '97', 'a=rtpmap:97 iLBC/8000'],
    ['speex/16000', '98', 'a=rtpmap:98 SPEEX/16000'],
    ['G7231', '4'],
  ])('%s', (name, format, ...attributes) => {
    expect(problems(name)).toEqual([]);
    const sdp = ['v=0', `m=audio 5 RTP/AVP ${format}`, ...attributes, ''].join('\r\n');
    expect(audioCodecs(sdp).map((codec) => namesCodec(name, codec))).toEqual([true]);
  });

  test.each(['PCMX', 'G729C', 'opus/', 'opus/48', 'PCMU/8000/1/1', '""'])('%s is unknown', (name) => {
    expect(problems(name)).toHaveLength(1);
  });

  test.each(['telephone-events', 'cn, TELEPHONE-EVENT', 'RED'])('%s carries no speech', (names) => {
    expect(problems(names)).toEqual([expect.stringContaining('must name a codec that carries speech')]);
  });
});
