import type { FarHalf, NodeWord } from '../../device/node-context';
import { WORD_HEADER } from '../../sip/node-signature';
import type { Headers, Session, SessionSignal } from '../../sip/user-agent';
import { formatTried, parseTried } from '../bridge/path';
import { type CallNames, type CallState, type Destination, namesOf } from '../core/call-state';
import type { LegId } from '../core/leg';
import type { CallEffect, CallSignal, Told } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';

/** The type of the request by which a node tells another one, in the dialog, what has changed in its half of the call. */
export const HALF_TYPE = 'application/x-tandem-half';
/** Ids of these requests. */
export const TELLING = 'half-';
const SHORTER = 'shorter-';

/** The answers of a node that may carry the signed header: it has not the process, or nothing for the number. */
const NOT_MINE: readonly number[] = [410, 404, 480];

/** What a node may say, sealed, with an answer or in a request of its own. */
type Heard = Pick<Extract<CallSignal, { type: 'session' }>, 'notMine' | 'tried' | 'judged' | 'half' | 'shorter'>;

/** What the call process has of a leg. */
export interface LegPlaces {
  readonly state: () => CallState;
  readonly session: (leg: LegId) => Session | undefined;
  readonly destination: (leg: LegId) => Destination | undefined;
}

interface Dialog {
  readonly session: Session;
  readonly node: number;
}

/** What is said between this call and those of other nodes, sealed for the dialog of each. */
export class NodeWords {
  /** So often a node was asked to leave us out. */
  private asked = 0;

  constructor(
    private readonly deps: Pick<CallControlDependencies, 'router' | 'log' | 'boot'>,
    private readonly places: LegPlaces,
  ) {}

  /**
   * What a node says with a signal. Only what is sealed counts: phones and gateways say 410 too (claim R13). Undefined: the signal is no matter of
   * the call. Words of nodes have a type of their own, and whoever else uses it is refused here.
   */
  hear(leg: LegId, signal: SessionSignal): Heard | undefined {
    const dialog = this.dialogOf(leg);
    switch (signal.type) {
      case 'request-answered':
        if (signal.id.startsWith(TELLING)) this.told(dialog, signal.status);
        return isOurs(signal.id) ? undefined : {};
      case 'requested': {
        if (!isWord(signal)) return {};
        const { half, shorter } = (dialog && this.open(dialog, signal.body.trim())) ?? {};
        if (half !== undefined) return { half };
        if (shorter !== undefined) return { shorter };
        const device = this.places.state().legs.get(leg)?.device;
        this.deps.log.warn({ ...this.names, leg, device }, 'call: word of a node refused');
        this.places.session(leg)?.respond(signal.id, 403, { reason: 'Not A Node' });
        return undefined;
      }
      case 'provisional':
      case 'answered': {
        const half = dialog && this.open(dialog, signal.header(WORD_HEADER)).half;
        return half === undefined ? {} : { half };
      }
      case 'rejected':
        return dialog === undefined ? {} : this.refused(dialog, signal);
      default:
        return {};
    }
  }

  /** What goes with our answer to the INVITE of a node. */
  headers(leg: LegId, word: NodeWord): Headers {
    const dialog = this.dialogOf(leg);
    if (dialog === undefined || Object.keys(word).length === 0) return {};
    return { [WORD_HEADER]: this.deps.router.seal(dialog.node, dialog.session.callId, word) };
  }

  perform(effect: Extract<CallEffect, { type: 'tell-half' | 'ask-shorter' }>): void {
    if (effect.type === 'tell-half') this.tell(effect);
    else this.askShorter(effect);
  }

  /** In the dialog: what has changed. */
  private tell({ leg, half }: Extract<CallEffect, { type: 'tell-half' }>): void {
    const dialog = this.dialogOf(leg);
    if (dialog === undefined) return;
    const { session, node } = dialog;
    const body = this.deps.router.seal(node, session.callId, { half: this.halfOf(half) });
    session.request(`${TELLING}${leg}-${half.version}`, { method: 'INFO', body, contentType: HALF_TYPE });
  }

  /** In the dialog: whom to call in our place. What is answered is no matter of ours: if it is done, this leg ends. */
  private askShorter({ leg, other, process }: Extract<CallEffect, { type: 'ask-shorter' }>): void {
    const dialog = this.dialogOf(leg);
    const there = this.places.session(other)?.dialog;
    if (dialog === undefined || there === undefined) return;
    const { session, node } = dialog;
    const { callId, localTag: fromTag, remoteTag: toTag } = there;
    const shorter = { process, replaces: { callId, toTag, fromTag, earlyOnly: false } };
    this.asked += 1;
    const body = this.deps.router.seal(node, session.callId, { shorter });
    session.request(`${SHORTER}${leg}-${this.asked}`, { method: 'INFO', body, contentType: HALF_TYPE });
  }

  halfOf(told: Told): FarHalf {
    return { ...told, process: { pid: this.places.state().facts.pid, boot: this.deps.boot } };
  }

  private get names(): CallNames {
    return namesOf(this.places.state().facts);
  }

  /** The dialog of a leg that leads to another node. A call that is over has no legs any more. */
  private dialogOf(leg: LegId): Dialog | undefined {
    const session = this.places.session(leg);
    const destination = this.places.destination(leg);
    const { caller, facts, legs } = this.places.state();
    const first = leg === caller ? facts.from.node : destination?.local === false ? destination.node : undefined;
    const node = legs.get(leg)?.profile.node ?? first;
    return session === undefined || node === undefined ? undefined : { session, node };
  }

  private open({ session, node }: Dialog, text: string | undefined): NodeWord {
    return this.deps.router.open(node, session.callId, text) ?? {};
  }

  private refused(dialog: Dialog, { status, header }: Extract<SessionSignal, { type: 'rejected' }>): Heard {
    const { session, node } = dialog;
    const { router } = this.deps;
    const notMine = NOT_MINE.includes(status) ? router.readNotMine(node, session.callId, header) : undefined;
    const { tried, judged } = this.open(dialog, header(WORD_HEADER));
    return {
      ...(notMine === undefined ? {} : { notMine }),
      ...(tried === undefined || status !== 488 ? {} : { tried: parseTried(tried) }),
      ...(judged === undefined ? {} : { judged }),
    };
  }

  /** What a node was not told now it is told with the next change. */
  private told(dialog: Dialog | undefined, status: number): void {
    // 481: its BYE is on the way.
    if (status < 300 || status === 481) return;
    this.deps.log.warn({ ...this.names, node: dialog?.node, status }, 'call: a node was not told of a change');
  }
}

function isOurs(id: string): boolean {
  return id.startsWith(TELLING) || id.startsWith(SHORTER);
}

function isWord({ method, contentType }: Extract<SessionSignal, { type: 'requested' }>): boolean {
  return method === 'INFO' && contentType?.split(';')[0]?.trim().toLowerCase() === HALF_TYPE;
}

/** What a refusal tells a node. */
export function refusalWord({ tried, judged }: Extract<CallEffect, { type: 'reject' }>): NodeWord {
  return {
    ...(tried === undefined ? {} : { tried: formatTried(tried) }),
    ...(judged === undefined ? {} : { judged }),
  };
}
