import { isHeaderSafe } from '../../sip/header-values';
import { alignMediaLines, audioTransport, inactiveAnswer, inactiveOffer, sameSession, withOrigin } from '../../sdp';
import { toldTo } from './agreed';
import { type CallState, copyState, type Leg, type LegId } from './call-state';
import type { CallEffect, Moment, TimerName } from './signals';

/** A call while a transition is made: the new state, and the effects so far. */
export class Draft {
  readonly state: CallState;
  readonly effects: CallEffect[] = [];

  constructor(
    before: CallState,
    readonly moment: Moment,
  ) {
    this.state = copyState(before);
  }

  emit(effect: CallEffect): void {
    this.effects.push(effect);
  }

  leg(id: LegId): Leg | undefined {
    return this.state.legs.get(id);
  }

  /** The caller's leg, which every call has. */
  get caller(): Leg {
    const leg = this.state.legs.get('a');
    if (leg === undefined) throw new Error('a call without a caller');
    return leg;
  }

  /** The leg at the other end of an established call. */
  other(leg: Leg): Leg | undefined {
    if (leg.id !== 'a') return this.leg('a');
    return this.callee;
  }

  /** The callee that answered. */
  get callee(): Leg | undefined {
    return this.state.answered === undefined ? undefined : this.leg(this.state.answered);
  }

  setTimer(timer: TimerName, ms: number): void {
    this.emit({ type: 'set-timer', timer, ms });
  }

  cancelTimer(timer: TimerName): void {
    this.emit({ type: 'cancel-timer', timer });
  }

  requestId(): string {
    const id = `${this.state.facts.pid}/${this.state.nextRequest}`;
    this.state.nextRequest += 1;
    return id;
  }

  /**
   * A description as this leg must get it: our own `o=` line with a version that grows with every change, and no fewer
   * `m=` lines than there were (RFC 3264 §8).
   */
  offerFor(leg: Leg, sdp: string): string {
    return this.stamped(leg, leg.localSdp === undefined ? sdp : alignMediaLines(sdp, leg.localSdp, toldTo(leg)));
  }

  /** The same for an answer, whose `m=` lines are those of the offer already. */
  stamped(leg: Leg, sdp: string): string {
    const same = withOrigin(sdp, this.origin(leg, sdp));
    if (leg.localSdp !== undefined && sameSession(leg.localSdp, same)) return leg.localSdp;
    leg.version += 1;
    return withOrigin(sdp, this.origin(leg, sdp));
  }

  /** An answer that lets the device neither hear nor be heard, and names nobody's address. */
  silentAnswer(leg: Leg, offer: string): string {
    const previous = toldTo(leg);
    const options = previous === undefined ? {} : { previous };
    return this.stamped(leg, inactiveAnswer(offer, this.origin(leg, offer), options));
  }

  /** What the leg has from us already (`told`), without what it does not use. */
  toldAgain(leg: Leg, told: string): string {
    return this.stamped(leg, toldTo(leg) ?? told);
  }

  silentOffer(leg: Leg, told: string): string {
    const previous = toldTo(leg) ?? told;
    return this.stamped(leg, inactiveOffer(previous, this.origin(leg, previous)));
  }

  /** With an address of the family that `sdp` is about. */
  private origin(leg: Leg, sdp: string): { sessionId: number; version: number; address: string } {
    const address = this.state.facts.mediaAddress[audioTransport(sdp)?.family ?? 4];
    return { sessionId: leg.sessionId, version: leg.version, address };
  }
}

/** For those who rang while another answered. */
export const ELSEWHERE = 'Call completed elsewhere';

/** Text of one leg that goes out on another; undefined when it could end a header line. */
export function safeText(text: string | undefined): string | undefined {
  return text !== undefined && isHeaderSafe(text) ? text : undefined;
}

/** The reason phrase of one leg for another; nothing: the usual one. */
export function reasonPhrase(text: string | undefined): { readonly reason?: string } {
  const safe = safeText(text);
  return safe === undefined || safe === '' ? {} : { reason: safe };
}
