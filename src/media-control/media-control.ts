import type { Allocation, AllocationExplanation, MediaResourceManager, ResourceNeed } from '../media-resource/ports';
import { decideMediaPath, type MediaEnd, type MediaPath } from './media-path';

/** Music that is ready to be offered to the held device. */
export interface HeldMusic {
  /** Its `offer` has been asked for; `connect`, `renew` and `release` are the caller's. */
  readonly allocation: Allocation;
  /** For the re-INVITE to the held device. */
  readonly sdp: string;
}

export interface HoldMusicResult {
  /** Undefined: no server could; the hold is silent. */
  readonly music: HeldMusic | undefined;
  /** One for each walk, in order; kept with the call. */
  readonly explanations: readonly AllocationExplanation[];
}

export interface MediaControl {
  decideMediaPath(a: MediaEnd, b: MediaEnd): MediaPath;
  /**
   * Finds a music-on-hold server that makes an offer to the held device (claim M5). One that grants and then fails is given back and
   * the walk goes on without it. `peer` is the held device's last description. Never rejects; nothing is left
   * allocated but what is returned.
   */
  holdMusic(need: Omit<ResourceNeed, 'type'>, peer: string | undefined, why: string): Promise<HoldMusicResult>;
}

/** A server that fails after it has granted is the exception; a series of them is not worth the caller's time. */
const MOST_WALKS = 3;

export function createMediaControl(options: { readonly resources: MediaResourceManager }): MediaControl {
  const { resources } = options;
  return {
    decideMediaPath,
    async holdMusic(need, peer, why) {
      const explanations: AllocationExplanation[] = [];
      const exclude = [...(need.exclude ?? [])];
      while (explanations.length < MOST_WALKS) {
        const { allocation, explanation } = await resources.allocate({ ...need, type: 'moh', exclude }, why);
        explanations.push(explanation);
        if (allocation === undefined) break;
        const reply = await allocation.offer(peer);
        if (reply.ok && reply.sdp !== undefined) return { music: { allocation, sdp: reply.sdp }, explanations };
        // Not waited for: a server that is silent would keep the held party waiting for the next one.
        void allocation.release();
        exclude.push(allocation.device);
      }
      return { music: undefined, explanations };
    },
  };
}
