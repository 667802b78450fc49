import type { DeviceProfile } from '../../device/device-process';
import { audioTransport, withOneAudioStream } from '../../sdp';

/** Whether the device on a leg speaks DTLS-SRTP: by what it said last, by configuration, or by the look of it. */
export function speaksDtls(profile: DeviceProfile, said: string | undefined): boolean {
  if (profile.kind !== 'station' && profile.kind !== 'gateway') return false;
  const told = said === undefined ? undefined : audioTransport(withOneAudioStream(said))?.security;
  return (told ?? profile.security ?? profile.presumedSecurity) === 'dtls';
}

/** Such a device as the call knows it: a media termination point speaks for it. */
export function terminated(profile: DeviceProfile): DeviceProfile {
  const { security: _security, presumedSecurity: _presumed, presumedFamily: _family, ...rest } = profile;
  return { ...rest, mtpRequired: false };
}
