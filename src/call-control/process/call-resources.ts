import type { Allocation, AllocationResult, ResourceNeed, ResourceReply } from '../../media-resource/ports';
import { type CallState, namesOf } from '../core/call-state';
import type { CallControlDependencies } from '../dependencies';
import { needOf } from '../session/dtls-termination';
import type { CallEffect, CallSignal } from '../core/signals';

export type ResourceEffect = Extract<
  CallEffect,
  {
    type: 'allocate-music' | 'allocate-path' | 'ask-offer' | 'ask-path' | 'connect-resource' | 'release-resource';
  }
>;

/** The media resources that a call holds, by token: what is asked of them is asked here, and what becomes of it is posted to the call. */
export class CallResources {
  private readonly allocations = new Map<number, Allocation>();

  constructor(
    private readonly deps: Pick<CallControlDependencies, 'resources' | 'clock' | 'log' | 'musicSourceOf'>,
    private readonly post: (signal: CallSignal) => void,
  ) {}

  /** `state`: of the call after the transition that wants this. */
  perform(effect: ResourceEffect, state: CallState): void {
    switch (effect.type) {
      case 'allocate-music':
        return this.allocateMusic(effect, state);
      case 'allocate-path':
        return this.allocatePath(effect, state);
      case 'ask-offer':
        return this.ask(effect, 'offer', (allocation) =>
          allocation.offer(effect.peer === undefined ? {} : { peer: effect.peer }),
        );
      case 'ask-path':
        return this.askPath(effect);
      case 'connect-resource':
        return this.ask(effect, 'connect', (allocation) => allocation.connect({ answer: effect.answer }));
      case 'release-resource':
        return this.release(effect.token, state);
    }
  }

  private allocateMusic(effect: Extract<CallEffect, { type: 'allocate-music' }>, state: CallState): void {
    const { leg, token, why } = effect;
    const need = this.musicNeed(effect, state);
    if (need === undefined) return;
    this.allocateFor(state, token, need, why, ({ allocation, explanation }) =>
      this.post({ type: 'allocated', leg, token, granted: allocation !== undefined, explanation }),
    );
  }

  private allocatePath(effect: Extract<CallEffect, { type: 'allocate-path' }>, state: CallState): void {
    const { bridge, owner, token, kind, why, codecs, ends, exclude } = effect;
    const profile = state.legs.get(owner)?.profile;
    if (profile === undefined) return;
    const need = {
      ...needOf(profile),
      type: kind,
      ...(codecs.length === 0 ? {} : { codecs }),
      ...(exclude.length === 0 ? {} : { exclude }),
    };
    this.allocateFor(state, token, need, why, ({ allocation, explanation }) => {
      const resource = allocation?.device;
      this.post({ type: 'path-allocated', bridge, token, resource, explanation: { ...explanation, ends } });
    });
  }

  /** Asks the media resource manager; `tell` is called once, whatever becomes of it. */
  private allocateFor(
    { facts }: CallState,
    token: number,
    need: ResourceNeed,
    why: string,
    tell: (result: AllocationResult) => void,
  ): void {
    const startedAt = this.deps.clock.now();
    const granted = (result: AllocationResult): void => {
      if (result.allocation !== undefined) {
        this.allocations.set(token, result.allocation);
        result.allocation.onLost((reason) => this.post({ type: 'resource-lost', token, reason }));
      }
      tell(result);
    };
    this.deps.resources.allocate({ ...need, call: facts.call }, why).then(granted, (error: unknown) => {
      this.deps.log.warn({ ...namesOf(facts), error: String(error) }, 'call: the media resource manager failed');
      const { type, device } = need;
      const nothing = { list: undefined, listFrom: 'none', trials: [], winner: undefined, ms: 0 } as const;
      granted({ allocation: undefined, explanation: { type, why, device, at: startedAt, ...nothing } });
    });
  }

  /** The list walked is the held device's; the music is the holder's (claim M5, design: Hold). */
  private musicNeed(
    effect: Extract<CallEffect, { type: 'allocate-music' }>,
    state: CallState,
  ): ResourceNeed | undefined {
    const held = state.legs.get(effect.leg);
    const holder = state.legs.get(effect.holder);
    if (held === undefined || holder === undefined) return undefined;
    const musicSource = this.deps.musicSourceOf(holder.party);
    return {
      ...needOf(held.profile),
      type: 'moh',
      ...(musicSource === undefined ? {} : { musicSource }),
      ...(effect.exclude.length === 0 ? {} : { exclude: effect.exclude }),
    };
  }

  private ask(
    { token }: { readonly token: number },
    op: 'offer' | 'connect',
    request: (allocation: Allocation) => Promise<ResourceReply>,
  ): void {
    const replied = (reply: ResourceReply): void => this.post({ type: 'resource-replied', token, op, reply });
    const allocation = this.allocations.get(token);
    if (allocation === undefined) return replied({ ok: false, reason: 'unknown-allocation' });
    request(allocation).then(replied, (error: unknown) =>
      replied({ ok: false, reason: 'error', detail: String(error) }),
    );
  }

  private askPath({ bridge, token, number, request }: Extract<CallEffect, { type: 'ask-path' }>): void {
    const replied = (reply: ResourceReply): void => this.post({ type: 'path-replied', bridge, number, reply });
    const allocation = this.allocations.get(token);
    if (allocation === undefined) return replied({ ok: false, reason: 'unknown-allocation' });
    const asked =
      request.op === 'offer'
        ? allocation.offer({ relay: { to: request.to, terms: request.terms, ...sdpOf(request) } })
        : allocation.connect({ answer: request.answer, from: request.from });
    asked.then(replied, (error: unknown) => replied({ ok: false, reason: 'error', detail: String(error) }));
  }

  private release(token: number, state: CallState): void {
    const allocation = this.allocations.get(token);
    this.allocations.delete(token);
    allocation?.release().catch((error: unknown) => {
      this.deps.log.warn({ ...namesOf(state.facts), error: String(error) }, 'call: a media resource was not released');
    });
  }
}

function sdpOf({ sdp }: { readonly sdp?: string }): { readonly sdp?: string } {
  return sdp === undefined ? {} : { sdp };
}
