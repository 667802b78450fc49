import type { Pid } from '../process/pid';
import type { SipDomain } from '../sip/domain';
import { type NodeSignature, WORD_HEADER } from '../sip/node-signature';
import type { Headers } from '../sip/user-agent';
import type { ConfiguredDevices } from './configured-devices';
import type { DeviceProcess, DeviceRouter } from './device-process';
import { formatWord, type NodeWord, parseWord } from './node-context';
import { NodeDevice } from './node-device';
import type { DevicesOptions, NodeEntry } from './ports';
import type { RefusalLog } from './refusal-log';

export interface NodeRouterOptions {
  readonly room: Pick<DevicesOptions, 'node' | 'boot' | 'nodes' | 'userAgent' | 'metrics'>;
  readonly configured: ConfiguredDevices;
  readonly domain: SipDomain;
  readonly signature: NodeSignature;
  /** The process of ours with this PID; undefined when it is gone. */
  readonly ownProcess: (pid: Pid) => DeviceProcess | undefined;
  readonly refusals: RefusalLog;
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

  seal(to: number, callId: string, word: NodeWord): string {
    return this.options.signature.seal(WORD_HEADER, callId, to, formatWord(word));
  }

  open(node: number, callId: string, text: string | undefined): NodeWord | undefined {
    if (text === undefined) return undefined;
    const genuine = this.options.signature.open(WORD_HEADER, callId, node, text);
    const word = genuine === undefined ? { unreadable: 'not sealed by that node' } : parseWord(genuine);
    if (!('unreadable' in word)) return word;
    const todo = 'see that all nodes run the same version, and who can write to the network between them';
    const fields = { node, callId: callId.slice(0, 128), why: word.unreadable, todo };
    this.options.refusals.warn(
      'word of a node',
      String(node),
      fields,
      'what another node says of a call cannot be read',
    );
    return undefined;
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
