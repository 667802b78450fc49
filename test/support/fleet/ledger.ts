/** What a phone knows by the 200s that it got. */
export type LedgerState =
  /** Never registered, or de-registered by a 200. */
  | { readonly state: 'off' }
  | {
      readonly state: 'registered';
      /** Node number. */
      readonly node: number;
      readonly contact: string;
      /** When the 200 came that made this binding, and the last one that refreshed it; ms since the epoch. */
      readonly since: number;
      readonly at: number;
      readonly expiresAt: number;
    };

/** What happened in the whole fleet. */
export class FleetCounters {
  /** 200s to a REGISTER. */
  accepted = 0;
  refreshed = 0;
  moved = 0;
  left = 0;
  challenged = 0;
  /** Refused with anything but 401: 503 at capacity or draining, for instance. */
  refused = 0;
  /** Given up after no answer. */
  unanswered = 0;
  /** 200s that came when the phone had already turned to another node. */
  late = 0;
}
