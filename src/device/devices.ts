import type { Pid } from '../process/pid';
import { DigestAuthenticator } from '../sip/digest';
import { configuredHosts, SipDomain } from '../sip/domain';
import { Guesses } from '../sip/guesses';
import { NodeSignature } from '../sip/node-signature';
import { NonceSource } from '../sip/nonce';
import { parseNameAddr } from '../sip-message/name-addr';
import { refuseUnreadable } from '../sip/request-checks';
import { refuseBeforeAuthentication, type RegisterResponse } from '../sip/registrar';
import type {
  Headers,
  IncomingInvite,
  ListenAddress,
  ReceivedRequest,
  ResponseOptions,
  ServerTransaction,
  Session,
  UserAgentEvents,
} from '../sip/user-agent';
import { AutoRegistration } from './auto-registration';
import { Callers, type Caller, type Refusal, withoutType } from './callers';
import { ConfiguredDevices } from './configured-devices';
import type { IncomingCall } from './device-process';
import type { Gateway } from './gateway';
import { Gateways } from './gateways';
import { nodeCaller, readInvite, refuse, stationCaller, wantedProcess, type InviteContents } from './incoming';
import { Lateness } from './lateness';
import { NodeRouter } from './node-router';
import { answerOther, asksWhetherWeLive, refuseOptions } from './other-requests';
import { comparable, outsideCaller, type InternalNames } from './outside-caller';
import type { DevicesOptions, MovedOutcome, OtherProcesses } from './ports';
import { RefusalLog } from './refusal-log';
import { tellRefusal } from './refusals';
import { isSips, notAllowed, refuseInsecure } from './sips';
import type { Station } from './station';
import { RETRY_AFTER_SECONDS, Stations } from './stations';

type WithoutSession = Omit<IncomingCall, 'session' | 'header' | 'sdp' | 'maxForwards'>;

/**
 * The front of the room: takes every request from outside a dialog, finds out who sends it, and gives it to the device
 * process concerned. Nothing received throws out of here.
 */
export class Devices implements UserAgentEvents {
  /** Also for signed headers of other rooms (`seal`, `open`). */
  readonly signature: NodeSignature;
  readonly domain: SipDomain;
  /** The way to the process behind a PID, of whatever node. */
  readonly router: NodeRouter;
  private readonly configured: ConfiguredDevices;
  private readonly automatic: AutoRegistration | undefined;
  private readonly callers: Callers;
  private readonly stationTable: Stations;
  private readonly gatewayTable: Gateways;
  /** What a caller from outside must not be taken for. */
  private readonly names: InternalNames;
  private readonly refusals: RefusalLog;
  private readonly lateness: Lateness;
  private draining = false;
  private listen: readonly ListenAddress[] = [];
  private serverIsSilent = false;

  constructor(private readonly options: DevicesOptions) {
    const { config, node, boot, clock, metrics } = options;
    const { secret, domain } = config.cluster;
    const now = (): number => clock.now();
    this.domain = new SipDomain(domain, configuredHosts(config));
    this.configured = new ConfiguredDevices(config);
    this.automatic =
      config.autoRegistration &&
      new AutoRegistration({
        room: options,
        config: config.autoRegistration,
        store: options.givenNumbers,
        isConfigured: (name) => this.configured.hasName(name),
      });
    this.configured.given = this.automatic;
    this.refusals = new RefusalLog(options.log, now);
    this.lateness = new Lateness(options);
    this.names = {
      isNumber: (user) => this.configured.isNumber(user),
      displayNames: new Set(
        [...config.devices, ...config.numbers].flatMap(({ displayName: name }) => (name ? [comparable(name)] : [])),
      ),
    };
    this.signature = new NodeSignature({ secret, node, boot, now, clockOffsetOf: options.clockOffsetOf });
    this.router = new NodeRouter({
      room: options,
      configured: this.configured,
      domain: this.domain,
      signature: this.signature,
      ownProcess: (pid) => this.ownProcess(pid),
      refusals: this.refusals,
    });
    this.stationTable = new Stations(options, this.configured, this.domain);
    this.gatewayTable = new Gateways(options, this.configured, this.domain, () => this.canAsk());
    const digest = new DigestAuthenticator({
      accounts: this.configured.accounts(),
      domain: this.domain,
      nonces: new NonceSource({ secret, node, boot, now }),
      guesses: new Guesses({ now }),
    });
    this.callers = new Callers({
      domain: this.domain,
      digest,
      signature: this.signature,
      devices: this.configured,
      gateways: this.gatewayTable,
      stations: this.stationTable,
      automatic: this.automatic,
      looksAtPages: options.flows !== undefined,
      refusals: this.refusals,
      metrics,
    });
  }

  /** Once the user agent is connected, with what it listens on: restores registrations, takes its gateways. */
  start(listen: readonly ListenAddress[]): void {
    this.serverChanged(listen);
    const journaled = this.options.journal?.bindings() ?? [];
    this.stationTable.restore(journaled.filter(({ record }) => record.kind === 'station'));
    this.gatewayTable.start(journaled.filter(({ record }) => record.kind === 'gateway'));
  }

  /**
   * No new registrations and calls from now on: they go elsewhere, and so do the phones that are here, as far as they can
   * be moved in the time that there is (claim R15).
   */
  drain(withinMs: number): void {
    this.draining = true;
    this.stationTable.drain(withinMs);
  }

  /** As `Stations.movedBinding`. */
  movedBinding(key: string, outcome: MovedOutcome): void {
    this.stationTable.movedBinding(key, outcome);
    this.gatewayTable.movedBinding(key, outcome);
  }

  /** Phones that could still move before a stop. */
  get waitingToMove(): number {
    return this.stationTable.waitingToMove;
  }

  /** As `Stations.homes`. */
  homes(): ReadonlyMap<string, number | undefined> {
    return this.stationTable.homes();
  }

  /** Takes everything of ours off the table; the journal is kept for the next start. */
  stop(): void {
    this.draining = true;
    this.stationTable.stop();
    this.gatewayTable.stop();
  }

  /** To be called whenever a node has come or gone. */
  membershipChanged(): void {
    this.gatewayTable.membershipChanged();
  }

  readonly serverChanged = (listen: readonly ListenAddress[]): void => {
    this.listen = listen;
    for (const { address } of listen) this.domain.addListener(address);
    if (listen.length > 0) {
      if (this.canAsk()) this.stationTable.serverFound();
      return;
    }
    this.stationTable.serverLost();
    this.gatewayTable.dropConnections();
  };

  /** The SIP server is connected and does not answer, or answers again: nobody is judged meanwhile by what does not come. */
  serverSilent(silent: boolean): void {
    this.serverIsSilent = silent;
    if (silent) this.stationTable.serverSilent();
    else if (this.canAsk()) this.stationTable.serverFound();
  }

  private canAsk(): boolean {
    return this.listen.length > 0 && !this.serverIsSilent;
  }

  readonly requested = (transaction: ServerTransaction): void => {
    const fail = (): void => transaction.respond(500);
    const answer = (): void => this.guard(() => this.answerRequest(transaction), fail);
    this.lateness.judge(transaction.request, answer, () => transaction.respond(408));
  };

  readonly invited = ({ request, session, trustRoute }: IncomingInvite): void => {
    const fail = (): void => session.reject(500);
    const admit = (): void => this.guard(() => this.admitInvite(request, session, trustRoute), fail);
    this.lateness.judge(request, admit, () => session.reject(408));
  };

  /** The process of ours with this PID; undefined when it is gone. */
  ownProcess(pid: Pid): OwnProcess | undefined {
    const device = this.stationTable.withPid(pid) ?? this.gatewayTable.withPid(pid);
    return device ?? this.options.otherProcesses?.withPid(pid);
  }

  stations(): readonly Station[] {
    return this.stationTable.all();
  }

  gateways(): readonly Gateway[] {
    return this.gatewayTable.all();
  }

  get registrationCount(): number {
    return this.stationTable.size;
  }

  private answerRequest(transaction: ServerTransaction): void {
    const { request } = transaction;
    const { status, ...options } = this.judgeRequest(request);
    transaction.respond(status, options);
  }

  private judgeRequest(request: ReceivedRequest): ResponseOptions & { status: number } {
    const unreadable = refuseUnreadable(request.method, request.header, request.body);
    if (unreadable !== undefined) return this.told(request, unreadable);
    const insecure = refuseInsecure(request, this.domain.name);
    if (insecure !== undefined) return this.told(request, withoutType(insecure));
    if (this.draining && request.method !== 'REGISTER') return unavailable();
    if (request.method !== 'REGISTER' && hasTag(request.header('To')))
      return { status: 481, reason: 'Call/Transaction Does Not Exist' };
    const early = request.method === 'REGISTER' ? refuseBeforeAuthentication(request, this.domain) : undefined;
    if (early !== undefined) return this.told(request, early);
    const refused = refuseOptions(request, this.domain);
    if (refused !== undefined) return this.told(request, refused);
    if (asksWhetherWeLive(request)) return answerOther(request);
    const caller = this.identify(request);
    if (caller.type === 'refused') return this.told(request, withoutType(caller));
    return request.method === 'REGISTER' ? this.told(request, this.register(request, caller)) : answerOther(request);
  }

  /** Who proves who it is lives (claim R7); a REGISTER says so itself. */
  private identify(request: ReceivedRequest): Caller | Refusal {
    const caller = this.callers.identify(request);
    if (caller.type === 'station' && request.method !== 'REGISTER')
      this.stationTable.seen(caller.device.name, request.source);
    return caller;
  }

  private register(request: ReceivedRequest, caller: Caller): ResponseOptions & { status: number } {
    switch (caller.type) {
      case 'station':
        return this.stationTable.register(request, caller.device, caller.nonceIssuedAt);
      case 'gateway':
        if (this.draining) return unavailable();
        return this.gatewayTable.register(request, caller.gateway, caller.nonceIssuedAt ?? 0);
      case 'automatic':
        return this.registerAutomatic(request, caller.nonceIssuedAt);
      case 'node':
        return { status: 403, reason: 'Forbidden' };
    }
  }

  /** A device that is not configured: it is given a number and told so (claim R16). */
  private registerAutomatic(request: ReceivedRequest, nonceIssuedAt: number): RegisterResponse {
    const { automatic } = this;
    if (automatic === undefined) return { status: 403, reason: 'Not From Here', headers: {} };
    const device = automatic.deviceFor(request);
    if ('status' in device) return device;
    // Another device turned out to have had its number first.
    for (const station of this.stationTable.of(device.name))
      if (station.device !== device) this.stationTable.remove(station.key, 'replaced');
    const response = this.stationTable.register(request, device, nonceIssuedAt);
    if (response.status !== 200) return response;
    return { ...response, headers: { ...response.headers, ...automatic.headersFor(device) } };
  }

  private admitInvite(request: ReceivedRequest, session: Session, trustRoute: () => void): void {
    const call = this.judgeInvite(request, session, trustRoute);
    if (!('type' in call)) {
      this.options.onCall(call);
      return;
    }
    const { status, ...options } = this.told(request, withoutType(call));
    session.reject(status, options);
  }

  private judgeInvite(request: ReceivedRequest, session: Session, trustRoute: () => void): IncomingCall | Refusal {
    const unreadable = refuseUnreadable(request.method, request.header, request.body);
    if (unreadable !== undefined) return { type: 'refused', ...unreadable };
    const insecure = refuseInsecure(request, this.domain.name);
    if (insecure !== undefined) return insecure;
    const caller = this.identify(request);
    // Phones that are still here are called until they have moved; who calls goes elsewhere.
    if (this.draining && caller.type !== 'node') return { type: 'refused', ...unavailable() };
    if (caller.type === 'refused') return caller;
    if (caller.type === 'node' || (caller.type === 'gateway' && caller.gateway.uri !== undefined)) trustRoute();
    // A gateway may know us by whatever name its network has for us: its calls reach our numbers, and nothing else.
    const contents = readInvite(request, caller.type === 'gateway' ? undefined : this.domain);
    return 'type' in contents ? contents : this.toCall(request, session, caller, contents);
  }

  private toCall(
    request: ReceivedRequest,
    session: Session,
    caller: Caller,
    contents: InviteContents,
  ): IncomingCall | Refusal {
    const part = this.describe(request, caller, contents);
    if ('type' in part) return part;
    // Sign of life: the SIP server passes no 100 on to the calling node.
    if (caller.type === 'node') session.progress(183);
    const digest = caller.type === 'gateway' ? this.gatewayTable.credentials.of(caller.gateway) : undefined;
    if (digest !== undefined) session.useCredentials?.(digest);
    const station =
      caller.type === 'station' ? this.stationTable.through(caller.device.name, request.source) : undefined;
    if (station?.isAt(request.source) === true) session.followPeer?.(station.followed());
    const { target: _target, ...asked } = contents;
    const secure = isSips(request.uri) ? { secure: notAllowed(this.domain.name) } : {};
    return { ...part, ...secure, ...asked, session, header: request.header };
  }

  private describe(request: ReceivedRequest, caller: Caller, contents: InviteContents): WithoutSession | Refusal {
    const { dialled } = contents.target;
    switch (caller.type) {
      case 'station': {
        const { device } = caller;
        const station = this.stationTable.through(device.name, request.source);
        const signallingAddress = request.source.address;
        const from = station?.profile ?? { ...this.configured.stationProfile(device), signallingAddress };
        const shown = stationCaller(request, device, this.names, this.options.lines);
        return { from, pid: station?.pid, caller: shown, dialled, target: undefined };
      }
      case 'gateway': {
        const { gateway } = caller;
        const from = this.configured.gatewayProfile(gateway);
        const pid = this.gatewayTable.named(gateway.name)?.pid;
        return { from, pid, caller: outsideCaller(request.header, gateway, this.names), dialled, target: undefined };
      }
      case 'automatic':
        return refuse(403, 'Register First');
      case 'node':
        return this.describeNodeCall(request, caller, contents);
    }
  }

  private describeNodeCall(
    request: ReceivedRequest,
    { node, outside }: Extract<Caller, { type: 'node' }>,
    { target }: InviteContents,
  ): WithoutSession | Refusal {
    const known = nodeCaller(request, outside);
    if ('type' in known) return known;
    const from = this.configured.nodeProfile(node);
    const call: WithoutSession = { ...known, from, pid: undefined, dialled: target.dialled, target: undefined };
    if (target.pid === undefined) return { ...call, notMine: () => this.router.notMine(request.callId, node) };
    const wanted = wantedProcess(target);
    if (wanted === undefined) return refuse(400, 'Bad Process Identifier');
    const process = wanted.boot === this.options.boot ? this.ownProcess(wanted.pid) : undefined;
    if (outside && process?.profile.kind === 'gateway') return refuse(403, 'From Gateway To Gateway');
    if (process !== undefined && takes(process, target.dialled)) return { ...call, target: process };
    return refuse(410, 'Not Mine', this.router.notMine(request.callId, node, wanted));
  }

  /** Every refusal leaves a trace; a first request without credentials is none. */
  private told<A extends ResponseOptions & { readonly status: number }>(request: ReceivedRequest, answer: A): A {
    const { status } = answer;
    if (status >= 300 && status !== 401 && status !== 407) tellRefusal(this.refusals, request, answer);
    return answer;
  }

  private guard(work: () => void, fail: () => void): void {
    try {
      work();
    } catch (error) {
      this.options.metrics.count('tandem_errors_total', { room: 'device' });
      this.options.log.error({ error }, 'handling a request failed');
      fail();
    }
  }
}

function unavailable(): { status: number; reason: string; headers: Headers } {
  return { status: 503, reason: 'Draining', headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } };
}

type OwnProcess = Station | Gateway | NonNullable<ReturnType<OtherProcesses['withPid']>>;

/** A station takes its own lines; a gateway takes whatever the route pattern leaves. */
function takes(process: OwnProcess, digits: string): boolean {
  if ('takes' in process) return process.takes(digits);
  return process.profile.kind === 'gateway' || ('device' in process && process.device.lines.includes(digits));
}

function hasTag(header: string | undefined): boolean {
  return header !== undefined && parseNameAddr(header)?.params.has('tag') === true;
}
