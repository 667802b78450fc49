import { Freeswitch, type FreeswitchAddress, freeswitchMembers, namedFreeswitch } from './freeswitch';
import { Janus } from './janus';
import { freeAddress } from './ports';
import type { Rtpengine } from './rtpengine';
import type { Scope } from './scope';

/** A conference bridge of the tests, whichever program it is. */
export interface ConferenceBridge {
  /** Keys of its entry in `mediaResources`, beside those that every entry has. */
  readonly resource: Readonly<Record<string, unknown>> & { readonly engine: string; readonly control: string };
  readonly running: boolean;
  /** Who is in a room of it. */
  participants(): Promise<readonly string[]>;
  /** Its rooms, with people in them or not. */
  rooms(): Promise<readonly string[]>;
  kill(): Promise<void>;
  /** Again, after it was killed. */
  start(): Promise<void>;
}

/**
 * Starts the bridge that the tests use: janus, with `rtpengine` before it, or FreeSWITCH when FREESWITCH names one. That one serves as every bridge
 * of the test, unless FREESWITCH_BIN can start one for each; only these can be killed.
 */
export async function startConferenceBridge(scope: Scope, rtpengine: Rtpengine): Promise<ConferenceBridge> {
  const named = namedFreeswitch();
  if (named !== undefined) return startFreeswitch(scope, named);
  const janus = await Janus.start(scope);
  const { control, adminKey } = janus;
  return {
    resource: { engine: 'janus', control, rtpengine: rtpengine.control, adminKey },
    get running() {
      return janus.running;
    },
    participants: async () => [...(await janus.rooms()).values()].flat(),
    rooms: async () => [...(await janus.rooms()).keys()],
    kill: () => janus.kill(),
    start: () => janus.start(),
  };
}

async function startFreeswitch(scope: Scope, named: FreeswitchAddress): Promise<ConferenceBridge> {
  const own = process.env.FREESWITCH_BIN !== undefined;
  const launched = own ? await Freeswitch.start(scope, named, freeAddress()) : undefined;
  const at = launched?.at ?? named;
  const notOurs = (): Promise<never> =>
    Promise.reject(new Error('the FreeSWITCH that FREESWITCH names cannot be killed: set FREESWITCH_BIN'));
  return {
    resource: {
      engine: 'freeswitch',
      control: `udp:${at.host}:${at.sipPort}`,
      eventSocket: { address: `${at.host}:${at.eventSocketPort}`, password: at.password },
    },
    get running() {
      return launched?.running ?? true;
    },
    participants: () => freeswitchMembers(at),
    // They end with their last participant.
    rooms: () => Promise.resolve([]),
    kill: () => launched?.kill() ?? notOurs(),
    start: () => launched?.start() ?? notOurs(),
  };
}
