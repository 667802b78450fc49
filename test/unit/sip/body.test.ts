import { ACCEPT, readBody } from '../../../src/sip/body';
import type { Entity } from '../../../src/sip-message/mime';

const sdp = [
  'v=0',
  'o=- 1 1 IN IP4 192.0.2.1',
  's=-',
  'c=IN IP4 192.0.2.1',
  't=0 0',
  'm=audio 5004 RTP/AVP 0',
  'a=rtpmap:0 PCMU/8000',
  '',
].join('\r\n');

const base = { contentType: undefined, disposition: undefined, encoding: undefined, transferEncoding: undefined };
const entity = (content: string, more: Partial<Entity> = {}): Entity => ({ ...base, id: undefined, content, ...more });

interface Part {
  readonly headers: readonly string[];
  readonly content: string;
}

const session: Part = { headers: ['Content-Type: application/sdp'], content: sdp };
const isup = (...more: string[]): Part => ({
  headers: ['Content-Type: application/isup;version=itu-t92+', ...more],
  content: '\x01\x00\r\n\u{fffd}\u{fffd}--',
});
const signal = isup('Content-Disposition: signal;handling=optional');

function multipart(parts: readonly Part[], type = 'mixed', boundary = 'b-1', written = boundary): Entity {
  const texts = parts.map(({ headers, content }) => `--${boundary}\r\n${headers.join('\r\n')}\r\n\r\n${content}\r\n`);
  return entity(`${texts.join('')}--${boundary}--\r\n`, { contentType: `multipart/${type};boundary=${written}` });
}

const described = { type: 'description', sdp };
const none = { type: 'none' };
const refused = (status: number): unknown => expect.objectContaining({ type: 'unreadable', status });

describe('what a request says of the session', () => {
  const typed = (content: string, contentType: string, more: Partial<Entity> = {}): Entity =>
    entity(content, { contentType, ...more });
  const nested: Part = { headers: ['Content-Type: multipart/alternative; boundary=in'], content: '' };
  const inner = multipart([session], 'alternative', 'in').content;

  test.each<[string, Entity, unknown]>([
    ['no body', entity(''), none],
    ['a type and no body', typed('', 'application/sdp'), none],
    ['a description', typed(sdp, 'application/sdp'), described],
    ['a type in other letters, with parameters', typed(sdp, 'Application/SDP ; charset="utf-8"'), described],
    ['a description without a type', entity(sdp), described],
    ['a description without its last line end', typed(sdp.trimEnd(), 'application/sdp'), described],
    ['text without a type (RFC 3261 §20.15)', entity('hello'), refused(400)],
    ['a type that is none', typed(sdp, 'application'), refused(400)],
    ['two types', typed(sdp, 'application/sdp,application/sdp'), refused(400)],
    ['another type', typed('hello', 'text/plain'), refused(415)],
    ['another type around a description', typed(sdp, 'text/plain'), refused(415)],
    ['another type, optional', typed('x', 'text/plain', { disposition: 'render;handling=optional' }), none],
    ['an unknown encoding', typed(sdp, 'application/sdp', { encoding: 'gzip' }), refused(415)],
    ['the encoding that is none', typed(sdp, 'application/sdp', { encoding: 'Identity' }), described],
    ['a disposition that is none', typed(sdp, 'application/sdp', { disposition: ';;=' }), refused(400)],
    ['disposition session', typed(sdp, 'application/sdp', { disposition: 'session;handling=required' }), described],
    ['early-session (RFC 3959)', typed(sdp, 'application/sdp', { disposition: 'early-session' }), none],
    [
      'early-session, required',
      typed(sdp, 'application/sdp', { disposition: 'early-session;handling=required' }),
      refused(415),
    ],
    ['text of type application/sdp', typed('hello', 'application/sdp'), refused(488)],
    ['a description without c= (RFC 8866 §5.7)', typed(sdp.replace(/c=.*\r\n/, ''), 'application/sdp'), refused(488)],
    ['SDP and ISUP (RFC 3372)', multipart([session, signal]), described],
    ['ISUP and SDP', multipart([signal, session]), described],
    ['a quoted boundary', multipart([signal, session], 'mixed', 'b 1', '"b 1"'), described],
    ['a boundary of odd characters', multipart([signal, session], 'mixed', "=_a'()+?", '"=_a\'()+?"'), described],
    ['an unknown kind of multipart', multipart([session, signal], 'digest'), described],
    [
      'multipart/alternative: the last that is understood',
      multipart([isup(), session, isup()], 'alternative'),
      described,
    ],
    ['multipart/related: the root', multipart([session, isup()], 'related'), described],
    ['multipart in multipart', multipart([signal, { ...nested, content: inner }]), described],
    ['a required part of unknown type (RFC 5621 §4)', multipart([session, isup()]), refused(415)],
    ['handling=required', multipart([session, isup('Content-Disposition: signal;handling=required')]), refused(415)],
    [
      'a location (RFC 6442), which headers refer to',
      multipart([session, { headers: ['Content-Type: application/pidf+xml', 'Content-ID: <a@b>'], content: '<x/>' }]),
      described,
    ],
    [
      'a session and an early session (RFC 3959)',
      multipart([
        { headers: ['Content-Type: application/sdp', 'Content-Disposition: early-session'], content: sdp },
        { headers: ['Content-Type: application/sdp', 'Content-Disposition: session'], content: sdp },
      ]),
      described,
    ],
    ['two sessions', multipart([session, session]), refused(400)],
    ['optional parts alone', multipart([signal]), none],
    [
      'a description in base64',
      multipart([
        {
          headers: ['Content-Type: application/sdp', 'Content-Transfer-Encoding: base64'],
          content: Buffer.from(sdp).toString('base64'),
        },
      ]),
      described,
    ],
    [
      'an encoded part',
      multipart([{ headers: ['Content-Type: application/sdp', 'Content-Encoding: deflate'], content: 'x' }]),
      refused(415),
    ],
    ['no boundary', typed(sdp, 'multipart/mixed'), refused(400)],
    ['another boundary', typed(multipart([session]).content, 'multipart/mixed;boundary=b'), refused(400)],
    [
      'no closing delimiter',
      typed(multipart([session]).content.replace('--b-1--', ''), 'multipart/mixed;boundary=b-1'),
      refused(400),
    ],
    ['no part', typed('--b-1--\r\n', 'multipart/mixed;boundary=b-1'), refused(400)],
    ['a part whose header is none', multipart([{ headers: ['(nothing'], content: sdp }]), refused(400)],
  ])('%s', (_, body, expected) => expect(readBody(body, 'request')).toEqual(expected));

  test('a refusal says what is accepted', () => {
    expect(readBody(multipart([session, isup()]), 'request')).toMatchObject({ headers: { Accept: ACCEPT } });
    const gzip = typed(sdp, 'application/sdp', { encoding: 'gzip' });
    expect(readBody(gzip, 'request')).toMatchObject({ headers: { 'Accept-Encoding': 'identity' } });
  });

  test.each<[string, Entity, unknown]>([
    ['a required part of unknown type next to a description', multipart([session, isup()]), described],
    ['only an unknown type', typed('hello', 'text/plain'), refused(415)],
    ['a description that is none', typed('hello', 'application/sdp'), refused(488)],
    ['an encoded one', typed(sdp, 'application/sdp', { encoding: 'gzip' }), refused(415)],
    ['an early session', typed(sdp, 'application/sdp', { disposition: 'early-session' }), none],
    ['nothing', entity(''), none],
  ])('in a response, where nothing can be refused: %s', (_, body, expected) =>
    expect(readBody(body, 'response')).toEqual(expected),
  );
});
