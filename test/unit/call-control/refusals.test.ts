import type { HeaderReader } from '../../../src/sip/user-agent';
import { finalMeaning } from '../../../src/sip-message/final-meaning';
import { headers, sdp, talking, target, World, type TwoParties } from './kit';

const TIMER = { 'Session-Expires': '90;refresher=uac', Require: 'timer' };
const statuses = Array.from({ length: 400 }, (_, i) => 300 + i);

/** A call whose callee we refresh every 39 s, before a SIP server would at 40 to 50 s; the caller refreshes by itself. */
const talk = (): TwoParties => talking({ answer: TIMER, headers: { Supported: 'timer' } });

describe('a refused session refresh (RFC 3261 §14.1, RFC 4028 §7.4, §10)', () => {
  test('every final response: the dialog is over, or the call goes on and the refresh is made again before it expires', () => {
    for (const status of statuses) {
      const { world, a, b } = talk();
      world.clock.advance(39_000);
      expect([status, b.all('reinvite').length]).toEqual([status, 1]);
      b.rejectsReinvite(status);
      const over = finalMeaning('INVITE', status).type === 'dialog-over';
      expect([status, a.all('bye').length, b.all('bye').length]).toEqual([status, over ? 1 : 0, over ? 1 : 0]);
      world.clock.advance(20_000);
      expect([status, b.all('reinvite').length]).toEqual([status, over ? 1 : 2]);
      if (over) continue;
      b.answersReinvite(sdp('bob'), TIMER);
      world.clock.advance(39_000);
      expect([status, b.all('reinvite').length, world.control.count]).toEqual([status, 3, 1]);
    }
  });

  test.each([
    ['5', 10_000],
    ['25', 25_000],
    ['soon', 10_000],
  ])('Retry-After: %s is waited for, and never less than 10 s', (value, ms) => {
    const { world, b } = talk();
    world.clock.advance(39_000);
    b.rejectsReinvite(503, { 'Retry-After': value });
    world.clock.advance(ms - 1);
    expect(b.all('reinvite')).toHaveLength(1);
    world.clock.advance(1);
    expect(b.all('reinvite')).toHaveLength(2);
  });

  test('422: again at once with its Min-SE, which holds from then on; a second one that asks for no more is a refusal', () => {
    const { world, b } = talk();
    world.clock.advance(39_000);
    b.rejectsReinvite(422, { 'Min-SE': '4000' });
    expect(b.all('reinvite')).toHaveLength(2);
    expect(b.offered?.headers).toMatchObject({ 'Session-Expires': '4000', 'Min-SE': '4000' });
    b.rejectsReinvite(422, { 'Min-SE': '4000' });
    expect(b.all('reinvite')).toHaveLength(2);
    expect(world.control.count).toBe(1);
    world.clock.advance(10_000);
    expect(b.offered?.headers['Session-Expires']).toBe('4000');
  });

  test.each([undefined, 'x', '90', '4294967295'])('422 with Min-SE %s is a refusal, and no loop', (value) => {
    const { world, b } = talk();
    world.clock.advance(39_000);
    b.rejectsReinvite(422, value === undefined ? {} : { 'Min-SE': value });
    expect(b.all('reinvite')).toHaveLength(1);
    world.clock.advance(10_000);
    expect(b.all('reinvite')).toHaveLength(2);
  });

  test('a refresh that is never answered ends the call', () => {
    const { world, a, b } = talk();
    world.clock.advance(39_000 + 40_000);
    expect([a, b].map((phone) => phone.all('bye').length)).toEqual([1, 1]);
  });

  test('422 to the first INVITE: the same phone is called again with its Min-SE', () => {
    const world = new World();
    const bob = world.device('SEP-bob', '1.dp.2');
    world.route('2000', [target('1.dp.2', 'SEP-bob')]);
    const a = world.call();
    bob.session.rejects(422, { 'Min-SE': '3600' });
    expect(bob.calls).toHaveLength(2);
    expect(bob.asked.headers).toMatchObject({ 'Session-Expires': '3600', 'Min-SE': '3600' });
    bob.session.rejects(422, { 'Min-SE': '3600' });
    expect(bob.calls).toHaveLength(2);
    expect(a.last('reject').status).toBe(500);
  });
});

describe('a refused request of the other party', () => {
  const none: HeaderReader = headers();

  function ask(method: string, status: number, header = none) {
    const { world, a, b } = talk();
    a.emit({ type: 'requested', id: 'i1', method, body: 'x', contentType: 'text/plain', header: none });
    const { id = '' } = b.last('request');
    b.emit({ type: 'request-answered', id, method, status, reason: 'Why', body: '', contentType: undefined, header });
    return { world, a, b, told: a.responseTo('i1') };
  }

  test.each(['INFO', 'MESSAGE'])(
    '%s: every final response is told, and ends the call when the dialog is over',
    (method) => {
      for (const status of statuses) {
        const { a, b, told } = ask(method, status);
        const over = finalMeaning(method, status).type === 'dialog-over';
        expect([status, a.all('bye').length, b.all('bye').length]).toEqual([status, over ? 1 : 0, over ? 1 : 0]);
        const ours = status < 400 || [401, 407, 420, 421, 422, 494].includes(status);
        expect([status, told?.status]).toEqual([status, over ? 481 : ours ? 500 : status]);
      }
    },
  );

  test('Retry-After and Warning are told with it', () => {
    const values = { 'Retry-After': '7', Warning: '399 x "y"' };
    expect(ask('INFO', 503, headers(values)).told?.headers).toMatchObject(values);
  });

  test('a re-INVITE: what is for us alone is not passed on, Retry-After is', () => {
    for (const [status, told] of [
      [407, 488],
      [401, 488],
      [422, 488],
      [302, 488],
      [488, 488],
      [500, 500],
      [606, 606],
    ] as const) {
      const { a, b } = talk();
      const id = a.reinvites(sdp('alice', { port: 4444 }));
      b.rejectsReinvite(status, { 'Retry-After': '3' });
      expect(a.responseTo(id)).toMatchObject({ status: told, headers: { 'Retry-After': '3' } });
    }
  });
});
