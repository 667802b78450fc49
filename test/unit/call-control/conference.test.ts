import { focusHeaders, focusIn } from '../../../src/call-control/conference/focus';
import type { SessionSignal } from '../../../src/sip/user-agent';
import { open, sdp, settled } from './conference-kit';

describe('a conference', () => {
  it("claim M3: the first caller's list is walked, and everybody later is at the same bridge in the same room", async () => {
    const { manager, conference, call } = open();
    const first = await call('alice');
    await call('bob');
    expect(first.signals).toMatchObject([{ type: 'answered' }]);
    expect(manager.needs).toMatchObject([
      { type: 'conference', device: 'alice', site: 'dallas', room: 'room-1' },
      { type: 'conference', device: 'alice', at: 'bridge-a', room: 'room-1' },
    ]);
    expect(conference.view()).toMatchObject({ bridge: 'bridge-a', initiator: 'alice', members: [{}, {}] });
  });

  it('two who call at the same moment open one bridge', async () => {
    const { manager, call } = open();
    await Promise.all([call('alice'), call('bob')]);
    expect(manager.needs.map(({ at }) => at)).toEqual([undefined, 'bridge-a']);
  });

  it('each who leaves gives back one place; the last one ends it, and the next caller opens it anew', async () => {
    const { manager, clock, call, emptied } = open();
    const [a, b] = [await call('alice'), await call('bob')];
    a.session.bye();
    await settled();
    expect(manager.open).toBe(1);
    b.session.bye();
    b.session.bye();
    await settled();
    expect([manager.open, emptied(), clock.pending]).toEqual([0, 1, 0]);
    await call('carol');
    expect(manager.needs.at(-1)).toMatchObject({ device: 'carol', room: 'room-2' });
  });

  it('one more than maxMembers gets 486 with a Reason, and takes nothing', async () => {
    const { manager, call } = open({ maxMembers: 2 });
    await call('alice');
    await call('bob');
    const { signals } = await call('carol');
    expect(signals).toMatchObject([{ type: 'rejected', status: 486, reason: 'The conference is full' }]);
    expect(signals[0]?.type === 'rejected' && signals[0].header('Reason')).toBe(
      'SIP;cause=486;text="The conference is full"',
    );
    expect(manager.open).toBe(2);
  });

  it('without a bridge the caller gets 503 with a Reason', async () => {
    const { manager, call, emptied } = open();
    manager.bridges = [];
    const { signals } = await call('alice');
    expect(signals).toMatchObject([{ type: 'rejected', status: 503, reason: 'No conference bridge is available' }]);
    expect(emptied()).toBe(1);
  });

  it('claim M13: a bridge that grants and then fails is passed by; one that cannot take the codecs refuses the call', async () => {
    const { manager, call } = open();
    manager.answers = { ok: false, reason: 'down' };
    await call('alice');
    expect(manager.needs.map(({ exclude }) => exclude)).toEqual([[], ['bridge-a'], ['bridge-a', 'bridge-bb']]);
    expect(manager.open).toBe(0);
    manager.answers = { ok: false, reason: 'unsupported' };
    expect((await call('bob')).signals).toMatchObject([{ type: 'rejected', status: 488 }]);
    expect(manager.open).toBe(0);
  });

  it('who hangs up while a place is being found has none in the end', async () => {
    const { manager, conference } = open();
    const caller = { number: 'alice', displayName: undefined, device: 'alice' };
    const session = conference.call({ caller, digits: '8000', sdp: sdp(), maxForwards: 69 });
    const signals: SessionSignal[] = [];
    session.listen((signal) => signals.push(signal));
    await Promise.resolve();
    session.cancel();
    await settled();
    expect(signals).toMatchObject([{ type: 'rejected', status: 487 }]);
    expect(manager.open).toBe(0);
  });

  it('who holds is muted, and is heard again after it resumes; the same said twice is asked once', async () => {
    const { manager, call } = open();
    const { session, signals } = await call('alice');
    session.reinvite('1', { sdp: sdp('sendonly') });
    session.reinvite('2', { sdp: sdp('sendonly') });
    session.reinvite('3', { sdp: sdp() });
    await settled();
    expect(manager.places[0]?.asked).toEqual(['accept', 'accept', 'muted true', 'accept', 'accept', 'muted false']);
    expect(signals.slice(1).map(({ type }) => type)).toEqual(Array(3).fill('reinvite-answered'));
  });

  it('a delayed offer: the bridge offers, and the answer comes with the ACK; the same in a re-INVITE', async () => {
    const { manager, call } = open();
    const caller = await call('alice', '');
    expect(caller.signals).toMatchObject([{ type: 'answered' }]);
    caller.session.acknowledge(sdp());
    caller.session.reinvite('1', {});
    caller.session.acknowledge(sdp('sendonly'));
    await settled();
    expect(manager.places[0]?.asked).toEqual(['offer', 'connect sendrecv', 'offer', 'connect sendonly', 'muted true']);
  });

  it('the bridge is lost: everybody is offered the next one, in one room, and the old places are given back', async () => {
    const { manager, conference, call } = open();
    const parties = [await call('alice'), await call('bob')];
    manager.bridges = ['bridge-bb'];
    for (const place of manager.places.slice(0, 2)) place.lose();
    await settled();
    for (const { session, signals } of parties) {
      const offer = signals.at(-1);
      expect(offer).toMatchObject({ type: 'reinvited' });
      if (offer?.type === 'reinvited') session.respond(offer.id, 200, { sdp: sdp() });
    }
    await settled();
    expect(parties.map(({ signals }) => signals.at(-1)?.type)).toEqual(['acknowledged', 'acknowledged']);
    const moved = manager.places.slice(2);
    expect(moved.map(({ device, room, asked }) => [device, room, asked])).toEqual([
      ['bridge-bb', 'room-2', ['offer', 'connect sendrecv']],
      ['bridge-bb', 'room-2', ['offer', 'connect sendrecv']],
    ]);
    expect(manager.open).toBe(2);
    expect(conference.view().bridge).toBe('bridge-bb');
  });

  it('a moved participant that holds stays muted at the next bridge', async () => {
    const { manager, call } = open();
    const { session, signals } = await call('alice');
    session.reinvite('1', { sdp: sdp('sendonly') });
    await settled();
    manager.bridges = ['bridge-bb'];
    manager.places[0]?.lose();
    await settled();
    const offer = signals.at(-1);
    if (offer?.type === 'reinvited') session.respond(offer.id, 200, { sdp: sdp('inactive') });
    await settled();
    expect(manager.places[1]?.asked).toEqual(['offer', 'muted true', 'connect inactive']);
  });

  it('RFC 3261 §14.1: after 491 the next bridge is offered again, unless the participant made an offer of its own', async () => {
    const { manager, clock, call } = open();
    const [a, b] = [await call('alice'), await call('bob')];
    manager.bridges = ['bridge-bb'];
    for (const place of manager.places.slice(0, 2)) place.lose();
    await settled();
    for (const { session, signals } of [a, b]) {
      const offer = signals.at(-1);
      if (offer?.type === 'reinvited') session.respond(offer.id, 491);
    }
    b.session.reinvite('1', { sdp: sdp() });
    await settled();
    clock.pass(2500);
    await settled();
    expect(a.signals.map(({ type }) => type)).toEqual(['answered', 'reinvited', 'reinvited']);
    expect(b.signals.map(({ type }) => type)).toEqual(['answered', 'reinvited', 'reinvite-answered']);
  });

  it('a lost bridge with no other: the call ends with a Reason and nothing is left', async () => {
    const { manager, clock, call } = open();
    const { signals } = await call('alice');
    manager.bridges = [];
    manager.places[0]?.lose();
    await settled();
    expect(signals.at(-1)).toMatchObject({
      type: 'ended',
      reasons: [{ protocol: 'SIP', cause: 503, text: 'No conference bridge is available' }],
    });
    expect([manager.open, clock.pending]).toEqual([0, 0]);
  });

  it('a lease that the bridge does not know: a new place at the same bridge, and the others stay', async () => {
    const { manager, call } = open();
    const [a, b] = [await call('alice'), await call('bob')];
    const [place] = manager.places;
    place?.lose('unknown-allocation');
    await settled();
    expect(manager.needs.at(-1)).toMatchObject({ at: 'bridge-a', room: 'room-1' });
    expect(a.signals.at(-1)).toMatchObject({ type: 'reinvited' });
    expect(b.signals).toHaveLength(1);
    expect(manager.open).toBe(2);
  });

  it('a bridge whose places fail again and again does not keep a participant busy for ever', async () => {
    const { manager, call } = open();
    const { session, signals } = await call('alice');
    for (let round = 0; round < 20 && signals.at(-1)?.type !== 'ended'; round++) {
      manager.places.at(-1)?.lose();
      await settled();
      const offer = signals.at(-1);
      if (offer?.type === 'reinvited') session.respond(offer.id, 491);
    }
    const last = signals.at(-1);
    expect(last?.type === 'ended' && last.reason).toContain('fails');
    expect(manager.open).toBe(0);
  });

  it('initiator-leaves: it is over for everybody, with a Reason', async () => {
    const { manager, call, emptied } = open({ endPolicy: 'initiator-leaves' });
    const [a, b, c] = [await call('alice'), await call('bob'), await call('carol')];
    a.session.bye();
    await settled();
    for (const { signals } of [b, c]) {
      const last = signals.at(-1);
      expect(last?.type === 'ended' && last.reason).toContain('The conference is over');
    }
    expect([manager.open, emptied()]).toEqual([0, 1]);
  });

  it('requests in the dialog are answered', async () => {
    const { call } = open();
    const { session, signals } = await call('alice');
    session.request('1', { method: 'INFO' });
    session.request('2', { method: 'MESSAGE' });
    expect(signals.slice(1)).toMatchObject([{ status: 200 }, { status: 405 }]);
  });
});

describe('RFC 4579 §4.2: isfocus', () => {
  it('is read from a Contact and told to the caller', () => {
    expect(focusIn('<sip:8000@127.0.0.1:5060>;isfocus')).toBe('8000');
    expect(focusIn('<sip:8999*123@127.0.0.1:5060;transport=tcp>;isfocus')).toBe('8999*123');
    expect(focusHeaders('8000')).toEqual({ Contact: '<sip:8000@localhost>;isfocus' });
  });

  it.each([undefined, '', '*', '<sip:8000@127.0.0.1>', '<tel:8000>;isfocus', '<sip:a%0d%0ab@h>;isfocus', '<;isfocus'])(
    'nothing is made of %s',
    (contact) => {
      expect(focusIn(contact)).toBeUndefined();
      expect(focusHeaders(undefined)).toEqual({});
    },
  );
});
