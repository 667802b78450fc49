import type { Clock } from '../../../process/clock';
import { parseCredentials } from '../../../sip-message/auth';
import { rawHeaders } from '../../../sip-message/headers';
import type { SipMessage, SipRequest, SipResponse } from '../../../sip-message/message';

/** As long as a client can wait with its answer and still be sure that we have not asked somebody else. */
const LIFETIME_MS = 32_000;
const MAX_CHALLENGES = 10_000;

/**
 * Which target has challenged a caller: the answer to the challenge has to go there, and not to the targets that were tried
 * before it.
 */
export class Challenges {
  private readonly targets = new Map<string, { readonly uri: string; readonly until: number }>();

  constructor(private readonly clock: Clock) {}

  learn(response: SipResponse, uri: string): void {
    if (response.status !== 401 && response.status !== 407) return;
    const until = this.clock.now() + LIFETIME_MS;
    for (const key of keysOf(response, ['WWW-Authenticate', 'Proxy-Authenticate'])) {
      this.targets.delete(key);
      this.targets.set(key, { uri, until });
    }
    for (const [key, entry] of this.targets) {
      if (this.targets.size <= MAX_CHALLENGES && entry.until > this.clock.now()) return;
      this.targets.delete(key);
    }
  }

  /** The destinations from the one on that has challenged; all of them when none has. */
  order(request: SipRequest, destinations: readonly string[]): readonly string[] {
    for (const key of keysOf(request, ['Authorization', 'Proxy-Authorization'])) {
      const entry = this.targets.get(key);
      const at = entry === undefined || entry.until <= this.clock.now() ? -1 : destinations.indexOf(entry.uri);
      if (at > 0) return destinations.slice(at);
    }
    return destinations;
  }
}

function keysOf(message: SipMessage, names: readonly string[]): string[] {
  return names
    .flatMap((name) => rawHeaders(message, name))
    .map(parseCredentials)
    .filter((credentials) => credentials !== undefined)
    .map(({ params }) => `${params.get('realm') ?? ''}\n${params.get('nonce') ?? ''}`);
}
