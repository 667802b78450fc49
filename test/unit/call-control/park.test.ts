import { featureCodesOf } from '../../../src/config/feature-codes';
import { ParkSlots } from '../../../src/line/park-slots';
import { HybridClock } from '../../../src/process/hlc';
import { EntrySet } from '../../../src/registration/entry-set';
import { type CallOptions, type FakeSession, profile, sdp, settled, talking, World } from './kit';
import { acceptNotifies, Office, replacing, sendsTo, told } from './transfer-kit';

const RECALL_MS = 60_000;

/** An office with two slots. Alice (1000) talks to Bob (2000). */
function garage(recallMs: number | null = RECALL_MS): { office: Office; slots: ParkSlots } {
  const slots = new ParkSlots(
    { node: 1, boot: 7 },
    ['701', '702'],
    [1, 2],
    new EntrySet(),
    new HybridClock(1, () => 0),
  );
  const world = new World({ featureCodes: featureCodesOf({}), parking: { slots, recallMs: recallMs ?? undefined } });
  return { office: new Office(talking({ world })), slots };
}

async function dials(world: World, dialled: string, options: CallOptions = {}): Promise<FakeSession> {
  const session = world.call({ from: profile('SEP-dave'), sdp: sdp('dave'), who: 'dave', dialled, ...options });
  await settled();
  return session;
}

/** Alice parks Bob. */
async function parked(to: string, recallMs?: number | null): Promise<{ office: Office; slots: ParkSlots }> {
  const { office, slots } = garage(recallMs);
  expect(office.refer(office.alice, to)).toBe(202);
  await office.rest();
  acceptNotifies(office.alice);
  await office.rest();
  return { office, slots };
}

const music = ({ resources }: World): number => resources.open;

describe('a call is parked by a transfer', () => {
  it.each([
    ['the code', '*68', '701'],
    ['the code and a slot', '*68702', '702'],
    ['the number of a slot', '702', '702'],
  ])('to %s: who has parked it is told where, and leaves; the other hears music', async (_, to, slot) => {
    const { office, slots } = await parked(to);
    const { alice, bob, world } = office;
    expect(told(alice)).toEqual(['100 active', '200 terminated']);
    expect(alice.all('request').at(-1)?.body).toContain(`200 Parked At ${slot}`);
    expect(alice.all('bye').map(({ reason }) => reason)).toEqual([`SIP;cause=200;text="Parked At ${slot}"`]);
    expect(bob.over).toBe(false);
    expect(music(world)).toBe(1);
    expect(world.musicAskedFor.at(-1)).toBe('SEP-alice/1000');
    expect(slots.nodesOf(slot)).toEqual([1]);
    const dave = await dials(world, slot);
    dave.acks();
    await office.rest();
    expect([sendsTo(bob), sendsTo(dave)]).toEqual(['10.0.0.9', '10.0.0.2']);
    expect(music(world)).toBe(0);
    expect(slots.nodesOf(slot)).toEqual([]);
    expect(world.detail.legs.map(({ device }) => device).sort()).toEqual(['SEP-bob', 'SEP-dave']);
    await world.close();
  });

  it.each([
    ['by the code', '*88701'],
    ['by the number of the slot', '701'],
  ])('is retrieved %s, once', async (_, code) => {
    const { office } = await parked('*68');
    const dave = await dials(office.world, code);
    dave.acks();
    await office.rest();
    expect(sendsTo(dave)).toBe('10.0.0.2');
    const late = await dials(office.world, code);
    expect(late.all('reject')).toMatchObject([{ status: 404, reason: 'Nothing Is Parked There' }]);
    await office.world.close();
  });

  it('without an offer of who retrieves it', async () => {
    const { office } = await parked('*68');
    const dave = await dials(office.world, '701', { sdp: null });
    await office.rest();
    dave.acks(sdp('dave'));
    await office.rest();
    expect([sendsTo(office.bob), sendsTo(dave)]).toEqual(['10.0.0.9', '10.0.0.2']);
    await office.world.close();
  });

  it('who has parked it may have hung up before', async () => {
    const { office } = garage();
    office.refer(office.alice, '*68');
    office.alice.hangsUp();
    await office.rest();
    const dave = await dials(office.world, '701');
    dave.acks();
    await office.rest();
    expect(sendsTo(dave)).toBe('10.0.0.2');
    await office.world.close();
  });

  it('to a slot that is taken, unknown, or when none is free: refused, and the call is as it was', async () => {
    const { office } = await parked('*68701');
    const { world } = office;
    world.route('2000', ...[]);
    const second = new Office(talking({ world }));
    for (const [to, status] of [
      ['701', 486],
      ['*68701', 486],
      ['*68999', 404],
    ] as const) {
      second.refer(second.alice, to);
      await second.rest();
      expect(told(second.alice).at(-1)).toBe(`${status} terminated`);
    }
    second.refer(second.alice, '*68');
    await second.rest();
    expect(told(second.alice).at(-1)).toBe('200 terminated');
    acceptNotifies(second.alice);
    const third = new Office(talking({ world }));
    third.refer(third.alice, '*68');
    await third.rest();
    expect(told(third.alice).at(-1)).toBe('486 terminated');
    expect(sendsTo(third.bob)).toBe('10.0.0.1');
    await world.close();
  });

  it('the slot is free when the parked one hangs up', async () => {
    const { office, slots } = await parked('*68');
    office.bob.hangsUp();
    await office.rest();
    expect(slots.nodesOf('701')).toEqual([]);
    expect(office.world.control.calls()).toEqual([]);
    await office.world.close();
  });

  it.each([
    ['a gateway', profile('gw', 'gateway'), { number: '0301234', displayName: undefined, outside: true } as const, 404],
    [
      'a stranger behind a node',
      profile('node-2', 'node'),
      { number: '1', displayName: undefined, outside: true } as const,
      404,
    ],
  ])('%s retrieves nothing', async (_, from, caller, status) => {
    const { office } = await parked('*68');
    for (const dialled of ['701', '*88701']) {
      const stranger = await dials(office.world, dialled, { from, caller });
      expect(stranger.all('reject')).toMatchObject([{ status }]);
    }
    expect(office.bob.over).toBe(false);
    await office.world.close();
  });

  it('a gateway parks nothing', async () => {
    const slots = new ParkSlots({ node: 1, boot: 7 }, ['701'], [1], new EntrySet(), new HybridClock(1, () => 0));
    const world = new World({ featureCodes: featureCodesOf({}), parking: { slots, recallMs: undefined } });
    const { b } = talking({ world, callee: 'gateway' });
    b.requestsThat('REFER', '', undefined, { 'Refer-To': '<sip:*68@example.com>' });
    await settled();
    expect(told(b).at(-1)).toBe('403 terminated');
    expect(slots.nodesOf('701')).toEqual([]);
    await world.close();
  });
});

describe('who has parked a call is called back', () => {
  it('and talks to who was parked', async () => {
    const { office, slots } = await parked('*68');
    const { world, bob } = office;
    world.clock.advance(RECALL_MS);
    await office.rest();
    const back = world.devices.get('1.dp.4')!;
    expect(back.asked).toMatchObject({ digits: '1000', caller: { number: '2000' } });
    expect(music(world)).toBe(1);
    back.session.answers(sdp('alice'));
    await office.rest();
    expect([sendsTo(bob), sendsTo(back.session)]).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(slots.nodesOf('701')).toEqual([]);
    await world.close();
  });

  it('in vain: the call stays parked, and the next time comes', async () => {
    const { office, slots } = await parked('*68');
    const { world } = office;
    const back = world.devices.get('1.dp.4')!;
    for (let time = 1; time <= 3; time += 1) {
      world.clock.advance(RECALL_MS);
      await office.rest();
      expect(back.calls).toHaveLength(time);
      back.session.rejects(486);
      await office.rest();
      expect(slots.nodesOf('701')).toEqual([1]);
    }
    expect(music(world)).toBe(1);
    const dave = await dials(world, '701');
    dave.acks();
    await office.rest();
    expect(sendsTo(dave)).toBe('10.0.0.2');
    world.clock.advance(2 * RECALL_MS);
    expect(back.calls).toHaveLength(3);
    await world.close();
  });

  it('and somebody else retrieves it meanwhile: it rings no more', async () => {
    const { office } = await parked('*68');
    const { world } = office;
    world.clock.advance(RECALL_MS);
    await office.rest();
    const back = world.devices.get('1.dp.4')!;
    back.session.rings();
    const dave = await dials(world, '701');
    dave.acks();
    await office.rest();
    expect(back.session.all('cancel').map(({ reason }) => reason)).toEqual([
      'SIP;cause=200;text="Call completed elsewhere"',
    ]);
    expect([sendsTo(office.bob), sendsTo(dave)]).toEqual(['10.0.0.9', '10.0.0.2']);
    await world.close();
  });

  it('and the parked one hangs up meanwhile: it rings no more, and nothing is left', async () => {
    const { office, slots } = await parked('*68');
    office.world.clock.advance(RECALL_MS);
    await office.rest();
    office.bob.hangsUp();
    await office.rest();
    expect(office.world.devices.get('1.dp.4')?.session.over).toBe(true);
    expect(slots.nodesOf('701')).toEqual([]);
    await office.world.close();
  });

  it('never, where the configuration says so', async () => {
    const { office } = await parked('*68', null);
    office.world.clock.advance(20 * RECALL_MS);
    await office.rest();
    expect(office.world.devices.get('1.dp.4')?.calls).toEqual([]);
    await office.world.close();
  });
});

describe('a slot that is called', () => {
  it.each([
    ['*68', '701'],
    ['*68702', '702'],
  ])('%s: answers, says which it is, and takes what is transferred to that call', async (code, slot) => {
    const { office, slots } = garage();
    const { alice, bob, world } = office;
    const second = await dials(world, code, { from: profile('SEP-alice'), sdp: sdp('alice') });
    expect(second.all('answer')).toHaveLength(1);
    second.acks();
    await office.rest();
    expect(slots.nodesOf(slot)).toEqual([1]);
    const early = await dials(world, slot);
    expect(early.all('reject')).toMatchObject([{ status: 404 }]);
    const to = `<sip:${slot}@example.com?Replaces=${encodeURIComponent(replacing(second))}>`;
    alice.requestsThat('REFER', '', undefined, { 'Refer-To': to });
    await office.rest();
    expect(told(alice)).toEqual(['100 active', '200 terminated']);
    acceptNotifies(alice);
    await office.rest();
    expect([alice.all('bye').length, second.all('bye').length]).toEqual([1, 1]);
    expect(slots.nodesOf(slot)).toEqual([1]);
    const dave = await dials(world, slot);
    dave.acks();
    await office.rest();
    expect([sendsTo(bob), sendsTo(dave)]).toEqual(['10.0.0.9', '10.0.0.2']);
    expect(slots.nodesOf(slot)).toEqual([]);
    await world.close();
  });

  it('and left again is free', async () => {
    const { office, slots } = garage();
    const second = await dials(office.world, '*68');
    second.acks();
    second.hangsUp();
    await office.rest();
    expect(slots.nodesOf('701')).toEqual([]);
    await office.world.close();
  });

  it.each([
    ['701', 404, 'Nothing Is Parked There'],
    ['*88702', 404, 'Nothing Is Parked There'],
    ['*68999', 404, 'No Such Park Slot'],
  ])('%s, where nothing is: refused', async (dialled, status, reason) => {
    const { office } = garage();
    const dave = await dials(office.world, dialled);
    expect(dave.all('reject')).toMatchObject([{ status, reason }]);
    await office.world.close();
  });
});
