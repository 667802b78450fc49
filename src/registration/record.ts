import type { Pid } from '../process/pid';
import { compareStamps, type Stamp } from '../process/hlc';
import type { EntryEnvelope } from './entry';

/** What sort of device process a record names. */
export type DeviceKind = 'station' | 'gateway' | 'media-resource' | 'conference';

/**
 * One entry of the registration information that nodes tell each other: a device process, the digits that
 * lead to it, and where the device is. Its owner is the node of its PID, in the incarnation `boot`. Its key is the binding
 * key: the same at two owners means that the device has moved (design: superseded).
 */
export interface RegistrationRecord extends EntryEnvelope {
  readonly kind: DeviceKind;
  /** Device name, as configured. */
  readonly device: string;
  /** Directory numbers of the device, or the number of the conference; empty for gateways and media resources. */
  readonly lines: readonly string[];
  /** `+sip.instance`, else the canonical contact; the device name for what does not register. */
  readonly instance: string;
  readonly pid: Pid;
  /** Contact URI of the device. */
  readonly contact: string;
  /** Where requests to the device really go: `udp:127.0.0.1:5062`. */
  readonly address: string;
  /** MAC address of the device, `00:11:22:aa:bb:cc`, when it is configured or the device has reported it (claim R16). */
  readonly mac?: string;
  /** There when the device was given its number (claim R16). */
  readonly assignment?: Assignment;
}

/** That a device was given the number of its record. */
export interface Assignment {
  /** By which the device is known again, at every node. */
  readonly identity: string;
  /** When; of two that contradict each other the older one stands. */
  readonly at: Stamp;
}

export function sameAssignment(a: Assignment | undefined, b: Assignment | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.identity === b.identity && compareStamps(a.at, b.at) === 0;
}

export const DELETION_REASONS = ['unregistered', 'expired', 'unreachable', 'moved', 'replaced', 'stopped'] as const;

export type DeletionReason = (typeof DELETION_REASONS)[number];

/** The reason of a deletion as its owner gives it; `undefined` for what others make of its silence. */
export function deletionReason(text: unknown): DeletionReason | undefined {
  return DELETION_REASONS.find((reason) => reason === text);
}
