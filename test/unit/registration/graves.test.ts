import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedClock } from '../../../src/process/clock';
import type { Departed } from '../../../src/registration/grave';
import { RegistrationJournal, type JournaledBinding } from '../../../src/registration/journal';
import { buryLine } from '../../../src/registration/journal-format';
import { NOW, record } from './support';

let directory: string;
let warnings: object[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'graves-'));
  warnings = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const path = (): string => join(directory, 'registrations.journal');
const log = { warn: (details: object, message: string): void => void warnings.push({ ...details, message }) };
const open = (): Promise<RegistrationJournal> =>
  RegistrationJournal.open({ directory, clock: new SimulatedClock(NOW), log });
const binding = (device: string): JournaledBinding => ({
  record: record(device, '1.dp.1'),
  callId: device,
  cseq: 1,
  registeredAt: NOW,
});
const devicesOf = (journal: RegistrationJournal): string[] => journal.bindings().map((each) => each.record.device);

async function written(...bindings: JournaledBinding[]): Promise<void> {
  const journal = await open();
  for (const each of bindings) journal.put(each);
  await journal.close();
}

describe('what has left, in the journal', () => {
  const stamp = (ms: number) => ({ ms, counter: 0, node: 1 });
  const departed = (name: string, ms = NOW, until = NOW + 60_000): Departed => ({
    of: 'binding',
    name,
    stamp: stamp(ms),
    until,
  });

  test('is there after a restart, with its newest stamp, until it is taken back', async () => {
    const journal = await open();
    journal.bury(departed('a'));
    journal.bury(departed('a', NOW + 5));
    journal.bury(departed('a', NOW + 1));
    journal.bury({ ...departed('a'), of: 'device' });
    journal.bury(departed('b'));
    journal.exhume({ of: 'binding', name: 'b' });
    journal.put(binding('c'));
    await journal.close();
    const next = await open();
    expect(next.buried()).toEqual([departed('a', NOW + 5), { ...departed('a'), of: 'device' }]);
    expect(devicesOf(next)).toEqual(['c']);
    expect(warnings).toEqual([]);
    await next.close();
  });

  test('is written once, however often it is told', async () => {
    for (let restart = 0; restart < 3; restart++) {
      const journal = await open();
      for (let told = 0; told < 10; told++) journal.bury(departed('a'));
      await journal.close();
    }
    expect(readFileSync(path(), 'utf8').trim().split('\n')).toHaveLength(1);
  });

  test('goes when it could not come back any more, and does not make the file grow', async () => {
    const journal = await open();
    for (let at = 0; at < 3000; at++) {
      journal.bury(departed(`a${at}`, NOW, at < 10 ? NOW + 60_000 : NOW));
      if (at >= 10) journal.exhume({ of: 'binding', name: `a${at}` });
    }
    await journal.close();
    const again = await open();
    for (let at = 0; at < 3000; at++) again.bury(departed(`b${at}`, NOW, NOW));
    await again.close();
    expect(readFileSync(path(), 'utf8').split('\n').length).toBeLessThan(5000);
    expect((await open()).buried().filter(({ name }) => name.startsWith('a'))).toHaveLength(10);
  });

  test.each<[string, object]>([
    ['of another kind', { of: 'line' }],
    ['without a name', { name: '' }],
    ['with half a stamp', { stamp: { ms: NOW } }],
    ['without an end', { until: undefined }],
  ])('a grave %s is a damaged line', async (_, wrong) => {
    await written(binding('a'));
    appendFileSync(path(), buryLine({ ...departed('x'), ...wrong }));
    const journal = await open();
    expect(journal.buried()).toEqual([]);
    expect(devicesOf(journal)).toEqual(['a']);
    expect(warnings).toMatchObject([{ corruptLines: 1 }]);
    await journal.close();
  });
});
