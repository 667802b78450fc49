import type { MediaEngine } from '../../src/media-resource/ports';

/** Something that a held device may be: it gives its description and says what it hears. */
export interface HeldDevice {
  readonly sdp: string;
  /** What the device answers to the offer of the music. */
  answer(offer: string): string;
  /** Resolves when music arrives, rejects when it does not within a few seconds. */
  hearsMusic(): Promise<void>;
  /** Resolves when nothing arrives any more. */
  hearsNothing(): Promise<void>;
}

export interface EngineUnderTest {
  readonly engine: MediaEngine;
  readonly file: string;
  device(): Promise<HeldDevice>;
}

/** What every media engine must do for music on hold, whatever product it is. */
export function mediaEngineContract(
  name: string,
  start: () => Promise<EngineUnderTest>,
  stop: () => Promise<void>,
): void {
  describe(`media engine contract: ${name}`, () => {
    let under: EngineUnderTest;
    beforeAll(async () => {
      under = await start();
    });
    afterAll(stop);

    test('it says when it can serve', async () => {
      await expect(under.engine.ping()).resolves.toBeUndefined();
    });

    test('claim M12: after offer and connect the held device hears the music, until release', async () => {
      const device = await under.device();
      const offer = await under.engine.musicOffer('acme-1-100-1', { file: under.file, peer: device.sdp });
      expect(offer).toMatch(/^m=audio [1-9]\d* RTP\/AVP /m);
      expect(offer).toContain('a=sendonly');
      expect((await under.engine.sessions()).ids).toContain('acme-1-100-1');
      await under.engine.musicConnect('acme-1-100-1', { file: under.file, answer: device.answer(offer) });
      await device.hearsMusic();
      await under.engine.release('acme-1-100-1');
      expect((await under.engine.sessions()).ids).not.toContain('acme-1-100-1');
      await device.hearsNothing();
    });

    test('an offer asked for again is the same offer, and makes no second session', async () => {
      const device = await under.device();
      const first = await under.engine.musicOffer('acme-1-100-2', { file: under.file, peer: device.sdp });
      const second = await under.engine.musicOffer('acme-1-100-2', { file: under.file, peer: device.sdp });
      const media = (sdp: string): unknown => /^m=.*$/m.exec(sdp)?.[0];
      expect(media(second)).toBe(media(first));
      expect((await under.engine.sessions()).ids.filter((session) => session === 'acme-1-100-2')).toHaveLength(1);
      await under.engine.musicConnect('acme-1-100-2', { file: under.file, answer: device.answer(second) });
      await under.engine.musicConnect('acme-1-100-2', { file: under.file, answer: device.answer(second) });
      await device.hearsMusic();
      await under.engine.release('acme-1-100-2');
    });

    test('release is no error for a session that is gone or never was', async () => {
      await under.engine.release('acme-1-100-3');
      await expect(under.engine.release('acme-1-100-3')).resolves.toBeUndefined();
    });

    test('connecting a session that it does not know is refused with an engine error', async () => {
      const device = await under.device();
      const answer = device.answer(device.sdp);
      const work = under.engine.musicConnect('acme-1-100-4', { file: under.file, answer });
      await expect(work).rejects.toMatchObject({ reason: 'error' });
      expect((await under.engine.sessions()).ids).not.toContain('acme-1-100-4');
    });

    test('an answer without audio is refused and leaves no session behind', async () => {
      const device = await under.device();
      await under.engine.musicOffer('acme-1-100-5', { file: under.file, peer: device.sdp });
      const work = under.engine.musicConnect('acme-1-100-5', { file: under.file, answer: 'v=0\r\n' });
      await expect(work).rejects.toMatchObject({ reason: 'bad-request' });
      await under.engine.release('acme-1-100-5');
      expect((await under.engine.sessions()).ids).not.toContain('acme-1-100-5');
    });
  });
}
