import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedClock } from '../../../src/process/clock';
import { CommonJournal } from '../../../src/registration/common-journal';
import { NOBODY, type TextEntry } from '../../../src/registration/entry';
import { EntrySet } from '../../../src/registration/entry-set';
import { eventuallyTrue } from '../../support/eventually';
import { NOW, smallDisk } from './support';

let directory: string;
let warnings: object[];
let troubles: (string | undefined)[];
let clock: SimulatedClock;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'settings-')), 'state');
  [warnings, troubles] = [[], []];
  clock = new SimulatedClock(NOW);
});

afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }));

const path = (): string => join(directory, 'settings.journal');
const text = (): string => readFileSync(path(), 'utf8');

interface Opened {
  readonly journal: CommonJournal;
  readonly entries: EntrySet;
}

async function open(cluster = 'acme', node = 1): Promise<Opened> {
  const entries = new EntrySet();
  const journal = await CommonJournal.open({
    ...{ directory, identity: { cluster, node }, entries, clock },
    log: { warn: (details, message) => void warnings.push({ ...details, message }) },
    onTrouble: (reason) => void troubles.push(reason),
  });
  return { journal, entries };
}

function entry(key: string, body: string, ms = NOW, kind = 'setting'): TextEntry {
  return { key, kind, owner: NOBODY, boot: 0, stamp: { ms, counter: 0, node: 1 }, expiresAt: 0, body };
}

/** What a restart finds. */
async function bodies(cluster = 'acme', node = 1): Promise<Record<string, string>> {
  const { journal, entries } = await open(cluster, node);
  await journal.close();
  return Object.fromEntries([...entries.of(NOBODY)].map(({ key, body }) => [key, body]));
}

async function written(...changes: TextEntry[]): Promise<void> {
  const { journal, entries } = await open();
  for (const change of changes) entries.put(change);
  await journal.close();
}

const until = (what: string, accept: () => boolean | Promise<boolean>): Promise<unknown> =>
  eventuallyTrue(
    what,
    () => {
      clock.advance(5000);
      return accept();
    },
    { cap: 15_000, every: 20 },
  );

describe('the journal of what is nobody’s', () => {
  test('gives back what was set last, of every kind, also of those that this node does not know', async () => {
    await written(entry('a', '1'), entry('b', '1', NOW, 'speed-dial'), entry('a', '2', NOW + 1));
    expect(await bodies()).toEqual({ a: '2', b: '1' });
    expect(warnings).toEqual([]);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });

  test('the newest counts in whatever order the lines stand', async () => {
    await written(entry('a', 'new', NOW + 5));
    const newer = text();
    rmSync(path());
    await written(entry('a', 'old'));
    appendFileSync(path(), newer);
    const [first, ...rest] = text().split('\n');
    writeFileSync(path(), [first, ...rest.filter((each) => each.includes('put')).reverse(), ''].join('\n'));
    expect(await bodies()).toEqual({ a: 'new' });
  });

  test('what is of a node stays out of it', async () => {
    await written({ ...entry('watch/1', '{}', NOW, 'watch'), owner: 1, boot: 7 });
    expect(text()).not.toContain('watch');
  });

  test('that of another node of the cluster is as good as our own, that of another cluster is set aside', async () => {
    await written(entry('a', '1'));
    expect(await bodies('acme', 2)).toEqual({ a: '1' });
    const before = text();
    expect(await bodies('other')).toEqual({});
    expect(readFileSync(`${path()}.foreign`, 'utf8')).toBe(before);
    expect(warnings).toMatchObject([{ cluster: 'acme' }]);
  });

  test.each([
    ['a torn end', (whole: string) => whole.slice(0, -5), { a: '1' }],
    ['a flipped bit', (whole: string) => whole.replace('"body":"1"', '"body":"3"'), { b: '2' }],
    ['a line of noise', (whole: string) => `${whole}noise\n`, { a: '1', b: '2' }],
  ])('%s costs the line, not the file', async (_what, damage, left) => {
    await written(entry('a', '1'), entry('b', '2'));
    writeFileSync(path(), damage(text()));
    expect(await bodies()).toEqual(left);
    expect(warnings).toHaveLength(1);
    expect(await bodies()).toEqual(left);
    expect(warnings).toHaveLength(1);
  });

  test('does not grow for ever', async () => {
    const { journal, entries } = await open();
    for (let change = 0; change < 5_000; change++) {
      entries.put(entry('a', String(change), NOW + change));
      if (change % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await journal.close();
    expect(text().split('\n').length).toBeLessThan(3_000);
    expect(await bodies()).toEqual({ a: '4999' });
  });

  test('a file that is removed is written whole, with what changed meanwhile', async () => {
    const { journal, entries } = await open();
    entries.put(entry('a', '1'));
    await until('it is there', () => text().includes('"a"'));
    rmSync(directory, { recursive: true });
    await until('it was noticed', () => troubles.length > 0);
    entries.put(entry('b', '2'));
    await until('it is written again', () => troubles.at(-1) === undefined);
    await journal.close();
    expect(await bodies()).toEqual({ a: '1', b: '2' });
  });

  test('on a full disk it is told, what was set before does not come back, and all is there when there is room', async () => {
    // Only root may mount one.
    if (!smallDisk(directory)) return;
    try {
      const { journal, entries } = await open();
      entries.put(entry('forward', 'to my neighbour'));
      await until('it is there', () => text().includes('neighbour'));
      writeFileSync(join(directory, 'filler'), Buffer.alloc(240 * 1024));
      for (let line = 0; line < 200; line++) entries.put(entry(`line-${line}`, 'x'.repeat(200)));
      await until('it was told', () => troubles.some((each) => each?.includes('ENOSPC') === true));
      entries.put(entry('forward', 'nowhere', NOW + 1));
      await until('the old one is struck out', () => !/^[0-9a-f]{16} .*neighbour/m.test(text()));
      rmSync(join(directory, 'filler'));
      for (let line = 0; line < 200; line++) entries.put(entry(`line-${line}`, 'y', NOW + 1));
      await until('it is written again', () => troubles.at(-1) === undefined);
      await journal.close();
      expect(await bodies()).toMatchObject({ forward: 'nowhere', 'line-7': 'y' });
    } finally {
      execFileSync('umount', ['--lazy', directory]);
    }
  });
});
