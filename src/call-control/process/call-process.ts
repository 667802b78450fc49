import { Mailbox } from '../../process/mailbox';
import type { CancelTimer } from '../../process/clock';
import type { DeviceProcess, DeviceProfile, IncomingCall } from '../../device/device-process';
import type { CodecPolicy } from '../../media-control';
import type { Pid } from '../../process/pid';
import { WORD_HEADER } from '../../sip/node-signature';
import { readReferTo } from '../../sip/refer-to';
import type { Headers, Session, SessionSignal } from '../../sip/user-agent';
import type { CallDetailRecord } from '../record/call-detail-record';
import {
  answeredLeg,
  type CallFacts,
  type CallState,
  type Destination,
  initialState,
  type LegId,
  namesOf,
} from '../core/call-state';
import type { Abilities } from './abilities';
import { ConferenceSession } from '../conference/conference-session';
import type { CallControlDependencies } from '../dependencies';
import { contextOf } from '../core/far-half';
import { CallResources } from './call-resources';
import { command } from '../session/session-command';
import { outward, sessionOf } from '../session/device-session';
import { DtlsSession, speaksDtls, terminated } from '../session/dtls-session';
import { createDtlsSession } from '../session/dtls-termination';
import { formatTried, parseTried } from '../bridge/path';
import type { CallEffect, CallSignal, Refer, Route, TimerName } from '../core/signals';
import { transition } from '../core/transition';

/** Digit analysis as the tables are now: of the dialled number, or of another one that a device here asks for. */
export type LookUp = (asked?: { readonly number: string; readonly from: string; readonly outside: boolean }) => Route;

/** The answers of a node that may carry the signed header: it has not the process, or nothing for the number. */
const NOT_MINE: readonly number[] = [410, 404, 480];

/** What a node may say, signed, with a refusal. */
type Told = Pick<Extract<CallSignal, { type: 'session' }>, 'notMine' | 'tried' | 'judged'>;

/** What the device of a busy line would say, if it were asked. */
const BUSY_LINE: SessionSignal = { type: 'rejected', status: 486, reason: 'Busy Here', header: () => undefined };

/** Of our own questions in a dialog; whatever the call itself asks has another id. */
const PROBE = 'probe-';
/** No such dialog (RFC 3261 §12.2.1.2). */
const GONE: ReadonlySet<number> = new Set([481]);
const GONE_OR_SILENT: ReadonlySet<number> = new Set([481, 408, 410, 480, 503]);

/**
 * One call (PID `cp`): its mailbox, its timers, the sessions and resources that it holds. All that is decided is decided in
 * `transition`; here it is carried out, and what becomes of it is posted back.
 */
export class CallProcess {
  private state: CallState;
  private readonly mailbox: Mailbox<CallSignal>;
  private readonly sessions = new Map<LegId, Session>();
  private readonly destinations = new Map<LegId, Destination>();
  private readonly timers = new Map<TimerName, CancelTimer>();
  private readonly resources: CallResources;
  private readonly probes = new Map<string, { readonly reason: string; readonly gone: ReadonlySet<number> }>();
  private failed = false;

  constructor(
    private readonly deps: CallControlDependencies,
    private readonly call: IncomingCall,
    facts: CallFacts,
    private readonly abilities: Abilities,
    /** Digit analysis of the dialled number, as the tables are now. */
    private readonly lookUp: LookUp,
    /** Whether a line takes the call. */
    private readonly admits: (call: CallState, number: string) => boolean,
    private readonly onFinished: (record: CallDetailRecord) => void,
  ) {
    this.state = initialState(facts, { pid: call.pid, callId: call.session.callId });
    this.mailbox = new Mailbox(
      (signal) => this.handle(signal),
      (error, signal) => this.handlingFailed(error, signal),
    );
    this.resources = new CallResources(deps, (signal) => this.mailbox.post(signal));
    this.sessions.set(this.state.caller, call.session);
  }

  get pid(): Pid {
    return this.state.facts.pid;
  }

  /** The call as it is now; a value that does not change any more. */
  get snapshot(): CallState {
    return this.state;
  }

  begin(): void {
    this.mailbox.post({ type: 'routed', route: this.described(this.lookUp(), this.state.caller) });
    this.explain(this.call.session);
    this.call.session.listen((signal) => this.receive(this.state.caller, signal));
  }

  /** With what is known of each target, so that the path of the call can be decided before anybody is asked. */
  private described(route: Route, waiter: LegId): Route {
    if (route.type === 'refused') return route;
    const describe = (destination: Destination): Destination => {
      const device = this.resolve(destination);
      const profile = device && this.profileOf(device, destination);
      const { pid } = destination;
      const ability = pid === undefined || !destination.local ? undefined : this.abilities.of(pid);
      const codecPolicy = this.codecPolicyFor(waiter, destination, profile);
      return {
        ...destination,
        ...(profile === undefined ? {} : { profile }),
        ...(ability === undefined ? {} : { ability }),
        ...(codecPolicy === undefined ? {} : { codecPolicy }),
      };
    };
    return { ...route, branches: route.branches.map((targets) => targets.map(describe)) };
  }

  private codecPolicyFor(
    waiter: LegId,
    { device, digits }: Destination,
    profile: DeviceProfile | undefined,
  ): CodecPolicy | undefined {
    const party = this.state.legs.get(waiter)?.party;
    const unknown = profile === undefined || profile.kind === 'node';
    return party && this.deps.codecPolicyOf?.(party, { device, number: digits, site: profile?.site, unknown });
  }

  /** It is in a conference at that node, whose focus it cannot reach any more. */
  isInConferenceAt(node: number): boolean {
    const callee = answeredLeg(this.state);
    return callee?.focus !== undefined && callee.profile.node === node;
  }

  /** Its caller, a device of that node, waits for an answer. */
  isBeingSetUpFor(node: number): boolean {
    return this.state.kind === 'setup' && this.isFrom(node);
  }

  /** Its caller, a device of that node, is in a conference here. */
  isParticipantFrom(node: number): boolean {
    const callee = answeredLeg(this.state);
    return callee?.profile.kind === 'conference' && this.isFrom(node);
  }

  private isFrom(node: number): boolean {
    const { from } = this.state.facts;
    return from.kind === 'node' && from.node === node;
  }

  /**
   * Asks a node whether it knows this call, by an OPTIONS in each dialog with it (RFC 3261 §11.2): when it says no, the call is over. So it
   * is when nobody answers, if `deadWhenSilent`, or what it takes is of no use without the other end: music, a place in a conference.
   */
  probe(node: number, reason: string, deadWhenSilent: boolean): void {
    for (const leg of this.state.legs.values())
      if (leg.profile.kind === 'node' && leg.profile.node === node) {
        if (this.state.kind === 'setup') {
          // It rings for nobody any more.
          if (deadWhenSilent) this.mailbox.post({ type: 'branch-unreachable', leg: leg.id });
          continue;
        }
        const dead = deadWhenSilent || this.state.tokens.length > 0 || this.isParticipantFrom(node);
        this.probes.set(`${PROBE}${leg.id}`, { reason, gone: dead ? GONE_OR_SILENT : GONE });
        this.sessions.get(leg.id)?.request(`${PROBE}${leg.id}`, { method: 'OPTIONS' });
      }
  }

  end(reason: string): void {
    this.mailbox.postFirst({ type: 'end', reason });
  }

  private receive(leg: LegId, signal: SessionSignal): void {
    if (signal.type === 'request-answered' && signal.id.startsWith(PROBE)) return this.probed(signal.id, signal.status);
    const refer = signal.type === 'requested' && signal.method === 'REFER' ? { refer: this.referOf(signal) } : {};
    const message: CallSignal = { type: 'session', leg, signal, ...refer, ...this.told(leg, signal) };
    if (signal.type === 'ended' || signal.type === 'cancelled') this.mailbox.postFirst(message);
    else this.mailbox.post(message);
  }

  /** Where a REFER wants to go, if that is with us. */
  private referOf({ header }: Extract<SessionSignal, { type: 'requested' }>): Refer {
    const refer = readReferTo(header);
    if ('status' in refer) return { type: 'refused', ...refer };
    const { dialled, host, context } = refer.target;
    if (dialled === '') return { type: 'refused', status: 484, reason: 'Address Incomplete' };
    if (this.deps.isOurs?.(host, context) === false) return { type: 'refused', status: 403, reason: 'Not Our Domain' };
    return { type: 'to', digits: dialled, replaces: refer.replaces };
  }

  private probed(id: string, status: number): void {
    const probe = this.probes.get(id);
    this.probes.delete(id);
    if (probe?.gone.has(status) === true) this.end(probe.reason);
  }

  /** What a node says with its refusal. Only signed headers count: phones and gateways say 410 too (claim R13). */
  private told(leg: LegId, signal: SessionSignal): Told {
    const destination = this.destinations.get(leg);
    const session = this.sessions.get(leg);
    if (signal.type !== 'rejected' || session === undefined || destination === undefined || destination.local)
      return {};
    const { router } = this.deps;
    const { status, header } = signal;
    const { node } = destination;
    const notMine = NOT_MINE.includes(status) ? router.readNotMine(node, session.callId, header) : undefined;
    const { tried, judged } = router.open(node, session.callId, header(WORD_HEADER)) ?? {};
    return {
      ...(notMine === undefined ? {} : { notMine }),
      ...(tried === undefined || status !== 488 ? {} : { tried: parseTried(tried) }),
      ...(judged === undefined ? {} : { judged }),
    };
  }

  private handle(signal: CallSignal): void {
    const before = this.state.kind;
    const moment = { now: this.deps.clock.now(), random: (this.deps.random ?? Math.random)() };
    const { state, effects } = transition(this.state, signal, moment);
    this.state = state;
    for (const effect of effects) this.attempt(effect);
    if (before === 'setup' && state.kind === 'established' && state.answeredAt !== undefined) {
      this.deps.hooks?.answered?.(state.answeredAt - state.facts.startedAt);
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
      case 'progress':
      case 'answer':
      case 'cancel':
      case 'acknowledge':
      case 'reinvite':
      case 'request':
      case 'respond':
      case 'bye':
        return command(this.sessions.get(effect.leg), effect);
      case 'reject':
        return this.reject(effect);
      case 'set-timer':
        return this.setTimer(effect.timer, effect.ms);
      case 'cancel-timer':
        return this.cancelTimer(effect.timer);
      case 'allocate-music':
      case 'ask-offer':
      case 'allocate-path':
      case 'ask-path':
      case 'connect-resource':
      case 'renew-resource':
      case 'release-resource':
        return this.resources.perform(effect, this.state);
      case 'look-up':
        return this.mailbox.post({ type: 'routed', route: this.routeFor(effect) });
      case 'join-dialog':
        return this.mailbox.post({ type: 'join-answered', status: 481 });
      case 'refute-entry':
        return this.deps.onStaleEntry(effect.node, effect.pid, effect.boot);
      case 'finish':
        return this.finish(effect.record);
    }
  }

  private routeFor({ number, by, waiter }: Extract<CallEffect, { type: 'look-up' }>): Route {
    const { caller, facts, legs } = this.state;
    if (by === caller && waiter === caller && number === facts.dialled) return this.described(this.lookUp(), waiter);
    const [dialling, waiting] = [legs.get(by), legs.get(waiter)];
    const outside = dialling?.party.outside === true || waiting?.party.outside === true;
    const from = dialling?.profile.name ?? facts.from.name;
    return this.described(this.lookUp({ number, from, outside }), waiter);
  }

  private startBranch(effect: Extract<CallEffect, { type: 'start-branch' }>): void {
    const { leg, waiter, destination, sdp, maxForwards, headers } = effect;
    this.destinations.set(leg, destination);
    const device = this.resolve(destination);
    if (device === undefined) return this.mailbox.post({ type: 'branch-unreachable', leg });
    const { party: caller, profile: from } = this.state.legs.get(waiter) ?? {
      party: this.state.facts.caller,
      profile: this.state.facts.from,
    };
    // Whatever has led here: what came in through a gateway does not go out through one.
    if (caller.outside === true && device.profile.kind === 'gateway') {
      this.deps.log.warn(
        { ...namesOf(this.state.facts), from: from.name, to: device.profile.name },
        'call: from gateway to gateway',
      );
      return this.mailbox.post({ type: 'branch-unreachable', leg });
    }
    const { secure } = this.call;
    if (secure !== undefined && device.takesSips !== true)
      return this.mailbox.post({ type: 'branch-unreachable', leg, headers: secure });
    if (device.profile.kind === 'station' && !this.admits(this.state, destination.digits))
      return this.mailbox.post({ type: 'session', leg, signal: BUSY_LINE });
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
          ...(device.profile.kind === 'node' ? { context: contextOf(this.state, waiter, this.deps.boot) } : {}),
        }),
      );
    const { pid } = device;
    const dtls = this.speaksDtls(device) ? createDtlsSession(this.deps, device.profile) : undefined;
    const session = dtls ?? call(sdp);
    const profile = this.profileOf(device, destination);
    this.sessions.set(leg, session);
    const started = (): void =>
      this.mailbox.post({ type: 'branch-started', leg, profile, pid, callId: session.callId });
    dtls?.begin(call, sdp, started);
    started();
    this.explain(session);
    session.listen((signal) => this.receive(leg, signal));
  }

  /** What is known of a target, for its leg; a device without a name has that of its line. */
  private profileOf(device: DeviceProcess, { digits }: Destination): DeviceProfile {
    const { kind, displayName = kind === 'station' ? this.deps.lines?.of(digits)?.displayName : undefined } =
      device.profile;
    const profile = displayName === undefined ? device.profile : { ...device.profile, displayName };
    return this.speaksDtls(device) ? terminated(profile) : profile;
  }

  private speaksDtls({ pid, profile }: DeviceProcess): boolean {
    return speaksDtls(profile, pid === undefined ? undefined : this.abilities.spokenBy(pid));
  }

  /** Keeps why a session has asked for media resources of its own. */
  private explain(session: Session): void {
    if (session instanceof ConferenceSession || session instanceof DtlsSession)
      session.onExplained((explanation) => this.mailbox.post({ type: 'explained', explanation }));
  }

  private resolve(destination: Destination): DeviceProcess | undefined {
    const { pid, boot, node, digits } = destination;
    if (this.call.target !== undefined && this.call.target.pid === pid) return this.call.target;
    return this.deps.router.resolve({ pid, boot, node, digits });
  }

  private setTimer(timer: TimerName, ms: number): void {
    this.cancelTimer(timer);
    const fire = (): void => {
      this.timers.delete(timer);
      this.mailbox.post({ type: 'timer', timer });
    };
    this.timers.set(timer, this.deps.clock.setTimer(ms, fire));
  }

  private cancelTimer(timer: TimerName): void {
    this.timers.get(timer)?.();
    this.timers.delete(timer);
  }

  private reject({ leg, status, reason, headers, tried, judged }: Extract<CallEffect, { type: 'reject' }>): void {
    const session = this.sessions.get(leg);
    const { node } = this.state.facts.from;
    const word = {
      ...(tried === undefined ? {} : { tried: formatTried(tried) }),
      ...(judged === undefined ? {} : { judged }),
    };
    const told: Headers =
      node === undefined || session === undefined || Object.keys(word).length === 0
        ? {}
        : { [WORD_HEADER]: this.deps.router.seal(node, session.callId, word) };
    session?.reject(status, { headers: { ...headers, ...told }, ...(reason === undefined ? {} : { reason }) });
  }

  private finish(record: CallDetailRecord): void {
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
    this.onFinished(record);
  }
}
