import fc from 'fast-check';
import {
  type Entity,
  parseDisposition,
  parseMediaType,
  parseMultipart,
  transferDecoded,
} from '../../../src/sip-message/mime';

/** RFC 2046 §5.1.1. */
const boundaryCharacters = "0123456789abcXYZ'()+_,-./:=?";
const boundary = fc.string({ unit: fc.constantFrom(...Array.from(boundaryCharacters)), minLength: 1, maxLength: 70 });
/** Bytes as drachtio-srf hands them over, with a taste for what delimiters are made of. */
const content = fc
  .array(
    fc.oneof(
      fc.constantFrom('\r\n', '\n', '\r', '--', '-', ' ', ':', '\0', '\u{fffd}'),
      fc.string({ unit: 'binary', maxLength: 12 }),
    ),
    { maxLength: 20 },
  )
  .map((pieces) => pieces.join(''));
const part = fc.record({
  contentType: fc.constantFrom(undefined, 'application/sdp', 'application/isup; version=itu-t92+'),
  disposition: fc.constantFrom(undefined, 'signal;handling=optional'),
  encoding: fc.constantFrom(undefined, 'gzip'),
  transferEncoding: fc.constantFrom(undefined, 'binary'),
  id: fc.constantFrom(undefined, 'a@b.example'),
  content,
});

function write(parts: readonly Entity[], mark: string, preamble: string, epilogue: string): string {
  const field = (name: string, value: string | undefined): string =>
    value === undefined ? '' : `${name}: ${value}\r\n`;
  const texts = parts.map(
    (one) =>
      `--${mark}\r\n${field('Content-Type', one.contentType)}${field('content-disposition', one.disposition)}` +
      `${field('Content-Encoding', one.encoding)}${field('Content-Transfer-Encoding', one.transferEncoding)}` +
      `${field('Content-ID', one.id === undefined ? undefined : `<${one.id}>`)}\r\n${one.content}\r\n`,
  );
  return `${preamble}\r\n${texts.join('')}--${mark}--${epilogue === '' ? '' : `\r\n${epilogue}`}`;
}

describe('multipart (RFC 2046 §5.1)', () => {
  test('what was written is read: any content without the boundary in it', () => {
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 6 }),
        boundary,
        content,
        content,
        (parts, mark, before, after) => {
          fc.pre(![before, after, ...parts.map((one) => one.content)].some((text) => text.includes(`--${mark}`)));
          expect(parseMultipart(write(parts, mark, before, after), mark)).toEqual(parts);
        },
      ),
    );
  });

  test('a part that is cut off is never taken for a whole one', () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), boundary, fc.nat(), (parts, mark, at) => {
        fc.pre(!parts.some((one) => one.content.includes(`--${mark}`)));
        const whole = write(parts, mark, '', '');
        const cut = whole.slice(0, at % (whole.length - 2));
        expect(parseMultipart(cut, mark)).toBeUndefined();
      }),
    );
  });

  test('whatever comes, nothing is thrown, and it takes time that grows with the length', () => {
    fc.assert(
      fc.property(content, boundary, (text, mark) => {
        parseMultipart(text, mark);
        parseMediaType(text);
        parseDisposition(text);
      }),
    );
    const before = process.cpuUsage();
    for (const piece of ['--b', '--b\r\n', '\r\n--b', ' ', '= ', ':', '\r\n ', ';a=']) {
      const long = piece.repeat(65_536 / piece.length);
      parseMultipart(long, 'b');
      parseMultipart(`--b\r\n${long}\r\n--b--`, 'b');
      parseMediaType(`a/b${long}`);
      transferDecoded({
        contentType: '',
        disposition: '',
        encoding: '',
        transferEncoding: 'quoted-printable',
        id: '',
        content: long,
      });
    }
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(2000);
  });

  test.each([
    ['a longer line is no delimiter', '--b\r\n\r\n--bc\r\n--b--', '--bc'],
    ['spaces after a delimiter are padding', '--b \t\r\n\r\nx\r\n--b-- \r\n', 'x'],
    ['bare line feeds', '--b\nContent-Type: text/plain\n\nx\n--b--\n', 'x'],
  ])('%s', (_, text, expected) => expect(parseMultipart(text, 'b')?.map((one) => one.content)).toEqual([expected]));

  test.each([undefined, '', 'b ', 'b\r\n', 'x'.repeat(71)])('%j is no boundary', (mark) =>
    expect(parseMultipart('--b\r\n\r\nx\r\n--b--', mark)).toBeUndefined(),
  );

  test('quoted-printable (RFC 2045 §6.7)', () => {
    const entity = { contentType: undefined, disposition: undefined, encoding: undefined, id: undefined };
    const text = { ...entity, transferEncoding: 'Quoted-Printable', content: 'v=3D0=\r\n=C3=A9' };
    expect(transferDecoded(text)).toBe('v=0é');
  });
});
