import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { SimulatedClock } from '../../../src/process/clock';
import { RegistrationJournal, type JournaledBinding } from '../../../src/registration/journal';
import { parseJournal, putLine } from '../../../src/registration/journal-format';
import { NOW, record } from './support';

let directory: string;
let warnings: object[];

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'journal-')), 'state');
  warnings = [];
});

afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }));

const clock = new SimulatedClock(NOW);
const path = (): string => join(directory, 'registrations.journal');

function open(): RegistrationJournal {
  return RegistrationJournal.open({
    directory,
    clock,
    log: { warn: (details, message) => void warnings.push({ ...details, message }) },
  });
}

function binding(device: string, cseq = 1): JournaledBinding {
  return { record: record(device, '1.dp.1'), callId: `call-${device}`, cseq, registeredAt: NOW };
}

async function written(...bindings: JournaledBinding[]): Promise<void> {
  const journal = open();
  for (const each of bindings) journal.put(each);
  await journal.close();
}

const devices = (journal: RegistrationJournal): string[] => journal.bindings().map((each) => each.record.device);

describe('the journal of local registrations', () => {
  test('what was put and not deleted is there after a restart', async () => {
    const journal = open();
    journal.put(binding('a'));
    journal.put(binding('b'));
    journal.put(binding('a', 2));
    journal.delete(binding('b').record.key);
    await journal.close();

    const next = open();
    expect(next.bindings()).toEqual([binding('a', 2)]);
    expect(warnings).toEqual([]);
    await next.close();
  });

  test('the file is private', async () => {
    await written(binding('a'));
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test('a torn tail costs the last line only, with a warning', async () => {
    await written(binding('a'), binding('b'), binding('c'));
    truncateSync(path(), statSync(path()).size - 20);
    const journal = open();
    expect(devices(journal)).toEqual(['a', 'b']);
    expect(warnings).toMatchObject([{ corruptLines: 0, tornTail: true, restored: 2 }]);
    journal.put(binding('d'));
    await journal.close();
    expect(devices(open())).toEqual(['a', 'b', 'd']);
    expect(warnings).toHaveLength(1);
  });

  test('corrupt lines are skipped, with a warning, wherever they are', async () => {
    await written(binding('a'), binding('b'), binding('c'));
    const lines = readFileSync(path(), 'utf8').split('\n');
    lines[1] = lines[1]!.replace('call-b', 'call-x');
    writeFileSync(path(), ['garbage', '', '\u0000\u0001', ...lines].join('\n'));
    const journal = open();
    expect(devices(journal)).toEqual(['a', 'c']);
    expect(warnings).toMatchObject([{ corruptLines: 4, tornTail: false }]);
    await journal.close();
  });

  test.each([
    ['random bytes', Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 7919) % 256))],
    ['nothing', Buffer.alloc(0)],
    ['one endless line', Buffer.alloc(100_000, 0x61)],
  ])('a file of %s is survived', async (_, bytes) => {
    await written();
    writeFileSync(path(), bytes);
    const journal = open();
    expect(journal.bindings()).toEqual([]);
    journal.put(binding('a'));
    await journal.close();
    expect(devices(open())).toEqual(['a']);
  });

  test('whatever single damage a file takes, what is read of it is what was written', () => {
    const bindings = ['a', 'b', 'c'].map((device) => binding(device));
    const whole = Buffer.from(bindings.map(putLine).join(''));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, flip, cut) => {
        const damaged = Buffer.from(cut ? whole.subarray(0, at) : whole);
        if (!cut) damaged.writeUInt8(damaged.readUInt8(at) ^ flip, at);
        const { bindings: read } = parseJournal(damaged);
        for (const each of read.values()) expect(bindings).toContainEqual(each);
        // A damaged line end costs two lines at most.
        if (!cut) expect(read.size).toBeGreaterThanOrEqual(1);
      }),
      { numRuns: 500 },
    );
  });

  test('a line with a right checksum and a wrong record is skipped', async () => {
    const wrong = { ...binding('a'), record: { ...record('a', '1.dp.1'), expiresAt: 'tomorrow' } };
    await written(wrong as unknown as JournaledBinding, binding('b'));
    expect(devices(open())).toEqual(['b']);
    expect(warnings).toMatchObject([{ corruptLines: 1 }]);
  });

  test('it is compacted: its size follows what is there, not what was', async () => {
    const journal = open();
    for (let cseq = 1; cseq <= 5000; cseq += 1) {
      journal.put(binding('a', cseq));
      if (cseq % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await journal.close();
    const size = statSync(path()).size;
    expect(size).toBeLessThan(1100 * 700);
    expect(existsSync(`${path()}.new`)).toBe(false);
    expect(open().bindings()).toEqual([binding('a', 5000)]);
  });

  test('what is put during a compaction is not lost', async () => {
    const journal = open();
    for (let at = 0; at < 3000; at += 1) {
      journal.put(binding('a', at));
      journal.put(binding(`b${at % 7}`, at));
      if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    journal.delete(binding('b3').record.key);
    await journal.close();
    expect(devices(open()).sort()).toEqual(['a', 'b0', 'b1', 'b2', 'b4', 'b5', 'b6']);
  });

  test('a file that stopped within a compaction leaves the old one good', async () => {
    await written(binding('a'));
    appendFileSync(`${path()}.new`, 'half a li');
    expect(devices(open())).toEqual(['a']);
  });

  test('a directory that cannot be written is reported once, and nothing throws', async () => {
    writeFileSync(join(directory, '..', 'file'), '');
    directory = join(directory, '..', 'file', 'state');
    const journal = open();
    journal.put(binding('a'));
    journal.delete(binding('a').record.key);
    await journal.close();
    expect(warnings.length).toBeGreaterThan(0);
    directory = join(directory, '..', '..', 'state');
  });
});
