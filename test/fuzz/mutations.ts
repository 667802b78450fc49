import fc from 'fast-check';

/** Ways to spoil a SIP message that is still nearly one. Each takes a whole message and gives one back. */

type Spoil = (message: Buffer) => Buffer;

const CRLF = '\r\n';
const latin1 = (bytes: Buffer): string => bytes.toString('latin1');
const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Works on the lines of the head, start line included; the body stays. */
function withLines(message: Buffer, change: (lines: string[]) => string[]): Buffer {
  const text = latin1(message);
  const end = text.indexOf(CRLF + CRLF);
  const head = end < 0 ? text : text.slice(0, end);
  return bytesOf(change(head.split(CRLF)).join(CRLF) + (end < 0 ? '' : text.slice(end)));
}

const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const index = (at: number, length: number): number => Math.floor(at * length);

/** A header line, never the start line. */
function withHeader(message: Buffer, at: number, change: (line: string) => string[]): Buffer {
  return withLines(message, (lines) => {
    if (lines.length < 2) return lines;
    const chosen = 1 + index(at, lines.length - 1);
    return lines.flatMap((line, i) => (i === chosen ? change(line) : [line]));
  });
}

const nameOf = (line: string): string => line.slice(0, Math.max(0, line.indexOf(':')));

const FRAGMENTS = [
  '',
  ' ',
  '\t',
  '\0',
  '\r',
  '\n',
  CRLF,
  `${CRLF} `,
  CRLF + CRLF,
  ':',
  ';',
  ';;;;',
  ',',
  ',,,,',
  '<',
  '>',
  '<<<<',
  '"',
  '\\',
  '%',
  '%00',
  '%zz',
  '@',
  '|',
  '#',
  '*',
  '=',
  '?',
  ';tag=',
  ';tag=x;tag=y',
  ';lr',
  ';branch=z9hG4bK',
  ';expires=-1',
  'sip:',
  'sips:a@b',
  'tel:1',
  '[::1]',
  '[',
  '0',
  '-1',
  '4294967296',
  '99999999999999999999999999',
  '1e9',
  'NaN',
  '__proto__',
  'SIP/2.0',
  'Content-Length: 5\r\n',
  'l: -1\r\n',
  'Require: 100rel\r\n',
  'Replaces: a;to-tag=b;from-tag=c\r\n',
  'Session-Expires: 1;refresher=uas\r\n',
  'Record-Route: <sip:127.0.0.1:9;lr>, <x\r\n',
  '\xff\xfe',
  '\xc3\x28',
  '\xf0\x9f\x8e\xb7',
  '\xed\xa0\x80',
  '\xef\xbb\xbf',
];

const insertion = fc
  .tuple(position, fc.constantFrom(...FRAGMENTS), fc.nat(20))
  .map(([at, text, cut]): Spoil => (message) => {
    const start = index(at, message.length + 1);
    return Buffer.concat([message.subarray(0, start), bytesOf(text), message.subarray(start + cut)]);
  });

const flip = fc
  .array(fc.tuple(position, fc.nat(255)), { minLength: 1, maxLength: 4 })
  .map((flips): Spoil => (message) => {
    const changed = Buffer.from(message);
    for (const [at, mask] of flips) {
      const i = index(at, changed.length);
      changed[i] = (changed[i] ?? 0) ^ mask;
    }
    return changed;
  });

const truncation = position.map(
  (at): Spoil =>
    (message) =>
      Buffer.from(message.subarray(0, index(at, message.length))),
);

const header = fc.oneof(
  position.map(
    (at): Spoil =>
      (message) =>
        withHeader(message, at, (line) => [line, line]),
  ),
  position.map(
    (at): Spoil =>
      (message) =>
        withHeader(message, at, () => []),
  ),
  position.map(
    (at): Spoil =>
      (message) =>
        withHeader(message, at, (line) => [`${nameOf(line)}:`]),
  ),
  position.map(
    (at): Spoil =>
      (message) =>
        withHeader(message, at, (line) => [line.replace(/:\s*/, `:${CRLF}\t`)]),
  ),
  position.map(
    (at): Spoil =>
      (message) =>
        withHeader(message, at, (line) => [line.toUpperCase()]),
  ),
  fc.tuple(position, fc.constantFrom(...FRAGMENTS)).map(
    ([at, text]): Spoil =>
      (message) =>
        withHeader(message, at, (line) => [`${nameOf(line)}: ${text}`]),
  ),
  fc.tuple(position, position).map(
    ([from, to]): Spoil =>
      (message) =>
        withLines(message, (lines) => {
          const other = lines[1 + index(from, lines.length - 1)] ?? '';
          const value = other.slice(other.indexOf(':') + 1);
          const chosen = 1 + index(to, lines.length - 1);
          return lines.map((line, i) => (i === chosen ? `${nameOf(line)}:${value}` : line));
        }),
  ),
);

const huge = fc.tuple(position, fc.constantFrom('x', '9', ';a', ',<sip:a>', '"', '%41', '\\', ' '), fc.nat(9000)).map(
  ([at, unit, length]): Spoil =>
    (message) =>
      withHeader(message, at, (line) => [line + unit.repeat(Math.ceil(length / unit.length))]),
);

const digits = fc.constantFrom('0', '-1', '65536', '2147483648', '4294967296', '9'.repeat(30)).chain((number) =>
  fc.nat(8).map((which): Spoil => (message) => {
    let seen = 0;
    return bytesOf(latin1(message).replace(/(?<![\w.])\d+(?![\w.])/g, (text) => (seen++ === which ? number : text)));
  }),
);

const spoil: fc.Arbitrary<Spoil> = fc.oneof(
  { weight: 4, arbitrary: insertion },
  { weight: 3, arbitrary: header },
  { weight: 2, arbitrary: flip },
  { weight: 2, arbitrary: digits },
  { weight: 1, arbitrary: truncation },
  { weight: 1, arbitrary: huge },
);

/** None to four of them, one after another. */
export const spoils: fc.Arbitrary<Spoil> = fc
  .array(spoil, { maxLength: 4 })
  .map((list) => (message) => list.reduce((current, one) => one(current), message));
