import type { ConferenceConfig } from '../../config/types';
import type { DeviceProcess, DeviceProfile, OutgoingCall } from '../../device/device-process';
import type { Pid } from '../../process/pid';
import type { Session } from '../../sip/user-agent';
import type { Conference } from './conference';

/** What holds for a conference that is made by feature code where the configuration has no factory. */
export const AD_HOC: ConferenceConfig = {
  number: '',
  name: 'ad-hoc',
  type: 'factory',
  nodes: [],
  maxMembers: 50,
  endPolicy: 'last-leaves',
};

/** A conference that is made when it is called, so that nothing is left of one that nobody has come to. */
export class AdHocConference implements DeviceProcess {
  private conference: Conference | undefined;
  private whenOpen: ((conference: Conference) => void) | undefined;

  constructor(
    readonly pid: Pid,
    readonly boot: number,
    readonly profile: DeviceProfile,
    private readonly make: () => Conference,
  ) {}

  /** It is no hop. */
  readonly takesSips = true;

  /** The first one has a place at its bridge. Called once. */
  onOpen(listener: (conference: Conference) => void): void {
    this.whenOpen = listener;
  }

  call(call: OutgoingCall): Session {
    const conference = (this.conference ??= this.make());
    return conference.call(call, () => {
      this.whenOpen?.(conference);
      this.whenOpen = undefined;
    });
  }
}
