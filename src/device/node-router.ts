import type { Pid } from '../process/pid';
import type { SipDomain } from '../sip/domain';
import { JUDGED_HEADER, MEDIA_TRIED_HEADER, type NodeSignature } from '../sip/node-signature';
import type { Headers } from '../sip/user-agent';
import type { ConfiguredDevices } from './configured-devices';
import { type DeviceProcess, type DeviceRouter, JUDGEMENTS } from './device-process';
import { NodeDevice } from './node-device';
import type { DevicesOptions, NodeEntry } from './ports';

export interface NodeRouterOptions {
  readonly room: Pick<DevicesOptions, 'node' | 'boot' | 'nodes' | 'userAgent' | 'metrics'>;
  readonly configured: ConfiguredDevices;
  readonly domain: SipDomain;
  readonly signature: NodeSignature;
  /** The process of ours with this PID; undefined when it is gone. */
  readonly ownProcess: (pid: Pid) => DeviceProcess | undefined;
}

/** Which process is meant, here or at another node, and what nodes tell each other, sealed, in their refusals. */
export class NodeRouter implements DeviceRouter {
  constructor(private readonly options: NodeRouterOptions) {}

  resolve(target: Parameters<DeviceRouter['resolve']>[0]): DeviceProcess | undefined {
    const { pid, boot, node } = target;
    const { room, ownProcess } = this.options;
    if (node === room.node) return pid !== undefined && boot === room.boot ? ownProcess(pid) : undefined;
    const entry = room.nodes.find(node);
    if (entry === undefined) return undefined;
    return this.nodeDevice(node, entry, pid === undefined ? undefined : { pid, boot });
  }

  /** The header that tells `node` that this one has not (any more) what it was asked for (claims R13, R14). */
  notMine(callId: string, node: number, wanted?: { readonly pid: Pid; readonly boot: number }): Headers {
    const { room, signature } = this.options;
    room.metrics.count('tandem_not_mine_total', { direction: 'sent' });
    return signature.notMine(callId, node, wanted);
  }

  readNotMine(
    ...[node, callId, header]: Parameters<DeviceRouter['readNotMine']>
  ): ReturnType<DeviceRouter['readNotMine']> {
    const { room, signature } = this.options;
    const notMine = signature.readNotMine(node, callId, header);
    if (notMine !== undefined) room.metrics.count('tandem_not_mine_total', { direction: 'received' });
    return notMine;
  }

  mediaTried(to: number, callId: string, tried: string): Headers {
    return { [MEDIA_TRIED_HEADER]: this.options.signature.seal(MEDIA_TRIED_HEADER, callId, to, tried) };
  }

  readMediaTried(...[node, callId, header]: Parameters<DeviceRouter['readMediaTried']>): string | undefined {
    return this.options.signature.open(MEDIA_TRIED_HEADER, callId, node, header(MEDIA_TRIED_HEADER));
  }

  judged(...[to, callId, judgement]: Parameters<DeviceRouter['judged']>): Headers {
    return { [JUDGED_HEADER]: this.options.signature.seal(JUDGED_HEADER, callId, to, judgement) };
  }

  readJudged(
    ...[node, callId, header]: Parameters<DeviceRouter['readJudged']>
  ): ReturnType<DeviceRouter['readJudged']> {
    const said = this.options.signature.open(JUDGED_HEADER, callId, node, header(JUDGED_HEADER));
    return JUDGEMENTS.find((judgement) => judgement === said);
  }

  private nodeDevice(node: number, entry: NodeEntry, target: { pid: Pid; boot: number } | undefined): NodeDevice {
    const { room, configured, domain, signature } = this.options;
    return new NodeDevice({
      node,
      sipAddress: entry.sipAddress,
      nodeBoot: entry.boot,
      target,
      profile: configured.nodeProfile(node),
      domain: domain.name,
      userAgent: room.userAgent,
      signature,
    });
  }
}
