import { Lines } from '../../../src/line/lines';
import { parseReplaces } from '../../../src/sip/replaces';
import { type CallOptions, FakeSession, profile, sdp, talking, World } from './kit';
import { acceptNotifies, Office, replacing, sendsTo, told } from './transfer-kit';

describe('an attended transfer', () => {
  const refer = (on: FakeSession, named: FakeSession): number | undefined => {
    const to = `<sip:3000@example.com?Replaces=${encodeURIComponent(replacing(named))}>`;
    return on.responseTo(on.requestsThat('REFER', '', undefined, { 'Refer-To': to }))?.status;
  };

  it.each(['first', 'second'] as const)('asked for in the %s call connects the two others', async (which) => {
    const office = new Office();
    const { alice, bob, carol, world } = office;
    alice.reinvitesAndAcks(sdp('alice', { direction: 'sendonly', version: 2 }));
    const second = office.consult(true);
    await office.rest();
    const [on, named] = which === 'first' ? [alice, second] : [second, alice];
    expect(refer(on, named)).toBe(202);
    await office.rest();
    expect(told(on)).toEqual(['100 active', '200 terminated']);
    acceptNotifies(on);
    await office.rest();
    expect(alice.all('bye')).toHaveLength(1);
    expect(second.all('bye')).toHaveLength(1);
    expect(sendsTo(bob)).toBe('10.0.0.3');
    expect(sendsTo(carol.session)).toBe('10.0.0.2');
    expect(world.control.calls()).toHaveLength(1);
    expect(world.resources.open).toBe(0);
    expect(world.detail.legs.map(({ device }) => device).sort()).toEqual(['SEP-bob', 'SEP-carol']);
    bob.hangsUp();
    expect(carol.session.all('bye')).toHaveLength(1);
    await world.close();
  });

  it.each(['127.0.0.1:5060', '3000@192.0.2.1', 'elsewhere.example'])('by a Refer-To that names %s', async (target) => {
    const office = new Office(talking({ world: new World({ isOurs: (host) => host === 'example.com' }) }));
    const second = office.consult(true);
    const to = `<sip:${target}?Replaces=${encodeURIComponent(replacing(second))}>`;
    office.alice.requestsThat('REFER', '', undefined, { 'Refer-To': to });
    await office.rest();
    expect(told(office.alice)).toEqual(['100 active', '200 terminated']);
    expect(sendsTo(office.bob)).toBe('10.0.0.3');
    await office.world.close();
  });

  it('to somebody who rings yet: nobody is rung again, and the other hears music until there is an answer', async () => {
    const office = new Office();
    const { alice, bob, carol, world } = office;
    const second = office.consult(false);
    expect(refer(alice, second)).toBe(202);
    await office.rest();
    acceptNotifies(alice);
    expect(second.last('reject').status).toBe(487);
    expect(carol.calls).toHaveLength(1);
    expect(sendsTo(bob)).toBe('10.0.9.9');
    carol.session.answers(sdp('carol'));
    await office.rest();
    expect(sendsTo(bob)).toBe('10.0.0.3');
    expect(sendsTo(carol.session)).toBe('10.0.0.2');
    expect(world.control.calls()).toHaveLength(1);
    expect(world.resources.open).toBe(0);
    await world.close();
  });

  it('to somebody who rings and then refuses: the transferor is called back', async () => {
    const office = new Office();
    const { alice, bob, carol, world } = office;
    const second = office.consult(false);
    refer(alice, second);
    await office.rest();
    carol.session.rejects(486);
    await office.rest();
    const back = world.devices.get('1.dp.4')!;
    expect(back.asked).toMatchObject({ digits: '1000', caller: { number: '2000' } });
    back.session.answers(sdp('alice'));
    await office.rest();
    expect(sendsTo(bob)).toBe('10.0.0.1');
    await world.close();
  });

  it.each([
    ['with a wrong tag', (named: FakeSession) => ({ ...named.dialog!, localTag: 'another' }), 481],
    ['with a wrong Call-ID', (named: FakeSession) => ({ ...named.dialog!, callId: 'another' }), 481],
  ])('%s: the call stays as it was', async (_, wrong, status) => {
    const office = new Office();
    const second = office.consult(true);
    const named = { dialog: wrong(second) } as unknown as FakeSession;
    refer(office.alice, named);
    await office.rest();
    expect(told(office.alice)).toEqual(['100 active', `${status} terminated`]);
    expect(office.world.control.calls()).toHaveLength(2);
    await office.world.close();
  });

  it('that names the call of somebody else: 403, and both calls stay as they were', async () => {
    const office = new Office();
    office.consult(true);
    refer(office.bob, office.carol.session);
    await office.rest();
    expect(told(office.bob)).toEqual(['100 active', '403 terminated']);
    expect(office.world.control.calls()).toHaveLength(2);
    await office.world.close();
  });

  it('that names its own call: 400', async () => {
    const office = new Office();
    refer(office.alice, office.alice);
    await office.rest();
    expect(told(office.alice).at(-1)).toBe('400 terminated');
    await office.world.close();
  });
});

/** A node at which a device has a line, and some lines are in one pickup group. */
function sales(name: string, line: string, ...group: readonly string[]): World {
  const nothing = { displayName: undefined, busyTrigger: undefined, maxCalls: undefined, noAnswerSeconds: undefined };
  const numbers = group.map((number) => ({ ...nothing, number, pickupGroup: 'sales' }));
  return new World({ lines: new Lines({ devices: [{ name, lines: [line] }], numbers }) });
}

describe('an INVITE with Replaces', () => {
  const call = (
    office: Office,
    named: FakeSession,
    options: CallOptions & { readonly more?: string } = {},
  ): FakeSession => {
    const replaces = parseReplaces(replacing(named, options.more));
    if (replaces === undefined) throw new Error('no Replaces');
    return office.world.call({ from: profile('SEP-bob'), sdp: sdp('dave'), who: 'dave', ...options, replaces });
  };

  it.each([
    ['with an offer', undefined],
    ['without an offer', null],
  ])('%s of the same device takes the place of the leg', async (_, offer) => {
    const office = new Office();
    const { alice, bob, world } = office;
    const dave = call(office, bob, offer === null ? { sdp: null } : {});
    await office.rest();
    if (offer === null) dave.acks(sdp('dave'));
    else dave.acks();
    await office.rest();
    expect(bob.all('bye')).toHaveLength(1);
    expect(dave.all('answer')).toHaveLength(1);
    expect(sendsTo(alice)).toBe('10.0.0.9');
    expect(sendsTo(dave)).toBe('10.0.0.1');
    expect(world.control.calls()).toHaveLength(1);
    await world.close();
  });

  it('of another device is refused with 403, and changes nothing', async () => {
    const office = new Office();
    const dave = call(office, office.bob, { from: profile('SEP-dave') });
    expect(dave.last('reject').status).toBe(403);
    expect(office.bob.commands).toEqual([]);
    await office.world.close();
  });

  it.each([
    ['of the same line takes', 'SEP-hall', '2000', undefined],
    ['of the same pickup group is refused, since nobody rings:', 'SEP-mate', '2001', 403],
    ['of another line is refused:', 'SEP-other', '2002', 403],
  ])('%s what is answered: %s', async (_, name, line, refused) => {
    const office = new Office(talking({ world: sales(name, line, '2000', '2001') }));
    const dave = call(office, office.bob, { from: profile(name) });
    await office.rest();
    expect(dave.all('reject').map(({ status }) => status)).toEqual(refused === undefined ? [] : [refused]);
    expect(office.bob.all('bye')).toHaveLength(refused === undefined ? 1 : 0);
    if (refused === undefined) dave.acks();
    await office.rest();
    await office.world.close();
  });

  it.each([
    ['of the same line', 'SEP-hall', '3000', undefined],
    ['of the same pickup group', 'SEP-mate', '3001', undefined],
    ['of another line', 'SEP-other', '3002', 403],
  ])('%s answers for who rings, or is refused: %s', async (_, name, line, refused) => {
    const world = sales(name, line, '3000', '3001');
    const office = new Office({ world, a: new FakeSession('nobody'), b: new FakeSession('nobody') });
    const caller = world.call({ dialled: '3000' });
    office.carol.session.rings();
    const dave = call(office, office.carol.session, { from: profile(name) });
    await office.rest();
    dave.acks();
    await office.rest();
    caller.acks();
    await office.rest();
    expect(dave.all('reject').map(({ status }) => status)).toEqual(refused === undefined ? [] : [refused]);
    expect(dave.all('answer')).toHaveLength(refused === undefined ? 1 : 0);
    expect(office.carol.session.all('cancel')).toHaveLength(refused === undefined ? 1 : 0);
    await world.close();
  });

  it.each([
    ['a wrong tag', { dialog: { callId: 'x', localTag: 'y', remoteTag: 'z' } } as unknown as FakeSession, '', 481],
    ['early-only, when it is answered', undefined, ';early-only', 486],
  ])('%s: refused', async (_, named, more, status) => {
    const office = new Office();
    const dave = call(office, named ?? office.bob, { more });
    expect(dave.last('reject').status).toBe(status);
    await office.world.close();
  });

  it.each([
    ['an offer on both sides', {}, undefined],
    ['no offer of who picks up', { sdp: null }, undefined],
    ['no offer of who calls', {}, null],
  ])('that names who rings picks up the call: %s', async (_, options: CallOptions, offer) => {
    const world = new World();
    const office = new Office({ world, a: new FakeSession('nobody'), b: new FakeSession('nobody') });
    const caller = world.call({ dialled: '3000', ...(offer === null ? { sdp: null } : {}) });
    const { carol } = office;
    carol.session.rings();
    const dave = call(office, carol.session, { from: profile('SEP-carol'), ...options });
    await office.rest();
    dave.acks(options.sdp === null ? sdp('dave') : undefined);
    await office.rest();
    caller.acks(offer === null ? sdp('alice') : undefined);
    await office.rest();
    expect(carol.session.all('cancel').map(({ reason }) => reason)).toEqual([
      'SIP;cause=200;text="Call completed elsewhere"',
    ]);
    expect(caller.all('answer')).toHaveLength(1);
    expect(dave.all('answer')).toHaveLength(1);
    expect(sendsTo(caller)).toBe('10.0.0.9');
    expect(sendsTo(dave)).toBe('10.0.0.1');
    expect(world.detail.state).toBe('established');
    await world.close();
  });
});
