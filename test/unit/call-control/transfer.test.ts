import { type FakeSession, sdp, talking, target, World } from './kit';
import type { DeviceProfile } from '../../../src/device/device-process';
import type { Party } from '../../../src/device/party';
import { acceptNotifies, Office, replacing, sendsTo, told } from './transfer-kit';

describe.each(['alice', 'bob'] as const)('a blind transfer by %s', (who) => {
  const set = (): { office: Office; by: FakeSession; other: FakeSession } => {
    const office = new Office();
    const { alice, bob } = office;
    return { office, by: who === 'alice' ? alice : bob, other: who === 'alice' ? bob : alice };
  };

  it('rings the target for the other end, which hears music until the target answers and then the target', async () => {
    const { office, by, other } = set();
    expect(office.refer(by, '3000')).toBe(202);
    await office.rest();
    expect(told(by)).toEqual(['100 active']);
    expect(office.carol.asked).toMatchObject({ digits: '3000', caller: { number: who === 'alice' ? '2000' : '1000' } });
    expect(sendsTo(other)).toBe('10.0.9.9');
    expect(by.last('reinvite').sdp).toContain('a=inactive');
    office.carol.session.rings();
    expect(told(by)).toEqual(['100 active', '180 active']);
    office.carol.session.answers(sdp('carol'));
    await office.rest();
    expect(told(by)).toEqual(['100 active', '180 active', '200 terminated']);
    acceptNotifies(by);
    expect(by.all('bye')).toHaveLength(1);
    expect(sendsTo(other)).toBe('10.0.0.3');
    expect(office.carol.session.last('acknowledge').sdp).toContain(who === 'alice' ? '10.0.0.2' : '10.0.0.1');
    expect(office.world.resources.open).toBe(0);
    expect(office.world.detail.legs).toHaveLength(2);
    other.hangsUp();
    expect(office.carol.session.all('bye')).toHaveLength(1);
    await office.world.close();
  });

  it('goes on when the transferor has left, which is not rung again', async () => {
    const { office, by, other } = set();
    office.refer(by, '3000');
    await office.rest();
    by.hangsUp();
    await office.rest();
    expect(sendsTo(other)).toBe('10.0.9.9');
    expect(other.all('bye')).toHaveLength(0);
    office.carol.session.answers(sdp('carol'));
    await office.rest();
    expect(sendsTo(other)).toBe('10.0.0.3');
    expect(office.world.detail.legs).toHaveLength(2);
    await office.world.close();
  });

  it.each([486, 603, 404, 480, 408, 500])('that the target refuses with %i: the two talk again', async (status) => {
    const { office, by, other } = set();
    office.refer(by, '3000');
    await office.rest();
    office.carol.session.rejects(status);
    await office.rest();
    expect(told(by).at(-1)).toMatch(/^[456]\d\d terminated$/);
    expect(sendsTo(other)).toBe(who === 'alice' ? '10.0.0.1' : '10.0.0.2');
    expect(sendsTo(by)).toBe(who === 'alice' ? '10.0.0.2' : '10.0.0.1');
    expect(office.world.resources.open).toBe(0);
    expect(office.refer(by, '3000')).toBe(202);
    await office.world.close();
  });

  it('to an unknown number: the two talk again', async () => {
    const { office, by } = set();
    office.refer(by, '9999');
    await office.rest();
    expect(told(by)).toEqual(['100 active', '404 terminated']);
    await office.world.close();
  });

  it('refused after the transferor has left: it is called back, once', async () => {
    const { office, by, other } = set();
    office.refer(by, '3000');
    by.hangsUp();
    await office.rest();
    office.carol.session.rejects(486);
    await office.rest();
    const device = office.world.devices.get(who === 'alice' ? '1.dp.4' : '1.dp.2')!;
    const back = device.session;
    expect(device.asked.digits).toBe(who === 'alice' ? '1000' : '2000');
    back.rejects(486);
    await office.rest();
    expect(other.all('bye')).toHaveLength(1);
    expect(office.world.control.calls()).toEqual([]);
    await office.world.close();
  });

  it('while which the other end leaves: nobody rings any more', async () => {
    const { office, by, other } = set();
    office.refer(by, '3000');
    await office.rest();
    other.hangsUp();
    expect(told(by).at(-1)).toBe('487 terminated');
    expect(by.all('bye')).toHaveLength(1);
    expect(office.carol.session.over).toBe(true);
    await office.world.close();
  });

  it('while which another one is asked for, by either end: 491', async () => {
    const { office, by, other } = set();
    office.refer(by, '3000');
    expect(office.refer(by, '3000')).toBe(491);
    expect(office.refer(other, '3000')).toBe(491);
    await office.world.close();
  });

  it('without a subscription (RFC 4488): no NOTIFY, and the transferor is ended at once', async () => {
    const { office, by } = set();
    office.refer(by, '3000', { 'Refer-Sub': 'false' });
    await office.rest();
    office.carol.session.answers(sdp('carol'));
    await office.rest();
    expect(told(by)).toEqual([]);
    expect(by.all('bye')).toHaveLength(1);
    await office.world.close();
  });

  it('whose last NOTIFY is not answered: the transferor is ended all the same', async () => {
    const { office, by } = set();
    office.refer(by, '3000');
    office.carol.session.answers(sdp('carol'));
    await office.rest();
    expect(by.all('bye')).toHaveLength(0);
    office.world.clock.advance(2000);
    expect(by.all('bye')).toHaveLength(1);
    await office.world.close();
  });

  it('by somebody who holds already: the music goes on', async () => {
    const { office, by, other } = set();
    by.reinvitesAndAcks(sdp(who, { direction: 'sendonly', version: 2 }));
    await office.rest();
    expect(sendsTo(other)).toBe('10.0.9.9');
    const granted = office.world.resources.granted.length;
    office.refer(by, '3000');
    await office.rest();
    expect(office.world.resources.granted).toHaveLength(granted);
    office.carol.session.rejects(486);
    await office.rest();
    expect(sendsTo(other)).toBe('10.0.9.9');
    await office.world.close();
  });
});

test.each(['alice', 'bob'] as const)('a call from outside, transferred by %s: to numbers only', async (who) => {
  const world = new World();
  const bob = world.device('SEP-bob', '1.dp.2');
  world.route('2000', [target('1.dp.2', 'SEP-bob')]);
  const caller = world.call({ caller: { number: '+15550100', displayName: undefined, outside: true } });
  bob.session.answers(sdp('bob'));
  caller.acks();
  const by = who === 'alice' ? caller : bob.session;
  by.requestsThat('REFER', '', undefined, { 'Refer-To': '<sip:3000@example.com>' });
  const from = who === 'alice' ? 'SEP-alice' : 'SEP-bob';
  expect(world.analysed.at(-1)).toEqual({ dialled: '3000', localOnly: false, numbersOnly: true, from });
  await world.close();
});

test.each([
  ['without Refer-To', {}, 400],
  ['to another domain', { 'Refer-To': '<sip:3000@elsewhere.example>' }, 403],
  ['to nobody', { 'Refer-To': '<sip:example.com>' }, 484],
  ['to a page', { 'Refer-To': '<http://example.com/3000>' }, 416],
  ['by another method', { 'Refer-To': '<sip:3000@example.com;method=BYE>' }, 501],
])('a REFER %s changes nothing', async (_, values: Readonly<Record<string, string>>, status) => {
  const world = new World({ isOurs: (host) => host === 'example.com' });
  const office = new Office(talking({ world }));
  const id = office.alice.requestsThat('REFER', '', undefined, values);
  await office.rest();
  expect(office.alice.responseTo(id)?.status).toBe(status);
  expect(office.alice.all('reinvite')).toHaveLength(0);
  expect(office.bob.all('reinvite')).toHaveLength(0);
  await world.close();
});

test('whoever is to take an offer of the target leaves: the target has its answer all the same, and is not left alone', async () => {
  const office = new Office();
  const { alice, bob, carol } = office;
  office.refer(alice, '3000');
  carol.session.answers(sdp('carol'));
  expect(bob.offered?.sdp).toContain('10.0.0.3');
  expect(office.refer(bob, '1000')).toBe(202);
  bob.hangsUp();
  expect(carol.session.all('acknowledge')).toHaveLength(1);
  await office.rest();
  expect(sendsTo(carol.session)).toBe('10.0.9.9');
  await office.world.close();
});

describe('connected line', () => {
  const connectedAs = ({ number }: Party, _: DeviceProfile, as: string): Record<string, string> => ({
    'X-Connected': `${as} ${number}`,
  });
  const told = (session: FakeSession): string | undefined =>
    session.commands.findLast(({ headers }) => headers['X-Connected'] !== undefined)?.headers['X-Connected'];

  it('with the answer the caller is told who has answered, and after a transfer both are told of each other', async () => {
    const office = new Office(talking({ world: new World({ connectedAs }) }));
    const { alice, bob, carol } = office;
    expect(alice.last('answer').headers['X-Connected']).toBe('called 2000');
    expect(told(bob)).toBeUndefined();
    office.refer(alice, '3000');
    carol.session.answers(sdp('carol'));
    await office.rest();
    expect(told(bob)).toBe('calling 3000');
    // Its INVITE has come from Bob.
    expect(carol.asked.caller.number).toBe('2000');
    expect(told(carol.session)).toBeUndefined();
    await office.world.close();
  });

  it('after an attended transfer, too', async () => {
    const office = new Office(talking({ world: new World({ connectedAs }) }));
    const { alice, bob, carol } = office;
    const second = office.consult(true);
    const to = `<sip:3000@example.com?Replaces=${encodeURIComponent(replacing(second))}>`;
    office.alice.requestsThat('REFER', '', undefined, { 'Refer-To': to });
    await office.rest();
    expect(told(bob)).toBe('calling 3000');
    expect(told(carol.session)).toBe('calling 2000');
    expect(told(alice)).toBe('called 2000');
    await office.world.close();
  });
});
