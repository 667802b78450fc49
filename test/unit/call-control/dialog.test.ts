import { profile, sdp, talking, target, World, type FakeSession } from './kit';

describe('an established call', () => {
  let world: World;
  let a: FakeSession;
  let b: FakeSession;
  const talk = (options: Parameters<typeof talking>[0] = {}): void => {
    ({ world, a, b } = talking(options));
  };
  afterEach(() => world.close());

  describe('re-INVITE', () => {
    test('an offer goes to the other leg and its answer comes back', () => {
      talk();
      const id = a.reinvites(sdp('alice', { port: 4444, version: 2 }));
      expect(a.responseTo(id)).toBeUndefined();
      expect(b.offered?.sdp).toContain('m=audio 4444');
      b.answersReinvite(sdp('bob', { port: 5555 }));
      expect(a.responseTo(id)).toMatchObject({ status: 200 });
      expect(a.responseTo(id)?.sdp).toContain('m=audio 5555');
    });

    test('RFC 3264 §8: our o= keeps its session id and raises its version with each change', () => {
      talk();
      const first = /o=- (\d+) (\d+)/.exec(a.last('answer').sdp ?? '');
      const id = a.reinvites(sdp('alice', { port: 4444 }));
      b.answersReinvite(sdp('bob', { port: 5555 }));
      const second = /o=- (\d+) (\d+)/.exec(a.responseTo(id)?.sdp ?? '');
      expect(second?.[1]).toBe(first?.[1]);
      expect(Number(second?.[2])).toBe(Number(first?.[2]) + 1);
    });

    test('RFC 3264 §8: a stream that is gone keeps its m= line with port 0', () => {
      talk({ alice: sdp('alice', { video: true }), bob: sdp('bob', { video: true }) });
      const id = a.reinvites(sdp('alice', { port: 4444 }));
      expect(b.offered?.sdp).toContain('m=video 0');
      b.answersReinvite(sdp('bob', { port: 5555 }));
      expect(a.responseTo(id)?.sdp).not.toContain('m=video');
    });

    test('RFC 3261 §14.1: a refusal goes back with its status and the session stays as it was', () => {
      talk();
      const before = world.detail.legs;
      const id = a.reinvites(sdp('alice', { port: 4444 }));
      b.rejectsReinvite(488);
      expect(a.responseTo(id)).toMatchObject({ status: 488 });
      expect(world.detail.legs).toEqual(before);
    });

    test('RFC 3261 §14.2: a second offer before our answer is refused with 500 and Retry-After', () => {
      talk();
      world.random = 0.95;
      a.reinvites(sdp('alice', { port: 4444 }));
      const second = a.reinvites(sdp('alice', { port: 4446 }));
      expect(a.responseTo(second)).toMatchObject({ status: 500, headers: { 'Retry-After': '10' } });
      b.answersReinvite(sdp('bob'));
    });

    test('RFC 3261 §14.2: an offer that crosses ours is refused with 491', () => {
      talk();
      a.reinvites(sdp('alice', { port: 4444 }));
      const crossing = b.reinvites(sdp('bob', { port: 5555 }));
      expect(b.responseTo(crossing)).toMatchObject({ status: 491 });
      b.answersReinvite(sdp('bob'));
    });

    test('RFC 3261 §14.1: after 491 ours goes again, after 2.1 to 4 s where we own the Call-ID', () => {
      talk();
      const id = a.reinvites(sdp('alice', { port: 4444 }));
      b.rejectsReinvite(491);
      expect(a.responseTo(id)).toBeUndefined();
      world.clock.advance(2100);
      expect(b.all('reinvite')).toHaveLength(1);
      world.clock.advance(1900);
      expect(b.all('reinvite')).toHaveLength(2);
      b.answersReinvite(sdp('bob', { port: 5555 }));
      expect(a.responseTo(id)?.status).toBe(200);
    });

    test('after a 491 the offer of the other leg goes first when it comes first: two that wait would wait for ever', () => {
      talk();
      const id = a.reinvites(sdp('alice', { port: 4444 }));
      b.rejectsReinvite(491);
      const other = b.reinvites(sdp('bob', { port: 5555 }));
      expect(a.responseTo(id)?.status).toBe(491);
      expect(a.offered?.sdp).toContain('m=audio 5555');
      a.answersReinvite(sdp('alice', { port: 4444 }));
      expect(b.responseTo(other)).toMatchObject({ status: 200 });
    });

    test('after a 491 a hold of the other leg turns the offer that waits into one that we answer', () => {
      talk();
      const id = a.reinvites(sdp('alice', { port: 4444 }));
      b.rejectsReinvite(491);
      expect(b.reinvitesAndAcks(sdp('bob', { direction: 'sendonly' }))?.sdp).toContain('a=inactive');
      expect(a.responseTo(id)?.sdp).toContain('a=inactive');
    });

    test('RFC 3261 §14.1: and after 0 to 2 s where the peer owns it', () => {
      talk();
      const id = b.reinvites(sdp('bob', { port: 5555 }));
      a.rejectsReinvite(491);
      world.clock.advance(2000);
      a.answersReinvite(sdp('alice'));
      expect(b.responseTo(id)?.status).toBe(200);
    });

    test.each([408, 481])('RFC 3261 §14.1: %i to our re-INVITE ends the call', (status) => {
      talk();
      const id = a.reinvites(sdp('alice', { port: 4444 }));
      b.rejectsReinvite(status);
      expect(a.responseTo(id)?.status).toBe(487);
      expect(a.all('bye')).toHaveLength(1);
      expect(b.all('bye')).toHaveLength(1);
    });

    test('a re-INVITE that is never answered ends the call, should the SIP server forget it', () => {
      talk();
      a.reinvites(sdp('alice', { port: 4444 }));
      world.clock.advance(40_000);
      expect(world.control.count).toBe(0);
    });

    test('RFC 3261 §14.1: without offer the other leg is asked for one; its answer comes with the ACK', () => {
      talk();
      const id = a.reinvites();
      expect(b.offered?.sdp).toBeUndefined();
      b.answersReinvite(sdp('bob', { port: 5555 }));
      expect(a.responseTo(id)?.sdp).toContain('m=audio 5555');
      expect(b.all('acknowledge')).toEqual([]);
      a.acks(sdp('alice', { port: 4444 }));
      expect(b.last('acknowledge').sdp).toContain('m=audio 4444');
    });

    test('the other leg must answer an offer of its own even when the ACK brings no answer', () => {
      talk();
      a.reinvites();
      b.answersReinvite(sdp('bob', { port: 5555 }));
      a.acks();
      expect(b.last('acknowledge').sdp).toContain('a=inactive');
      // Both ends are brought together again by offers of ours.
      b.answersReinvite(sdp('bob', { port: 5557 }));
      a.answersReinvite(sdp('alice', { port: 4446 }));
      expect(b.last('acknowledge').sdp).toContain('m=audio 4446');
      expect(world.detail.legs.map((leg) => leg.connection)).toEqual(['peer', 'peer']);
    });

    test('RFC 4028 §7.4: an unchanged description is a refresh and concerns nobody else', () => {
      talk();
      const response = a.reinvitesAndAcks(sdp('alice', { version: 2 }));
      expect(response?.sdp).toBe(a.last('answer').sdp);
      expect(b.all('reinvite')).toEqual([]);
    });

    test('what is no description is refused with 488', () => {
      talk();
      expect(a.responseTo(a.reinvites('nonsense'))?.status).toBe(488);
    });

    test('an answer without description is no answer', () => {
      talk();
      const id = a.reinvites(sdp('alice', { port: 4444 }));
      b.answersReinvite(undefined);
      expect(a.responseTo(id)?.status).toBe(488);
    });
  });

  describe('other requests', () => {
    test('RFC 3311: an UPDATE with a description goes on as a re-INVITE', () => {
      talk();
      const id = a.requestsThat('UPDATE', sdp('alice', { port: 4444 }), 'application/sdp');
      b.answersReinvite(sdp('bob', { port: 5555 }));
      expect(a.responseTo(id)?.sdp).toContain('m=audio 5555');
      // There is no ACK for an UPDATE, so the leg is free at once.
      b.reinvites(sdp('bob', { port: 5557 }));
      expect(a.offered?.sdp).toContain('m=audio 5557');
      a.answersReinvite(sdp('alice'));
    });

    test('RFC 4028 §7.4: an UPDATE without description is answered with 200 and the session timer', () => {
      talk();
      const id = a.requestsThat('UPDATE', '', undefined, {
        'Session-Expires': '600;refresher=uac',
        Supported: 'timer',
      });
      expect(a.responseTo(id)).toMatchObject({ status: 200, headers: { 'Session-Expires': '600;refresher=uac' } });
    });

    test.each(['INFO', 'MESSAGE'])('%s is passed on with its body, and so is the answer', (method) => {
      talk();
      const id = a.requestsThat(method, 'Signal=5', 'application/dtmf-relay', {
        'Info-Package': 'dtmf',
        'X-Other': 'no',
      });
      const passed = b.last('request');
      expect(passed).toMatchObject({ method, body: 'Signal=5', contentType: 'application/dtmf-relay' });
      expect(passed.headers).toEqual({ 'Info-Package': 'dtmf' });
      const rest = { method, reason: 'Fine', body: 'ok', contentType: 'text/plain', header: () => undefined };
      b.emit({ type: 'request-answered', id: passed.id ?? '', status: 202, ...rest });
      expect(a.responseTo(id)).toMatchObject({ status: 202, body: 'ok', contentType: 'text/plain' });
    });

    test.each([
      ['OPTIONS', 200],
      ['REFER', 400],
      ['NOTIFY', 489],
      ['SUBSCRIBE', 489],
      ['PUBLISH', 405],
    ])('%s is answered with %i', (method, status) => {
      talk();
      expect(a.responseTo(a.requestsThat(method))?.status).toBe(status);
    });

    describe('before the answer', () => {
      const ringing = (...names: string[]) => {
        world = new World();
        const devices = names.map((name, at) => world.device(name, `1.dp.${at + 2}`));
        world.route('2000', ...names.map((name, at) => [target(`1.dp.${at + 2}`, name)]));
        a = world.call();
        for (const { session } of devices) session.rings();
        return devices.map(({ session }) => session);
      };
      const answer = (to: FakeSession | undefined, status: number): void => {
        const rest = {
          method: 'INFO',
          reason: 'As It Says',
          body: '',
          contentType: undefined,
          header: () => undefined,
        };
        to?.emit({ type: 'request-answered', id: to.last('request').id ?? '', status, ...rest });
      };

      test.each([
        [200, 200],
        [202, 202],
        [415, 415],
        [401, 500],
        [481, 500],
        [408, 500],
        [503, 500],
      ])('what the caller says goes to the one who rings: %i is %i to him, and the call goes on', (status, told) => {
        const [callee] = ringing('SEP-bob');
        const id = a.requestsThat('INFO', 'Signal=5', 'application/dtmf-relay');
        expect(callee?.last('request')).toMatchObject({ body: 'Signal=5', contentType: 'application/dtmf-relay' });
        answer(callee, status);
        expect(a.responseTo(id)?.status).toBe(told);
        callee?.answers(sdp('bob'));
        expect(a.all('answer')).toHaveLength(1);
      });

      test('not when several ring, nor the other way: 500 for now', () => {
        const [one, two] = ringing('SEP-bob', 'SEP-bob-2');
        const refused = { status: 500, headers: { 'Retry-After': expect.any(String) as string } };
        expect(a.responseTo(a.requestsThat('INFO', 'x', 'text/plain'))).toMatchObject(refused);
        expect([...(one?.all('request') ?? []), ...(two?.all('request') ?? [])]).toEqual([]);
        expect(one?.responseTo(one.requestsThat('INFO', 'x', 'text/plain'))).toMatchObject(refused);
        expect(one?.responseTo(one.requestsThat('OPTIONS'))?.status).toBe(200);
      });
    });
  });

  describe('the end', () => {
    test('BYE of the callee ends the caller', () => {
      talk();
      b.hangsUp();
      expect(a.all('bye')).toHaveLength(1);
      expect(world.records).toMatchObject([{ endedBy: 'callee', status: 200 }]);
    });

    test('RFC 3261 §15.1.2: what waits for an answer still gets one', () => {
      talk();
      const offer = a.reinvites(sdp('alice', { port: 4444 }));
      const info = a.requestsThat('INFO', 'x', 'text/plain');
      b.hangsUp();
      expect(a.responseTo(offer)?.status).toBe(487);
      expect(a.responseTo(info)?.status).toBe(481);
    });

    test('a BYE overtakes what waits: nothing is begun for a call that is over', () => {
      world = new World();
      const callee = world.device('SEP-bob', '1.dp.2');
      world.route('2000', [target('1.dp.2', 'SEP-bob')]);
      a = world.call();
      b = callee.session;
      const answer = a.answer.bind(a);
      // All of this arrives while the 200 is still being sent.
      a.answer = (options) => {
        answer(options);
        a.acks();
        a.reinvites(sdp('alice', { port: 4444 }));
        a.hangsUp();
      };
      b.answers(sdp('bob'));
      expect(b.all('reinvite')).toEqual([]);
      expect(b.all('bye')).toHaveLength(1);
    });

    test('the loss of the SIP server ends both legs', () => {
      talk();
      a.emit({ type: 'ended', by: 'server', reason: 'SIP server lost' });
      expect(b.all('bye')).toHaveLength(1);
      expect(world.records).toMatchObject([{ endedBy: 'system' }]);
    });
  });

  describe('session timers (RFC 4028)', () => {
    test('§9: a caller that supports it refreshes by itself', () => {
      talk({ headers: { 'Session-Expires': '600', Supported: 'replaces, timer' } });
      expect(a.last('answer').headers).toEqual({
        'Session-Expires': '600;refresher=uac',
        Supported: 'timer, replaces, norefersub',
        Require: 'timer',
      });
    });

    test('§9: for one that does not, we refresh, and require nothing', () => {
      talk();
      expect(a.last('answer').headers).toEqual({ 'Session-Expires': '1800;refresher=uas' });
    });

    test('§9: the refresher that the caller asked for is kept', () => {
      talk({ headers: { 'Session-Expires': '3600;refresher=uas', Supported: 'timer', 'Min-SE': '120' } });
      expect(a.last('answer').headers['Session-Expires']).toBe('1800;refresher=uas');
    });

    test('§9: less than 90 s is refused with 422 and Min-SE', () => {
      world = new World();
      const refused = world.call({ headers: { 'Session-Expires': '60', Supported: 'timer' } });
      expect(refused.last('reject')).toMatchObject({ status: 422, headers: { 'Min-SE': '90' } });
    });

    test('§7.1: our INVITE asks for a session timer', () => {
      talk();
      expect(world.devices.get('1.dp.2')?.asked.headers).toMatchObject({
        'Session-Expires': '1800',
        Supported: 'timer, replaces, norefersub',
      });
    });

    test('§7.2: a callee without session timer is refreshed by us at half the interval, for as long as it answers', () => {
      talk({ answer: {}, headers: { Supported: 'timer' } });
      const offered = world.devices.get('1.dp.2')?.asked.sdp;
      world.clock.advance(900_000);
      expect(b.offered?.sdp).toBe(offered);
      b.answersReinvite(sdp('bob'));
      world.clock.advance(900_000);
      expect(b.all('reinvite')).toHaveLength(2);
      b.rejectsReinvite(408);
      expect(a.all('bye')).toHaveLength(1);
      expect(world.control.count).toBe(0);
    });

    test('§7.2: who refreshes says the 2xx, of the peer and of ours, each time anew', () => {
      talk({ headers: { Supported: 'timer' }, answer: { 'Session-Expires': '90;refresher=uas', Supported: 'timer' } });
      world.clock.advance(3_600_000);
      expect([a, b].flatMap((phone) => phone.all('reinvite'))).toEqual([]);
      // It re-invites without a word of a timer: from now on we do.
      expect(b.reinvitesAndAcks(sdp('bob'))?.headers['Session-Expires']).toBe('1800;refresher=uas');
      world.clock.advance(894_000);
      b.answersReinvite(sdp('bob'), { 'Session-Expires': '100;refresher=uac' });
      world.clock.advance(43_000);
      expect(b.all('reinvite')).toHaveLength(1);
      world.clock.advance(1000);
      expect(b.all('reinvite')).toHaveLength(2);
      b.answersReinvite(sdp('bob'), { 'Session-Expires': '100;refresher=uas' });
      world.clock.advance(3_600_000);
      expect(b.all('reinvite')).toHaveLength(2);
    });
  });

  test('the detail of a call is plain JSON with legs, directions and route', () => {
    talk();
    expect(JSON.parse(JSON.stringify(world.detail))).toMatchObject({
      state: 'established',
      legs: [
        { id: 'a', device: 'SEP-alice', direction: 'sendrecv', connection: 'peer' },
        { id: 'b1', device: 'SEP-bob', direction: 'sendrecv', connection: 'peer' },
      ],
      route: { matched: '2000', trials: [{ device: 'SEP-bob', outcome: 'answered' }] },
    });
  });

  test('a caller from another node is told nothing but directions when it holds', () => {
    talk({ caller: 'node' });
    expect(world.detail.legs[0]).toMatchObject({ kind: 'node', device: profile('node-2', 'node').name });
  });
});
