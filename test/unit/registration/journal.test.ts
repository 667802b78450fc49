import { execFileSync } from 'node:child_process';
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
import { eventuallyTrue } from '../../support/eventually';
import { NOW, record, smallDisk } from './support';

let directory: string;
let warnings: object[];

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'journal-')), 'state');
  warnings = [];
});

afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }));

const clock = new SimulatedClock(NOW);
const path = (): string => join(directory, 'registrations.journal');

function open(): Promise<RegistrationJournal> {
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
  const journal = await open();
  for (const each of bindings) journal.put(each);
  await journal.close();
}

const devices = (journal: RegistrationJournal): string[] => journal.bindings().map((each) => each.record.device);

/** What a restart would find. */
async function restored(): Promise<readonly JournaledBinding[]> {
  const journal = await open();
  await journal.close();
  return journal.bindings();
}

const restoredDevices = async (): Promise<string[]> => (await restored()).map((each) => each.record.device);

describe('the journal of local registrations', () => {
  test('what was put and not deleted is there after a restart', async () => {
    const journal = await open();
    journal.put(binding('a'));
    journal.put(binding('b'));
    journal.put(binding('a', 2));
    journal.delete(binding('b').record.key);
    await journal.close();

    const next = await open();
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
    const journal = await open();
    expect(devices(journal)).toEqual(['a', 'b']);
    expect(warnings).toMatchObject([{ corruptLines: 0, tornTail: true, restored: 2 }]);
    journal.put(binding('d'));
    await journal.close();
    expect(await restoredDevices()).toEqual(['a', 'b', 'd']);
    expect(warnings).toHaveLength(1);
  });

  test('corrupt lines are skipped, with a warning, wherever they are', async () => {
    await written(binding('a'), binding('b'), binding('c'));
    const lines = readFileSync(path(), 'utf8').split('\n');
    lines[1] = lines[1]!.replace('call-b', 'call-x');
    writeFileSync(path(), ['garbage', '', '\u0000\u0001', ...lines].join('\n'));
    const journal = await open();
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
    const journal = await open();
    expect(journal.bindings()).toEqual([]);
    journal.put(binding('a'));
    await journal.close();
    expect(await restoredDevices()).toEqual(['a']);
  });

  test('whatever single damage a file takes, what is read of it is what was written', async () => {
    const bindings = ['a', 'b', 'c'].map((device) => binding(device));
    const whole = Buffer.from(bindings.map(putLine).join(''));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        async (at, flip, cut) => {
          const damaged = Buffer.from(cut ? whole.subarray(0, at) : whole);
          if (!cut) damaged.writeUInt8(damaged.readUInt8(at) ^ flip, at);
          const { bindings: read } = await parseJournal(damaged);
          for (const each of read.values()) expect(bindings).toContainEqual(each);
          // A damaged line end costs two lines at most.
          if (!cut) expect(read.size).toBeGreaterThanOrEqual(1);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a line with a right checksum and a wrong record is skipped', async () => {
    const wrong = { ...binding('a'), record: { ...record('a', '1.dp.1'), expiresAt: 'tomorrow' } };
    await written(wrong as unknown as JournaledBinding, binding('b'));
    expect(await restoredDevices()).toEqual(['b']);
    expect(warnings).toMatchObject([{ corruptLines: 1 }]);
  });

  test('a file that is whole and short is written on, not anew', async () => {
    await written(binding('a'), binding('b'));
    const { ino } = statSync(path());
    const journal = await open();
    journal.put(binding('c'));
    await journal.close();
    expect(statSync(path()).ino).toBe(ino);
    expect(await restoredDevices()).toEqual(['a', 'b', 'c']);
  });

  test('a file that is far too long is written anew when it is opened', async () => {
    await written();
    const lines = Array.from({ length: 2000 }, (_, at) => putLine(binding('a', at + 1)));
    writeFileSync(path(), lines.join(''));
    const journal = await open();
    expect(journal.bindings()).toEqual([binding('a', 2000)]);
    await journal.close();
    expect(readFileSync(path(), 'utf8').trim().split('\n')).toHaveLength(1);
  });

  test('twenty thousand bindings are read while other work goes on', async () => {
    await written();
    const bindings = Array.from({ length: 20_000 }, (_, at) => binding(`d${at}`));
    writeFileSync(path(), `${bindings.map(putLine).join('')}torn`);
    let turns = 0;
    let longest = 0;
    let last = performance.now();
    const began = last;
    let going = true;
    const turn = (): void => {
      const now = performance.now();
      [turns, longest, last] = [turns + 1, Math.max(longest, now - last), now];
      if (going) setImmediate(turn);
    };
    setImmediate(turn);
    const journal = await open();
    going = false;
    const took = performance.now() - began;
    process.stdout.write(
      `20000 bindings in ${took.toFixed(0)} ms, the event loop stood for ${longest.toFixed(0)} ms at most\n`,
    );
    expect(journal.bindings()).toHaveLength(20_000);
    expect(turns).toBeGreaterThan(30);
    await journal.close();
  });

  test('what was put, and is held, is that very binding', async () => {
    const journal = await open();
    const first = binding('a');
    journal.put(first);
    expect(journal.holds(first)).toBe(true);
    journal.put(binding('a', 2));
    expect(journal.holds(first)).toBe(false);
    journal.delete(first.record.key);
    await journal.close();
  });

  test('it is compacted: its size follows what is there, not what was', async () => {
    const journal = await open();
    for (let cseq = 1; cseq <= 5000; cseq += 1) {
      journal.put(binding('a', cseq));
      if (cseq % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await journal.close();
    const size = statSync(path()).size;
    expect(size).toBeLessThan(1100 * 700);
    expect(existsSync(`${path()}.new`)).toBe(false);
    expect(await restored()).toEqual([binding('a', 5000)]);
  });

  test('what is put during a compaction is not lost', async () => {
    const journal = await open();
    for (let at = 0; at < 3000; at += 1) {
      journal.put(binding('a', at));
      journal.put(binding(`b${at % 7}`, at));
      if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    journal.delete(binding('b3').record.key);
    await journal.close();
    expect((await restoredDevices()).sort()).toEqual(['a', 'b0', 'b1', 'b2', 'b4', 'b5', 'b6']);
  });

  test('a file that stopped within a compaction leaves the old one good', async () => {
    await written(binding('a'));
    appendFileSync(`${path()}.new`, 'half a li');
    expect(await restoredDevices()).toEqual(['a']);
  });

  test('a directory that cannot be written is reported once, and nothing throws', async () => {
    writeFileSync(join(directory, '..', 'file'), '');
    directory = join(directory, '..', 'file', 'state');
    const journal = await open();
    journal.put(binding('a'));
    journal.delete(binding('a').record.key);
    await journal.close();
    expect(warnings.length).toBeGreaterThan(0);
    directory = join(directory, '..', '..', 'state');
  });

  describe('on a disk that fails, and is mended', () => {
    const identity = { cluster: 'acme', node: 1 };
    let time: SimulatedClock;
    let troubles: (string | undefined)[];

    beforeEach(() => {
      time = new SimulatedClock(NOW);
      troubles = [];
    });

    const openWatched = (): Promise<RegistrationJournal> =>
      RegistrationJournal.open({
        directory,
        identity,
        clock: time,
        log: { warn: (details, message) => void warnings.push({ ...details, message }) },
        onTrouble: (reason) => void troubles.push(reason),
      });
    /** Lets the journal look at its file again and again until something holds. */
    const until = (what: string, accept: () => boolean | Promise<boolean>): Promise<unknown> =>
      eventuallyTrue(
        what,
        () => {
          time.advance(5000);
          return accept();
        },
        { cap: 15_000, every: 20 },
      );
    const text = (): string => readFileSync(path(), 'utf8');
    const inFile = async (): Promise<ReadonlyMap<string, JournaledBinding>> =>
      (await parseJournal(readFileSync(path()))).bindings;
    const reread = async (): Promise<string[]> => {
      const journal = await openWatched();
      await journal.close();
      return devices(journal);
    };

    test.each([
      ['the file is removed', () => rmSync(path())],
      ['the directory is removed', () => rmSync(directory, { recursive: true })],
      [
        'another file is in its place',
        () => {
          rmSync(path());
          writeFileSync(path(), '');
        },
      ],
    ])('when %s it is written whole, with what changed meanwhile', async (_what, damage) => {
      const journal = await openWatched();
      for (const device of ['a', 'b', 'c']) journal.put(binding(device));
      await until('they are in the file', () => text().includes('call-c'));
      damage();
      journal.delete(binding('b').record.key);
      await until('it was noticed and mended', () => troubles.length >= 2 && troubles.at(-1) === undefined);
      journal.put(binding('d'));
      await until('it goes on', () => text().includes('call-d'));
      // As after SIGKILL: it was not closed.
      expect([...(await inFile()).values()].map(({ record: { device } }) => device).sort()).toEqual(['a', 'c', 'd']);
      await journal.close();
    });

    test('a full disk loses the new and never brings back the old; with room everything is written', async () => {
      // Only root may mount one.
      if (!smallDisk(directory)) return;
      try {
        const filler = join(directory, 'filler');
        const journal = await openWatched();
        for (const device of ['a', 'b', 'c']) journal.put(binding(device));
        await until('they are in the file', () => text().includes('call-c'));
        const fill = (): void => {
          try {
            for (;;) appendFileSync(filler, Buffer.alloc(512));
          } catch {
            // Full.
          }
        };
        fill();
        for (let count = 0; count < 200; count++) journal.put(binding(`new-${count}`));
        await until('it cannot be written', () => troubles.at(-1)?.includes('ENOSPC') === true);
        fill();
        journal.delete(binding('a').record.key);
        journal.put({ ...binding('b'), record: { ...binding('b').record, contact: 'sip:b@192.0.2.77:5060' } });
        // What a restart would find: not the phone that left, nor the place where another was.
        await until('both are struck out', async () => {
          const now = await inFile();
          const old = now.get(binding('b').record.key)?.record.contact === binding('b').record.contact;
          return !now.has(binding('a').record.key) && !old;
        });
        const found = await inFile();
        expect(found.has(binding('c').record.key)).toBe(true);
        expect(troubles.at(-1)).toContain('ENOSPC');

        rmSync(filler);
        await until('it is written', () => troubles.at(-1) === undefined);
        const whole = await inFile();
        expect(whole.size).toBe(journal.bindings().length);
        expect(whole.has(binding('a').record.key)).toBe(false);
        await journal.close();
      } finally {
        execFileSync('umount', ['--lazy', directory]);
      }
    });

    test.each([
      ['another node', { cluster: 'acme', node: 2 }],
      ['another cluster', { cluster: 'other', node: 1 }],
    ])('the journal of %s is not believed, and kept', async (_whose, other) => {
      const foreign = await RegistrationJournal.open({
        directory,
        identity: other,
        clock: time,
        log: { warn: () => 0 },
      });
      foreign.put(binding('a'));
      await foreign.close();
      const before = text();
      expect(await reread()).toEqual([]);
      expect(readFileSync(`${path()}.foreign`, 'utf8')).toBe(before);
      expect(warnings).toMatchObject([{ cluster: other.cluster, node: other.node }]);
    });

    test('an older file, which does not say whose it is, is believed as far as its records are ours', async () => {
      await written(binding('a'), { ...binding('b'), record: record('b', '2.dp.1') });
      expect(await reread()).toEqual(['a']);
      expect(await reread()).toEqual(['a']);
      expect(readFileSync(path(), 'utf8')).toContain('"journal":{"cluster":"acme","node":1}');
    });
  });
});
