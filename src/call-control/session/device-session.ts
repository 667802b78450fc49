import type { DeviceProfile, IncomingCall } from '../../device/device-process';
import { isBehindNat, isSdp, withoutSource, withPlainAddresses, withSourceLearned } from '../../sdp';
import type { Headers, ResponseOptions, Session, SessionProgress, SessionSignal } from '../../sip/user-agent';

/**
 * A description as the cluster goes on with it: IPv4-mapped addresses as IPv4, and with a mark where media come from elsewhere than it says, which
 * only the node knows that hears the device. What the device itself says of that is not believed.
 */
export function heardFrom({ kind, signallingAddress }: DeviceProfile, sdp: string): string {
  const plain = withPlainAddresses(withoutSource(sdp));
  const hidden = kind === 'station' && signallingAddress !== undefined && isBehindNat(plain, signallingAddress);
  return hidden ? withSourceLearned(plain) : plain;
}

/** A description as this device gets it. */
export function outward({ kind }: DeviceProfile, sdp: string): string {
  return kind === 'node' ? sdp : withoutSource(sdp);
}

/** The session of a device of ours; of a node, which has done all this for its devices, the same session. */
export function sessionOf(profile: DeviceProfile, session: Session): Session {
  return profile.kind === 'node' || profile.kind === 'conference' ? session : new DeviceSession(profile, session);
}

/** A call of a device of ours, with its offer. */
export function callOf(call: IncomingCall): IncomingCall {
  const session = sessionOf(call.from, call.session);
  if (session === call.session) return call;
  return { ...call, session, sdp: call.sdp === undefined ? undefined : heardFrom(call.from, call.sdp) };
}

/** Stands between a device and its call: descriptions are read with what is known of the device, and given to it without what only the cluster is to know. */
class DeviceSession implements Session {
  constructor(
    private readonly profile: DeviceProfile,
    private readonly session: Session,
  ) {}

  get id(): string {
    return this.session.id;
  }

  get callId(): string {
    return this.session.callId;
  }

  get dialog(): Session['dialog'] {
    return this.session.dialog;
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.session.listen((signal) => listener(this.heard(signal)));
  }

  progress(status: number, options?: SessionProgress): void {
    this.session.progress(status, options === undefined ? undefined : told(options));
  }

  answer(options: { readonly sdp: string; readonly headers?: Headers }): void {
    this.session.answer(told(options));
  }

  reject(status: number, options?: { readonly reason?: string; readonly headers?: Headers }): void {
    this.session.reject(status, options);
  }

  cancel(reason?: string): void {
    this.session.cancel(reason);
  }

  acknowledge(sdp: string): void {
    this.session.acknowledge(withoutSource(sdp));
  }

  reinvite(id: string, options: { readonly sdp?: string; readonly headers?: Headers }): void {
    this.session.reinvite(id, told(options));
  }

  request(id: string, options: Parameters<Session['request']>[1]): void {
    this.session.request(id, options);
  }

  respond(id: string, status: number, options?: ResponseOptions & { readonly sdp?: string }): void {
    this.session.respond(id, status, options === undefined ? undefined : told(options));
  }

  bye(options?: { readonly reason?: string }): void {
    this.session.bye(options);
  }

  private heard(signal: SessionSignal): SessionSignal {
    if ('sdp' in signal && signal.sdp !== undefined) return { ...signal, sdp: heardFrom(this.profile, signal.sdp) };
    if (signal.type !== 'requested' || signal.method !== 'UPDATE' || !isSdp(signal.body)) return signal;
    return { ...signal, body: heardFrom(this.profile, signal.body) };
  }
}

function told<Options extends { readonly sdp?: string }>(options: Options): Options {
  return options.sdp === undefined ? options : { ...options, sdp: withoutSource(options.sdp) };
}
