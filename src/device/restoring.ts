import type { HybridClock, Stamp } from '../process/hlc';
import type { JournaledBinding } from '../registration/journal';
import type { DeletionReason } from '../registration/record';
import type { Binding } from '../sip/registrar';
import type { SipSource } from '../sip/user-agent';
import type { ConfiguredDevices } from './configured-devices';
import { isConnectionBound, nextHopTo, parseAddress } from './outgoing';
import type { DevicesOptions, Flows } from './ports';
import type { KeptBinding } from './moved-bindings';

/**
 * A restart takes it up again. What has moved is hearsay until the cluster has settled it (`movedBinding`): a process that ends before
 * that must find it, as this one would.
 */
export const STAYS_ON_DISK: ReadonlySet<DeletionReason> = new Set<DeletionReason>(['stopped', 'moved']);

/** What the journal holds of a station; undefined: it is none of ours any more, or cannot be there. */
export function restoredStation(
  journaled: JournaledBinding,
  devices: ConfiguredDevices,
  { clock, flows, stamps }: Pick<DevicesOptions, 'clock' | 'flows' | 'stamps'>,
): KeptBinding | undefined {
  const { record, mediaResourceGroupList } = journaled;
  const device = devices.named(record.device);
  const source = journaledSource(journaled, flows);
  if (device === undefined || source === undefined || record.expiresAt <= clock.now()) return undefined;
  const identity = record.instance;
  const instance = /^sips?:/i.test(identity) ? undefined : identity;
  const binding = journaledBinding(journaled, identity, instance);
  const asked = device.acceptListFromDevice && mediaResourceGroupList !== undefined ? { mediaResourceGroupList } : {};
  const stamp = restoredStamp(record.stamp, stamps);
  return { device, registration: { binding, source, stamp, mac: record.mac, ...asked } };
}

/** The binding of a record as the registrar knows it. */
export function journaledBinding(
  { record: { contact, expiresAt }, callId, cseq, registeredAt }: JournaledBinding,
  identity: string,
  instance: string | undefined,
): Binding {
  return { identity, instance, contact, callId, cseq, registeredAt, expiresAt };
}

/**
 * Where a device was whose binding is taken up from the journal; undefined: at the end of a connection, which did not outlive the
 * process. The flow of datagrams outlives the SIP server; one that was not noted is that from the address to any listener.
 */
export function journaledSource({ record, flow }: JournaledBinding, flows: Flows | undefined): SipSource | undefined {
  const source = parseAddress(record.address);
  if (source === undefined || isConnectionBound(source)) return undefined;
  return flows === undefined ? source : { ...source, flow: flow ?? `${nextHopTo(source, record.contact) ?? ''};flow` };
}

/**
 * The stamp of a binding that is taken up: its own. Being restored is no news of the device, which may have gone elsewhere, or have left,
 * meanwhile: the cluster judges that. One that lies far ahead of our time was made by, or is read by, a clock that is wrong, and tells no
 * order: anything that others know of the device is newer.
 */
export function restoredStamp(stamp: Stamp, stamps: HybridClock): Stamp {
  return stamps.merge(stamp) ? stamp : { ms: 0, counter: 0, node: stamp.node };
}
