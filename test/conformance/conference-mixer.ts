import type { MediaEngine } from '../../src/media-resource/ports';
import { eventually } from '../support/eventually';
import { RtpListener } from '../support/rtp-listener';
import { Scope } from '../support/scope';
import { describeSound, hearsTones, isSilent, type Sound } from '../support/sound';

interface Party {
  readonly session: string;
  readonly tone: number;
  readonly rtp: RtpListener;
}

/** What every conference bridge must do, whatever product it is. Sessions are those of node 1 of the cluster. */
export function conferenceMixerContract(
  name: string,
  start: () => Promise<MediaEngine>,
  stop: () => Promise<void>,
  cluster = 'acme',
): void {
  describe(`conference mixer contract: ${name}`, () => {
    const scope = new Scope();
    let engine: MediaEngine;
    beforeAll(async () => {
      engine = await start();
      await engine.ping();
    }, 60_000);
    afterAll(async () => {
      await scope.close();
      await stop();
    });

    async function party(number: number, tone: number): Promise<Party> {
      return { session: `${cluster}-1-200-${number}`, tone, rtp: await RtpListener.open(scope) };
    }

    function speak({ rtp, tone }: Party, description: string): void {
      const address = /^c=IN IP4 (\S+)/m.exec(description)?.[1] ?? '';
      rtp.send(tone, address, Number(/^m=audio (\d+)/m.exec(description)?.[1]));
    }

    async function accept(who: Party, room: string, offer = who.rtp.sdp()): Promise<void> {
      speak(who, await engine.mixer!.accept(who.session, { room, offer }));
    }

    async function hears({ rtp }: Party, ...tones: number[]): Promise<void> {
      let sound: Sound = { rate: 8000, samples: new Float64Array(0) };
      const look = async (): Promise<string> => {
        sound = await rtp.hear(0.5);
        return describeSound(sound, tones);
      };
      const good = (): boolean => (tones.length === 0 ? isSilent(sound) : hearsTones(sound, tones));
      await eventually(`hears ${tones.join(' and ')}`, look, good, { every: 0 });
    }

    /** Where the engine can tell. */
    async function talks({ session }: Party): Promise<void> {
      const { mixer } = engine;
      if (mixer?.talks === undefined) return;
      await eventually('it talks', () => mixer.talks?.(session), Boolean);
    }

    async function leave(...parties: readonly Party[]): Promise<void> {
      for (const { session, rtp } of parties) {
        rtp.stopSending();
        await engine.release(session);
        await engine.release(session);
        expect(await engine.holds(session)).toBe(false);
      }
    }

    test('claim M12: those in one room hear each other and not themselves; those in another room hear nobody', async () => {
      const [a, b, alone] = [await party(1, 440), await party(2, 700), await party(3, 1100)];
      await accept(a, 'one');
      await accept(b, 'one');
      await accept(alone, 'two');
      await Promise.all([hears(a, 700), hears(b, 440), hears(alone)]);
      const { ids } = await engine.sessions();
      expect(ids).toEqual(expect.arrayContaining([a.session, b.session, alone.session]));
      await leave(a, b, alone);
    }, 60_000);

    test('one that is muted is not heard, and hears; a later offer of the same session changes nothing for the others', async () => {
      const [a, b] = [await party(4, 440), await party(5, 700)];
      await accept(a, 'one');
      await accept(b, 'one');
      await hears(b, 440);
      await engine.mixer!.mute(a.session, { room: 'one', muted: true });
      await Promise.all([hears(a, 700), hears(b)]);
      await talks(b);
      await engine.mixer!.mute(a.session, { room: 'one', muted: false });
      await accept(a, 'one', a.rtp.sdp('sendrecv', 2));
      await Promise.all([hears(a, 700), hears(b, 440)]);
      await leave(a, b);
    }, 60_000);

    test('a mute stays over offers in both directions and over a hold; said twice it is the same; only that one is muted', async () => {
      const [a, b] = [await party(9, 440), await party(10, 700)];
      const mixer = engine.mixer!;
      await accept(a, 'one');
      await accept(b, 'one');
      await mixer.mute(a.session, { room: 'one', muted: true });
      await mixer.mute(a.session, { room: 'one', muted: true });
      await accept(a, 'one', a.rtp.sdp('sendonly', 2));
      await accept(a, 'one', a.rtp.sdp('sendrecv', 3));
      await Promise.all([hears(a, 700), hears(b)]);
      const offer = await mixer.offer(a.session, { room: 'one', peer: a.rtp.sdp('sendrecv', 3) });
      await mixer.connect(a.session, { room: 'one', answer: a.rtp.sdp('sendrecv', 4) });
      speak(a, offer);
      await Promise.all([hears(a, 700), hears(b)]);
      await mixer.mute(b.session, { room: 'one', muted: false });
      for (let twice = 0; twice < 2; twice++) await mixer.mute(a.session, { room: 'one', muted: false });
      await Promise.all([hears(a, 700), hears(b, 440)]);
      await leave(a, b);
    }, 60_000);

    test('one that was offered a place can be muted before it answers: it is never heard', async () => {
      const [a, b] = [await party(11, 440), await party(12, 700)];
      await accept(b, 'one');
      const offer = await engine.mixer!.offer(a.session, { room: 'one' });
      await engine.mixer!.mute(a.session, { room: 'one', muted: true });
      await engine.mixer!.connect(a.session, { room: 'one', answer: a.rtp.sdp() });
      speak(a, offer);
      await Promise.all([hears(a, 700), hears(b)]);
      await leave(a, b);
    }, 60_000);

    test('one that is muted and leaves: who comes next in its place is heard', async () => {
      const [a, b] = [await party(13, 440), await party(14, 700)];
      await accept(b, 'one');
      await accept(a, 'one');
      await engine.mixer!.mute(a.session, { room: 'one', muted: true });
      a.rtp.stopSending();
      await engine.release(a.session);
      await accept(a, 'one');
      await hears(b, 440);
      await leave(a, b);
    }, 60_000);

    test('one that is not in the room cannot be muted', async () => {
      const work = engine.mixer!.mute(`${cluster}-1-200-15`, { room: 'one', muted: true });
      await expect(work).rejects.toHaveProperty('reason');
    });

    test('the bridge offers, and takes the answer', async () => {
      const [a, b] = [await party(6, 440), await party(7, 700)];
      await accept(a, 'one');
      const offer = await engine.mixer!.offer(b.session, { room: 'one' });
      await engine.mixer!.connect(b.session, { room: 'one', answer: b.rtp.sdp() });
      speak(b, offer);
      await Promise.all([hears(a, 700), hears(b, 440)]);
      await leave(a, b);
    }, 60_000);

    test('what cannot be taken is refused with a reason, and leaves nothing behind', async () => {
      const bad = await party(8, 440);
      const work = engine.mixer!.accept(bad.session, { room: 'one', offer: 'v=0\r\n' });
      await expect(work).rejects.toHaveProperty('reason');
      expect((await engine.sessions()).ids).not.toContain(bad.session);
    });
  });
}
