import type { MediaResourceConfig } from '../config/types';
import { createFreeswitch } from '../media-resource/freeswitch/engine';
import { createJanus } from '../media-resource/janus/engine';
import type { MediaEngine } from '../media-resource/ports';
import { createRtpengine } from '../media-resource/rtpengine/engine';
import type { Clock } from '../process/clock';
import type { UserAgent } from '../sip/user-agent';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import { createSipCaller } from './sip-caller';

export interface MediaEngineParts {
  /** Engines that are called by SIP are called through it. */
  readonly userAgent: Pick<UserAgent, 'invite' | 'request'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clusterName: string;
  /** Our own IP address. */
  readonly localAddress: string;
  /** A sound file without sound. */
  readonly silence: string;
}

/** The engine of a media resource, of whatever product; undefined when the configuration does not say enough. */
export function createMediaEngine(resource: MediaResourceConfig, parts: MediaEngineParts): MediaEngine | undefined {
  const { name, control, engine } = resource;
  const { address, port } = control;
  const { clock, log, metrics, silence } = parts;
  const owner = ownerOf(resource, parts);
  const onOddity = (error: unknown): void => log.debug({ error, resource: name }, 'odd message of rtpengine');
  switch (engine) {
    case 'rtpengine':
      return createRtpengine({
        ...{ name, address, port, clock, onOddity },
        sharedMusic: resource.sharedMusic !== false,
        onSourceFailure(what) {
          log.warn({ resource: name }, `shared music failed: ${what}`);
          metrics.count('tandem_media_source_failures_total', { resource: name });
        },
      });
    case 'janus': {
      const { rtpengine, adminKey, apiSecret } = resource;
      if (rtpengine === undefined) return undefined;
      return createJanus({
        ...{ name, address, port, rtpengine, clock, onOddity, owner, silence },
        ...(adminKey === undefined ? {} : { adminKey }),
        ...(apiSecret === undefined ? {} : { apiSecret }),
      });
    }
    case 'freeswitch':
      return freeswitch(resource, parts);
  }
}

/** The node that controls a resource, by a name that no other node of any cluster has: begins the names of its conferences. */
function ownerOf({ node }: MediaResourceConfig, { clusterName }: MediaEngineParts): string {
  return `${clusterName}-${node}`;
}

function freeswitch(resource: MediaResourceConfig, parts: MediaEngineParts): MediaEngine | undefined {
  const { name, control, eventSocket } = resource;
  const { userAgent, clock, log, localAddress } = parts;
  if (eventSocket === undefined) return undefined;
  const { protocol, address, port } = control;
  return createFreeswitch({
    name,
    sip: { transport: protocol === 'tcp' ? 'tcp' : 'udp', address, port },
    eventSocket,
    caller: createSipCaller({ userAgent, clock }),
    owner: ownerOf(resource, parts),
    localAddress,
    clock,
    onTrouble: (what) => log.info({ resource: name }, what),
  });
}
