import type { Session } from '../../sip/user-agent';
import type { CallState } from '../core/call-state';
import type { LegId } from '../core/leg';

/** Of our own questions in a dialog; whatever the call itself asks has another id. */
const PROBE = 'probe-';
/** No such dialog (RFC 3261 §12.2.1.2). */
const GONE: ReadonlySet<number> = new Set([481]);
const GONE_OR_SILENT: ReadonlySet<number> = new Set([481, 408, 410, 480, 503]);

export interface Probed {
  readonly leg: LegId;
  /** Why the call is over when the dialog is. */
  readonly reason: string;
}

/** Questions to other nodes whether they know this call: an OPTIONS in the dialog with each (RFC 3261 §11.2). */
export class Probes {
  private readonly asked = new Map<string, Probed & { readonly gone: ReadonlySet<number> }>();

  constructor(
    private readonly places: {
      readonly state: () => CallState;
      readonly session: (leg: LegId) => Session | undefined;
      /** It rings for nobody any more. */
      readonly unreachable: (leg: LegId) => void;
    },
  ) {}

  /**
   * When the node says no, the call is over. So it is when nobody answers, if `deadWhenSilent`, or what it takes is of no use without the
   * other end (`isOfNoUse`): music, a place in a conference.
   */
  ask(node: number, reason: string, deadWhenSilent: boolean, isOfNoUse: boolean): void {
    const { legs, tokens } = this.places.state();
    for (const leg of legs.values()) {
      if (leg.profile.kind !== 'node' || leg.profile.node !== node) continue;
      if (leg.phase !== 'confirmed') {
        if (deadWhenSilent) this.places.unreachable(leg.id);
        continue;
      }
      const dead = deadWhenSilent || tokens.length > 0 || isOfNoUse;
      this.asked.set(`${PROBE}${leg.id}`, { leg: leg.id, reason, gone: dead ? GONE_OR_SILENT : GONE });
      this.places.session(leg.id)?.request(`${PROBE}${leg.id}`, { method: 'OPTIONS' });
    }
  }

  isOurs(id: string): boolean {
    return id.startsWith(PROBE);
  }

  /** Undefined: the dialog is there, as far as one can know. */
  answered(id: string, status: number): Probed | undefined {
    const asked = this.asked.get(id);
    this.asked.delete(id);
    return asked?.gone.has(status) === true ? asked : undefined;
  }
}
