import { Mailbox } from '../../process/mailbox';
import type { IncomingCall } from '../../device/device-process';
import type { Pid } from '../../process/pid';
import type { Headers, Session, SessionSignal } from '../../sip/user-agent';
import type { CallDetailRecord } from '../record/call-detail-record';
import {
  type CallFacts,
  type CallState,
  type Destination,
  initialState,
  legsTo,
  namesOf,
  sessionIdOf,
} from '../core/call-state';
import { type Leg, type LegId, newLeg } from '../core/leg';
import { ConferenceSession } from '../conference/conference-session';
import type { CallControlDependencies } from '../dependencies';
import { contextOf } from '../core/far-half';
import { CallResources } from './call-resources';
import { command, connectedIn } from '../session/session-command';
import { outward, sessionOf } from '../session/device-session';
import { DtlsSession } from '../session/dtls-session';
import { createDtlsSession } from '../session/dtls-termination';
import type { CallEffect, CallSignal } from '../core/signals';
import { transition } from '../core/transition';
import { partyAt } from '../../device/party';
import { answerTimer } from '../dialog/session-timer';
import { initialOffer } from '../join/replace';
import type { DialogIndex, Place } from './dialog-index';
import { CallTimers } from './call-timers';
import { isParticipantFrom } from './calls-with-nodes';
import type { Joins } from './joins';
import { NodeWords, refusalWord } from './node-words';
import { Probes } from './probes';
import { referIn } from './refer';
import type { Routing } from './routing';
import type { Survivals } from '../survival/survivals';
import { PhoneDialogs } from '../survival/phone-dialogs';
import { canSurvive } from '../survival/survive';

/** What the device of a busy line would say, if it were asked. */
const BUSY_LINE: SessionSignal = { type: 'rejected', status: 486, reason: 'Busy Here', header: () => undefined };

/** Ordinal of the first leg that came from elsewhere, for its `o=` line. */
const FIRST_TAKEN = 50;

/**
 * One call (PID `cp`): its mailbox, its timers, the sessions and resources that it holds. All that is decided is decided in
 * `transition`; here it is carried out, and what becomes of it is posted back.
 */
export class CallProcess {
  private state: CallState;
  private readonly mailbox: Mailbox<CallSignal>;
  private readonly sessions = new Map<LegId, Session>();
  private readonly destinations = new Map<LegId, Destination>();
  private readonly timers: CallTimers;
  private readonly resources: CallResources;
  private readonly words: NodeWords;
  private readonly probes: Probes;
  private readonly phoneDialogs = new PhoneDialogs();
  private readonly givenTo = new Map<LegId, Place>();
  /** Legs that came from elsewhere. */
  private taken = 0;
  private failed = false;

  constructor(
    private readonly deps: CallControlDependencies,
    private readonly call: IncomingCall,
    facts: CallFacts,
    private readonly routing: Routing,
    private readonly joins: { readonly index: DialogIndex; readonly rules: Joins },
    /** Whether a line takes the call. */
    private readonly admits: (call: CallState, number: string) => boolean,
    private readonly onFinished: (record: CallDetailRecord) => void,
    private readonly survival: Survivals,
  ) {
    const { pid, context } = call;
    this.state = initialState(facts, { pid, callId: call.session.callId, far: context?.half });
    this.mailbox = new Mailbox(
      (signal) => this.handle(signal),
      (error, signal) => this.handlingFailed(error, signal),
    );
    this.timers = new CallTimers(deps.clock, (timer) => this.mailbox.post({ type: 'timer', timer }));
    this.resources = new CallResources(deps, (signal) => this.mailbox.post(signal));
    this.words = new NodeWords(deps, {
      state: () => this.state,
      session: (leg) => this.sessions.get(leg),
      destination: (leg) => this.destinations.get(leg),
    });
    this.probes = new Probes({
      state: () => this.state,
      session: (leg) => this.sessions.get(leg),
      unreachable: (leg) => this.mailbox.post({ type: 'branch-unreachable', leg }),
    });
    this.phoneDialogs.heard(this.state.caller, call.header);
    this.adoptSession(this.state.caller, call.session);
  }

  get pid(): Pid {
    return this.state.facts.pid;
  }

  /** The call as it is now; a value that does not change any more. */
  get snapshot(): CallState {
    return this.state;
  }

  begin(): void {
    this.mailbox.post({ type: 'routed', route: this.routing.begin(this.state) });
    this.explain(this.state.caller, this.call.session);
    this.call.session.listen((signal) => this.receive(this.state.caller, signal));
  }

  /** Asks a node whether it knows this call. When it does not the call is over, or survives; `deadWhenSilent`: also when nobody answers. */
  probe(node: number, reason: string, deadWhenSilent: boolean): void {
    this.probes.ask(node, reason, deadWhenSilent, isParticipantFrom(this.state, node));
  }

  /** The node is off-line: for those who are behind it, or for good. `stays`: it has been for a while, and nobody rings there any more. */
  nodeGone(node: number, stays = false): void {
    for (const leg of legsTo(this.state, node))
      if (stays && leg.phase === 'calling') this.mailbox.post({ type: 'branch-unreachable', leg: leg.id });
      else if (canSurvive(this.state, leg.id)) this.mailbox.post({ type: 'leg-lost', leg: leg.id, sure: false });
  }

  /** It is there again, in this incarnation. */
  nodeBack(node: number, boot: number): void {
    const lost = legsTo(this.state, node).find(({ id }) => id === this.state.survival?.leg);
    if (lost?.far?.process.boot !== boot || this.state.survival?.step === 'again in service') return;
    this.mailbox.post({ type: 'leg-back', leg: lost.id });
    this.probe(node, 'The other node has lost the call', false);
  }

  end(reason: string): void {
    this.mailbox.postFirst({ type: 'end', reason });
  }

  private receive(leg: LegId, signal: SessionSignal): void {
    if (signal.type === 'request-answered' && this.probes.isOurs(signal.id)) return this.probed(signal);
    const told = this.words.hear(leg, signal);
    if (told === undefined) return;
    const refer =
      signal.type === 'requested' && signal.method === 'REFER'
        ? { refer: referIn(signal.header, this.deps.isOurs) }
        : {};
    const message: CallSignal = {
      type: 'session',
      leg,
      signal,
      ...refer,
      ...told,
      ...this.phoneDialogs.made(this.leg(leg), this.sessions.get(leg), signal),
    };
    if (signal.type === 'ended' || signal.type === 'cancelled') this.mailbox.postFirst(message);
    else this.mailbox.post(message);
  }

  private probed({ id, status }: Extract<SessionSignal, { type: 'request-answered' }>): void {
    const gone = this.probes.answered(id, status);
    if (gone === undefined) return;
    if (canSurvive(this.state, gone.leg)) this.mailbox.post({ type: 'leg-lost', leg: gone.leg, sure: true });
    else this.end(gone.reason);
  }

  private handle(signal: CallSignal): void {
    const { kind: before, survival } = this.state;
    const { clock, random = Math.random, codecPolicyOf } = this.deps;
    const moment = { now: clock.now(), random: random(), codecPolicyOf };
    const { state, effects } = transition(this.state, signal, moment);
    this.state = state;
    this.tellChanged();
    this.survival.follow(state, survival);
    for (const effect of effects) this.attempt(effect);
    if (before === 'setup' && state.kind === 'established' && state.answeredAt !== undefined) {
      this.deps.hooks?.answered?.(state.answeredAt - state.facts.startedAt);
    }
  }

  /** Who looks on does the call no harm. */
  private tellChanged(): void {
    try {
      this.deps.hooks?.changed?.(this.state);
    } catch (error) {
      const about = { ...namesOf(this.state.facts), error: String(error) };
      this.deps.log.warn(about, 'call: what became of it could not be told');
    }
  }

  private handlingFailed(error: unknown, signal: CallSignal): void {
    this.deps.log.warn(
      { ...namesOf(this.state.facts), signal: signal.type, error: String(error) },
      'call: a signal failed',
    );
    if (this.failed) return;
    // A call whose state cannot be trusted must not live on.
    this.failed = true;
    this.end('Internal error');
  }

  private attempt(effect: CallEffect): void {
    try {
      this.perform(effect);
    } catch (error) {
      this.deps.log.warn(
        { ...namesOf(this.state.facts), effect: effect.type, error: String(error) },
        'call: an effect failed',
      );
      if (effect.type === 'start-branch') this.mailbox.post({ type: 'branch-unreachable', leg: effect.leg });
    }
  }

  private perform(effect: CallEffect): void {
    switch (effect.type) {
      case 'start-branch':
        return this.startBranch(effect);
      case 'tell-half':
      case 'ask-shorter':
        return this.words.perform(effect);
      case 'progress':
      case 'answer':
        return command(this.sessions.get(effect.leg), effect, {
          ...this.wordFor(effect),
          ...connectedIn(effect, this.leg(effect.leg), this.deps),
        });
      case 'cancel':
      case 'acknowledge':
      case 'request':
      case 'respond':
      case 'bye':
        return command(this.sessions.get(effect.leg), effect);
      case 'reinvite':
        return command(this.sessions.get(effect.leg), effect, connectedIn(effect, this.leg(effect.leg), this.deps));
      case 'reject':
        return this.reject(effect);
      case 'set-timer':
        return this.timers.set(effect.timer, effect.ms);
      case 'cancel-timer':
        return this.timers.cancel(effect.timer);
      case 'allocate-music':
      case 'ask-offer':
      case 'allocate-path':
      case 'ask-path':
      case 'connect-resource':
      case 'release-resource':
        return this.resources.perform(effect, this.state);
      case 'look-up':
        return this.mailbox.post({ type: 'routed', route: this.routing.lookUp(effect, this.state) });
      case 'join-dialog':
        return this.mailbox.post({ type: 'join-answered', ...this.joins.rules.join(this, effect) });
      case 'give':
        return this.give(effect.leg);
      case 'await-phone':
        return this.survival.wait(this.pid, effect, (targets) => this.mailbox.post({ type: 'phone-back', targets }));
      case 'refute-entry':
        return this.deps.onStaleEntry(effect.node, effect.pid, effect.boot);
      case 'finish':
        return this.finish(effect.record);
    }
  }

  private startBranch(effect: Extract<CallEffect, { type: 'start-branch' }>): void {
    const { leg, waiter, destination, sdp, maxForwards, headers, half } = effect;
    this.destinations.set(leg, destination);
    const device = this.routing.resolve(destination);
    if (device === undefined) return this.mailbox.post({ type: 'branch-unreachable', leg });
    const { party: caller, profile: from } = this.state.legs.get(waiter) ?? {
      party: this.state.facts.caller,
      profile: this.state.facts.from,
    };
    // Whatever has led here: what came in through a gateway does not go out through one.
    if (caller.outside === true && device.profile.kind === 'gateway') {
      const about = { ...namesOf(this.state.facts), from: from.name, to: device.profile.name };
      this.deps.log.warn(about, 'call: from gateway to gateway');
      return this.mailbox.post({ type: 'branch-unreachable', leg });
    }
    const { secure } = this.call;
    if (secure !== undefined && device.takesSips !== true)
      return this.mailbox.post({ type: 'branch-unreachable', leg, headers: secure });
    const busy = device.profile.kind === 'station' && destination.inPlaceOf === undefined;
    if (busy && !this.admits(this.state, destination.digits))
      return this.mailbox.post({ type: 'session', leg, signal: BUSY_LINE });
    const told = this.words.halfOf(half ?? { version: 1, party: caller, resources: [] });
    const call = (description: string | undefined): Session =>
      sessionOf(
        device.profile,
        device.call({
          caller,
          from,
          digits: destination.digits,
          sdp: description === undefined ? undefined : outward(device.profile, description),
          maxForwards,
          headers,
          ...(device.profile.kind === 'node' ? { context: contextOf(this.state, effect, told) } : {}),
        }),
      );
    const { pid } = device;
    const profile = this.routing.profileOf(device, destination);
    const names = namesOf(this.state.facts);
    const dtls = this.routing.speaksDtls(device) ? createDtlsSession(this.deps, device.profile, names) : undefined;
    const session = dtls ?? call(sdp);
    this.adoptSession(leg, session);
    const started = (): void =>
      this.mailbox.post({ type: 'branch-started', leg, profile, pid, callId: session.callId });
    dtls?.begin(call, sdp, started);
    started();
    this.explain(leg, session);
    session.listen((signal) => this.receive(leg, signal));
  }

  /** Keeps why a session has asked for media resources of its own. */
  private explain(leg: LegId, session: Session): void {
    if (session instanceof ConferenceSession || session instanceof DtlsSession)
      session.onExplained((explanation) => this.mailbox.post({ type: 'explained', leg, explanation }));
  }

  private wordFor({ leg, half }: Extract<CallEffect, { type: 'progress' | 'answer' }>): Headers {
    return half === undefined ? {} : this.words.headers(leg, { half: this.words.halfOf(half) });
  }

  private reject(effect: Extract<CallEffect, { type: 'reject' }>): void {
    const { leg, status, reason, headers } = effect;
    const options = { headers: { ...headers, ...this.words.headers(leg, refusalWord(effect)) } };
    this.sessions.get(leg)?.reject(status, { ...options, ...(reason === undefined ? {} : { reason }) });
  }

  leg(id: LegId): Leg | undefined {
    return this.state.legs.get(id);
  }

  private adoptSession(leg: LegId, session: Session): void {
    this.sessions.set(leg, session);
    this.joins.index.add(session, { process: this, leg });
  }

  /** Where a leg goes as soon as this call has let it go. */
  giveTo(leg: LegId, place: Place): void {
    this.givenTo.set(leg, place);
  }

  /** Who talks to the leg goes to that conference. `place`: so does the leg, to its place in another call. */
  toConference(by: LegId, to: Destination, place?: Place): void {
    if (place !== undefined) this.giveTo(by, place);
    this.mailbox.post({ type: 'to-conference', by, to, stays: place !== undefined });
  }

  private give(leg: Leg): void {
    const place = this.givenTo.get(leg.id);
    const session = this.sessions.get(leg.id);
    if (place === undefined || session === undefined) return;
    this.givenTo.delete(leg.id);
    this.sessions.delete(leg.id);
    this.joins.index.remove(session);
    place.process.takeLeg(leg, session, this.destinations.get(leg.id), place.leg);
  }

  /** A leg of another call takes the place of one of this, with its session. */
  private takeLeg(given: Leg, session: Session, destination: Destination | undefined, replaces: LegId): void {
    const leg = { ...given, id: this.newLegId() };
    if (destination !== undefined) this.destinations.set(leg.id, destination);
    this.takes(leg, session, replaces);
  }

  /** So does a call that nobody has answered. */
  takeCall(call: IncomingCall, replaces: LegId): void {
    const { facts } = this.state;
    const { from: profile, pid, caller, session, sdp } = call;
    const party = call.context?.half.party ?? partyAt(profile, caller);
    const about = { role: 'server', profile, pid, callId: session.callId, device: party.device, party } as const;
    const ordinal = FIRST_TAKEN + this.taken;
    const leg = newLeg({ id: this.newLegId(), sessionId: sessionIdOf(facts, ordinal), ...about }, sdp);
    this.phoneDialogs.heard(leg.id, call.header);
    leg.far = call.context?.half;
    leg.incoming = initialOffer(answerTimer(call.header, facts.refreshSeconds));
    this.takes(leg, session, replaces);
  }

  private takes(leg: Leg, session: Session, replaces: LegId): void {
    this.adoptSession(leg.id, session);
    this.mailbox.post({
      type: 'taken',
      leg,
      replaces,
      codecPolicy: this.routing.policyInPlaceOf(replaces, leg, this.state),
    });
    this.explain(leg.id, session);
    session.listen((signal) => this.receive(leg.id, signal));
  }

  private newLegId(): LegId {
    this.taken += 1;
    return `t${this.taken}`;
  }

  private finish(record: CallDetailRecord): void {
    for (const session of this.sessions.values()) this.joins.index.remove(session);
    this.timers.cancelAll();
    this.survival.forget(this.pid);
    this.onFinished(record);
  }
}
