import type { Destination } from '../../layers';
import type { RequestHead } from '../context';

/** A dialog whose requests pass through us, because we recorded our route. */
export interface ProxiedDialog {
  readonly key: string;
  readonly callerTag: string;
  /** How to reach a caller that its Contact does not lead to. */
  readonly callerHop: Destination | undefined;
}

const IDLE_LIMIT_MS = 24 * 60 * 60 * 1000;
const MAX_DIALOGS = 200_000;

function keyOf(callId: string, callerTag: string): string {
  return `${callerTag}\n${callId}`;
}

/**
 * The dialogs that were proxied with Record-Route. Only their requests are passed on: whoever is not in one cannot use us
 * as a relay. A dialog that nobody has used for a day is forgotten.
 */
export class ProxiedDialogs {
  /** The longest unused first. */
  private readonly dialogs = new Map<string, { readonly dialog: ProxiedDialog; usedAt: number }>();

  add(callId: string, callerTag: string, callerHop: Destination | undefined, now: number): ProxiedDialog {
    const key = keyOf(callId, callerTag);
    const dialog = { key, callerTag, callerHop };
    this.dialogs.delete(key);
    this.dialogs.set(key, { dialog, usedAt: now });
    const [oldest] = this.dialogs.keys();
    if (this.dialogs.size > MAX_DIALOGS && oldest !== undefined) this.dialogs.delete(oldest);
    return dialog;
  }

  /** The dialog of a request of either side. */
  find(head: RequestHead, now: number): ProxiedDialog | undefined {
    const entry =
      this.dialogs.get(keyOf(head.callId, head.fromTag)) ?? this.dialogs.get(keyOf(head.callId, head.toTag));
    if (entry === undefined) return undefined;
    this.dialogs.delete(entry.dialog.key);
    this.dialogs.set(entry.dialog.key, { dialog: entry.dialog, usedAt: now });
    return entry.dialog;
  }

  remove(dialog: ProxiedDialog): void {
    if (this.dialogs.get(dialog.key)?.dialog === dialog) this.dialogs.delete(dialog.key);
  }

  sweep(now: number): void {
    for (const [key, { usedAt }] of this.dialogs) {
      if (usedAt + IDLE_LIMIT_MS > now) return;
      this.dialogs.delete(key);
    }
  }

  get size(): number {
    return this.dialogs.size;
  }
}
