import { compareStamps, HybridClock } from '../../../src/process/hlc';
import { NOBODY, type TextEntry } from '../../../src/registration/entry';
import { EntrySet } from '../../../src/registration/entry-set';
import { Settings, SettingsError } from '../../../src/line/settings';
import { type Member, Members } from '../cluster/members';

const settingsOf = ({ entries, stamps }: Member): Settings => new Settings(entries, stamps);

function alone(now = () => 1_000): { readonly entries: EntrySet; readonly settings: Settings } {
  const entries = new EntrySet();
  return { entries, settings: new Settings(entries, new HybridClock(1, now)) };
}

describe('what users set for a line', () => {
  it('is what was set last; what is not named stays, and null unsets', () => {
    const { settings } = alone();
    const heard: unknown[] = [];
    settings.set('2000', { forwardAll: '3000', dnd: true });
    settings.onChange((line, after, before) => heard.push([line, after, before]));
    settings.set('2000', { forwardAll: null });
    expect(settings.get('2000')).toEqual({ dnd: true });
    expect(heard).toEqual([['2000', { dnd: true }, { forwardAll: '3000', dnd: true }]]);
    settings.set('2000', { dnd: null });
    expect(settings.get('2000')).toEqual({});
    expect([...settings.all()]).toEqual([]);
  });

  it('what is set to what it is already is told to nobody', () => {
    const { settings, entries } = alone();
    settings.set('2000', { dnd: true });
    const changes: unknown[] = [];
    entries.onChange((change) => changes.push(change));
    settings.set('2000', { dnd: true, forwardAll: null });
    expect(changes).toEqual([]);
  });

  it.each([
    ['no object', 'dnd', /object/i],
    ['an unknown setting', { colour: 'green' }, /colour/],
    ['a flag that is a text', { dnd: 'yes' }, /dnd/],
    ['a target that is none', { forwardBusy: 'two words' }, /forwardBusy/],
    ['a target with a line break', { forwardBusy: '2000\r\nX: y' }, /forwardBusy/],
    ['a target that is empty', { forwardAll: '' }, /forwardAll/],
    ['a target without an end', { forwardAll: '1'.repeat(129) }, /forwardAll/],
    ['a bad one among good ones', { dnd: true, forwardAll: 3000 }, /forwardAll/],
  ])('%s is refused with a word of what is wrong, and nothing of it is set', (_what, change, words) => {
    const { settings, entries } = alone();
    expect(() => settings.set('2000', change)).toThrow(SettingsError);
    expect(() => settings.set('2000', change)).toThrow(words);
    expect(entries.count(NOBODY)).toBe(0);
  });

  it('a line that is none is refused', () => {
    expect(() => alone().settings.set('two thousand', { dnd: true })).toThrow(SettingsError);
  });

  it('who writes after he has read wins, also over the stamp of a clock that was hours ahead', () => {
    const { settings, entries } = alone();
    settings.set('2000', { forwardAll: '3000' });
    const [written] = [...entries.of(NOBODY)] as [TextEntry];
    entries.put({
      ...written,
      stamp: { ms: 99_999_999, counter: 5, node: 2 },
      body: written.body.replace('3000', '4000'),
    });
    settings.set('2000', { forwardAll: '5000' });
    const [newest] = [...entries.of(NOBODY)] as [TextEntry];
    expect(settings.get('2000')).toEqual({ forwardAll: '5000' });
    expect(compareStamps(newest.stamp, { ms: 99_999_999, counter: 5, node: 2 })).toBeGreaterThan(0);
  });

  it('what a newer node sets, or what cannot be read, is kept and carried, and changes nothing that is known', () => {
    const { settings, entries } = alone();
    settings.set('2000', { dnd: true });
    const [written] = [...entries.of(NOBODY)] as [TextEntry];
    const strange = [
      { ...written, key: 'setting/ringtone/2000', body: '{"line":"2000","name":"ringtone","value":"bells"}' },
      { ...written, key: 'setting/dnd/2001', body: '{"line":"2001","name":"dnd","value":"perhaps"}' },
      { ...written, key: 'setting/dnd/2002', body: '{"line":' },
      { ...written, key: 'speed-dial/2000/1', kind: 'speed-dial', body: '["3000"]' },
    ];
    for (const entry of strange) entries.put(entry);
    expect([...settings.all()]).toEqual([['2000', { dnd: true }]]);
    expect(entries.count(NOBODY)).toBe(1 + strange.length);
  });
});

describe('the settings of all nodes are the same', () => {
  const members = new Members();
  const [one, two, three] = [members.add(1), members.add(2), members.add(3)];
  const [at1, at2, at3] = [settingsOf(one), settingsOf(two), settingsOf(three)];

  beforeAll(() => members.start(one, two));
  afterAll(() => members.stop());

  it('what is set at one is set at the others with one message, and no node must live for it', async () => {
    const before = members.traffic;
    at1.set('2000', { forwardAll: '3000', dnd: true });
    await members.run(50);
    expect(at2.get('2000')).toEqual({ forwardAll: '3000', dnd: true });
    expect(members.traffic.published - before.published).toBe(1);
    await one.cluster.stop();
    await members.run(5_000);
    expect(at2.get('2000')).toEqual({ forwardAll: '3000', dnd: true });
  });

  it('a newcomer has them all, those of nodes that are gone too, and of kinds that nobody here knows', async () => {
    const written: TextEntry = {
      ...{ key: 'speed-dial/1', kind: 'speed-dial', owner: NOBODY, boot: 0, expiresAt: 0, body: '["3000"]' },
      stamp: two.stamps.next(),
    };
    two.entries.put(written);
    await members.start(three);
    expect(at3.get('2000')).toEqual({ forwardAll: '3000', dnd: true });
    expect(three.entries.get(NOBODY, written.key)).toEqual(written);
  });

  it('who was away has the same as the others afterwards: of each setting what was set last, wherever', async () => {
    // All that node 1 knew, as its disk has it.
    const disk = new EntrySet();
    for (const entry of one.entries.of(NOBODY)) disk.put(entry);
    at3.set('2000', { forwardAll: '4000' });
    at3.set('2001', { loggedOut: true });
    await members.run(1_000);
    const again = members.add(1, disk);
    const settings = settingsOf(again);
    settings.set('2000', { dnd: null });
    await members.start(again);
    await members.run(3_000);
    for (const each of [settings, at2, at3]) {
      expect(each.get('2000')).toEqual({ forwardAll: '4000' });
      expect(each.get('2001')).toEqual({ loggedOut: true });
    }
    expect([two, three].every(({ cluster }) => cluster.converged)).toBe(true);
  });

  it('many come in several messages, and only those that differ', async () => {
    for (let line = 0; line < 3_000; line++) at2.set(String(10_000 + line), { forwardAll: '3'.repeat(100) });
    await members.run(2_000);
    const late = members.add(4);
    const before = late.bus.bytes;
    await members.start(late);
    await members.run(2_000);
    expect([...settingsOf(late).all()]).toHaveLength(3_002);
    expect(late.bus.bytes - before).toBeGreaterThan(600_000);
    const settled = members.traffic.bytes;
    await members.run(3_000);
    expect(members.traffic.bytes).toBe(settled);
  });
});
