import { Moderation } from '../../../src/call-control/conference/moderation';
import type { MemberView } from '../../../src/call-control/conference/member';
import type { DeviceProcess } from '../../../src/device/device-process';
import { isPid } from '../../../src/process/pid';
import { CompositeSet } from '../../../src/registration/composite-set';
import { open, sdp, settled } from './conference-kit';

type Opened = ReturnType<typeof open>;

function idOf({ conference }: Opened, number: string): string {
  return conference.view().members.find((member) => member.number === number)?.id ?? '';
}

async function mute(room: Opened, number: string, muted: boolean): Promise<unknown> {
  return room.conference.control({ type: 'mute', member: idOf(room, number), muted });
}

describe('a moderator of a conference', () => {
  it('mutes and unmutes one participant; the same said twice is asked once', async () => {
    const room = open();
    await room.call('alice');
    await room.call('bob');
    expect(await mute(room, 'alice', true)).toMatchObject({
      ok: true,
      confirmed: true,
      member: { number: 'alice', muted: true, silenced: true, held: false },
    });
    await mute(room, 'alice', true);
    expect(await mute(room, 'alice', false)).toMatchObject({ confirmed: true, member: { silenced: false } });
    expect(room.manager.places.map(({ asked }) => asked)).toEqual([
      ['accept', 'muted true', 'muted false'],
      ['accept'],
    ]);
  });

  it('one who is muted holds and resumes, and sends re-INVITEs: it stays muted, and the bridge is not asked again', async () => {
    const room = open();
    const { session } = await room.call('alice');
    await mute(room, 'alice', true);
    session.reinvite('1', { sdp: sdp('sendonly') });
    session.reinvite('2', { sdp: sdp() });
    session.reinvite('3', { sdp: sdp() });
    await settled();
    expect(room.conference.view().members).toMatchObject([{ muted: true, held: false, silenced: true }]);
    expect(room.manager.places[0]?.asked.filter((what) => what.startsWith('muted'))).toEqual(['muted true']);
  });

  it('one who holds is muted and unmuted: it is heard when it resumes, not before', async () => {
    const room = open();
    const { session } = await room.call('alice');
    session.reinvite('1', { sdp: sdp('sendonly') });
    await mute(room, 'alice', true);
    expect(await mute(room, 'alice', false)).toMatchObject({ confirmed: true, member: { held: true, silenced: true } });
    session.reinvite('2', { sdp: sdp() });
    await settled();
    expect(room.conference.view().members).toMatchObject([{ held: false, silenced: false }]);
  });

  it('the bridge is lost: one who is muted is muted at the next one before it is offered that', async () => {
    const room = open();
    const { session, signals } = await room.call('alice');
    await mute(room, 'alice', true);
    room.manager.bridges = ['bridge-bb'];
    room.manager.places[0]?.lose();
    await settled();
    expect(room.manager.places[1]?.asked).toEqual(['offer', 'muted true']);
    const offer = signals.at(-1);
    if (offer?.type === 'reinvited') session.respond(offer.id, 200, { sdp: sdp() });
    await settled();
    expect(room.manager.places[1]?.asked).toEqual(['offer', 'muted true', 'connect sendrecv']);
    expect(await mute(room, 'alice', false)).toMatchObject({ confirmed: true, member: { silenced: false } });
  });

  it('a bridge that refuses is asked again after a while; the command stands, and is said to be pending', async () => {
    const room = open();
    await room.call('alice');
    const [place] = room.manager.places;
    place!.muting = { ok: false, reason: 'error' };
    expect(await mute(room, 'alice', true)).toMatchObject({ ok: true, confirmed: false, member: { silenced: false } });
    place!.muting = { ok: true };
    room.clock.pass(10_000);
    await settled();
    expect(room.conference.view().members).toMatchObject([{ muted: true, silenced: true }]);
    expect(place?.asked.filter((what) => what === 'muted true')).toHaveLength(2);
  });

  it('a bridge that says nothing: the moderator is told in time that it is pending', async () => {
    const room = open();
    await room.call('alice');
    room.manager.places[0]!.muting = undefined;
    const outcome = mute(room, 'alice', true);
    await settled();
    room.clock.pass(3000);
    expect(await outcome).toMatchObject({ ok: true, confirmed: false });
  });

  it('kicks one: its call ends with a Reason, its place is given back, and the others stay', async () => {
    const room = open();
    const [a, b] = [await room.call('alice'), await room.call('bob')];
    const member = idOf(room, 'bob');
    expect(await room.conference.control({ type: 'kick', member })).toEqual({ ok: true, confirmed: true });
    expect(b.signals.at(-1)).toMatchObject({
      type: 'ended',
      reasons: [{ cause: 403, text: 'Removed by a moderator' }],
    });
    expect(a.signals).toHaveLength(1);
    expect(room.manager.places.map(({ released }) => released)).toEqual([false, true]);
    expect(await room.conference.control({ type: 'kick', member })).toEqual({ ok: false, why: 'unknown-member' });
    room.clock.pass(60_000);
    await settled();
    expect(room.manager.open).toBe(1);
  });

  it('kicks one who is on the way in: it is refused, and has no place in the end', async () => {
    const room = open();
    const calling = room.call('alice');
    const member = idOf(room, 'alice');
    await room.conference.control({ type: 'kick', member });
    const { signals } = await calling;
    expect(signals).toMatchObject([{ type: 'rejected', status: 403 }]);
    expect([room.manager.open, room.emptied()]).toEqual([0, 1]);
  });

  it('locks it: a newcomer gets 403 with a Reason and the bridge is not asked; unlocked, it is let in', async () => {
    const room = open();
    await room.call('alice');
    expect(await room.conference.control({ type: 'lock', locked: true })).toMatchObject({ ok: true, locked: true });
    const { signals } = await room.call('bob');
    expect(signals).toMatchObject([{ type: 'rejected', status: 403, reason: 'The conference is locked' }]);
    expect(signals[0]?.type === 'rejected' && signals[0].header('reason')).toBe(
      'SIP;cause=403;text="The conference is locked"',
    );
    expect(room.manager.needs).toHaveLength(1);
    await room.conference.control({ type: 'lock', locked: false });
    expect((await room.call('bob')).signals).toMatchObject([{ type: 'answered' }]);
  });

  it('a lock ends with the conference; one without anybody cannot be locked', async () => {
    const room = open();
    const lock = { type: 'lock', locked: true } as const;
    expect(await room.conference.control(lock)).toEqual({ ok: false, why: 'empty' });
    const { session } = await room.call('alice');
    await room.conference.control(lock);
    session.bye();
    await settled();
    expect((await room.call('bob')).signals).toMatchObject([{ type: 'answered' }]);
  });

  it('participants of a locked conference are moved when its bridge is lost', async () => {
    const room = open();
    const { signals } = await room.call('alice');
    await room.conference.control({ type: 'lock', locked: true });
    room.manager.places[0]?.lose();
    await settled();
    expect(signals.at(-1)).toMatchObject({ type: 'reinvited' });
  });

  it('sees who talks, where the bridge can tell; one who is silenced does not', async () => {
    const room = open();
    await room.call('alice');
    await room.call('bob');
    expect((await room.conference.show()).members.map(({ talking }) => talking)).toEqual([undefined, undefined]);
    room.manager.talking = ['0', '1'];
    await mute(room, 'bob', true);
    expect((await room.conference.show()).members.map(({ talking }) => talking)).toEqual([true, false]);
  });
});

/** Two nodes: conferences are at node 1; messages between them are JSON, as they are. */
function twoNodes(process?: DeviceProcess) {
  const composite = new CompositeSet();
  const asked: { pid: string; boot: number }[] = [];
  const boot = 7;
  let answer: (body: unknown) => Promise<unknown> = (body) => owner.handle({ pid: '1.cf.1', boot }, body);
  const results: string[] = [];
  const options = {
    composite,
    numbers: new Set(['8000', '8001']),
    boot,
    onCommand: (command: string, result: string) => results.push(`${command} ${result}`),
  };
  const messenger = {
    request: async (target: { pid: string; boot: number }, body: unknown) => {
      asked.push({ pid: target.pid, boot: target.boot });
      const reply = await answer(JSON.parse(JSON.stringify(body)));
      return reply === undefined ? undefined : (JSON.parse(JSON.stringify(reply)) as unknown);
    },
  };
  const owner = new Moderation({ ...options, messenger, find: (pid) => (pid === '1.cf.1' ? process : undefined) });
  const other = new Moderation({ ...options, messenger, boot: 9, find: () => undefined });
  const register = (node: number, ms: number, pid = `${node}.cf.1`): void => {
    if (!isPid(pid)) throw new Error(pid);
    composite.put(node, {
      ...{ key: 'conference:8000', kind: 'conference', device: 'team', lines: ['8000'], instance: '8000' },
      ...{ pid, boot, contact: '', address: '', stamp: { ms, counter: 0, node }, expiresAt: 0 },
    });
  };
  return { owner, other, register, asked, results, answerWith: (with_: typeof answer) => (answer = with_) };
}

describe('moderators at any node', () => {
  it('what is asked of a node goes to the one that owns the conference, the newest if there are two', async () => {
    const room = open();
    await room.call('alice');
    const { other, register, asked, results } = twoNodes(room.conference);
    register(2, 50);
    register(1, 100);
    expect(await other.control('8000', { type: 'lock', locked: true })).toEqual({
      ...{ ok: true, confirmed: true, locked: true },
    });
    expect(await other.control('8000', { type: 'mute', member: idOf(room, 'alice'), muted: true })).toMatchObject({
      ...{ ok: true, confirmed: true, member: { number: 'alice', muted: true, node: undefined } },
    });
    expect(await other.show('8000')).toMatchObject({
      ok: true,
      conference: { number: '8000', locked: true, bridge: 'bridge-a', members: [{ number: 'alice', silenced: true }] },
    });
    expect(await other.control('8000', { type: 'kick', member: 'x' })).toEqual({ ok: false, why: 'unknown-member' });
    expect(new Set(asked.map(({ pid }) => pid))).toEqual(new Set(['1.cf.1']));
    expect(results).toEqual(['lock done', 'mute done', 'kick unknown-member']);
  });

  it('a great many participants come in pieces', async () => {
    const room = open({ maxMembers: 400 });
    for (let n = 0; n < 300; n++) await room.call(`caller-${n}`);
    const { other, register, asked } = twoNodes(room.conference);
    register(1, 1);
    const shown = await other.show('8000');
    const numbers = shown.ok ? shown.conference.members.map(({ number }: MemberView) => number) : [];
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, n) => `caller-${n}`));
    expect(asked.length).toBeGreaterThan(1);
  });

  it('says what is wrong: no such number, no node that has it, another process by now, no answer, nonsense for an answer', async () => {
    const { other, register, answerWith } = twoNodes(open().conference);
    const lock = { type: 'lock', locked: true } as const;
    expect(await other.control('8005', lock)).toEqual({ ok: false, why: 'unknown-conference' });
    expect(await other.show('8001')).toEqual({ ok: false, why: 'no-owner' });
    register(1, 1);
    expect(await other.control('8000', lock)).toEqual({ ok: false, why: 'empty' });
    for (const nothing of [undefined, 'nonsense', { ok: true, members: -1 }, { ok: false, why: 'because' }]) {
      answerWith(() => Promise.resolve(nothing));
      expect(await other.control('8000', lock)).toEqual({ ok: false, why: 'no-answer' });
      expect(await other.show('8000')).toEqual({ ok: false, why: 'no-answer' });
    }
    answerWith(() => Promise.resolve({ ok: true }));
    expect(await other.show('8000')).toEqual({ ok: false, why: 'no-answer' });
  });

  it('an owner that was started again, or has given the number up, has no such process; a factory has no participants', async () => {
    const { owner } = twoNodes({ pid: '1.cf.1', boot: 7, profile: open().conference.profile, call: () => never() });
    const show = { op: 'show', from: 0 };
    expect(await owner.handle({ pid: '1.cf.1', boot: 6 }, show)).toEqual({ ok: false, why: 'no-owner' });
    expect(await owner.handle({ pid: '1.cf.2', boot: 7 }, show)).toEqual({ ok: false, why: 'no-owner' });
    expect(await owner.handle({ pid: 'nonsense', boot: 7 }, show)).toEqual({ ok: false, why: 'no-owner' });
    expect(await owner.handle({ pid: '1.cf.1', boot: 7 }, show)).toEqual({ ok: false, why: 'unknown-conference' });
  });

  it.each([
    undefined,
    7,
    {},
    { op: 'show' },
    { op: 'show', from: -1 },
    { op: 'control', command: { type: 'mute', member: 'a' } },
    { op: 'control', command: { type: 'kick', member: '' } },
    { op: 'control', command: { type: 'drain' } },
  ])('nothing is done with %j', async (body) => {
    const room = open();
    await room.call('alice');
    expect(await twoNodes(room.conference).owner.handle({ pid: '1.cf.1', boot: 7 }, body)).toBeUndefined();
  });
});

function never(): never {
  throw new Error('nobody calls here');
}
