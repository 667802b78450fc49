import type { Pid } from '../process/pid';
import { parseUri } from '../sip-message/uri';
import { sipUri } from '../sip/identity';
import { CONTEXT_HEADER, type NodeSignature } from '../sip/node-signature';
import type { Headers, Session, UserAgent } from '../sip/user-agent';
import type { DeviceProcess, DeviceProfile, OutgoingCall } from './device-process';
import { formatContext } from './node-context';
import { assertedIdentity, callHeaders } from './outgoing';

export interface NodeDeviceOptions {
  readonly node: number;
  /** `host:port` of its SIP server, TCP. */
  readonly sipAddress: string;
  /** Its incarnation: a request that is signed for it is nothing for a later one. */
  readonly nodeBoot: number;
  /** The process there that is wanted; undefined: the node does its own digit analysis (claim R14). */
  readonly target: { readonly pid: Pid; readonly boot: number } | undefined;
  readonly profile: DeviceProfile;
  readonly domain: string;
  readonly userAgent: UserAgent;
  readonly signature: NodeSignature;
}

/** Stands for a device process on another node: signalling goes straight there, signed (claim R10). */
export class NodeDevice implements DeviceProcess {
  constructor(private readonly options: NodeDeviceOptions) {}

  get pid(): Pid | undefined {
    return this.options.target?.pid;
  }

  get boot(): number {
    return this.options.target?.boot ?? 0;
  }

  get profile(): DeviceProfile {
    return this.options.profile;
  }

  call(call: OutgoingCall): Session {
    const { domain, signature, node, nodeBoot: boot, userAgent } = this.options;
    const { caller, sdp } = call;
    if (call.context === undefined) throw new Error('a call to a node without its context');
    const context = formatContext(call.context);
    const headers: Headers = { ...callHeaders(call, domain, 'node'), [CONTEXT_HEADER]: context };
    const uri = this.requestUri(call.digits);
    const signed = {
      method: 'INVITE',
      uri,
      assertedIdentity: assertedIdentity(caller, domain),
      privacy: caller.privacy,
      outside: caller.outside === true,
      context,
      replaces: headers['Replaces'],
      body: sdp ?? '',
    };
    return userAgent.invite({
      uri,
      sdp,
      headers,
      sign: (callId) => signature.sign({ ...signed, callId }, { node, boot }),
    });
  }

  private requestUri(digits: string): string {
    const { sipAddress, target } = this.options;
    const address = parseUri(`sip:${sipAddress}`);
    const parameters: [string, string][] = [['transport', 'tcp']];
    if (target !== undefined) parameters.push(['pid', target.pid], ['boot', String(target.boot)]);
    return sipUri(digits, address?.host ?? 'node.invalid', {
      ...(address?.port === undefined ? {} : { port: address.port }),
      parameters,
    });
  }
}
