import type { DeviceProfile } from '../../../src/device/device-process';
import { formatWord } from '../../../src/device/node-context';
import { WORD_HEADER } from '../../../src/sip/node-signature';
import { FakeDevice, profile, sdp, settled, target, World, type FakeSession } from './kit';

/** Payload types of RFC 3551. */
const PCMU = 0;
const G722 = 9;

describe('the media path', () => {
  let world: World;
  let bob: FakeDevice;
  beforeEach(() => {
    world = new World();
    bob = world.device('SEP-bob', '1.dp.2');
    world.route('2000', [target('1.dp.2', 'SEP-bob')]);
  });
  afterEach(() => world.close());

  const give = (more: Partial<DeviceProfile>): void => {
    bob = new FakeDevice({ ...bob.profile, ...more }, '1.dp.2');
    world.devices.set('1.dp.2', bob);
  };
  const resource = () => world.resources.granted.at(-1)!;
  const wide = (version = 1): string => sdp('alice', { codecs: [G722], version });
  const narrow = (options = {}): string => sdp('bob', { codecs: [PCMU], ...options });

  /** Alice speaks G.722 only, Bob is configured for PCMU only; they talk through a transcoder. */
  const transcoded = async (): Promise<FakeSession> => {
    give({ codecs: ['PCMU'] });
    const a = world.call({ sdp: wide() });
    await settled();
    bob.session.answers(narrow());
    await settled();
    a.acks();
    return a;
  };

  describe('of a call that is set up', () => {
    test('claim M2: no common codec is known beforehand: the callee is offered what it speaks, through a transcoder', async () => {
      const a = await transcoded();
      expect(world.resources.needs[0]).toMatchObject({
        need: { type: 'transcoder', device: 'SEP-bob', codecs: ['G722', 'PCMU'] },
        why: 'no common codec: G722 and PCMU',
      });
      expect(resource().relays[0]).toMatchObject({ to: 'b', sdp: wide(), terms: { codecs: ['PCMU'] } });
      expect(bob.asked.sdp).toContain('m=audio 7000 RTP/AVP 0\r\n');
      expect(bob.asked.sdp).toContain('c=IN IP4 10.0.8.2');
      expect(resource().connects).toEqual([{ answer: narrow(), from: 'b' }]);
      expect(a.last('answer').sdp).toContain('c=IN IP4 10.0.8.1');
      expect(a.last('answer').sdp).toContain('m=audio 7000 RTP/AVP 9');
      expect(world.detail.media).toMatchObject({ path: 'through', type: 'transcoder', resource: 'transcoder-1' });
      expect(world.detail.allocations[0]?.ends).toEqual([
        { device: 'SEP-alice', codecs: ['G722'] },
        { device: 'SEP-bob', codecs: ['PCMU'] },
      ]);
    });

    test('RFC 3261 §13.2.1: the early description of the callee comes through the transcoder as well', async () => {
      give({ codecs: ['PCMU'] });
      const a = world.call({ sdp: wide() });
      await settled();
      bob.session.rings(183, narrow());
      await settled();
      expect(a.last('progress')).toMatchObject({ status: 183, sdp: expect.stringContaining('10.0.8.1') as string });
      bob.session.answers(narrow());
      await settled();
      expect(a.last('answer').sdp).toContain('10.0.8.1');
      a.acks();
    });

    test('claim M2: a 488 tells that there is no common codec: a new INVITE to the same target, through a transcoder', async () => {
      const a = world.call({ sdp: wide() });
      bob.session.rejects(488);
      await settled();
      expect(bob.calls).toHaveLength(2);
      expect(bob.asked.sdp).toContain('m=audio 7000 RTP/AVP 0 8 9');
      bob.session.answers(narrow());
      await settled();
      expect(a.last('answer').sdp).toContain('10.0.8.1');
      a.acks();
      expect(world.detail.route.trials.map(({ outcome }) => outcome)).toEqual(['488', 'answered']);
    });

    test('a 488 after an 18x with a description: the call goes through a transcoder, and the caller is offered what comes of it', async () => {
      const a = world.call({ sdp: wide() });
      bob.session.rings(183, narrow());
      bob.session.rejects(488);
      await settled();
      bob.session.answers(narrow());
      await settled();
      expect(a.last('answer').sdp).toBe(a.last('progress').sdp);
      a.acks();
      await settled();
      expect(a.last('reinvite').sdp).toContain('c=IN IP4 10.0.8.1');
      a.answersReinvite(wide(2));
      await settled();
    });

    test('a phone that refuses again is asked once more, encrypted; then it is left alone', async () => {
      const a = world.call({ sdp: wide() });
      for (let refusal = 0; refusal < 3; refusal += 1) {
        bob.session.rejects(488);
        await settled();
      }
      expect(bob.calls.map(({ call }) => /RTP\/\S+/.exec(call.sdp ?? '')?.[0])).toEqual([
        'RTP/AVP',
        'RTP/AVP',
        'RTP/SAVP',
      ]);
      expect(a.last('reject').status).toBe(488);
      expect(resource().released).toBe(1);
    });

    test('RFC 3326: without a transcoder 488 names what was missing', async () => {
      world.resources.none.add('transcoder');
      give({ codecs: ['PCMU'] });
      const a = world.call({ sdp: wide() });
      await settled();
      expect(bob.calls).toHaveLength(0);
      expect(a.last('reject')).toMatchObject({
        status: 488,
        headers: { Reason: 'SIP;cause=488;text="No transcoder available: no common codec: G722 and PCMU"' },
      });
      expect(world.records[0]?.allocations).toHaveLength(2);
    });

    test('the list of the callee goes first, then that of the caller, without what was asked already', async () => {
      world.resources.unhelpful.add('SEP-bob');
      give({ codecs: ['PCMU'] });
      const a = world.call({ sdp: wide() });
      await settled();
      expect(world.resources.needs.map(({ need }) => [need.device, need.exclude])).toEqual([
        ['SEP-bob', undefined],
        ['SEP-alice', ['transcoder-1']],
      ]);
      a.emit({ type: 'cancelled', reason: undefined });
    });

    test('claim M4: encrypted media and plain media are joined by a media termination point, and the codecs stay', async () => {
      give({ security: 'sdes' });
      const a = world.call();
      await settled();
      expect(world.resources.needs[0]).toMatchObject({
        need: { type: 'mtp' },
        why: 'encryption differs: none and sdes',
      });
      expect(resource().relays[0]?.terms).toEqual({ security: 'sdes' });
      bob.session.answers(sdp('bob', { protocol: 'RTP/SAVP' }));
      await settled();
      a.acks();
      expect(world.detail.media).toMatchObject({ type: 'mtp' });
    });

    test('a device that requires a media termination point gets one from its own list, and talks without when there is none', async () => {
      const from = { ...profile('SEP-alice'), mtpRequired: true };
      const a = world.call({ from });
      await settled();
      expect(world.resources.needs[0]?.need).toMatchObject({ type: 'mtp', device: 'SEP-alice' });
      a.emit({ type: 'cancelled', reason: undefined });
      world.resources.none.add('mtp');
      const again = world.call({ from });
      await settled();
      expect(bob.asked.sdp).toContain('10.0.0.1');
      bob.session.answers(sdp('bob'));
      again.acks();
    });

    test('what a phone offered in a call of its own is known when it is called', async () => {
      const first = world.call({ from: bob.profile, pid: '1.dp.2', sdp: sdp('bob', { codecs: [PCMU] }) });
      first.emit({ type: 'cancelled', reason: undefined });
      const a = world.call({ sdp: wide() });
      await settled();
      expect(bob.asked.sdp).toContain('10.0.8.2');
      a.emit({ type: 'cancelled', reason: undefined });
    });

    test('two phones ring through transcoders; the one of the phone that did not answer is given back at once', async () => {
      give({ codecs: ['PCMU'] });
      const carol = new FakeDevice({ ...profile('SEP-carol'), codecs: ['PCMU'] }, '1.dp.3');
      world.devices.set('1.dp.3', carol);
      world.route('2000', [target('1.dp.2', 'SEP-bob')], [target('1.dp.3', 'SEP-carol')]);
      const a = world.call({ sdp: wide() });
      await settled();
      bob.session.answers(narrow());
      await settled();
      a.acks();
      expect(carol.session.all('cancel')).toHaveLength(1);
      expect(world.resources.granted.map(({ released }) => released)).toEqual([0, 1]);
    });

    test('a caller that gives up while a transcoder is asked for leaves nothing', async () => {
      give({ codecs: ['PCMU'] });
      world.resources.slow = true;
      const a = world.call({ sdp: wide() });
      a.emit({ type: 'cancelled', reason: undefined });
      world.resources.answer();
      await settled();
      expect(bob.calls).toHaveLength(0);
    });

    test('a caller that gives up while its answer is made: the callee gets BYE', async () => {
      give({ codecs: ['PCMU'] });
      const a = world.call({ sdp: wide() });
      await settled();
      bob.session.answers(narrow());
      a.emit({ type: 'cancelled', reason: undefined });
      expect(bob.session.all('bye')).toHaveLength(1);
      await settled();
    });

    test('the resource dies while the phone rings: the call is answered, and joined through another one', async () => {
      give({ codecs: ['PCMU'] });
      const a = world.call({ sdp: wide() });
      await settled();
      world.resources.joining = 2;
      resource().lost();
      bob.session.answers(narrow());
      await settled();
      expect(a.last('answer').sdp).toContain('a=inactive');
      a.acks();
      await settled();
      expect(world.resources.needs.at(-1)?.need.exclude).toEqual(['transcoder-1']);
      bob.session.answersReinvite(narrow({ version: 2 }));
      await settled();
      expect(a.offered?.sdp).toContain('10.0.8.1');
      a.answersReinvite(wide(2));
      await settled();
      expect(bob.session.last('acknowledge').sdp).toContain('10.0.8.2');
    });
  });

  describe('of a delayed offer', () => {
    test('RFC 3261 §13.2.1: to a phone that takes none: a media termination point offers, then offers to the caller', async () => {
      give({ delayedOffer: false });
      const a = world.call({ sdp: null });
      await settled();
      expect(resource().relays[0]).toMatchObject({
        to: 'b',
        terms: { codecs: expect.arrayContaining(['PCMU']) as string[] },
      });
      expect(resource().relays[0]?.sdp).toBeUndefined();
      expect(bob.asked.sdp).toContain('10.0.8.2');
      bob.session.answers(narrow());
      await settled();
      expect(resource().relays[1]).toMatchObject({ to: 'a', sdp: narrow() });
      expect(a.last('answer').sdp).toContain('10.0.8.1');
      a.acks(sdp('alice', { codecs: [PCMU] }));
      await settled();
      expect(resource().connects.map(({ from }) => from)).toEqual(['b', 'a']);
      expect(bob.session.all('acknowledge')).toEqual([]);
      expect(world.detail.legs.map(({ connection }) => connection)).toEqual(['peer', 'peer']);
    });

    test('through a media termination point that the callee requires its offer and our ACK go through it', async () => {
      give({ mtpRequired: true });
      const a = world.call({ sdp: null });
      await settled();
      expect(bob.asked.sdp).toBeUndefined();
      bob.session.answers(narrow());
      await settled();
      expect(a.last('answer').sdp).toContain('10.0.8.1');
      a.acks(sdp('alice', { codecs: [PCMU] }));
      await settled();
      expect(bob.session.last('acknowledge').sdp).toContain('10.0.8.2');
    });
  });

  describe('of an established call', () => {
    test('hold and resume: music goes straight to the held phone, and the way back leads through the transcoder', async () => {
      const a = await transcoded();
      a.reinvitesAndAcks(sdp('alice', { codecs: [G722], direction: 'sendonly', version: 2 }));
      await settled();
      expect(bob.session.offered?.sdp).toContain('10.0.9.9');
      bob.session.answersReinvite(narrow({ direction: 'recvonly' }));
      await settled();
      const id = a.reinvites(wide(3));
      await settled();
      expect(bob.session.offered?.sdp).toContain('10.0.8.2');
      bob.session.answersReinvite(narrow({ version: 3 }));
      await settled();
      expect(a.responseTo(id)?.sdp).toContain('10.0.8.1');
      a.acks();
      expect(world.resources.granted.map(({ released }) => released)).toEqual([0, 1]);
    });

    test('a re-INVITE that leaves no common codec brings a transcoder in; one that makes it needless takes it out', async () => {
      give({ codecs: ['PCMU'] });
      const a = world.call({ sdp: sdp('alice', { codecs: [PCMU] }) });
      bob.session.answers(narrow());
      a.acks();
      const id = a.reinvites(wide(2));
      await settled();
      expect(bob.session.offered?.sdp).toContain('10.0.8.2');
      bob.session.answersReinvite(narrow({ version: 2 }));
      await settled();
      expect(a.responseTo(id)?.sdp).toContain('10.0.8.1');
      a.acks();
      const back = a.reinvites(sdp('alice', { codecs: [PCMU], version: 3 }));
      await settled();
      expect(bob.session.offered?.sdp).toContain('10.0.0.1');
      expect(resource().released).toBe(0);
      bob.session.answersReinvite(narrow({ version: 3 }));
      expect(a.responseTo(back)?.sdp).toContain('10.0.0.2');
      a.acks();
      expect(resource().released).toBe(1);
      expect(world.detail.media).toEqual({ path: 'direct' });
    });

    test('a re-INVITE that needs a transcoder when there is none is refused, and the call stays as it was', async () => {
      world.resources.none.add('transcoder');
      give({ codecs: ['PCMU'] });
      const a = world.call({ sdp: sdp('alice', { codecs: [PCMU] }) });
      bob.session.answers(narrow());
      a.acks();
      const id = a.reinvites(wide(2));
      await settled();
      expect(a.responseTo(id)).toMatchObject({
        status: 488,
        headers: { Reason: expect.stringContaining('No transcoder') as string },
      });
      expect(world.detail.legs.map(({ connection }) => connection)).toEqual(['peer', 'peer']);
    });

    test('a phone that refuses a re-INVITE for its codecs is offered it through a transcoder', async () => {
      const a = world.call({ sdp: sdp('alice', { codecs: [PCMU] }) });
      bob.session.answers(narrow());
      a.acks();
      const id = a.reinvites(wide(2));
      bob.session.rejectsReinvite(488);
      await settled();
      expect(bob.session.offered?.sdp).toContain('m=audio 7000 RTP/AVP 0\r\n');
      bob.session.answersReinvite(narrow({ version: 2 }));
      await settled();
      expect(a.responseTo(id)?.sdp).toContain('10.0.8.1');
      a.acks();
    });

    test('design: a transcoder that dies is replaced by another one, and both ends are asked anew', async () => {
      const a = await transcoded();
      world.resources.joining = 2;
      resource().lost();
      await settled();
      expect(world.resources.granted.map(({ device, released }) => [device, released])).toEqual([
        ['transcoder-1', 1],
        ['transcoder-2', 0],
      ]);
      bob.session.answersReinvite(narrow({ version: 2 }));
      await settled();
      expect(a.offered?.sdp).toContain('10.0.8.1');
      a.answersReinvite(wide(2));
      await settled();
      expect(bob.session.last('acknowledge').sdp).toContain('10.0.8.2');
      expect(world.detail.media).toMatchObject({ step: 'joined', resource: 'transcoder-2' });
      expect(world.detail.legs.map(({ connection }) => connection)).toEqual(['peer', 'peer']);
    });

    test('a lease that is refused counts as lost', async () => {
      const a = await transcoded();
      resource().lost('unknown-allocation');
      await settled();
      expect(world.resources.granted).toHaveLength(2);
      bob.session.answersReinvite(narrow({ version: 2 }));
      await settled();
      a.answersReinvite(wide(2));
      await settled();
      expect(world.detail.media).toMatchObject({ step: 'joined' });
    });

    test('with no other transcoder the call is kept for some seconds, and then ended with the reason', async () => {
      const a = await transcoded();
      world.resources.none.add('transcoder');
      resource().lost();
      await settled();
      expect(a.all('bye')).toEqual([]);
      for (let pause = 0; pause < 5; pause += 1) {
        world.clock.advance(2000);
        await settled();
      }
      expect(a.last('bye').reason).toContain('No transcoder available');
    });

    test('one that comes back in time saves the call', async () => {
      const a = await transcoded();
      world.resources.none.add('transcoder');
      resource().lost();
      await settled();
      world.resources.none.clear();
      world.clock.advance(2000);
      await settled();
      bob.session.answersReinvite(narrow({ version: 2 }));
      await settled();
      a.answersReinvite(wide(2));
      await settled();
      expect(world.detail.media).toMatchObject({ step: 'joined' });
    });

    test('the music server of a held phone dies: at once another one is asked, not the dead one', async () => {
      const a = world.call();
      bob.session.answers(sdp('bob'));
      a.acks();
      a.reinvitesAndAcks(sdp('alice', { direction: 'sendonly', version: 2 }));
      await settled();
      bob.session.answersReinvite(sdp('bob', { direction: 'recvonly' }));
      await settled();
      resource().lost();
      await settled();
      expect(world.resources.needs[1]?.need).toMatchObject({ type: 'moh', exclude: ['moh-dallas'] });
      expect(bob.session.offered?.sdp).toContain('10.0.9.9');
    });
  });

  describe('between two nodes', () => {
    const tried = 'transcoder;codecs=PCMU;security=none;tried=x1,x2';

    test("the callee's node tells what it has tried in a signed header of its 488", async () => {
      world.resources.none.add('transcoder');
      give({ codecs: ['PCMU'] });
      const from = { ...profile('node-2', 'node'), node: 2 };
      const a = world.call({ from, sdp: wide(), target: bob });
      await settled();
      expect(a.last('reject').status).toBe(488);
      const told = { judged: 'try-another', tried: 'transcoder;codecs=PCMU;security=;tried=transcoder-1' } as const;
      expect(a.last('reject').headers[WORD_HEADER]).toBe(`2 ${a.callId} ${formatWord(told)}`);
    });

    test("the caller's node then tries the list of its own device, without these, with a new INVITE", async () => {
      const there = world.device('node-2', '2.dp.1', 'node');
      world.route('3000', [target('2.dp.1', 'SEP-carol', { digits: '3000' })]);
      const a = world.call({ sdp: wide(), dialled: '3000' });
      there.session.rings(183);
      there.session.rejects(488, { [WORD_HEADER]: `1 x ${formatWord({ tried })}` });
      await settled();
      expect(world.resources.needs).toMatchObject([
        { need: { type: 'transcoder', device: 'SEP-alice', exclude: ['x1', 'x2'], codecs: ['G722', 'PCMU'] } },
      ]);
      expect(there.asked.sdp).toContain('m=audio 7000 RTP/AVP 0\r\n');
      there.session.answers(narrow());
      await settled();
      expect(a.last('answer').sdp).toContain('10.0.8.1');
      a.acks();
    });

    test('a 488 of a node without that header is the last word', () => {
      const there = world.device('node-2', '2.dp.1', 'node');
      world.route('3000', [target('2.dp.1', 'SEP-carol', { digits: '3000' })]);
      const a = world.call({ sdp: wide(), dialled: '3000' });
      there.session.rings(183);
      there.session.rejects(488);
      expect(there.calls).toHaveLength(1);
      expect(a.last('reject').status).toBe(488);
    });
  });
});
