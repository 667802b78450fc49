import type { DeviceProcess, IncomingCall } from '../../device/device-process';
import type { NodeContext } from '../../device/node-context';
import type { Party } from '../../device/party';
import { parsePid, type Pid } from '../../process/pid';
import { WORD_HEADER } from '../../sip/node-signature';
import { formatReplaces } from '../../sip/replaces';
import { formatReason } from '../../sip/reason';
import type { Session, SessionSignal } from '../../sip/user-agent';
import { audioTransport, withOrigin } from '../../sdp';
import { type CallNames, type Destination, sessionIdOf } from '../core/call-state';
import type { Route } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';
import { outward, sessionOf } from '../session/device-session';
import type { KeptCall, KeptEnd } from './partner-messages';
import { moveSurvival, SURVIVAL_ANSWERS, type Survival, type SurvivalEvent } from './survival-state';
import { TakenUpSession } from './taken-up-session';
import type { WaitingPhones } from './waiting-phones';

/** A phone takes such an INVITE without asking anybody. */
const ASKED_FOR_MS = 10_000;
const MAX_FORWARDS = 70;

/** Begins a call: `call` is answered like one that a phone has made. */
export type TakeUp = (call: IncomingCall, route: Route, names: CallNames & { readonly startedAt: number }) => void;

export interface RebuildingOptions {
  readonly deps: Pick<CallControlDependencies, 'router' | 'clock' | 'boot' | 'surviveMs' | 'mediaAddress'>;
  readonly phones: WaitingPhones;
  /** PID of the call process to be. */
  readonly pid: Pid;
  readonly lost: { readonly pid: Pid; readonly boot: number };
  readonly call: KeptCall;
  readonly takeUp: TakeUp;
  /** It is done with; `step` says what has come of it. */
  readonly onDone: (step: Survival['step'], call: KeptCall) => void;
}

/**
 * A call between two phones of a node that has died, at the partner of that node: when both are registered elsewhere the first is asked to go on. It is offered what the
 * second has spoken, and so goes on to send there; what it answers is offered to the second, in the place of that one's lost dialog. When they have not talked to each
 * other directly the first makes the offer.
 */
export class Rebuilding {
  survival: Survival | undefined;
  /** The node is there, and its call with it. */
  wasCutOff = false;
  private readonly found: [readonly Destination[], readonly Destination[]] = [[], []];
  private readonly asking = new Map<Session, { readonly target: Destination; readonly offered: boolean }>();
  private startedAt = 0;
  private cancelDeadline = (): void => undefined;
  private cancelAnswer = (): void => undefined;

  constructor(private readonly options: RebuildingOptions) {}

  begin(): void {
    const { deps, phones, call, pid, lost } = this.options;
    this.go('lost');
    this.cancelDeadline = deps.clock.setTimer(deps.surviveMs ?? 0, () => this.tooLate());
    for (const [index, { device, number }] of call.ends.entries())
      phones.wait(pid, device, { number, lost, tell: (targets) => this.registered(index === 0 ? 0 : 1, targets) });
  }

  /** The node is there with all that it had. */
  nodeBack(): void {
    if (this.survival?.step !== 'waiting') return;
    this.wasCutOff = true;
    this.done('node-back');
  }

  /** Nothing is done any more. */
  stop(): void {
    this.options.phones.forget(this.options.pid);
    this.cancelDeadline();
    this.cancelAnswer();
    for (const session of this.asking.keys()) session.cancel();
    this.asking.clear();
  }

  private go(event: SurvivalEvent, asked = this.survival?.asked ?? []): Survival['step'] | undefined {
    const step = SURVIVAL_ANSWERS[this.survival?.step ?? 'none'][event];
    if (step === 'none') return undefined;
    moveSurvival(this, { step, leg: '', asked });
    return step;
  }

  private done(event: SurvivalEvent): void {
    this.stop();
    const step = this.go(event);
    if (step !== undefined) this.options.onDone(step, this.options.call);
  }

  private tooLate(): void {
    this.done('time-over');
  }

  private registered(end: 0 | 1, targets: readonly Destination[]): void {
    this.found[end] = targets;
    const [first, second] = this.found;
    if (this.survival?.step !== 'waiting' || first.length === 0 || second.length === 0) return;
    const { asked } = this.survival;
    // Both in this incarnation of their registration, once.
    const name = [...first, ...second].map(({ pid, boot }) => `${pid ?? ''}-${boot}`).join(' ');
    if (asked.includes(name)) return;
    this.go('registered', [...asked, name]);
    this.cancelAnswer = this.options.deps.clock.setTimer(ASKED_FOR_MS, () => this.refused());
    this.startedAt = this.options.deps.clock.now();
    for (const target of first) this.ask(target, this.options.call.spoken);
    if (this.asking.size === 0) this.refused();
  }

  private ask(target: Destination, spoken: string | undefined): void {
    const { deps, call } = this.options;
    const device = deps.router.resolve(target);
    if (device === undefined) return;
    const [first, second] = call.ends;
    const caller = partyOf(second);
    const context = device.profile.kind === 'node' ? { context: this.contextFor(caller) } : {};
    const session = sessionOf(
      device.profile,
      device.call({
        ...{ caller, digits: target.digits, sdp: this.offerOf(device, spoken), maxForwards: MAX_FORWARDS, ...context },
        headers: { Replaces: formatReplaces(first.dialog) },
      }),
    );
    this.asking.set(session, { target, offered: spoken !== undefined });
    let taken: TakenUpSession | undefined;
    session.listen((signal) => {
      if (taken !== undefined) taken.heard(signal);
      else taken = this.heard(session, device, signal);
    });
  }

  /** With the first answer the call begins; then its session is the call's. */
  private heard(session: Session, device: DeviceProcess, signal: SessionSignal): TakenUpSession | undefined {
    const asked = this.asking.get(session);
    if (signal.type === 'answered') {
      if (asked === undefined || signal.sdp === undefined) session.bye({ reason: formatReason(200, 'Replaced') });
      else return this.answered(session, device, asked, { ...signal, sdp: signal.sdp });
    }
    // It has another codec than the second speaks: there may be a resource that helps.
    if (signal.type === 'rejected' && asked?.offered === true && (signal.status === 488 || signal.status === 606))
      this.ask(asked.target, undefined);
    if (signal.type !== 'answered' && signal.type !== 'rejected' && signal.type !== 'ended') return undefined;
    if (this.asking.delete(session) && this.asking.size === 0) this.refused();
    return undefined;
  }

  private answered(
    session: Session,
    device: DeviceProcess,
    { target, offered }: { readonly target: Destination; readonly offered: boolean },
    { sdp, header }: Extract<SessionSignal, { type: 'answered' }> & { readonly sdp: string },
  ): TakenUpSession {
    const { call, pid, takeUp, deps, onDone } = this.options;
    this.asking.delete(session);
    this.stop();
    const [first, second] = call.ends;
    const taken = new TakenUpSession(session, offered, (ok) => {
      const step = this.go(ok ? 'answered' : 'time-over');
      if (step !== undefined) onDone(step, call);
    });
    const { node } = device.profile;
    const half = node === undefined ? undefined : deps.router.open(node, session.callId, header(WORD_HEADER))?.half;
    const context: { context?: NodeContext } =
      half === undefined
        ? {}
        : { context: { ...{ call: call.call, why: 'survive', forwardedFrom: [], passed: [] }, half } };
    const inPlaceOf = { replaces: second.dialog, why: 'survive' } as const;
    const branches = this.found[1].map((other) => [{ ...other, inPlaceOf }]);
    takeUp(
      {
        ...{ session: taken, from: device.profile, pid: target.local ? target.pid : undefined, ...context },
        ...{ caller: partyOf(first), dialled: second.number, sdp, maxForwards: MAX_FORWARDS, target: undefined },
        // Session timers are asked for later: these are those of an answer.
        header: (name) => (/^(session-expires|min-se)$/i.test(name) ? undefined : header(name)),
      },
      { type: 'targets', branches, matched: undefined, noAnswerMs: ASKED_FOR_MS },
      { call: call.call, process: pid, startedAt: this.startedAt },
    );
    return taken;
  }

  private refused(): void {
    this.cancelAnswer();
    for (const session of this.asking.keys()) session.cancel();
    this.asking.clear();
    this.go('refused');
  }

  /** Of the session that the call goes on with. */
  private offerOf({ profile }: DeviceProcess, spoken: string | undefined): string | undefined {
    if (spoken === undefined) return undefined;
    const { startedAt, options } = this;
    const address = options.deps.mediaAddress[audioTransport(spoken)?.family ?? 4];
    const sessionId = sessionIdOf({ startedAt }, 0);
    return outward(profile, withOrigin(spoken, { sessionId, version: 0, address }));
  }

  private contextFor(party: Party): NodeContext {
    const { pid, deps, call } = this.options;
    const half = { version: 0, process: { pid, boot: deps.boot }, party, resources: [] };
    return { call: call.call, why: 'survive', forwardedFrom: [], passed: [parsePid(pid)?.node ?? 0], half };
  }
}

function partyOf({ device, number, displayName }: KeptEnd): Party {
  return { device, number, displayName };
}
