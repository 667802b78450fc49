import fc from 'fast-check';
import { Envelope, MAX_MESSAGE_BYTES } from '../../../src/cluster/envelope';
import type { Deltas, Poll } from '../../../src/cluster/protocol/messages';

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
};
const deltas: Deltas = {
  type: 'deltas',
  ...header,
  first: 1,
  changes: [
    {
      op: 'put',
      record: {
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
      },
    },
    { op: 'stamp', key: 'k', stamp: header.at, expiresAt: 0 },
    { op: 'delete', key: 'k', reason: 'moved' },
  ],
};
const envelope = new Envelope('acme', 'secret');

function seal(message: Poll | Deltas, by = envelope, channel = 'c'): string {
  const payload = by.seal(channel, message);
  if (payload === undefined) throw new Error('not sealed');
  return payload;
}

describe('messages between nodes are authenticated, versioned, bounded and validated', () => {
  it.each([poll, deltas])('what was sealed is opened again ($type)', (message) => {
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
    expect(envelope.open('c', seal(poll).replace('tandem1', 'tandem2'))).toEqual({ ok: false, refusal: 'version' });
  });

  it('what is too large is neither sent nor read', () => {
    const key = 'k'.repeat(MAX_MESSAGE_BYTES);
    const large: Deltas = { ...deltas, changes: [{ op: 'delete', key, reason: 'moved' }] };
    expect(envelope.seal('c', large)).toBeUndefined();
    expect(envelope.open('c', `tandem1 x ${key}`)).toEqual({ ok: false, refusal: 'too-large' });
  });

  it.each([
    ['an unknown type', { ...poll, type: 'gossip' }],
    ['an unknown field', { ...poll, extra: 1 }],
    ['a missing field', { ...poll, digest: undefined }],
    ['a negative sequence', { ...poll, sequence: -1 }],
    ['a fraction', { ...poll, count: 1.5 }],
    ['a malformed record', { ...deltas, changes: [{ op: 'put', record: { key: 'k' } }] }],
    ['no changes', { ...deltas, changes: [] }],
    ['a stamp that is no stamp', { ...poll, at: { ms: 'now', counter: 0, node: 1 } }],
    ['a PID that is none', { type: 'request', ...header, id: '1', pid: 'mp.1', targetBoot: 1, body: null }],
  ])('%s is malformed, also from somebody who knows the secret', (_what, message) => {
    expect(envelope.open('c', seal(message as Poll))).toEqual({ ok: false, refusal: 'malformed' });
  });

  it('nothing that arrives throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.boolean(), (text, prefixed) => {
        expect(envelope.open('c', prefixed ? `tandem1 ${text}` : text).ok).toBe(false);
      }),
    );
  });

  it('nothing that arrives from somebody who knows the secret throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(envelope.open('c', seal(value as unknown as Poll)).ok).toBe(false);
      }),
    );
  });
});
