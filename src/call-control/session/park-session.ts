import type { DeviceProcess, DeviceProfile, OutgoingCall } from '../../device/device-process';
import { type AddressPair, inactiveAnswer, inactiveOffer, mainFamily } from '../../sdp';
import type { ResponseOptions, Session, SessionSignal } from '../../sip/user-agent';

/** For who calls without an offer, which then has ours: nothing is ever sent or heard. */
const PLAIN_OFFER = 'v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0 8\r\na=inactive\r\n';

/**
 * A slot at the end of the call of who has dialled the code, until that one transfers a call there: it answers at once and holds, so that music
 * says that the slot is there.
 */
export class ParkDevice implements DeviceProcess {
  readonly pid = undefined;
  readonly boot = 0;
  readonly profile: DeviceProfile;
  readonly takesSips = true;
  private session: ParkSession | undefined;

  constructor(
    readonly slot: string,
    private readonly mediaAddress: AddressPair,
  ) {
    const open = { site: undefined, mediaResourceGroupList: undefined, userClass: undefined, codecs: undefined };
    this.profile = { name: `park-${slot}`, kind: 'park', displayName: `Park ${slot}`, ...open };
  }

  call({ sdp }: OutgoingCall): Session {
    this.session = new ParkSession(`park-${this.slot}`, sdp, this.mediaAddress);
    return this.session;
  }

  /** Somebody else is parked there now. */
  leave(): void {
    this.session?.end();
  }
}

class ParkSession implements Session {
  readonly dialog = undefined;
  readonly callId: string;
  private listener: ((signal: SessionSignal) => void) | undefined;
  private over = false;
  private version = 0;

  constructor(
    readonly id: string,
    private readonly offer: string | undefined,
    private readonly mediaAddress: AddressPair,
  ) {
    this.callId = id;
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.listener = listener;
    this.tell({ type: 'answered', sdp: this.silence(this.offer), header: () => undefined });
  }

  reinvite(id: string, { sdp }: { readonly sdp?: string }): void {
    this.tell({ type: 'reinvite-answered', id, sdp: this.silence(sdp), header: () => undefined });
  }

  request(id: string, { method }: { readonly method: string }): void {
    const [status, reason] = method === 'INFO' || method === 'OPTIONS' ? [200, 'OK'] : [405, 'Method Not Allowed'];
    const nothing = { body: '', contentType: undefined, header: () => undefined };
    this.tell({ type: 'request-answered', id, method, status, reason, ...nothing });
  }

  end(): void {
    this.tell({ type: 'ended', by: 'peer', reason: 'Parked' });
    this.over = true;
  }

  bye(): void {
    this.over = true;
  }

  cancel(): void {
    this.over = true;
  }

  progress(): void {
    // Only of a caller.
  }

  answer(): void {
    // Only of a caller.
  }

  reject(): void {
    // Only of a caller.
  }

  acknowledge(): void {
    // Nothing depends on it.
  }

  respond(_id: string, _status: number, _options?: ResponseOptions): void {
    // It asks for nothing.
  }

  private silence(offer: string | undefined): string {
    this.version += 1;
    const family = mainFamily(this.mediaAddress);
    const origin = { sessionId: 1, version: this.version, address: this.mediaAddress[family] };
    return offer === undefined ? inactiveOffer(PLAIN_OFFER, origin) : inactiveAnswer(offer, origin);
  }

  private tell(signal: SessionSignal): void {
    if (!this.over) this.listener?.(signal);
  }
}
