import { isLoopback } from '../../process/address';
import { Networks } from '../../process/networks';
import type { Clock } from '../../process/clock';
import type { SipMessage } from '../../sip-message/message';
import type { TransportEvents, TransportLayer } from '../layers';
import type { Log } from '../log';
import { sourceOf } from '../source';

/** What one source address may do. */
export interface SourceLimitOptions {
  /** Requests of one address, each second, in the long run; 0: as many as it likes. */
  readonly requestsPerSecond: number;
  /** Nothing that comes from there is looked at: `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`. */
  readonly banned: readonly string[];
}

/** More than a thousand calls a second: no phone does this, and no trunk that one node could serve. */
export const DEFAULT_SOURCE_LIMITS: SourceLimitOptions = { requestsPerSecond: 5000, banned: [] };

/** After a power cut all phones behind one address come at once: what is allowed in a moment, in seconds of the rate. */
const BURST_SECONDS = 4;
const MAX_SOURCES = 20_000;
const REPORT_EVERY_MS = 10_000;

interface Source {
  requests: number;
  since: number;
}

/** Who is listened to (a leaky bucket for each address). Loopback is never limited: that is ourselves. */
export class SourceLimits {
  private readonly banned: Networks;
  /** The longest known first. */
  private readonly sources = new Map<string, Source>();
  private refused = 0;
  private reportedAt = 0;

  /** Throws when a network is none. */
  constructor(
    private readonly options: SourceLimitOptions,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    this.banned = new Networks(options.banned);
  }

  /** Whether a message from there is looked at. Responses cost nobody's share. */
  admits(address: string, message: SipMessage | undefined): boolean {
    if (this.banned.size > 0 && this.banned.has(address)) return false;
    if (this.options.requestsPerSecond === 0 || message?.kind === 'response' || isLoopback(address)) return true;
    if (this.take(sourceOf(address))) return true;
    this.report(address);
    return false;
  }

  private take(address: string): boolean {
    const { requestsPerSecond } = this.options;
    const now = this.clock.now();
    let source = this.sources.get(address);
    if (source === undefined) {
      this.makeRoom(now);
      source = { requests: 0, since: now };
      this.sources.set(address, source);
    }
    const drained = (Math.max(0, now - source.since) * requestsPerSecond) / 1000;
    source.requests = Math.max(0, source.requests - drained);
    source.since = now;
    if (source.requests >= requestsPerSecond * BURST_SECONDS) return false;
    source.requests += 1;
    return true;
  }

  /** Who has been quiet long enough is as good as unknown; of many forged addresses the oldest go, a tenth at once. */
  private makeRoom(now: number): void {
    if (this.sources.size < MAX_SOURCES) return;
    for (const [address, { since }] of this.sources) {
      if (now - since >= BURST_SECONDS * 1000) this.sources.delete(address);
    }
    let surplus = this.sources.size - MAX_SOURCES * 0.9;
    for (const address of this.sources.keys()) {
      if (surplus <= 0) return;
      this.sources.delete(address);
      surplus -= 1;
    }
  }

  /** Addresses that are kept in mind. */
  get size(): number {
    return this.sources.size;
  }

  private report(address: string): void {
    this.refused += 1;
    const now = this.clock.now();
    if (now - this.reportedAt < REPORT_EVERY_MS) return;
    this.log('sip.source.limited', { address, refused: this.refused });
    this.reportedAt = now;
    this.refused = 0;
  }

  /** The transports, without what is not admitted. */
  guard(transport: TransportLayer): TransportLayer {
    const guarded = (events: TransportEvents): TransportEvents => ({
      message: (message, flow, bytes) => {
        if (this.admits(flow.remoteAddress, message)) events.message(message, flow, bytes);
      },
      malformed: (failure, flow) => {
        if (this.admits(flow.remoteAddress, undefined)) events.malformed(failure, flow);
      },
      connectionClosed: (connection) => events.connectionClosed(connection),
      peerFinished: (connection) => events.peerFinished?.(connection) ?? false,
    });
    return {
      listen: (points, events) => transport.listen(points, guarded(events)),
      get points() {
        return transport.points;
      },
      pointFor: (protocol, address) => transport.pointFor(protocol, address),
      send: (bytes, to, done) => transport.send(bytes, to, done),
      onSendFailure: (listener) => transport.onSendFailure(listener),
      isOpen: (connection) => transport.isOpen(connection),
      takesAnswers: (connection) => transport.takesAnswers(connection),
      finish: (connection) => transport.finish(connection),
      cutOff: (connection, silentMs) => transport.cutOff(connection, silentMs),
      keep: (connection) => transport.keep(connection),
      close: () => transport.close(),
    };
  }
}
