import { alignMediaLines, audioTransport, inactiveAnswer, inactiveOffer, sameSession, withOrigin } from '../../sdp';
import { toldTo } from './agreed';
import {
  type Bridge,
  bridgeOf,
  type CallState,
  copyState,
  type Ringing,
  type Seat,
  seatOf,
  type Way,
} from './call-state';
import type { Leg, LegId } from './leg';
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

  /** Who waits, and who is rung for them. Only while somebody waits. */
  get ringing(): Ringing {
    const { ringing } = this.state;
    if (ringing === undefined) throw new Error('nobody waits');
    return ringing;
  }

  /** The leg that waits. */
  get waiter(): Leg {
    return this.legThere(this.ringing.waiter);
  }

  /** The bridge of the call, once somebody has answered. */
  get bridge(): Bridge | undefined {
    return bridgeOf(this.state);
  }

  /** The bridge for which a leg is rung, or was until it answered. */
  bridgeTo({ id }: Leg): Bridge {
    const bridge = [...this.state.bridges.values()].find(({ seats }) => seats.b === id);
    if (bridge === undefined) throw new Error('a leg without a bridge');
    return bridge;
  }

  /** The leg on a seat. Every bridge has both. */
  seated({ seats }: Bridge, seat: Seat): Leg {
    return this.legThere(seats[seat]);
  }

  /** Both legs of a bridge, `a` first. */
  ends(bridge: Bridge): readonly [Leg, Leg] {
    return [this.seated(bridge, 'a'), this.seated(bridge, 'b')];
  }

  /** From the leg on a seat to the other one. */
  wayFrom(bridge: Bridge, seat: Seat): Way {
    const [a, b] = this.ends(bridge);
    return seat === 'a' ? { bridge, from: a, to: b } : { bridge, from: b, to: a };
  }

  /** The leg at the other end of the bridge of the call. */
  other(leg: Leg): Leg | undefined {
    const { bridge } = this;
    return bridge === undefined ? undefined : this.seated(bridge, seatOf(bridge, leg) === 'a' ? 'b' : 'a');
  }

  private legThere(id: LegId): Leg {
    const leg = this.leg(id);
    if (leg === undefined) throw new Error('a call without one of its legs');
    return leg;
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
