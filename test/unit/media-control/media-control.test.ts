import { createMediaControl, decideMediaPath } from '../../../src/media-control';
import type {
  Allocation,
  AllocationExplanation,
  MediaResourceManager,
  ResourceNeed,
  ResourceReply,
} from '../../../src/media-resource/ports';

function sdp(formats: string, options: { protocol?: string; address?: string } = {}): string {
  const { protocol = 'RTP/AVP', address = 'IP4 192.0.2.1' } = options;
  return `v=0\r\no=- 1 1 IN ${address}\r\ns=-\r\nc=IN ${address}\r\nt=0 0\r\nm=audio 4000 ${protocol} ${formats}\r\n`;
}

const end = (
  text: string | undefined,
  codecs?: string[],
): { sdp: string | undefined; codecs: string[] | undefined } => ({
  sdp: text,
  codecs,
});

describe('the media path of a call', () => {
  test('phones with a common codec talk directly', () => {
    expect(decideMediaPath(end(sdp('0 8')), end(sdp('8 18')))).toEqual({ path: 'direct' });
  });

  test('claim M2: no common codec needs a transcoder, and the reason names both sides', () => {
    expect(decideMediaPath(end(sdp('0')), end(sdp('18')))).toEqual({
      path: 'impossible',
      needs: 'transcoder',
      reason: 'no common codec: PCMU and G729',
    });
  });

  test('claim M2: a device that is not heard of yet is judged by its configuration', () => {
    const configured = end(undefined, ['G729', 'telephone-event']);
    expect(decideMediaPath(end(sdp('0')), configured)).toMatchObject({ needs: 'transcoder' });
    expect(decideMediaPath(end(sdp('0 18')), configured)).toEqual({ path: 'direct' });
    expect(decideMediaPath(end(sdp('0')), end(undefined))).toEqual({ path: 'direct' });
    expect(decideMediaPath(end(undefined), end(undefined))).toEqual({ path: 'direct' });
  });

  test('claim M4: encryption on one side only, or two address families, need a media termination point', () => {
    const secure = end(sdp('0', { protocol: 'RTP/SAVP' }));
    expect(decideMediaPath(end(sdp('0')), secure)).toMatchObject({
      needs: 'mtp',
      reason: 'encryption differs: none and sdes',
    });
    expect(decideMediaPath(secure, secure)).toEqual({ path: 'direct' });
    const six = end(sdp('0', { address: 'IP6 2001:db8::1' }));
    expect(decideMediaPath(end(sdp('0')), six)).toMatchObject({ needs: 'mtp', reason: 'IPv4 and IPv6' });
  });
});

/** A manager over these devices; `offers` says what each answers to `offer`. */
class FakeManager implements MediaResourceManager {
  readonly needs: ResourceNeed[] = [];
  readonly released: string[] = [];
  open = 0;

  constructor(private readonly offers: Readonly<Record<string, ResourceReply>>) {}

  async allocate(need: ResourceNeed, why: string): ReturnType<MediaResourceManager['allocate']> {
    this.needs.push(need);
    const device = Object.keys(this.offers).find((name) => need.exclude?.includes(name) !== true);
    const walk = { type: need.type, why, device: need.device, list: 'l', listFrom: 'site' } as const;
    const explanation: AllocationExplanation = { ...walk, trials: [], winner: device, at: 0, ms: 0 };
    return { allocation: device === undefined ? undefined : this.allocation(device), explanation };
  }

  private allocation(device: string): Allocation {
    const ok: ResourceReply = { ok: true };
    return {
      id: `a-${device}`,
      device,
      pid: '1.mp.1',
      boot: 1,
      leaseMs: 30_000,
      offer: async () => this.offers[device] ?? ok,
      connect: async () => ok,
      renew: async () => ok,
      release: async () => void this.released.push(device),
    };
  }
}

describe('music for a held party', () => {
  const need = { device: 'alice', site: 'dallas', musicSource: 'jazz' };

  test('claim M5: the first server that makes an offer is the one', async () => {
    const resources = new FakeManager({ a: { ok: true, sdp: 'offer of a' } });
    const { music, explanations } = await createMediaControl({ resources }).holdMusic(need, 'peer', 'held by bob');
    expect(music).toMatchObject({ allocation: { device: 'a' }, sdp: 'offer of a' });
    expect(explanations).toMatchObject([{ why: 'held by bob', winner: 'a' }]);
    expect(resources.needs).toMatchObject([{ type: 'moh', device: 'alice', musicSource: 'jazz' }]);
  });

  test('claim M13: a server that grants and then fails is given back, and the next one is asked', async () => {
    const resources = new FakeManager({ a: { ok: false, reason: 'down' }, b: { ok: true, sdp: 'offer of b' } });
    const { music, explanations } = await createMediaControl({ resources }).holdMusic(need, undefined, 'hold');
    expect(music?.allocation.device).toBe('b');
    expect(explanations.map(({ winner }) => winner)).toEqual(['a', 'b']);
    expect(resources.released).toEqual(['a']);
  });

  test('no server at all: the hold is silent and nothing stays allocated', async () => {
    const resources = new FakeManager({ a: { ok: false, reason: 'error' }, b: { ok: true } });
    const result = await createMediaControl({ resources }).holdMusic(need, undefined, 'hold');
    expect(result.music).toBeUndefined();
    expect(result.explanations).toHaveLength(3);
    expect(resources.released).toEqual(['a', 'b']);
  });

  test('a row of failing servers does not keep the caller for ever', async () => {
    const failing: ResourceReply = { ok: false, reason: 'down' };
    const resources = new FakeManager({ a: failing, b: failing, c: failing, d: failing, e: failing });
    const result = await createMediaControl({ resources }).holdMusic(need, undefined, 'hold');
    expect(result.music).toBeUndefined();
    expect(resources.released).toEqual(['a', 'b', 'c']);
  });
});
