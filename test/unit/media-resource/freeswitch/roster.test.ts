import fc from 'fast-check';
import { conferenceName } from '../../../../src/media-resource/freeswitch/answers';
import { afterEvent, readRoster, type Roster } from '../../../../src/media-resource/freeswitch/roster';

const joined = {
  Action: 'add-member',
  'Conference-Name': 'acme-1-r',
  'Unique-ID': 'channel-1',
  'Member-ID': '7',
  'Caller-Caller-ID-Number': 'acme-1-100-1',
  Talking: 'false',
};
const none: Roster = new Map();

describe('who is in the conferences of FreeSWITCH', () => {
  it('members come, talk, are silent and go, as the events tell', () => {
    const member = {
      session: 'acme-1-100-1',
      conference: 'acme-1-r',
      id: '7',
      channel: 'channel-1',
      talks: false,
    };
    const there = afterEvent(none, joined);
    expect([...there.values()]).toEqual([member]);
    const talking = afterEvent(there, { ...joined, Action: 'start-talking', Talking: 'true' });
    expect([...talking.values()]).toEqual([{ ...member, talks: true }]);
    expect([...afterEvent(talking, { ...joined, Action: 'stop-talking' }).values()]).toEqual([member]);
    expect(afterEvent(talking, { ...joined, Action: 'del-member' }).size).toBe(0);
  });

  it('one that is moved to another conference is in that one, although it leaves the first one later', () => {
    const moved = afterEvent(afterEvent(none, joined), { ...joined, 'Conference-Name': 'other' });
    const after = afterEvent(moved, { ...joined, Action: 'del-member' });
    expect([...after.values()].map(({ conference }) => conference)).toEqual(['other']);
  });

  it('an event that lacks something, or could put words into a command, changes nothing', () => {
    for (const wrong of [
      { 'Member-ID': '7\n\napi fsctl shutdown' },
      { 'Conference-Name': 'a b' },
      { 'Unique-ID': 'x\ny' },
      { 'Unique-ID': undefined },
      { 'Caller-Caller-ID-Number': '' },
      { 'Member-ID': ['7'] },
      { Action: 'floor-change' },
    ])
      expect(afterEvent(none, { ...joined, ...wrong })).toBe(none);
  });

  it('reads the list of conferences', () => {
    const list = [
      {
        conference_name: 'acme-1-r',
        members: [
          {
            id: 7,
            uuid: 'channel-1',
            caller_id_number: 'acme-1-100-1',
            flags: { talking: true },
          },
          { id: 'recording', uuid: 'x' },
          null,
        ],
      },
      { conference_name: 'empty' },
      3,
    ];
    expect([...(readRoster(JSON.stringify(list)) ?? [])]).toEqual([
      ['channel-1', { session: 'acme-1-100-1', conference: 'acme-1-r', id: '7', channel: 'channel-1', talks: true }],
    ]);
    expect(readRoster('+OK No active conferences.\n')?.size).toBe(0);
    for (const odd of ['', 'x', '{}', '-ERR no']) expect(readRoster(odd)).toBeUndefined();
  });

  it('nothing that is received is an exception', () => {
    fc.assert(
      fc.property(fc.json(), fc.dictionary(fc.constantFrom(...Object.keys(joined)), fc.anything()), (text, event) => {
        readRoster(text);
        afterEvent(none, { Action: 'add-member', ...event });
      }),
    );
  });

  it('different rooms have different names, of letters that mean nothing in a dialplan or command', () => {
    expect(conferenceName('acme-1', '1-100-1')).toBe('acme-1-1-100-1');
    const safe = /^[A-Za-z0-9_.-]+$/;
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(conferenceName('acme-1', a)).toMatch(safe);
        return a === b || conferenceName('acme-1', a) !== conferenceName('acme-1', b);
      }),
    );
  });
});
