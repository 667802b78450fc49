import type { IncomingCall } from '../device/device-process';
import { formatProcessId } from '../device/node-context';
import { partyAt } from '../device/party';
import { admit, mayCall } from '../line/lines';
import { isSdp } from '../sdp';
import { formatReasons } from '../sip/reason';
import type { Replaces } from '../sip/replaces';
import type { Headers } from '../sip/user-agent';
import type { CallDetailRecord } from './record/call-detail-record';
import { Abilities } from './process/abilities';
import { isBeingSetUpFor, isInConferenceAt } from './process/calls-with-nodes';
import { callsOf } from './process/line-calls';
import { CallProcess } from './process/call-process';
import { type AskedNumber, destinationOf, type LookUp, Routing } from './process/routing';
import { DialogIndex } from './process/dialog-index';
import { GoneNodes } from './process/gone-nodes';
import { FeatureCalls, type FeatureHandlers } from './process/feature-calls';
import { DialogSearch } from './process/dialog-search';
import { Gatherings } from './process/gatherings';
import { Joins } from './process/joins';
import { Parks } from './process/parks';
import { Pickups } from './process/pickups';
import { Takeovers } from './process/takeovers';
import { Survivals } from './survival/survivals';
import { type CallFacts, type CallState, type CallNames, isNamed, namesOf } from './core/call-state';
import { type CallDetail, type CallSummary, detailOf, summaryOf } from './record/call-view';
import type { CallControlDependencies } from './dependencies';
import { callOf } from './session/device-session';
import { speaksDtls } from './session/dtls-device';
import { terminatedCall } from './session/dtls-termination';
import { RETRY_AFTER_SECONDS } from './core/ending';
import { answerTimer, isTimerTooShort, MIN_SE } from './dialog/session-timer';
import type { Route, TransferRoute } from './core/signals';

const DEFAULT_REFRESH_SECONDS = 1800;

interface Refusal {
  readonly status: number;
  readonly reason?: string;
  readonly headers: Headers;
}

type Names = CallNames & { readonly startedAt?: number };

/** All calls of this node: takes what device processes hand over, and ends what is left when the node stops. */
export class CallControl {
  private readonly processes = new Map<string, CallProcess>();
  private readonly abilities = new Abilities();
  private readonly dialogs = new DialogIndex();
  private readonly joins: Joins;
  private readonly pickups: Pickups;
  private readonly parks: Parks;
  private readonly search: DialogSearch;
  private readonly takeovers: Takeovers;
  private readonly gatherings: Gatherings;
  private readonly features: FeatureCalls;
  private readonly survivals: Survivals;
  private draining = false;
  private over = false;
  /** Nodes that are gone: what is done for their calls. */
  private readonly gone: GoneNodes;

  constructor(private readonly deps: CallControlDependencies) {
    this.gone = new GoneNodes(deps.clock, {
      ringsNoMore: (node) => {
        for (const process of [...this.processes.values()]) process.nodeGone(node, true);
      },
      probe: (node) => {
        for (const process of this.processes.values()) process.probe(node, 'The other node is gone', false);
      },
    });
    this.parks = new Parks(
      deps,
      (pid) => this.processes.get(pid),
      (call, route) => this.beginTo(call, () => route).pid,
    );
    this.joins = new Joins(deps, this.dialogs, this.parks);
    this.pickups = new Pickups(
      deps,
      this.dialogs,
      () => this.processes.values(),
      (call, route) => void this.beginTo(call, () => route),
    );
    const handlers: FeatureHandlers = {
      pickup: (call, number) => void this.pickups.take(call, number),
      groupPickup: (call) => void this.pickups.take(call, undefined),
      park: (call, slot) => this.parks.reserve(call, slot),
      retrieve: (call, slot) => this.parks.retrieve(call, slot),
      conference: (call) => this.gatherings.conference(call),
      resume: (call, number) => void this.takeovers.resume(call, number),
      barge: (call, number) => void this.gatherings.barge(call, number),
    };
    const search = new DialogSearch(deps, this.dialogs, () => this.processes.values());
    this.search = search;
    this.takeovers = new Takeovers(deps, this.joins, search, (call, route) => this.beginTo(call, () => route));
    this.gatherings = new Gatherings(
      deps,
      this.dialogs,
      search,
      () => this.processes.values(),
      (call, route) => this.beginTo(call, () => route ?? this.routeOf(call)),
    );
    this.features = new FeatureCalls(deps.featureCodes, handlers, (number) => this.parks.isSlot(number));
    this.survivals = new Survivals(deps, (call, route, names) => void this.beginTo(callOf(call), () => route, names));
  }

  /** A call that a device process has authenticated and normalised. Never throws; a refusal is sent on its session. */
  incoming(received: IncomingCall): void {
    const call = callOf(received);
    if (this.isRefused(call)) return;
    // A call that goes nowhere needs no media termination point.
    if (!speaksDtls(call.from, call.sdp) || this.leadsNowhere(call)) return this.begin(call, call.sdp);
    const names = this.nameOf(call);
    terminatedCall(this.deps, call, names).then(
      (seen) => {
        // It may have begun to drain meanwhile.
        if (!this.isRefused(seen)) this.begin(seen, call.sdp, names);
      },
      (error: unknown) => {
        this.deps.log.warn(
          { ...names, dialled: call.dialled, error: String(error) },
          'call: no media termination point',
        );
        call.session.reject(503);
      },
    );
  }

  private isRefused(call: IncomingCall): boolean {
    const refusal = this.refusalOf(call);
    if (refusal === undefined) return false;
    this.deps.hooks?.refused?.(refusal.status);
    const { status, ...told } = refusal;
    call.session.reject(status, told);
    return true;
  }

  /** `spoken`: the offer as the device made it. */
  private begin(call: IncomingCall, spoken: string | undefined, names?: CallNames): void {
    if (call.pid !== undefined && spoken !== undefined) this.abilities.note(call.pid, spoken, call.sdp);
    if (call.context?.why === 'retrieve') return this.parks.retrieveHere(call, call.dialled);
    if (call.replaces !== undefined && !isForPhone(call)) return this.beginInPlace(call, call.replaces);
    const feature = this.features.asked(call);
    if (feature !== undefined) return this.features.perform(call, feature);
    this.beginTo(call, () => this.routeOf(call), names);
  }

  /** It names a dialog, which it wants to take the place of, or to join. */
  private beginInPlace(call: IncomingCall, replaces: Replaces): void {
    if (call.context?.why === 'barge') return this.gatherings.bargeAt(call, replaces);
    const others = this.deps.otherNodes?.live() ?? [];
    if (call.from.kind === 'station' && others.length > 0 && this.dialogs.find(replaces) === undefined)
      return void this.takeovers.elsewhere(call, replaces);
    this.joins.take(call, replaces);
  }

  private beginTo(call: IncomingCall, route: () => Route, names?: Names): CallProcess {
    const lookUp: LookUp = (asked) => (asked === undefined ? route() : this.routeTo(asked));
    const admits = (asking: CallState, number: string): boolean => this.admits(asking, number);
    const joins = { index: this.dialogs, rules: this.joins };
    const routing = new Routing(this.deps, this.abilities, lookUp, call.target);
    const { hooks } = this.deps;
    const changed = (state: CallState): void => {
      this.parks.follow(state);
      hooks?.changed?.(state);
    };
    const process = new CallProcess(
      { ...this.deps, hooks: { ...hooks, changed } },
      call,
      this.factsOf(call, names ?? this.nameOf(call)),
      routing,
      joins,
      admits,
      (record) => this.finished(record),
      this.survivals,
    );
    this.processes.set(process.pid, process);
    this.deps.hooks?.started?.();
    process.begin();
    return process;
  }

  private leadsNowhere(call: IncomingCall): boolean {
    if (call.replaces !== undefined || this.features.asked(call) !== undefined) return false;
    return this.routeOf(call).type === 'refused';
  }

  /** What the call control of another node asks; undefined: it cannot be understood. */
  answer(question: unknown): unknown {
    return this.survivals.answer(question) ?? this.pickups.answer(question) ?? this.search.answer(question);
  }

  calls(): readonly CallSummary[] {
    return [...this.processes.values()].map((process) => summaryOf(process.snapshot));
  }

  /** `id`: the name of the call in the cluster, or the PID of a call process that has a part of it. */
  call(id: string): CallDetail | undefined {
    const named = (): CallProcess | undefined =>
      [...this.processes.values()].find(({ snapshot }) => hasPart(snapshot, id));
    const process = this.processes.get(id) ?? named();
    return process === undefined ? undefined : detailOf(process.snapshot);
  }

  get count(): number {
    return this.processes.size;
  }

  /**
   * From now on new calls get 503 with Retry-After; those that are there go on, and those of other nodes to devices that are still
   * here are taken.
   */
  drain(): void {
    this.draining = true;
  }

  /** Ends every call; `reason` goes into the BYE. Resources are released without waiting for an answer. */
  endAll(reason: string): void {
    this.over = true;
    this.survivals.stop();
    this.gone.stop();
    for (const process of [...this.processes.values()]) process.end(reason);
  }

  /** The node is there (again), in this incarnation. */
  nodeBack(node: number, boot: number): void {
    const wasGone = this.gone.back(node);
    this.survivals.nodeBack(node, boot);
    if (wasGone) for (const process of [...this.processes.values()]) process.nodeBack(node, boot);
  }

  /**
   * A node is gone. Calls to devices there go on as long as their media do; a conference there is over, and who
   * dials its number again is in it at the next node. Nobody rings for a caller there: he could not be told of the answer.
   */
  nodeGone(node: number): void {
    for (const process of [...this.processes.values()]) {
      if (isInConferenceAt(process.snapshot, node)) process.end('The node of the conference is gone');
      else if (isBeingSetUpFor(process.snapshot, node)) process.end('The node of the caller is gone');
      else process.nodeGone(node);
    }
    this.survivals.nodeGone(node);
    this.gone.gone(node);
  }

  /**
   * A node was started again, or its SIP server: it knows nothing of the calls that it had. It is asked about each: it may be another
   * process with its number that has started, which will not go on, or a call that has begun since.
   */
  nodeRestarted(node: number): void {
    for (const process of [...this.processes.values()]) {
      if (isBeingSetUpFor(process.snapshot, node)) process.end('The node of the caller was started again');
      else process.probe(node, 'The other node was started again', true);
    }
    this.survivals.nodeRestarted(node);
  }

  /** Whether a line of a device of ours takes a call; the devices of a line ring for one call as often as they like. */
  private admits(asking: CallState, number: string): boolean {
    const line = this.deps.lines?.of(number);
    if (line?.busyTrigger === undefined) return true;
    const { busyTrigger } = line;
    const calls = this.callsOf(number).filter((id) => id !== asking.facts.call);
    if (admit(line, calls.length) === 'ok') return true;
    this.deps.log.info({ ...namesOf(asking.facts), line: number, calls, busyTrigger }, 'call: the line is busy');
    return false;
  }

  /** The calls that a line has now, at devices of this node. */
  private callsOf(number: string): readonly string[] {
    return callsOf(
      number,
      [...this.processes.values()].map(({ snapshot }) => snapshot),
    );
  }

  /** A station may not have more calls on its line than that takes. */
  private tooManyCalls({ from, caller }: IncomingCall): boolean {
    const line = from.kind === 'station' ? this.deps.lines?.of(caller.number) : undefined;
    if (line?.maxCalls === undefined) return false;
    const { maxCalls } = line;
    const calls = this.callsOf(caller.number);
    if (mayCall(line, calls.length)) return false;
    this.deps.log.info(
      { device: from.name, line: caller.number, calls, maxCalls },
      'call: its line has its most calls',
    );
    return true;
  }

  private refusalOf(call: IncomingCall): Refusal | undefined {
    if (this.over || (this.draining && call.from.kind !== 'node'))
      return { status: 503, headers: { 'Retry-After': RETRY_AFTER_SECONDS } };
    if (isTimerTooShort(call.header)) return { status: 422, headers: { 'Min-SE': String(MIN_SE) } };
    if (call.sdp !== undefined && !isSdp(call.sdp)) return { status: 488, headers: {} };
    if (this.tooManyCalls(call)) return { status: 403, reason: 'Too Many Calls On This Line', headers: {} };
    return undefined;
  }

  /** A call keeps the name that it was given where it began; its part here has one of its own. */
  private nameOf({ context }: IncomingCall): CallNames {
    const process = this.deps.pids.allocate('cp');
    return { call: context?.call ?? formatProcessId({ pid: process, boot: this.deps.boot }), process };
  }

  private factsOf(call: IncomingCall, { call: name, process: pid, startedAt }: Names): CallFacts {
    const refreshSeconds = Math.max(MIN_SE, this.deps.refreshSeconds ?? DEFAULT_REFRESH_SECONDS);
    const { context } = call;
    return {
      pid,
      call: name,
      passed: context?.passed ?? [],
      forwardedFrom: context?.forwardedFrom ?? [],
      caller: context?.half.party ?? partyAt(call.from, call.caller),
      from: call.from,
      dialled: call.dialled,
      offer: call.sdp,
      maxForwards: call.maxForwards,
      startedAt: startedAt ?? this.deps.clock.now(),
      mediaAddress: this.deps.mediaAddress,
      ...(this.deps.surviveMs === undefined ? {} : { surviveMs: this.deps.surviveMs }),
      refreshSeconds,
      timerHeaders: answerTimer(call.header, refreshSeconds),
    };
  }

  private routeOf(call: IncomingCall): Route {
    try {
      return this.analyse(call);
    } catch (error) {
      this.deps.log.warn({ dialled: call.dialled, error: String(error) }, 'call: digit analysis failed');
      return { type: 'refused', status: 500 };
    }
  }

  /** For a transfer: what the device that asks for it may dial. */
  private routeTo(asked: AskedNumber): TransferRoute {
    const slot = this.parks.routeOf(asked);
    if (slot !== undefined) return slot;
    const { number, from, outside } = asked;
    const options = { localOnly: false, ...(outside ? { numbersOnly: true } : {}), from };
    const analysis = this.deps.digitAnalysis.analyse(number, options);
    if (analysis.type === 'targets') return this.timed(analysis);
    if (analysis.type === 'unknown') return { type: 'refused', status: 404 };
    return { type: 'refused', status: 480, matched: analysis.matched };
  }

  private analyse(call: IncomingCall): Route {
    if (call.target !== undefined) {
      const inPlaceOf = isForPhone(call) ? { inPlaceOf: { replaces: call.replaces, why: 'survive' } as const } : {};
      const branches = [[{ ...destinationOf(call.target, call.dialled), ...inPlaceOf }]];
      return this.timed({ type: 'targets', branches, matched: call.dialled });
    }
    const options = {
      localOnly: call.from.kind === 'node',
      ...(call.caller.outside === true ? { numbersOnly: true } : {}),
      from: call.from.name,
    };
    const analysis = this.deps.digitAnalysis.analyse(call.dialled, options);
    if (analysis.type === 'targets') return this.timed(analysis);
    // A calling node has an entry that leads here: its next one may be right.
    const headers = call.notMine?.() ?? {};
    if (analysis.type === 'unknown') return { type: 'refused', status: 404, headers };
    return { type: 'refused', status: 480, headers, matched: analysis.matched };
  }

  /** With how long the number rings that leads there. */
  private timed(route: Extract<Route, { type: 'targets' }>): Route {
    const number = route.branches.flat().find(({ kind }) => kind === 'station')?.digits;
    const noAnswerMs = number === undefined ? undefined : this.deps.lines?.of(number)?.noAnswerMs;
    return noAnswerMs === undefined ? route : { ...route, noAnswerMs };
  }

  private finished(record: CallDetailRecord): void {
    this.processes.delete(record.pid);
    const { caller, dialled, status, endedBy, reason, talkMs } = record;
    const told = record.reasons.length === 0 ? {} : { told: formatReasons(record.reasons) };
    this.deps.log.record(
      { ...namesOf(record), caller, dialled, status, endedBy, reason, ...told, talkMs },
      'call: over',
    );
    this.deps.hooks?.ended?.(record);
    this.deps.onRecord?.(record);
  }
}

/** A node asks a phone of ours to go on with a call that its call manager has lost: the dialog is one of that phone, and none of ours. */
function isForPhone(call: IncomingCall): call is IncomingCall & { readonly replaces: Replaces } {
  return call.replaces !== undefined && call.context?.why === 'survive' && call.target !== undefined;
}

/** Whether the call has that name, or that call process has a part of it. */
function hasPart({ facts, legs }: CallState, id: string): boolean {
  return isNamed(facts, id) || [...legs.values()].some(({ far }) => far?.process.pid === id);
}
