import type { Pid } from '../process/pid';
import type { CallerIdentity, DeviceProfile } from './device-process';

/** Names an object of a node for ever: PIDs are given anew in each incarnation. */
export interface ProcessId {
  readonly pid: Pid;
  readonly boot: number;
}

/** Who is at the end of a leg, also when other nodes are between: known to its node, and told by it, never guessed. */
export interface Party extends CallerIdentity {
  /** Name of its device; of somebody outside, of the gateway. */
  readonly device: string;
  readonly site?: string;
  readonly userClass?: string;
  /** The node that has the device; undefined: this one. */
  readonly node?: number;
  /** The call process of that node which has the leg to the device; undefined: this one's, or not known yet. */
  readonly process?: ProcessId;
}

/** The party of a device of this node, as `identity` shows it. */
export function partyAt({ name, site, userClass }: DeviceProfile, identity: CallerIdentity): Party {
  return {
    ...identity,
    device: name,
    ...(site === undefined ? {} : { site }),
    ...(userClass === undefined ? {} : { userClass }),
  };
}
