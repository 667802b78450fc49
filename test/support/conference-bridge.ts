import { Janus } from './janus';
import type { Rtpengine } from './rtpengine';
import type { Scope } from './scope';

/** A conference bridge of the tests, whichever program it is. */
export interface ConferenceBridge {
  /** Keys of its entry in `mediaResources`, beside those that every entry has. */
  readonly resource: Readonly<Record<string, string>> & { readonly engine: string; readonly control: string };
  readonly running: boolean;
  /** Who is in a room of it. */
  participants(): Promise<readonly string[]>;
  kill(): Promise<void>;
  /** Again, after it was killed. */
  start(): Promise<void>;
}

/** Starts the bridge that the tests use; `rtpengine` is what may stand before it. */
export async function startConferenceBridge(scope: Scope, rtpengine: Rtpengine): Promise<ConferenceBridge> {
  const janus = await Janus.start(scope);
  const { control, adminKey } = janus;
  return {
    resource: { engine: 'janus', control, rtpengine: rtpengine.control, adminKey },
    get running() {
      return janus.running;
    },
    participants: async () => [...(await janus.rooms()).values()].flat(),
    kill: () => janus.kill(),
    start: () => janus.start(),
  };
}
