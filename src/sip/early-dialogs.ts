import { isNextReliable } from '../sip-message/header-rules';

/** What one dialog that an INVITE of ours has made says of the session. */
interface Described {
  readonly sdp: string;
  /** It came in a reliable response: this is the answer, whatever follows (RFC 3262 section 5). */
  readonly reliable: boolean;
}

/** More forks than this are no fork; their descriptions are not kept. */
const MAX_DIALOGS = 32;

/**
 * The early dialogs of an INVITE that carried our offer, by To tag: each is a dialog of its own with its own answer (RFC 3261 sections 12.1
 * and 13.2.2.4). Within one the first description is the answer, and others are ignored (section 13.2.1, RFC 6337 section 3.1.1). With one
 * exception: the answer proper is that of the 200, which unreliable provisional responses only tell beforehand. A peer that answers with
 * something else than it told is believed: that is where it will send from and listen.
 */
export class EarlyDialogs {
  private readonly described = new Map<string, Described>();
  private readonly lastReliable = new Map<string, number>();

  /**
   * A reliable provisional response: of which INVITE (CSeq), in which dialog, its RSeq. False: it is one that we had already, or one is
   * missing before it; it is not looked at, nor acknowledged (RFC 3262 section 4).
   */
  takeReliable(tag: string, cseq: string, number: number): boolean {
    const key = `${cseq}\n${tag}`;
    const last = this.lastReliable.get(key);
    if (!isNextReliable(last, number)) return false;
    if (last !== undefined || this.lastReliable.size < MAX_DIALOGS) this.lastReliable.set(key, number);
    return true;
  }

  /** A provisional response with a description. What holds in its dialog now. */
  told(tag: string, sdp: string, reliable: boolean): string {
    const before = this.described.get(tag);
    if (before !== undefined && (before.reliable || !reliable)) return before.sdp;
    if (before !== undefined || this.described.size < MAX_DIALOGS) this.described.set(tag, { sdp, reliable });
    return sdp;
  }

  /** The answer of the dialog that a 200 confirms; undefined: nothing was ever said in this one. */
  answer(tag: string, sdp: string | undefined): string | undefined {
    const before = this.described.get(tag);
    return before?.reliable === true ? before.sdp : (sdp ?? before?.sdp);
  }
}
