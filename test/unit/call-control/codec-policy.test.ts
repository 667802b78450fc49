import { profile, type FakeDevice, sdp, settled, target, World } from './kit';

const policy = (...codecs: string[]) => ({ sites: ['dallas', 'san-jose'] as const, codecs });

describe('a codec policy between the sites of caller and callee', () => {
  let world: World;
  const between = (kind: 'station' | 'node', ...codecs: string[]): FakeDevice => {
    world = new World({ codecPolicyOf: () => policy(...codecs) });
    world.route('2000', [target('1.dp.2', 'SEP-bob')]);
    return world.device('SEP-bob', '1.dp.2', kind);
  };
  const formats = (description: string | undefined): string | undefined =>
    /^m=audio \d+ RTP\/AVP (.*)\r$/m.exec(description ?? '')?.[1];
  const G722 = 9;
  afterEach(() => world.close());

  test('the offer to the callee is narrowed, and so are those of re-INVITEs of both', async () => {
    const bob = between('station', 'PCMA');
    const a = world.call({ sdp: sdp('alice', { codecs: [0, 8] }) });
    await settled();
    expect(formats(bob.asked.sdp)).toBe('8');
    bob.session.rings(183, sdp('bob', { codecs: [8, 0] }));
    expect(formats(a.last('progress').sdp)).toBe('8');
    bob.session.answers(sdp('bob', { codecs: [0, 8] }));
    await settled();
    // RFC 3264 §6.1: an answer may name more than was offered.
    expect(formats(a.last('answer').sdp)).toBe('8');
    a.acks();
    expect(world.detail).toMatchObject({ media: { path: 'direct' }, codecPolicy: policy('PCMA') });

    const asked = a.reinvites(sdp('alice', { codecs: [0, 8], version: 2, port: 4002 }));
    expect(formats(bob.session.offered?.sdp)).toBe('8');
    bob.session.answersReinvite(sdp('bob', { codecs: [8, 0], version: 2 }));
    expect(formats(a.responseTo(asked)?.sdp)).toBe('8');
    a.acks();

    bob.session.reinvites(sdp('bob', { codecs: [0, 8], version: 3, port: 4002 }));
    expect(formats(a.offered?.sdp)).toBe('8');
    a.answersReinvite(sdp('alice', { codecs: [8], version: 3 }));
    bob.session.acks();
  });

  test('the offer of the 200 to an INVITE without one is narrowed, and so is that to a re-INVITE without one', async () => {
    const bob = between('station', 'PCMA');
    const a = world.call({ sdp: null });
    bob.session.answers(sdp('bob', { codecs: [0, 8] }));
    await settled();
    expect(formats(a.last('answer').sdp)).toBe('8');
    a.acks(sdp('alice', { codecs: [8, 0] }));
    expect(formats(bob.session.last('acknowledge').sdp)).toBe('8');

    const asked = a.reinvites();
    bob.session.answersReinvite(sdp('bob', { codecs: [0, 8], version: 2 }));
    expect(formats(a.responseTo(asked)?.sdp)).toBe('8');
    a.acks(sdp('alice', { codecs: [8], version: 2 }));
  });

  test('claim M2: a caller that speaks nothing of it gets a transcoder of its own list; the other node is offered what is allowed', async () => {
    const bob = between('node', 'G722');
    const a = world.call({ sdp: sdp('alice', { codecs: [0] }) });
    await settled();
    expect(world.resources.needs).toEqual([
      {
        need: { type: 'transcoder', device: 'SEP-alice', site: 'dallas', userClass: 'staff', codecs: ['PCMU', 'G722'] },
        why: 'policy dallas/san-jose allows G722; SEP-alice speaks PCMU',
      },
    ]);
    expect(world.resources.granted[0]?.relays[0]?.terms.codecs).toEqual(['G722', 'telephone-event']);
    expect(formats(bob.asked.sdp)).toBe('9');
    bob.session.answers(sdp('bob', { codecs: [G722] }));
    await settled();
    expect(formats(a.last('answer').sdp)).toBe('0');
    a.acks();
    expect(world.detail.media).toMatchObject({ path: 'through', type: 'transcoder' });
  });

  test('what comes from another node was narrowed there', async () => {
    const bob = between('station', 'G722');
    world.call({ from: profile('node-2', 'node'), sdp: sdp('alice', { codecs: [0] }) });
    await settled();
    expect(formats(bob.asked.sdp)).toBe('0');
    expect(world.resources.needs).toEqual([]);
  });

  test('the callee of another node offers: this node narrows for its own device alone', async () => {
    const bob = between('station', 'PCMA');
    const a = world.call({ from: profile('node-2', 'node'), sdp: null });
    bob.session.answers(sdp('bob', { codecs: [0, 8] }));
    await settled();
    expect(formats(a.last('answer').sdp)).toBe('8');
    a.acks(sdp('alice', { codecs: [8] }));
    a.reinvites(sdp('alice', { codecs: [0, 8], version: 2 }));
    expect(formats(bob.session.offered?.sdp)).toBe('0 8');
    bob.session.answersReinvite(sdp('bob', { codecs: [0], version: 2 }));
    a.acks();
  });

  test('of two devices of this node the one that speaks nothing of it has its list walked first', async () => {
    const bob = between('station', 'G722');
    const caller = { ...profile('SEP-alice'), codecs: ['PCMU'] };
    world.call({ from: caller, sdp: sdp('alice', { codecs: [0] }) });
    await settled();
    expect(world.resources.needs.map(({ need }) => need.device)).toEqual(['SEP-alice']);
    expect(formats(bob.asked.sdp)).toBe('9');
  });

  test('RFC 3326: without a transcoder 488 says what the policy allows', async () => {
    const bob = between('node', 'G722');
    world.resources.none.add('transcoder');
    const a = world.call({ sdp: sdp('alice', { codecs: [0] }) });
    await settled();
    expect(bob.calls).toEqual([]);
    expect(a.last('reject')).toMatchObject({
      status: 488,
      headers: {
        Reason:
          'SIP;cause=488;text="No transcoder available: policy dallas/san-jose allows G722; SEP-alice speaks PCMU"',
      },
    });
  });

  test('a re-INVITE that leaves nothing of it goes through a transcoder, and directly when it may again', async () => {
    const bob = between('node', 'PCMA');
    const a = world.call({ sdp: sdp('alice', { codecs: [8] }) });
    bob.session.answers(sdp('bob', { codecs: [8] }));
    await settled();
    a.acks();
    a.reinvites(sdp('alice', { codecs: [0], version: 2 }));
    await settled();
    expect(world.resources.needs.map(({ why }) => why)).toEqual([
      'policy dallas/san-jose allows PCMA; SEP-alice speaks PCMU',
    ]);
    expect(formats(bob.session.offered?.sdp)).toBe('8');
    bob.session.answersReinvite(sdp('bob', { codecs: [8], version: 2 }));
    await settled();
    a.acks();
    a.reinvites(sdp('alice', { codecs: [8], version: 3 }));
    await settled();
    bob.session.answersReinvite(sdp('bob', { codecs: [8], version: 3 }));
    await settled();
    expect(world.resources.open).toBe(0);
    a.acks();
  });
});
