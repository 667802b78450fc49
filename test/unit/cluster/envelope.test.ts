import fc from 'fast-check';
import { Envelope, MAX_MESSAGE_BYTES } from '../../../src/cluster/envelope';
import type { Chunk, Deltas, Poll } from '../../../src/cluster/protocol/messages';
import { changeBytes } from '../../../src/cluster/protocol/sizes';
import { writeMessage } from '../../../src/cluster/wire';
import { sign } from '../../../src/process/hmac';
import type { Entry, TextEntry } from '../../../src/registration/entry';
import { entryBytes } from '../../../src/registration/entry-size';
import type { RegistrationRecord } from '../../../src/registration/record';
import { MAX_BODY_LENGTH } from '../../../src/registration/validate';

const header = { node: 1, boot: 1_700_000_000_000, token: 'abc', at: { ms: 1_700_000_000_000, counter: 0, node: 1 } };
const poll: Poll = {
  type: 'poll',
  ...header,
  hello: false,
  number: 9,
  address: '127.0.0.1:5060',
  sequence: 7,
  count: 3,
  digest: '00000000000000ff',
  common: '00000000000000ee',
  sip: 0,
  calls: 0,
  phones: 0,
  over: 0,
};
const alice: RegistrationRecord = {
  key: 'SEP-alice|urn:uuid:1',
  kind: 'station',
  device: 'SEP-alice',
  lines: ['1000'],
  instance: 'urn:uuid:1',
  pid: '1.dp.1',
  boot: header.boot,
  contact: 'sip:alice@127.0.0.1:5062',
  address: 'udp:127.0.0.1:5062',
  stamp: header.at,
  expiresAt: 1_700_000_120_000,
};
/** Of a kind that this node does not know. */
const news: TextEntry = {
  ...{ key: 'lamp/1000', kind: 'lamp', owner: 1, boot: header.boot, stamp: header.at, expiresAt: 0 },
  body: '{"colour":"green"}',
};
const deltas: Deltas = {
  type: 'deltas',
  ...header,
  first: 1,
  changes: [
    {
      op: 'put',
      entry: alice,
    },
    { op: 'stamp', key: 'k', stamp: header.at, expiresAt: 0 },
    { op: 'delete', key: 'k', reason: 'moved' },
  ],
};
const chunk: Chunk = {
  type: 'chunk',
  ...header,
  id: 1,
  snapshot: 7,
  part: 0,
  last: true,
  digest: '00000000000000ff',
  entries: [alice, { ...alice, key: 'another', kind: 'gateway', lines: [] }, news],
  gone: false,
};
const envelope = new Envelope('acme', 'secret');

function seal(message: Poll | Deltas | Chunk, by = envelope, channel = 'c'): string {
  const payload = by.seal(channel, message);
  if (payload === undefined) throw new Error('not sealed');
  return payload;
}

/** What somebody could send who knows the secret. */
function sealAny(value: unknown): string {
  const json = JSON.stringify(value);
  return `tandem4 ${sign('secret', ['tandem4', 'acme', 'c', json])} ${json}`;
}

function written(message: Chunk): Record<string, unknown> & { entries: unknown[][] } {
  return JSON.parse(writeMessage(message)) as Record<string, unknown> & { entries: unknown[][] };
}
const [row, , newsRow] = written(chunk).entries as [unknown[], unknown[], unknown[]];

describe('messages between nodes are authenticated, versioned, bounded and validated', () => {
  it.each([poll, deltas, chunk])('what was sealed is opened again ($type)', (message) => {
    expect(envelope.open('c', seal(message))).toEqual({ ok: true, message });
  });

  it('another secret, cluster or channel makes a forgery', () => {
    const payload = seal(poll);
    const forged = { ok: false, refusal: 'forged' };
    expect(new Envelope('acme', 'other').open('c', payload)).toEqual(forged);
    expect(new Envelope('other', 'secret').open('c', payload)).toEqual(forged);
    expect(envelope.open('d', payload)).toEqual(forged);
    expect(envelope.open('c', payload.replace('"sequence":7', '"sequence":8'))).toEqual(forged);
  });

  it('another version is not understood', () => {
    expect(envelope.open('c', seal(poll).replace('tandem4', 'tandem1'))).toEqual({ ok: false, refusal: 'version' });
  });

  it('what is too large is neither sent nor read', () => {
    const key = 'k'.repeat(MAX_MESSAGE_BYTES);
    const large: Deltas = { ...deltas, changes: [{ op: 'delete', key, reason: 'moved' }] };
    expect(envelope.seal('c', large)).toBeUndefined();
    expect(envelope.open('c', `tandem4 x ${key}`)).toEqual({ ok: false, refusal: 'too-large' });
  });

  it.each([
    ['an unknown type', { ...poll, type: 'gossip' }],
    ['an unknown field', { ...poll, extra: 1 }],
    ['a missing field', { ...poll, digest: undefined }],
    ['a negative sequence', { ...poll, sequence: -1 }],
    ['a fraction', { ...poll, count: 1.5 }],
    ['a malformed record', { ...deltas, changes: [['put', ['k']]] }],
    ['a record that is an object', { ...deltas, changes: [{ op: 'put', record: alice }] }],
    ['a record without its row', { ...deltas, changes: [['put']] }],
    ['an unknown change', { ...deltas, changes: [['forget', 'k', 'moved']] }],
    ['a deletion for no known reason', { ...deltas, changes: [['delete', 'k', 'boredom']] }],
    ['a deletion with more to it', { ...deltas, changes: [['delete', 'k', 'moved', 1]] }],
    ['a re-stamp with a negative counter', { ...deltas, changes: [['stamp', 'k', 1, -1, 1, 0]] }],
    ['a key with a line break', { ...deltas, changes: [['stamp', 'k\n', 1, 1, 1, 0]] }],
    ['changes that are no list', { ...deltas, changes: 'all' }],
    ['one bad record among good ones', { ...written(chunk), entries: [row, row, row.slice(1)] }],
    ['a record of a device that is a number', { ...written(chunk), entries: [row.with(2, 7)] }],
    ['a record with a wrong PID', { ...written(chunk), entries: [row.with(5, '1.xx.1')] }],
    ['a chunk without records', { ...written(chunk), entries: undefined }],
    ['a chunk with a negative part', { ...written(chunk), part: -1 }],
    ['an entry of a device without its fields', { ...written(chunk), entries: [newsRow.with(1, 'station')] }],
    ['a kind that is no word', { ...written(chunk), entries: [newsRow.with(1, 'LAMP 1')] }],
    ['an owner that is no number', { ...written(chunk), entries: [newsRow.with(2, 'me')] }],
    ['a body that is no text', { ...written(chunk), entries: [newsRow.with(8, { colour: 'green' })] }],
    ['a body that is too long', { ...written(chunk), entries: [newsRow.with(8, 'x'.repeat(MAX_BODY_LENGTH + 1))] }],
    ['an entry with more to it', { ...written(chunk), entries: [[...newsRow, 1]] }],
    ['no changes', { ...deltas, changes: [] }],
    ['a stamp that is no stamp', { ...poll, at: { ms: 'now', counter: 0, node: 1 } }],
    ['a PID that is none', { type: 'request', ...header, id: '1', pid: 'mp.1', targetBoot: 1, body: null }],
  ])('%s is malformed, also from somebody who knows the secret', (_what, message) => {
    expect(envelope.open('c', sealAny(message))).toEqual({ ok: false, refusal: 'malformed' });
  });

  it('nothing that arrives throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.boolean(), (text, prefixed) => {
        expect(envelope.open('c', prefixed ? `tandem4 ${text}` : text).ok).toBe(false);
      }),
    );
  });

  it('nothing that arrives from somebody who knows the secret throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(envelope.open('c', sealAny(value)).ok).toBe(false);
      }),
    );
  });

  it('an entry of a kind that this node does not know is opened like any other, with its body as it came', () => {
    const opened = envelope.open('c', seal({ ...deltas, changes: [{ op: 'put', entry: news }] }));
    expect(opened).toMatchObject({ ok: true, message: { changes: [{ op: 'put', entry: news }] } });
  });

  it('the key of a record travels only when it does not follow from device and instance', () => {
    expect(written(chunk).entries.map(([key]) => key)).toEqual([0, 'another', 'lamp/1000']);
  });

  it('what a record or a change takes is never thought less than it is, whatever its characters', () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 });
    const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
    fc.assert(
      fc.property(text, text, text, fc.array(text), (key, device, contact, lines) => {
        if (/[\p{Cc}\p{Cs}]/u.test(key + device + contact + lines.join(''))) return;
        const record = { ...alice, key, device, contact, lines, expiresAt: Number.MAX_SAFE_INTEGER };
        for (const entry of [record, { ...news, key, kind: device, body: contact }] as Entry[]) {
          const { entries } = JSON.parse(writeMessage({ ...chunk, entries: [entry] })) as { entries: unknown[] };
          expect(bytes(entries[0])).toBeLessThan(entryBytes(entry));
        }
        const stamp = { op: 'stamp', key, stamp: record.stamp, expiresAt: record.expiresAt } as const;
        const changes = (JSON.parse(writeMessage({ ...deltas, changes: [stamp] })) as { changes: unknown[] }).changes;
        expect(bytes(changes[0])).toBeLessThan(changeBytes(stamp));
      }),
    );
  });
});
