import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { headerKey } from '../../src/sip-message/headers';
import type { SipMessage } from '../../src/sip-message/message';
import { parseMessage } from '../../src/sip-message/parse';
import { serialize } from '../../src/sip-message/serialize';
import { StreamFramer } from '../../src/sip-message/stream';

const CORPUS = join(__dirname, 'corpus', 'rfc4475');
const torture = readdirSync(CORPUS)
  .filter((name) => name.endsWith('.dat'))
  .sort()
  .map((name) => ({ name, bytes: readFileSync(join(CORPUS, name)) }));

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff);
const runs = Number(process.env.FUZZ_RUNS ?? 3000);

beforeAll(() => {
  process.stdout.write(`sip-message fuzz: FUZZ_SEED=${seed} FUZZ_RUNS=${runs}\n`);
});

/** What must survive: everything but the spelling of Content-Length, which is computed. */
function essence(message: SipMessage): unknown {
  return { ...message, headers: message.headers.filter((header) => headerKey(header.name) !== 'content-length') };
}

function checkRoundTrip(bytes: Buffer): void {
  const first = parseMessage(bytes);
  if (!first.ok) {
    expect(first.status).toBeGreaterThanOrEqual(400);
    return;
  }
  const again = parseMessage(serialize(first.message), { message: 1 << 20, headerLine: 1 << 20, headerCount: 1000 });
  expect(again.ok && essence(again.message)).toEqual(essence(first.message));
}

interface Mutation {
  readonly at: number;
  readonly remove: number;
  readonly insert: Uint8Array;
}

const fragment = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc
    .constantFrom(
      '\r\n',
      '\n',
      '\r',
      ' ',
      '\t',
      ':',
      ';',
      ',',
      '<',
      '>',
      '"',
      '\\',
      '%',
      '@',
      '\0',
      ' \r\n ',
      'SIP/2.0',
      ';lr',
    )
    .map((text) => Buffer.from(text)),
  fc
    .constantFrom(
      'Content-Length: 5\r\n',
      'l: -1\r\n',
      'v: x\r\n',
      'CSeq: 99999999999 INVITE\r\n',
      ';;;;;;',
      '""""',
      '<<<<',
    )
    .map((text) => Buffer.from(text)),
);

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.integer({ min: 0, max: 30 }),
  insert: fragment,
});

function mutate(bytes: Buffer, mutations: readonly Mutation[]): Buffer {
  return mutations.reduce((current, { at, remove, insert }) => {
    const index = Math.floor(at * current.length);
    return Buffer.concat([current.subarray(0, index), insert, current.subarray(index + remove)]);
  }, bytes);
}

const mutated = fc
  .tuple(fc.constantFrom(...torture), fc.array(mutation, { maxLength: 6 }))
  .map(([{ bytes }, mutations]) => mutate(bytes, mutations));

test('RFC 4475: every torture message is parsed or refused, none makes the parser throw', () => {
  expect(torture.length).toBeGreaterThan(45);
  for (const { bytes } of torture) checkRoundTrip(bytes);
});

test('the parser never throws, and parse(serialize(m)) equals m for every message that parses', () => {
  fc.assert(fc.property(mutated, checkRoundTrip), { seed, numRuns: runs });
});

test('arbitrary bytes never make the parser throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => checkRoundTrip(Buffer.from(bytes))),
    {
      seed,
      numRuns: runs,
    },
  );
});

test('RFC 3261 §18.3: the framer finds the same items however the stream is cut, and never throws', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(mutated, { minLength: 1, maxLength: 3 }), cuts, (messages, sizes) => {
      const stream = Buffer.concat(messages);
      const whole = new StreamFramer().push(stream);
      const framer = new StreamFramer();
      const parts = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length] ?? 1;
        parts.push(...framer.push(Buffer.from(stream.subarray(at, at + size))));
        at += size;
      }
      expect(parts).toEqual(whole);
    }),
    { seed, numRuns: Math.ceil(runs / 5) },
  );
});
