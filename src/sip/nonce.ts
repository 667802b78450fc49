import { randomBytes } from 'node:crypto';
import { sign, verify } from '../process/hmac';
import { RecentSet } from './recent-set';

export interface NonceOptions {
  /** Of the cluster: any node can tell that a nonce was made by one of them. */
  readonly secret: string;
  readonly node: number;
  readonly boot: number;
  readonly now: () => number;
  /** How long a nonce of ours is good for. */
  readonly lifetimeMs?: number;
  /** Nonces in use that are remembered at most. */
  readonly capacity?: number;
}

/** What a nonce is worth. `foreign`: well signed, by another node or another incarnation; `elsewhere`: for another place. */
export type NonceState = 'good' | 'expired' | 'foreign' | 'elsewhere' | 'forged';

export interface NonceCheck {
  readonly state: NonceState;
  /** When it was issued, ms; 0 when forged. */
  readonly issuedAt: number;
}

const LIFETIME_MS = 300_000;
const CAPACITY = 250_000;
const MAX_NONCE_LENGTH = 160;
const PURPOSE = 'digest nonce';
/** A nonce of ours that is newer than now by more than this was made before our clock was set back. */
const CLOCK_TOLERANCE_MS = 5000;

/**
 * Nonces that need no memory to be recognised: time, node, incarnation and a random part, signed (RFC 7616 section 3.3).
 * Their counts need some, and only their issuer keeps them: a nonce is good at its issuer alone, so that a captured
 * request cannot be replayed at another node. It is made for the place that asks: what comes with it comes from there, whatever address
 * a packet claims to be from.
 */
export class NonceSource {
  private readonly counts: RecentSet<number>;
  private readonly lifetimeMs: number;

  constructor(private readonly options: NonceOptions) {
    this.lifetimeMs = options.lifetimeMs ?? LIFETIME_MS;
    this.counts = new RecentSet(this.lifetimeMs + CLOCK_TOLERANCE_MS, options.capacity ?? CAPACITY);
  }

  /** `place`: where the one who is to use it is. */
  issue(place: string): string {
    const { node, boot, now, secret } = this.options;
    const random = randomBytes(9).toString('base64url');
    const parts = [now().toString(36), node.toString(36), boot.toString(36), random, this.mark(place, random)];
    return [...parts, sign(secret, [PURPOSE, ...parts])].join('.');
  }

  check(nonce: string, place: string): NonceCheck {
    const { node, boot, now, secret } = this.options;
    const forged: NonceCheck = { state: 'forged', issuedAt: 0 };
    if (nonce.length > MAX_NONCE_LENGTH) return forged;
    const [time, issuer, incarnation, random, mark, signature, ...rest] = nonce.split('.');
    if (time === undefined || issuer === undefined || incarnation === undefined || random === undefined) return forged;
    if (mark === undefined || signature === undefined || rest.length > 0) return forged;
    if (!verify(secret, [PURPOSE, time, issuer, incarnation, random, mark], signature)) return forged;
    const issuedAt = Number.parseInt(time, 36);
    if (mark !== this.mark(place, random)) return { state: 'elsewhere', issuedAt };
    if (issuer !== node.toString(36) || incarnation !== boot.toString(36)) return { state: 'foreign', issuedAt };
    const age = now() - issuedAt;
    const good = age <= this.lifetimeMs && age >= -CLOCK_TOLERANCE_MS && !this.counts.forgets(issuedAt);
    return { state: good ? 'good' : 'expired', issuedAt };
  }

  private mark(place: string, random: string): string {
    return sign(this.options.secret, [`${PURPOSE} place`, place, random]).slice(0, 12);
  }

  /**
   * Takes a nonce count (RFC 7616 section 3.4): `false` when it is not higher than the last one of this nonce.
   * Only for a nonce that is good, and credentials that are right.
   */
  take(nonce: string, issuedAt: number, count: number): boolean {
    if (count <= (this.counts.get(nonce) ?? 0)) return false;
    this.counts.set(nonce, issuedAt, count, this.options.now());
    return true;
  }
}
