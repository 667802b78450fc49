import { sdp, settled, talking, target, type FakeSession, type FakeAllocation, World } from './kit';

describe('hold', () => {
  let world: World;
  let a: FakeSession;
  let b: FakeSession;
  const talk = (options: Parameters<typeof talking>[0] = {}): void => {
    ({ world, a, b } = talking(options));
  };
  const holding = (who: 'alice' | 'bob', version = 2): string => sdp(who, { direction: 'sendonly', version });
  const back = (who: 'alice' | 'bob', version = 3): string => sdp(who, { direction: 'sendrecv', version });
  const listening = (who: 'alice' | 'bob', port = 4000): string => sdp(who, { direction: 'recvonly', port });
  const leg = (id: string): (typeof world.detail.legs)[number] => world.detail.legs.find((other) => other.id === id)!;
  const music = (): FakeAllocation => world.resources.granted.at(-1)!;
  /** `who` has been offered music and takes it. */
  const hears = async (who: FakeSession, description: string): Promise<void> => {
    await settled();
    expect(who.offered?.sdp).toContain('10.0.9.9');
    who.answersReinvite(description);
    await settled();
  };
  afterEach(() => world.close());

  describe('of a call between two phones of this node', () => {
    test('claim M5: the held party hears music', async () => {
      talk();
      const response = a.reinvitesAndAcks(holding('alice'));
      expect(response).toMatchObject({ status: 200 });
      await hears(b, listening('bob'));
      expect(music().answers).toEqual([listening('bob')]);
      expect(leg('b1')).toMatchObject({ music: 'playing', connection: 'music' });
      expect(world.detail).toMatchObject({ state: 'held', holdCount: 1 });
    });

    test('RFC 3264 §6.1: the holder is answered inactive at once, never with the address of the held phone', () => {
      talk();
      const response = a.reinvitesAndAcks(holding('alice'));
      expect(response?.sdp).toContain('a=inactive');
      expect(response?.sdp).toContain('c=IN IP4 192.0.2.1');
      expect(response?.sdp).not.toContain('10.0.0.2');
    });

    test('claims M5, M6: the list is of the held device, the music of the holder', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await settled();
      expect(world.resources.needs).toEqual([
        {
          need: {
            type: 'moh',
            device: 'SEP-bob',
            site: 'dallas',
            userClass: 'staff',
            musicSource: 'music-of-SEP-alice',
          },
          why: 'held by SEP-alice',
        },
      ]);
      expect(music().peers).toEqual([sdp('bob')]);
    });

    test('resume: the offer of the holder goes to the held phone, the music is released', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      const id = a.reinvites(back('alice'));
      expect(b.offered?.sdp).toContain('10.0.0.1');
      b.answersReinvite(sdp('bob', { port: 5555 }));
      expect(a.responseTo(id)?.sdp).toContain('m=audio 5555');
      a.acks();
      expect(music().released).toBe(1);
      expect(world.detail.legs.map((other) => other.connection)).toEqual(['peer', 'peer']);
      expect(world.detail.state).toBe('established');
    });

    test('a resume that the held phone refuses leaves the hold and its music as they were', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      const id = a.reinvites(back('alice'));
      b.rejectsReinvite(488);
      expect(a.responseTo(id)?.status).toBe(488);
      expect(leg('b1').music).toBe('playing');
      expect(leg('a').holds).toBe(true);
    });

    test('the callee may hold as well', async () => {
      talk();
      b.reinvitesAndAcks(holding('bob'));
      await hears(a, listening('alice'));
      expect(world.resources.needs[0]?.need).toMatchObject({ device: 'SEP-alice', musicSource: 'music-of-SEP-bob' });
    });

    test.each([
      ['sendonly', { direction: 'sendonly' }],
      ['inactive', { direction: 'inactive' }],
      ['the address 0.0.0.0', { address: '0.0.0.0' }],
      ['0.0.0.0 and sendonly', { address: '0.0.0.0', direction: 'sendonly' }],
      ['sendonly and other codecs', { direction: 'sendonly', codecs: [8], port: 4444 }],
    ])('RFC 3264 §8.4: %s holds', async (_name, options) => {
      talk();
      const response = a.reinvitesAndAcks(sdp('alice', { ...options, version: 2 }));
      expect(response?.sdp).toContain('a=inactive');
      await hears(b, listening('bob'));
      expect(leg('a').holds).toBe(true);
    });

    test.each([
      ['recvonly', { direction: 'recvonly' }],
      ['a removed stream', { port: 0 }],
    ])('RFC 3264 §8: %s does not hold', async (_name, options) => {
      talk();
      a.reinvites(sdp('alice', options));
      expect(leg('a').holds).toBe(false);
      expect(b.offered).toBeDefined();
      b.answersReinvite(sdp('bob', { direction: 'sendonly' }));
      await settled();
      expect(world.resources.needs).toEqual([]);
    });

    test('RFC 3311: hold and resume by UPDATE', async () => {
      talk();
      const id = a.requestsThat('UPDATE', holding('alice'), 'application/sdp');
      expect(a.responseTo(id)?.sdp).toContain('a=inactive');
      await hears(b, listening('bob'));
      const resumed = a.requestsThat('UPDATE', back('alice'), 'application/sdp');
      b.answersReinvite(sdp('bob'));
      expect(a.responseTo(resumed)?.status).toBe(200);
      expect(music().released).toBe(1);
    });

    test('a repeated hold changes nothing, with the same description or another', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      const again = a.reinvitesAndAcks(holding('alice'));
      expect(again?.sdp).toContain('a=inactive');
      const other = a.reinvitesAndAcks(sdp('alice', { direction: 'inactive', codecs: [8], version: 4 }));
      expect(other?.sdp).toContain('a=inactive');
      await settled();
      expect(world.resources.granted).toHaveLength(1);
      expect(b.all('reinvite')).toHaveLength(1);
      expect(world.detail.holdCount).toBe(1);
    });

    test('resume without an offer: the held phone makes it', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      const id = a.reinvites();
      b.answersReinvite(sdp('bob', { port: 5555 }));
      expect(a.responseTo(id)?.sdp).toContain('m=audio 5555');
      a.acks(back('alice'));
      expect(b.last('acknowledge').sdp).toContain('10.0.0.1');
      expect(music().released).toBe(1);
      expect(leg('a').holds).toBe(false);
    });

    test('a refresh without an offer by a phone that goes on holding brings the music back', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      a.reinvites();
      b.answersReinvite(sdp('bob', { port: 5555 }));
      a.acks(holding('alice'));
      await hears(b, listening('bob', 5555));
      expect(world.resources.granted).toHaveLength(1);
      expect(music().answers).toHaveLength(2);
    });

    test('a resume while the music is still being offered waits for the held phone', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await settled();
      const id = a.reinvites(back('alice'));
      expect(b.all('reinvite')).toHaveLength(1);
      b.answersReinvite(listening('bob'));
      expect(b.offered?.sdp).toContain('10.0.0.1');
      b.answersReinvite(sdp('bob'));
      await settled();
      expect(a.responseTo(id)?.status).toBe(200);
      expect(music().released).toBe(1);
      expect(leg('b1').connection).toBe('peer');
    });

    test('a hold during the music re-INVITE to the other leg is answered at once', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await settled();
      const again = a.reinvitesAndAcks(sdp('alice', { direction: 'inactive', codecs: [8], version: 4 }));
      expect(again?.status).toBe(200);
      b.answersReinvite(listening('bob'));
      await settled();
      expect(leg('b1').music).toBe('playing');
    });

    test('RFC 3261 §14.2: a hold that crosses the music re-INVITE on its own leg gets 491, and the music is offered again', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await settled();
      expect(b.responseTo(b.reinvites(holding('bob')))?.status).toBe(491);
      b.rejectsReinvite(491);
      world.clock.advance(1000);
      // The phone is faster with its second try.
      expect(b.reinvitesAndAcks(holding('bob'))?.status).toBe(200);
      world.clock.advance(4000);
      await settled();
      expect(b.all('reinvite')).toHaveLength(1);
      expect(music().released).toBe(1);
    });

    test('after 491 the music is offered again', async () => {
      talk();
      b.reinvitesAndAcks(holding('bob'));
      await settled();
      a.rejectsReinvite(491);
      world.clock.advance(2000);
      await hears(a, listening('alice'));
      expect(leg('a').music).toBe('playing');
    });

    test('RFC 3261 §14.1: no music is offered before the ACK of the leg has come', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      b.reinvites(sdp('bob', { port: 5555 }));
      await settled();
      expect(b.offered).toBeUndefined();
      b.acks();
      await hears(b, listening('bob', 5555));
    });
  });

  describe('by both', () => {
    const both = async (): Promise<void> => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      expect(b.reinvitesAndAcks(holding('bob'))?.sdp).toContain('a=inactive');
      await settled();
      expect(music().released).toBe(1);
      expect(world.resources.open).toBe(0);
    };

    test('nobody hears music', async () => {
      await both();
      expect(world.detail.legs.map((other) => other.music)).toEqual(['none', 'none']);
    });

    test('the first who resumes is answered inactive and hears music, the second brings them together', async () => {
      await both();
      expect(a.reinvitesAndAcks(back('alice'))?.sdp).toContain('a=inactive');
      await hears(a, listening('alice'));
      expect(world.resources.needs.at(-1)?.need).toMatchObject({
        device: 'SEP-alice',
        musicSource: 'music-of-SEP-bob',
      });
      const id = b.reinvites(back('bob'));
      a.answersReinvite(sdp('alice'));
      expect(b.responseTo(id)?.sdp).toContain('10.0.0.1');
      expect(world.detail.legs.map((other) => other.connection)).toEqual(['peer', 'peer']);
    });

    test('in the other order as well', async () => {
      await both();
      expect(b.reinvitesAndAcks(back('bob'))?.sdp).toContain('a=inactive');
      await hears(b, listening('bob'));
      const id = a.reinvites(back('alice'));
      b.answersReinvite(sdp('bob'));
      expect(a.responseTo(id)?.sdp).toContain('10.0.0.2');
    });

    test('a resume without an offer is answered with silence and then music', async () => {
      await both();
      const id = a.reinvites();
      expect(a.responseTo(id)?.sdp).toContain('a=inactive');
      a.acks(sdp('alice', { direction: 'inactive' }));
      await hears(a, listening('alice'));
    });

    test('a phone that resumes into the hold of the other is believed when it says so in its answer', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      a.reinvites(back('alice'));
      b.answersReinvite(sdp('bob', { direction: 'inactive' }));
      a.acks();
      expect(leg('b1').holds).toBe(true);
      await hears(a, listening('alice'));
    });
  });

  describe('without a server', () => {
    test('works in silence: the held phone neither hears nor is heard', async () => {
      talk();
      world.resources.servers = 0;
      a.reinvitesAndAcks(holding('alice'));
      await settled();
      expect(b.offered?.sdp).toContain('a=inactive');
      b.answersReinvite(sdp('bob', { direction: 'inactive' }));
      expect(leg('b1')).toMatchObject({ music: 'unavailable', connection: 'silence' });
      expect(world.detail.allocations).toMatchObject([{ winner: undefined, why: 'held by SEP-alice' }]);
      // It is asked for again; that there is still none is not kept, and disturbs nobody.
      const offers = b.commands.length;
      for (let second = 0; second < 60; second++) {
        world.clock.advance(1000);
        await settled();
      }
      expect(world.detail.allocations).toHaveLength(1);
      expect(b.commands).toHaveLength(offers);
      world.resources.servers = 1;
      world.clock.advance(30_000);
      await settled();
      expect(world.detail.allocations).toHaveLength(2);
      expect(b.offered?.sdp).toContain('a=sendonly');
      b.answersReinvite(sdp('bob', { direction: 'recvonly' }));
      await settled();
      expect(leg('b1')).toMatchObject({ music: 'playing', connection: 'music' });
      const id = a.reinvites(back('alice'));
      b.answersReinvite(sdp('bob'));
      expect(a.responseTo(id)?.status).toBe(200);
    });

    test('a phone that refuses the music is silenced; one that refuses that too is left alone', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await settled();
      b.rejectsReinvite(488);
      expect(music().released).toBe(1);
      expect(b.offered?.sdp).toContain('a=inactive');
      b.rejectsReinvite(488);
      await settled();
      expect(b.offered).toBeUndefined();
      expect(world.detail.state).toBe('held');
    });
  });

  describe('and the lease of the music', () => {
    test('when the server dies, another one is asked for', async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      music().lost('unknown-allocation');
      await settled();
      await hears(b, listening('bob'));
      expect(world.resources.granted.map((allocation) => allocation.released)).toEqual([1, 0]);
      expect(world.resources.needs.at(-1)?.why).toContain('again');
      // It only forgot the lease: its engine may have been started again.
      expect(world.resources.needs.at(-1)?.need.exclude).toBeUndefined();
      expect(leg('b1').music).toBe('playing');
    });

    test('and when there is none, it becomes silent', async () => {
      talk();
      world.resources.servers = 1;
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      music().lost('unknown-allocation');
      await settled();
      expect(b.offered?.sdp).toContain('a=inactive');
      b.answersReinvite(sdp('bob', { direction: 'inactive' }));
      expect(leg('b1')).toMatchObject({ music: 'unavailable', connection: 'silence' });
    });

    test.each(['offer', 'connect'] as const)(
      'a server that fails at %s is given back, and not asked again in this hold',
      async (step) => {
        talk();
        const allocate = world.resources.allocate.bind(world.resources);
        world.resources.allocate = async (need, why) => {
          const result = await allocate(need, why);
          music().failing = step;
          return result;
        };
        a.reinvitesAndAcks(holding('alice'));
        for (let turn = 0; turn < 4; turn += 1) {
          await settled();
          if (b.offered?.sdp?.includes('10.0.9.9') === true) b.answersReinvite(listening('bob'));
        }
        await settled();
        expect(world.resources.granted).toHaveLength(3);
        expect(world.resources.needs[1]?.need.exclude).toEqual(['moh-dallas']);
        expect(world.resources.open).toBe(0);
        expect(b.offered?.sdp).toContain('a=inactive');
      },
    );
  });

  describe('of a held phone that speaks up', () => {
    beforeEach(async () => {
      talk();
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
    });

    test('RFC 4028 §7.4: its refresh is answered with what it has, and the music goes on', async () => {
      const offered = b.last('reinvite').sdp;
      expect(b.reinvitesAndAcks(listening('bob'))?.sdp).toBe(offered);
      await settled();
      expect(leg('b1')).toMatchObject({ music: 'playing', connection: 'music' });
      expect(b.all('reinvite')).toHaveLength(1);
    });

    test('RFC 7088: a change is negotiated with the music server again', async () => {
      expect(b.reinvitesAndAcks(sdp('bob', { port: 5555 }))?.status).toBe(200);
      await hears(b, listening('bob', 5555));
      expect(music().answers).toHaveLength(2);
      expect(music().peers.at(-1)).toContain('m=audio 5555');
      expect(world.resources.granted).toHaveLength(1);
    });

    test('one without an offer is offered what it has; another answer is told to the server', async () => {
      const offered = b.last('reinvite').sdp;
      expect(b.responseTo(b.reinvites())?.sdp).toBe(offered);
      b.acks(listening('bob', 5555));
      await settled();
      expect(music().answers.at(-1)).toContain('m=audio 5555');
    });
  });

  describe('and hang-up: the music is released exactly once', () => {
    const ends: [string, () => void][] = [
      ['the holder', () => a.hangsUp()],
      ['the held phone', () => b.hangsUp()],
    ];
    describe.each(ends)('%s hangs up', (_who, hangUp) => {
      test('while the server is asked for', async () => {
        talk();
        world.resources.slow = true;
        a.reinvitesAndAcks(holding('alice'));
        await settled();
        hangUp();
        world.resources.answer();
        await settled();
        expect(music().released).toBe(1);
      });

      test('while the music is offered', async () => {
        talk();
        a.reinvitesAndAcks(holding('alice'));
        await settled();
        hangUp();
        expect(music().released).toBe(1);
      });

      test('while it plays', async () => {
        talk();
        a.reinvitesAndAcks(holding('alice'));
        await hears(b, listening('bob'));
        hangUp();
        expect(music().released).toBe(1);
      });

      test('while the holder resumes', async () => {
        talk();
        a.reinvitesAndAcks(holding('alice'));
        await hears(b, listening('bob'));
        a.reinvites(back('alice'));
        hangUp();
        expect(music().released).toBe(1);
      });
    });

    test('a grant that comes after the resume is given back', async () => {
      talk();
      world.resources.slow = true;
      a.reinvitesAndAcks(holding('alice'));
      await settled();
      a.reinvites(back('alice'));
      b.answersReinvite(sdp('bob'));
      a.acks();
      world.resources.answer();
      await settled();
      expect(music().released).toBe(1);
    });
  });

  test('RFC 3264: in a call that began with a delayed offer the hold is the same', async () => {
    world = new World();
    const callee = world.device('SEP-bob', '1.dp.2');
    world.route('2000', [target('1.dp.2', 'SEP-bob')]);
    a = world.call({ sdp: null });
    b = callee.session;
    b.answers(sdp('bob'), { 'Session-Expires': '1800' });
    a.acks(sdp('alice'));
    expect(a.reinvitesAndAcks(holding('alice'))?.sdp).toContain('a=inactive');
    await hears(b, listening('bob'));
    const id = a.reinvites(back('alice'));
    b.answersReinvite(sdp('bob', { port: 5555 }));
    expect(a.responseTo(id)?.sdp).toContain('m=audio 5555');
  });

  test('a refresh of ours while the music plays leaves it alone', async () => {
    talk({ answer: {} });
    a.reinvitesAndAcks(holding('alice'));
    await hears(b, listening('bob'));
    const offered = b.last('reinvite').sdp;
    for (let at = 0; at < 90; at += 1) {
      world.clock.advance(10_000);
      await settled();
    }
    expect(b.offered?.sdp).toBe(offered);
    b.answersReinvite(listening('bob'));
    await settled();
    expect(leg('b1')).toMatchObject({ connection: 'music', music: 'playing' });
    expect(world.resources.granted).toHaveLength(1);
  });

  describe('across nodes', () => {
    test('a hold of our phone: the other node is told the direction and plays by itself', async () => {
      talk({ callee: 'node' });
      expect(a.reinvitesAndAcks(holding('alice'))?.sdp).toContain('a=inactive');
      await settled();
      expect(world.resources.needs).toEqual([]);
      expect(b.offered?.sdp).toContain('a=sendonly');
      b.answersReinvite(sdp('bob', { direction: 'inactive' }));
      await settled();
      expect(leg('b1').holds).toBe(false);
      const id = a.reinvites(back('alice'));
      b.answersReinvite(sdp('bob'));
      expect(a.responseTo(id)?.sdp).toContain('10.0.0.2');
      expect(b.all('reinvite')).toHaveLength(2);
    });

    test('a hold of the far side: our phone hears our music, the node is answered inactive', async () => {
      talk({ callee: 'node' });
      expect(b.reinvitesAndAcks(holding('bob'))?.sdp).toContain('a=inactive');
      await hears(a, listening('alice'));
      expect(world.musicAskedFor).toEqual(['SEP-bob/2000']);
      const id = b.reinvites(back('bob'));
      a.answersReinvite(sdp('alice'));
      expect(b.responseTo(id)?.sdp).toContain('10.0.0.1');
      expect(music().released).toBe(1);
    });

    test('both hold, ours resumes first: silence and music for it, and the node is told', async () => {
      talk({ callee: 'node' });
      b.reinvitesAndAcks(holding('bob'));
      await hears(a, listening('alice'));
      a.reinvitesAndAcks(holding('alice'));
      expect(b.offered?.sdp).toContain('a=sendonly');
      b.answersReinvite(sdp('bob', { direction: 'inactive' }));
      expect(a.reinvitesAndAcks(back('alice'))?.sdp).toContain('a=inactive');
      expect(b.offered?.sdp).toContain('a=sendrecv');
      b.answersReinvite(sdp('bob', { direction: 'inactive' }));
      await hears(a, listening('alice'));
      const id = b.reinvites(back('bob'));
      a.answersReinvite(sdp('alice'));
      expect(b.responseTo(id)?.status).toBe(200);
      expect(world.detail.legs.map((other) => other.connection)).toEqual(['peer', 'peer']);
    });

    test('both hold, the far side resumes first: it is answered inactive', async () => {
      talk({ callee: 'node' });
      a.reinvitesAndAcks(holding('alice'));
      b.answersReinvite(sdp('bob', { direction: 'inactive' }));
      b.reinvitesAndAcks(holding('bob'));
      expect(b.reinvitesAndAcks(back('bob'))?.sdp).toContain('a=inactive');
      const id = a.reinvites(back('alice'));
      b.answersReinvite(sdp('bob'));
      expect(a.responseTo(id)?.status).toBe(200);
      await settled();
      expect(world.resources.open).toBe(0);
    });

    test('the direction is told again after 491', async () => {
      talk({ callee: 'node' });
      a.reinvitesAndAcks(holding('alice'));
      b.rejectsReinvite(491);
      world.clock.advance(4000);
      expect(b.offered?.sdp).toContain('a=sendonly');
      b.answersReinvite(sdp('bob', { direction: 'inactive' }));
      await settled();
      expect(b.offered).toBeUndefined();
    });

    test('the caller of another node is served in the same way', async () => {
      talk({ caller: 'node' });
      a.reinvitesAndAcks(holding('alice'));
      await hears(b, listening('bob'));
      expect(world.musicAskedFor).toEqual(['node-2/1000']);
      b.reinvitesAndAcks(holding('bob'));
      expect(a.offered?.sdp).toContain('a=sendonly');
      a.answersReinvite(sdp('alice', { direction: 'inactive' }));
      await settled();
      expect(world.resources.open).toBe(0);
    });
  });
});
