import type { GatewayConfig } from '../config/types';
import type { CancelTimer } from '../process/clock';
import type { Stamp } from '../process/hlc';
import type { Pid } from '../process/pid';
import { bindingKey } from '../registration/binding-key';
import type { DeletionReason, RegistrationRecord } from '../registration/record';
import { formatUri } from '../sip-message/uri';
import type { DigestClient } from '../sip/digest-client';
import { formatIdentity } from '../sip/identity';
import type { Session } from '../sip/user-agent';
import type { DeviceProcess, DeviceProfile, OutgoingCall } from './device-process';
import type { GatewayPlace } from './gateway-place';
import { callHeaders } from './outgoing';
import type { DevicesOptions } from './ports';

const POLL_INTERVAL_MS = 30_000;
/** While it does not answer it is asked more often, so that calls find it soon after it is back. */
const DOWN_POLL_INTERVAL_MS = 5000;
const POLL_DEADLINE_MS = 4000;
const MISSES_UNTIL_UNREACHABLE = 2;
/** No answer, or no way to it. */
const SILENT = [408, 410, 503];

export interface GatewayOptions {
  readonly room: DevicesOptions;
  readonly gateway: GatewayConfig;
  readonly pid: Pid;
  readonly profile: DeviceProfile;
  readonly place: GatewayPlace;
  /** When it registered; for a configured one, when it was taken. */
  readonly stamp: Stamp;
  readonly serverIsUp: () => boolean;
  /** Answers its challenges. */
  readonly digest?: DigestClient | undefined;
  /** It answers no more. */
  readonly onSilent?: () => void;
}

/** The device process of a gateway at the node that controls it (claim R17). It polls the gateway (claim R7). */
export class Gateway implements DeviceProcess {
  private misses = 0;
  private up = true;
  private stopped = false;
  private cancelPoll: CancelTimer | undefined;
  private stamp: Stamp;
  private place: GatewayPlace;

  constructor(private readonly options: GatewayOptions) {
    this.stamp = options.stamp;
    this.place = options.place;
  }

  get gateway(): GatewayConfig {
    return this.options.gateway;
  }

  get pid(): Pid {
    return this.options.pid;
  }

  get profile(): DeviceProfile {
    return this.options.profile;
  }

  get boot(): number {
    return this.options.room.boot;
  }

  get key(): string {
    return gatewayKey(this.gateway);
  }

  /** Whether it answers; until it was asked it is taken to be there. */
  get reachable(): boolean {
    return this.up;
  }

  /** The cluster may know better at once, and stop it again: so that comes last. */
  start(): void {
    this.poll();
    this.publish();
  }

  /** It has registered again: it is there, which is to be published. */
  relocate(place: GatewayPlace, stamp: Stamp): void {
    this.place = place;
    this.stamp = stamp;
    this.misses = 0;
    this.up = true;
  }

  /**
   * Puts it back on the table when it was taken off for the entry of another node, which is gone now: two nodes may have taken
   * it while they did not know of each other.
   */
  publishAgain(): void {
    const { composite, node, stamps } = this.options.room;
    if (this.stopped || !this.up || composite.get(node, this.key) !== undefined) return;
    if (composite.holders(this.key, node).length > 0) return;
    this.stamp = stamps.next();
    this.publish();
  }

  /** Ends the polling and takes it off the table. */
  stop(reason: DeletionReason): void {
    this.stopped = true;
    this.cancelPoll?.();
    this.withdraw(reason);
  }

  get takesSips(): boolean {
    return this.place.uri.scheme === 'sips';
  }

  call(call: OutgoingCall): Session {
    const { digest } = this.options;
    const { userAgent, config } = this.options.room;
    const { nextHop } = this.place;
    const uri = formatUri({ ...this.place.uri, user: call.digits });
    return userAgent.invite({
      uri,
      ...(nextHop === undefined ? {} : { nextHop }),
      sdp: call.sdp,
      headers: callHeaders(call, config.cluster.domain, 'gateway', uri),
      digest,
    });
  }

  record(): RegistrationRecord {
    const { contact, address, expiresAt } = this.place;
    return {
      key: this.key,
      kind: 'gateway',
      device: this.gateway.name,
      lines: [],
      instance: this.gateway.name,
      pid: this.pid,
      boot: this.boot,
      contact,
      address,
      stamp: this.stamp,
      expiresAt,
    };
  }

  /** Puts it on the table as it is. */
  publish(): void {
    const { composite, node } = this.options.room;
    composite.put(node, this.record());
  }

  private withdraw(reason: DeletionReason): void {
    const { composite, node } = this.options.room;
    composite.delete(node, this.key, reason);
  }

  private poll(): void {
    this.schedulePoll();
    // Without a SIP server an answer cannot come: that says nothing of the gateway.
    if (!this.options.serverIsUp()) return;
    const { userAgent, config } = this.options.room;
    const { place } = this;
    const uri = formatUri(place.uri);
    const headers = {
      From: formatIdentity('', undefined, config.cluster.domain),
      To: `<${uri}>`,
      Contact: '<sip:localhost>',
      'Max-Forwards': '70',
    };
    const nextHop = place.nextHop === undefined ? {} : { nextHop: place.nextHop };
    void userAgent
      .request({
        method: 'OPTIONS',
        uri,
        ...nextHop,
        headers,
        digest: this.options.digest,
        deadlineMs: POLL_DEADLINE_MS,
      })
      .then(({ status }) => {
        // Of where it was before it says nothing.
        if (place.contact === this.place.contact && place.address === this.place.address)
          this.polled(!SILENT.includes(status));
      });
  }

  private schedulePoll(): void {
    this.cancelPoll?.();
    // After a miss sooner too: a gateway that is gone should not cost calls for long.
    const interval = this.up && this.misses === 0 ? POLL_INTERVAL_MS : DOWN_POLL_INTERVAL_MS;
    this.cancelPoll = this.options.room.clock.setTimer(interval, () => this.poll());
  }

  private polled(answered: boolean): void {
    if (this.stopped || !this.options.serverIsUp()) return;
    this.misses = answered ? 0 : this.misses + 1;
    if (answered && !this.up) this.comeBack();
    else if (this.up && this.misses >= MISSES_UNTIL_UNREACHABLE) this.goAway();
    else if (this.misses === 1) this.schedulePoll();
    else this.publishAgain();
  }

  private comeBack(): void {
    const { stamps, log } = this.options.room;
    this.up = true;
    this.stamp = stamps.next();
    this.publish();
    this.schedulePoll();
    log.info({ gateway: this.gateway.name }, 'gateway answers again');
  }

  private goAway(): void {
    this.up = false;
    this.schedulePoll();
    this.options.room.log.warn({ gateway: this.gateway.name, contact: this.place.contact }, 'gateway does not answer');
    this.withdraw('unreachable');
    this.options.onSilent?.();
  }
}

/** A gateway is one device with one binding, wherever it is. */
export function gatewayKey(gateway: GatewayConfig): string {
  return bindingKey(gateway.name, gateway.name);
}
