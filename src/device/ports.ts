import type { Lines } from '../line/lines';
import type { Clock } from '../process/clock';
import type { HybridClock } from '../process/hlc';
import type { Pid, PidAllocator } from '../process/pid';
import type { TandemConfig } from '../config/types';
import type { CompositeSet } from '../registration/composite-set';
import type { RegistrationJournal } from '../registration/journal';
import type { UserAgent } from '../sip/user-agent';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import type { ClaimStore } from './auto-registration-store';
import type { HostLocator } from './gateway-addresses';
import type { DeviceProcess, IncomingCall } from './device-process';

/** Another node, as its polls tell. */
export interface NodeEntry {
  /** `host:port` at which its SIP server takes TCP; an IPv6 host in brackets. */
  readonly sipAddress: string;
  readonly boot: number;
  readonly live: boolean;
}

/**
 * What some SIP servers tell and do besides SIP: they name the flow by which a REGISTER came (`SipSource.flow`). A server
 * that cannot do this is polled over its connections instead.
 */
export interface Flows {
  /** Whether a connection is there; if so, `onClosed` is called when it closes, and not before this has said so. Never rejects. */
  isOpen(flow: string): Promise<boolean>;
  onClosed(listener: (flow: string) => void): void;
  close(flow: string): void;
}

/** What device processes must know of the cluster's nodes. */
export interface NodeDirectory {
  /** Undefined: never heard of. Our own entry need not be there. */
  find(node: number): NodeEntry | undefined;
}

/** What became of a binding whose device has registered with another node. */
export type MovedOutcome = 'back' | 'settled';

/** Device processes of this node that are no devices of the configuration: conferences. */
export interface OtherProcesses {
  withPid(pid: Pid): (DeviceProcess & { takes(digits: string): boolean }) | undefined;
}

export interface DevicesOptions {
  readonly config: TandemConfig;
  readonly lines: Lines;
  readonly node: number;
  /** Our incarnation. */
  readonly boot: number;
  readonly userAgent: UserAgent;
  readonly clock: Clock;
  readonly composite: CompositeSet;
  readonly nodes: NodeDirectory;
  /** Undefined: nothing survives a restart. */
  readonly journal: RegistrationJournal | undefined;
  readonly pids: PidAllocator;
  readonly stamps: HybridClock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly onCall: (call: IncomingCall) => void;
  /** Where the numbers that devices were given are kept; undefined: not over a restart. */
  readonly givenNumbers?: ClaimStore;
  /** For the jitter of granted expiries; from 0 up to 1. */
  readonly random?: () => number;
  /** Where the names of gateways lead; the one that the SIP server uses for calls to them. */
  readonly locate?: HostLocator;
  readonly flows?: Flows;
  /** How far the clock of another node is ahead of ours, in ms; undefined: not known. */
  readonly clockOffsetOf?: (node: number) => number | undefined;
  readonly otherProcesses?: OtherProcesses;
  /** Names of the devices that are in a call. */
  readonly inCalls?: () => ReadonlySet<string>;
}
