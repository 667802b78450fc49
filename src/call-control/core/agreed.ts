import { agreedPart } from '../../sdp';
import type { Leg } from './leg';

/** What is said of a leg's media is said of the streams that both ends use, by the place of their `m=` lines (RFC 3264 §6). */

/** The device's last description without what we have refused; before we have described anything all of it. */
export function spokenBy({ remoteSdp, localSdp }: Leg): string | undefined {
  return remoteSdp === undefined || localSdp === undefined ? remoteSdp : agreedPart(remoteSdp, localSdp);
}

/** What the device had from us last without what it has refused. */
export function toldTo({ remoteSdp, localSdp }: Leg): string | undefined {
  return remoteSdp === undefined || localSdp === undefined ? localSdp : agreedPart(localSdp, remoteSdp);
}
