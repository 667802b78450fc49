import fc from 'fast-check';
import { bindingKey } from '../../../src/registration/binding-key';
import { CompositeSet } from '../../../src/registration/composite-set';
import { DeviceManager } from '../../../src/registration/device-manager';
import { entryHash, EntryDigest } from '../../../src/registration/digest';
import { RecordIndex } from '../../../src/digit-analysis/record-index';
import { isRegistrationRecord } from '../../../src/registration/validate';
import { NOW, record } from './support';

describe('binding keys', () => {
  test('are the same for the same device and instance only', () => {
    expect(bindingKey('SEP-alice', 'urn:x')).toBe('SEP-alice|urn:x');
    expect(bindingKey('a|b', 'c')).not.toBe(bindingKey('a', 'b|c'));
    expect(bindingKey('a%7Cb', 'c')).not.toBe(bindingKey('a|b', 'c'));
  });
});

describe('claim R18: the digest of a set of records', () => {
  const records = [record('a', '1.dp.1'), record('b', '1.dp.2'), record('c', '1.dp.3')];

  test('does not depend on the order', () => {
    const [one, two] = [new EntryDigest(), new EntryDigest()];
    for (const each of records) one.add(entryHash(each));
    for (const each of [...records].reverse()) two.add(entryHash(each));
    expect(two.value).toBe(one.value);
  });

  test('is as if a removed record had never been there', () => {
    const digest = new EntryDigest();
    const empty = digest.value;
    const [first, second] = records.map(entryHash);
    digest.add(first!);
    digest.add(second!);
    digest.remove(first!);
    const alone = new EntryDigest();
    alone.add(second!);
    expect(digest.value).toBe(alone.value);
    digest.remove(second!);
    expect(digest.value).toBe(empty);
  });

  test('shows a record that is there twice', () => {
    const digest = new EntryDigest();
    digest.add(entryHash(records[0]!));
    digest.add(entryHash(records[0]!));
    expect(digest.value).not.toBe(new EntryDigest().value);
  });

  test('changes with everything that nodes must agree on, and not with the expiry', () => {
    const base = record('a', '1.dp.1');
    const hash = entryHash(base);
    expect(entryHash({ ...base, expiresAt: 1 })).toEqual(hash);
    const others = [
      { pid: '1.dp.2' as const },
      { boot: 8 },
      { lines: ['1000', '1001'] },
      { contact: 'sip:x@y' },
      { address: 'udp:10.0.0.8:1' },
      { stamp: { ms: NOW, counter: 1, node: 1 } },
    ];
    for (const change of others) expect(entryHash({ ...base, ...change })).not.toEqual(hash);
    const split = entryHash({ ...base, contact: `${base.contact}u`, address: base.address.slice(1) });
    expect(split).not.toEqual(hash);
  });

  test('is of 64 bits that are all used: twenty thousand records that differ little have a hash each', () => {
    const base = record('a', '1.dp.1');
    const hashes = new Set<string>();
    const [ones, twos] = [new Array<number>(32).fill(0), new Array<number>(32).fill(0)];
    const records = 20_000;
    for (let at = 0; at < records; at++) {
      const { high, low } = entryHash({ ...base, stamp: { ...base.stamp, ms: NOW + at } });
      hashes.add(`${high}/${low}`);
      for (let bit = 0; bit < 32; bit++) {
        ones[bit]! += (high >>> bit) & 1;
        twos[bit]! += (low >>> bit) & 1;
      }
    }
    expect(hashes.size).toBe(records);
    for (const set of [...ones, ...twos]) expect(Math.abs(set / records - 0.5)).toBeLessThan(0.02);
  });
});

describe('claim R18: what a follower of the changes changes itself', () => {
  test('is told after what it follows, to everybody in the same order, whatever fails', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(3), by: fc.nat(2), then: fc.nat(3), op: fc.constantFrom('put', 'delete') })),
        fc.boolean(),
        (reactions, fails) => {
          const set = new CompositeSet();
          const told: string[][] = [[], [], []];
          const pending = [...reactions];
          told.forEach((log, by) =>
            set.onChange(({ type, record: { device, boot } }) => {
              log.push(`${type} ${device} ${boot}`);
              const due = pending.findIndex((reaction) => reaction.by === by && `d${reaction.at}` === device);
              const [reaction] = due < 0 ? [] : pending.splice(due, 1);
              if (reaction === undefined) return;
              const changed = record(`d${reaction.then}`, '1.dp.1', { boot: pending.length });
              if (reaction.op === 'put') set.put(1, changed);
              else set.delete(1, changed.key, 'unregistered');
              if (fails) throw new Error('a follower fails');
            }),
          );
          try {
            set.put(1, record('d0', '1.dp.1', { boot: 1000 }));
          } catch (error) {
            if (!fails) throw error;
          }
          expect(told[1]).toEqual(told[0]);
          expect(told[2]).toEqual(told[0]);
          // Whoever only follows has what the set has.
          const standing = new Set<string>();
          for (const [type = '', device = ''] of (told[0] ?? []).map((line) => line.split(' ')))
            if (type === 'put') standing.add(device);
            else standing.delete(device);
          expect([...standing].sort()).toEqual([...set.of(1)].map(({ device }) => device).sort());
        },
      ),
    );
  });
});

describe('claim R9: the purge of a node that told very much', () => {
  test('is complete at once for whoever looks, told in several turns, and leaves what came meanwhile', async () => {
    const composite = new CompositeSet();
    const index = new RecordIndex(composite);
    const told: string[] = [];
    const size = 7_000;
    for (let at = 0; at < size; at++) composite.put(2, record(`d${at}`, `2.dp.${at + 1}`, { lines: [`${at}`] }));
    composite.put(3, record('d5000', '3.dp.1', { lines: ['5000'] }));
    composite.onChange((change) => {
      if (change.type === 'delete') told.push(change.record.device);
      if (change.record.device === 'd10') throw new Error('a follower fails');
    });
    expect(() => composite.purge(2, 'node-offline')).toThrow('followers');
    const looked = () => [
      composite.count(2),
      composite.ofDevice('d6999').length,
      index.byNumber('6999').length,
      index.byNumber('5000').map(({ owner }) => owner),
      [...index.allNumbers()].flatMap(([, held]) => held).length,
    ];
    expect(looked()).toEqual([0, 0, 0, [3], 1]);
    expect(told.length).toBeLessThan(size);
    // Its next incarnation has told one already.
    composite.put(2, record('d6000', '2.dp.1', { lines: ['6000'] }));
    while (told.length < size) await new Promise((resolve) => setImmediate(resolve));
    expect(new Set(told).size).toBe(size);
    expect(looked()).toEqual([1, 0, 0, [3], 2]);
    expect(index.byNumber('6000').map(({ record: { pid } }) => pid)).toEqual(['2.dp.1']);
  });
});

describe('claim M10: the device manager', () => {
  test('maps a device name to its processes in the whole cluster, newest first, and follows the composite set', () => {
    const composite = new CompositeSet();
    composite.put(1, record('a', '1.dp.1'));
    const manager = new DeviceManager(composite);
    expect(manager.newest('a')).toMatchObject({ pid: '1.dp.1', boot: 7, node: 1 });

    const stamp = { ms: NOW + 5, counter: 0, node: 2 };
    composite.put(2, record('a', '2.dp.1', { stamp }));
    expect(manager.find('a').map(({ pid }) => pid)).toEqual(['2.dp.1', '1.dp.1']);

    composite.delete(1, record('a', '1.dp.1').key, 'moved');
    expect(manager.find('a')).toMatchObject([{ pid: '2.dp.1', node: 2 }]);
    composite.purge(2, 'off-line');
    expect(manager.newest('a')).toBeUndefined();
  });

  test('tells which process is gone, also when another came in its place without a removal in between', () => {
    const composite = new CompositeSet();
    const manager = new DeviceManager(composite);
    const gone: string[] = [];
    manager.onGone(({ pid, boot }) => gone.push(`${pid} ${boot}`));
    composite.put(1, record('a', '1.mp.1'));
    composite.put(1, record('a', '1.mp.1', { stamp: { ms: NOW + 5, counter: 0, node: 1 } }));
    expect(gone).toEqual([]);
    composite.put(1, record('a', '1.mp.2', { stamp: { ms: NOW + 6, counter: 0, node: 1 } }));
    expect(gone).toEqual(['1.mp.1 7']);
    composite.put(2, record('b', '2.mp.1'));
    composite.purge(2, 'off-line');
    expect(gone).toEqual(['1.mp.1 7', '2.mp.1 7']);
  });
});

describe('records of other nodes', () => {
  const good = record('a', '1.dp.1');

  test('a record is taken, also after it went through JSON', () => {
    expect(isRegistrationRecord(good)).toBe(true);
    expect(isRegistrationRecord(JSON.parse(JSON.stringify(good)))).toBe(true);
    expect(isRegistrationRecord({ ...good, kind: 'gateway', lines: [], expiresAt: 0 })).toBe(true);
  });

  const without = (name: keyof typeof good): object =>
    Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));

  test.each(Object.keys(good) as (keyof typeof good)[])('without %s it is refused', (name) => {
    expect(isRegistrationRecord(without(name))).toBe(false);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a list', [good]],
    ['a text', 'record'],
    ['an unknown field', { ...good, extra: 1 }],
    ['no PID', { ...good, pid: '1.xx.1' }],
    ['node 0', { ...good, pid: '0.dp.1' }],
    ['another kind', { ...good, kind: 'toaster' }],
    ['a line break in the contact', { ...good, contact: 'sip:a@b\r\nX: y' }],
    ['a contact without end', { ...good, contact: `sip:${'a'.repeat(5000)}` }],
    ['too many lines', { ...good, lines: Array(100).fill('1') }],
    ['a line that is a number', { ...good, lines: [1000] }],
    ['a negative expiry', { ...good, expiresAt: -1 }],
    ['an expiry that is no number', { ...good, expiresAt: NaN }],
    ['a fractional incarnation', { ...good, boot: 1.5 }],
    ['a stamp without counter', { ...good, stamp: { ms: 1, node: 1 } }],
    ['an empty device', { ...good, device: '' }],
  ])('%s is refused', (_, value) => expect(isRegistrationRecord(value)).toBe(false));
});
