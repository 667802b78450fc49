import { formatWord, type Shorter } from '../../../src/device/node-context';
import { BOOT, FakeDevice, type FakeSession, profile, sdp, settled, talking, type World } from './kit';

/** A node that nobody is behind any more names where its other leg leads: what this node makes of it. */
describe('a node that wants to be left out', () => {
  const replaces = { callId: 'other@node-2', toTag: 'there', fromTag: 'middle', earlyOnly: false };

  function setUp(): {
    readonly world: World;
    readonly alice: FakeSession;
    readonly middle: FakeSession;
    readonly three: FakeDevice;
  } {
    const { world, a, b } = talking({ callee: 'node' });
    const three = new FakeDevice({ ...profile('node-3', 'node'), node: 3 }, '3.cp.0');
    world.devices.set('node-3', three);
    return { world, alice: a, middle: b, three };
  }

  /** The status of the answer. */
  function asks(from: FakeSession, about: Partial<Shorter> = {}): number | undefined {
    const word = formatWord({ shorter: { process: { pid: '3.cp.9', boot: BOOT }, replaces, ...about } });
    const id = from.requestsThat('INFO', `1 x ${word}`, 'application/x-tandem-half');
    return from.responseTo(id)?.status;
  }

  test('its neighbour is called in its place, and nobody hears of it; it is ended when that has answered', async () => {
    const { world, alice, middle, three } = setUp();
    const before = alice.commands.length;
    expect(asks(middle)).toBe(202);
    const [call] = three.calls;
    expect(call?.call).toMatchObject({
      digits: '2000',
      sdp: undefined,
      headers: { Replaces: 'other@node-2;to-tag=there;from-tag=middle' },
      context: { why: 'shorten', half: { party: { device: 'SEP-alice', number: '1000' } } },
    });
    expect(alice.commands).toHaveLength(before);
    expect(middle.over).toBe(false);
    three.session.answers(sdp('bob'), {});
    await settled();
    expect(middle.last('bye')).toMatchObject({ reason: expect.stringContaining('Shortened') as string });
    expect(world.detail.legs.map(({ device }) => device)).toEqual(['SEP-alice', 'SEP-bob']);
    await world.close();
  });

  test.each([404, 481, 403, 503, 488])('the longer way stays when its neighbour says %i', async (status) => {
    const { world, alice, middle, three } = setUp();
    const legs = world.detail.legs.map(({ id }) => id);
    expect(asks(middle)).toBe(202);
    three.session.rejects(status);
    expect(world.detail.legs.map(({ id }) => id)).toEqual(legs);
    expect([alice.over, middle.over]).toEqual([false, false]);
    // It may ask again.
    expect(asks(middle)).toBe(202);
    await world.close();
  });

  test('the node leaves before its neighbour has answered: the two go on to talk, without music', async () => {
    const { world, alice, middle, three } = setUp();
    asks(middle);
    middle.hangsUp();
    expect(alice.over).toBe(false);
    expect(world.resources.needs).toEqual([]);
    three.session.answers(sdp('bob'), {});
    await settled();
    expect(world.detail.legs).toHaveLength(2);
    await world.close();
  });

  test('it leaves, and its neighbour refuses: the call is over', async () => {
    const { world, alice, middle, three } = setUp();
    asks(middle);
    middle.hangsUp();
    three.session.rejects(481);
    expect(alice.over).toBe(true);
    expect(world.control.calls()).toEqual([]);
    await world.close();
  });

  test.each<[string, number, (parts: ReturnType<typeof setUp>) => number | undefined]>([
    [
      'a phone asks for it',
      403,
      ({ world, alice }) => {
        const status = asks(alice);
        expect(world.warnings.splice(0)).toHaveLength(1);
        return status;
      },
    ],
    [
      'it has been asked already',
      491,
      ({ middle }) => {
        asks(middle);
        return asks(middle);
      },
    ],
    [
      'the phone holds',
      491,
      ({ alice, middle }) => {
        alice.reinvites(sdp('alice', { direction: 'sendonly' }));
        return asks(middle);
      },
    ],
    [
      'the phone is being transferred to somebody',
      491,
      ({ world, alice, middle }) => {
        world.device('SEP-carol', '1.dp.3');
        alice.requestsThat('REFER', '', undefined, { 'Refer-To': '<sip:3000@example.com>' });
        return asks(middle);
      },
    ],
    ['the dialog is none of this node', 202, ({ middle }) => asks(middle, { process: { pid: '1.cp.99', boot: BOOT } })],
  ])('nothing is called when %s: %i', async (_, status, ask) => {
    const parts = setUp();
    expect(ask(parts)).toBe(status);
    expect(parts.three.calls.length).toBeLessThanOrEqual(1);
    expect(parts.middle.over).toBe(false);
    await parts.world.close();
  });
});
