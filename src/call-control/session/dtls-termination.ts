import { randomUUID } from 'node:crypto';
import type { DeviceProfile, IncomingCall } from '../../device/device-process';
import type { AllocationResult, ResourceNeed } from '../../media-resource/ports';
import { mainFamily } from '../../sdp';
import type { CallControlDependencies } from '../dependencies';
import type { CallNames } from '../core/call-state';
import { terminated } from './dtls-device';
import { DtlsSession } from './dtls-session';

/** Who asks for a resource (claims M6, M9, M14). */
export function needOf({
  name: device,
  site,
  listFromDevice: list,
  userClass,
}: DeviceProfile): Omit<ResourceNeed, 'type'> {
  return { device, site, ...(list === undefined ? {} : { list }), ...(userClass === undefined ? {} : { userClass }) };
}

/** A session for a device that speaks DTLS-SRTP, which asks for a media termination point by itself. */
export function createDtlsSession(
  deps: CallControlDependencies,
  profile: DeviceProfile,
  names: CallNames,
): DtlsSession {
  const { resources, clock, log, mediaAddress } = deps;
  const allocate = async (exclude: readonly string[], again: boolean): Promise<AllocationResult> => {
    const why = `${profile.name} speaks DTLS-SRTP${again ? ' (again: the last one failed)' : ''}`;
    const need = {
      ...needOf(profile),
      type: 'mtp' as const,
      call: names.call,
      ...(exclude.length === 0 ? {} : { exclude }),
    };
    return resources.allocate(need, why);
  };
  return new DtlsSession({ id: randomUUID(), names, allocate, family: mainFamily(mediaAddress), clock, log });
}

/**
 * A call of a device that speaks DTLS-SRTP with its media termination point before it, as call control goes on with it. Rejects when the
 * media termination point that there is fails.
 */
export async function terminatedCall(
  deps: CallControlDependencies,
  call: IncomingCall,
  names: CallNames,
): Promise<IncomingCall> {
  const session = createDtlsSession(deps, call.from, names);
  const sdp = await session.receive(call.session, call.sdp);
  return { ...call, session, from: terminated(call.from), sdp };
}
