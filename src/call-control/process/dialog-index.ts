import { type DialogTags, type Replaces, replacesDialog } from '../../sip/replaces';
import type { Session } from '../../sip/user-agent';
import type { LegId } from '../core/leg';
import type { CallProcess } from './call-process';

/** A leg of a call of this node. */
export interface Place {
  readonly process: CallProcess;
  readonly leg: LegId;
}

/** Which call has which dialog, so that one can be named by another (RFC 3891). */
export class DialogIndex {
  /** By Call-ID: two of our own legs may share one. */
  private readonly places = new Map<string, Map<Session, Place>>();

  add(session: Session, place: Place): void {
    const { callId } = session;
    const same = this.places.get(callId) ?? new Map<Session, Place>();
    same.set(session, place);
    this.places.set(callId, same);
  }

  remove(session: Session): void {
    const same = this.places.get(session.callId);
    same?.delete(session);
    if (same?.size === 0) this.places.delete(session.callId);
  }

  find(replaces: Replaces): Place | undefined {
    for (const [session, place] of this.places.get(replaces.callId) ?? [])
      if (session.dialog !== undefined && replacesDialog(replaces, session.dialog)) return place;
    return undefined;
  }

  /** How the dialog of a leg is named, as its device sees us; undefined: it has none yet. */
  dialogOf({ process, leg }: Place): DialogTags | undefined {
    for (const [session, place] of this.places.get(process.leg(leg)?.callId ?? '') ?? [])
      if (place.process === process && place.leg === leg) return session.dialog;
    return undefined;
  }

  get size(): number {
    return this.places.size;
  }
}
