import type { GatewayConfig } from '../config/types';
import type { Clock } from '../process/clock';
import { DigestClient } from '../sip/digest-client';
import type { Logger } from '../telemetry/logger';

/** A gateway that refuses us is told of once in this time. */
const TOLD_AGAIN_MS = 60_000;

/** What we answer the challenges of gateways with: one client for each, whatever call or poll the challenge is for. */
export class GatewayCredentials {
  private readonly clients = new Map<string, DigestClient>();
  private readonly toldAt = new Map<string, number>();

  constructor(private readonly options: { readonly clock: Clock; readonly log: Logger }) {}

  /** Undefined: the gateway has no account for us. */
  of({ name, username, password, realms }: GatewayConfig): DigestClient | undefined {
    if (username === undefined || password === undefined) return undefined;
    const known = this.clients.get(name);
    if (known !== undefined) return known;
    const client = new DigestClient({ username, password, realms }, { onRefused: (why) => this.refused(name, why) });
    this.clients.set(name, client);
    return client;
  }

  private refused(gateway: string, why: string): void {
    const now = this.options.clock.now();
    if (now - (this.toldAt.get(gateway) ?? -Infinity) < TOLD_AGAIN_MS) return;
    this.toldAt.set(gateway, now);
    const advice = 'check username, password and realms of the gateway';
    this.options.log.warn({ gateway, why, advice }, 'a gateway does not take our credentials');
  }
}
