import type { Replaces } from '../../sip/replaces';
import type { HeaderReader, Session, SessionSignal } from '../../sip/user-agent';
import type { Leg, LegId } from '../core/leg';

/** Which phones of a call can be asked to go on when their call manager has died, and how each names its dialog. */
export class PhoneDialogs {
  private readonly knowing = new Set<LegId>();

  /** The INVITE or its answer: what the phone knows stands in there. */
  heard(leg: LegId, header: HeaderReader): void {
    if (/(^|,)\s*replaces\s*(,|$)/i.test(header('supported') ?? '')) this.knowing.add(leg);
  }

  /** The dialog that a signal has made; nothing: none, or its phone is not to be asked. */
  made(leg: Leg | undefined, session: Session | undefined, signal: SessionSignal): { readonly dialog?: Replaces } {
    if (leg?.profile.kind !== 'station' || leg.profile.survive === false) return {};
    if (signal.type === 'answered') this.heard(leg.id, signal.header);
    if (signal.type !== 'answered' && signal.type !== 'acknowledged') return {};
    const { dialog } = session ?? {};
    if (dialog === undefined || (leg.profile.survive !== true && !this.knowing.has(leg.id))) return {};
    const { callId, remoteTag: toTag, localTag: fromTag } = dialog;
    return { dialog: { callId, toTag, fromTag, earlyOnly: false } };
  }
}
