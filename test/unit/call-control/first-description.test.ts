import { FakeDevice, profile, sdp, settled, target, World, type FakeSession } from './kit';

/** RFC 3261 §13.2.1, as caller sees it: one dialog, one answer, and then an offer of what holds. */
describe('a callee that tells one thing and answers another', () => {
  let world: World;
  let bob: FakeDevice;
  let a: FakeSession;

  const call = async (codecs?: readonly ('PCMU' | 'G722')[]): Promise<void> => {
    bob = new FakeDevice({ ...profile('gw', 'gateway'), codecs }, '1.gp.1');
    world.devices.set('1.gp.1', bob);
    world.route('2000', [target('1.gp.1', 'gw', { kind: 'gateway' })]);
    a = world.call({ sdp: sdp('alice', codecs === undefined ? {} : { codecs: [9] }) });
    await settled();
  };
  const early = sdp('bob', { port: 4100, codecs: [8] });
  const final = sdp('carol', { port: 4200, codecs: [0] });

  beforeEach(async () => {
    world = new World();
    await call();
  });
  afterEach(() => world.close());

  test('the 200 repeats what the caller was told; when it is acknowledged the caller is offered the answer', () => {
    bob.session.rings(183, early);
    bob.session.answers(final);
    expect(a.last('answer').sdp).toBe(a.last('progress').sdp);
    expect(a.all('reinvite')).toEqual([]);
    a.acks();
    expect(a.last('reinvite').sdp).toContain('m=audio 4200 RTP/AVP 0');
    expect(a.last('reinvite').sdp).toMatch(/^o=\S+ \S+ 2 /m);
    a.answersReinvite(sdp('alice', { codecs: [0], version: 2 }));
    expect(world.detail).toMatchObject({ state: 'established' });
    expect(bob.session.all('reinvite')).toEqual([]);
    expect(a.all('reinvite')).toHaveLength(1);
  });

  test('the same description, with another o= and s=, is no news', () => {
    bob.session.rings(183, early);
    bob.session.answers(early.replace('o=bob 1 1', 'o=bob 1 2').replace('s=-', 's=call'));
    expect(a.last('answer').sdp).toBe(a.last('progress').sdp);
    a.acks();
    expect(a.all('reinvite')).toEqual([]);
  });

  test('further early descriptions are not told: within one dialog they would be ignored', () => {
    bob.session.rings(183, early);
    bob.session.rings(183, final);
    bob.session.rings(180, final);
    expect(a.all('progress').map(({ status, sdp: told }) => [status, told !== undefined])).toEqual([
      [183, true],
      [180, false],
    ]);
    bob.session.answers(early);
    a.acks();
    expect(a.all('reinvite')).toEqual([]);
  });

  test('491: it is offered again; while somebody holds it is not', () => {
    bob.session.rings(183, early);
    bob.session.answers(final);
    a.acks();
    a.rejectsReinvite(491);
    world.clock.advance(2000);
    expect(a.all('reinvite')).toHaveLength(2);
    a.rejectsReinvite(491);
    a.reinvitesAndAcks(sdp('alice', { direction: 'sendonly', version: 2 }));
    world.clock.advance(10_000);
    expect(a.all('reinvite')).toHaveLength(2);
    // The resumption is offered to the callee, and its answer is the caller's.
    const id = a.reinvites(sdp('alice', { version: 3 }));
    bob.session.answersReinvite(final);
    expect(a.responseTo(id)?.sdp).toContain('m=audio 4200');
    a.acks();
    expect(a.all('reinvite')).toHaveLength(2);
  });

  test('a caller that refuses is not asked for ever: the callee makes an offer, a few times', async () => {
    bob.session.rings(183, early);
    bob.session.answers(final);
    a.acks();
    a.rejectsReinvite(488);
    for (let seconds = 0; seconds < 120; seconds++) {
      if (bob.session.offered !== undefined) bob.session.answersReinvite(final);
      if (a.offered !== undefined) a.rejectsReinvite(488);
      await settled();
      world.clock.advance(1000);
    }
    expect(a.all('reinvite').length).toBeLessThan(12);
  });

  test('a caller that answers from another place: the callee hears of it', () => {
    bob.session.rings(183, early);
    bob.session.answers(final);
    a.acks();
    a.answersReinvite(sdp('alice', { codecs: [0], port: 4444, version: 2 }));
    expect(bob.session.all('reinvite').map((command) => command.sdp)).toEqual([undefined]);
    bob.session.answersReinvite(final);
    a.answersReinvite(sdp('alice', { codecs: [0], port: 4444, version: 2 }));
    expect(bob.session.last('acknowledge').sdp).toContain('m=audio 4444');
  });

  describe('through a transcoder', () => {
    const resource = () => world.resources.granted.at(-1)!;

    beforeEach(async () => {
      bob.session.rejects(486);
      await call(['PCMU']);
    });

    test('it is given one answer; then it makes an offer of the other description', async () => {
      bob.session.rings(183, sdp('bob', { port: 4100, codecs: [0] }));
      await settled();
      bob.session.answers(final);
      expect(a.last('answer').sdp).toBe(a.last('progress').sdp);
      expect(a.last('answer').sdp).toMatch(/m=audio \d+ RTP\/AVP 9/);
      a.acks();
      await settled();
      expect(resource().connects).toHaveLength(1);
      expect(resource().relays.at(-1)).toMatchObject({ to: 'a', sdp: final });
      a.answersReinvite(sdp('alice', { codecs: [9], version: 2 }));
      await settled();
      expect(resource().connects.at(-1)).toMatchObject({ from: 'a' });
      expect(world.detail.media).toMatchObject({ path: 'through' });
      expect(bob.session.all('reinvite')).toEqual([]);
    });

    test('the 200 comes before it has made the early answer', async () => {
      bob.session.rings(183, sdp('bob', { port: 4100, codecs: [0] }));
      bob.session.answers(final);
      await settled();
      expect(a.all('progress')).toEqual([]);
      a.acks();
      await settled();
      expect(resource().connects).toHaveLength(1);
      expect(resource().relays.at(-1)).toMatchObject({ to: 'a', sdp: final });
      a.answersReinvite(sdp('alice', { codecs: [9], version: 2 }));
      await settled();
    });
  });
});
