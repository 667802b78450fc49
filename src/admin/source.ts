/**
 * What the HTTP API shows, as a port: the call manager gives it. Views may hold more than is declared here; what is
 * given is written out as JSON as it is, so no view may hold a password or secret.
 */
export interface AdminSource {
  /** One for each line of each record, and for each route pattern of each gateway's record. Read lazily, in pieces. */
  registrations(): Iterable<RegistrationView>;
  nodes(): Iterable<NodeView>;
  /** Calls in progress, and those that ended lately. */
  calls(): Iterable<CallView>;
  call(id: string): CallView | undefined;
  /** Those of the whole cluster. */
  mediaResources(): Iterable<MediaResourceView>;
  /** Those that this node owns, also without anybody in them. */
  conferences(): Iterable<ConferenceView>;
  /** A conference, whichever node owns it. Never rejects. */
  conference(number: string): Promise<ConferenceOutcome>;
  /** Has a moderator's command followed, whichever node owns the conference. Never rejects. */
  moderate(number: string, command: ModeratorCommand): Promise<CommandOutcome>;
  /** What is set for a line. Undefined: there is no such line. */
  settings(line: string): object | undefined;
  /** Sets, and with null unsets, what is in the change, all of it or nothing: then why not. */
  set(line: string, change: unknown): string | undefined;
  /** What each node that has a device of the line says of its calls. Never rejects. */
  lineState(line: string): Promise<Iterable<object>>;
  /** Why `to`, dialled by `from` (a number or a device name), goes where it goes. Undefined: there is no such caller. */
  explain(from: string, to: string): object | undefined;
  /** In the text format of Prometheus. */
  metricsText(): Promise<string>;
  /** Whether this process works at all: false asks for a restart. */
  alive(): boolean;
  /** Why this node can take no calls; empty when it can. */
  notReady(): readonly string[];
  /** What is wrong with this node and around it although it takes calls, each with what to do; empty: nothing. */
  problems(): readonly string[];
  /** Whether this node's tables are known to equal those of the others. */
  converged(): boolean;
}

export interface RegistrationView {
  /** Directory number, or the pattern of a route. */
  readonly dn: string;
  /** Where only the node is known (tunnelled signalling), the node's name; then what may be undefined is. */
  readonly device: string;
  readonly instance: string | undefined;
  /** Or the node number alone. */
  readonly pid: string;
  readonly boot: number | undefined;
  readonly node: number;
  /** `udp:127.0.0.1:5062`. */
  readonly address: string | undefined;
  /** Whether this node controls it. */
  readonly local: boolean;
  /** Ms since the epoch; 0: never. */
  readonly expiresAt: number;
}

export interface NodeView {
  readonly node: number;
  readonly name: string;
  readonly site: string;
  /** Whether this is the node that was asked. */
  readonly self: boolean;
  readonly state: 'on-line' | 'off-line' | 'unknown';
  /** Incarnation; undefined when it was never heard. */
  readonly boot: number | undefined;
  /** Its SIP address: `127.0.0.1:5060`. */
  readonly address: string | undefined;
  /** Registrations that it controls, as far as this node knows. */
  readonly registrations: number;
  /** Ms since the epoch; undefined: never. */
  readonly lastHeardAt: number | undefined;
  /** What is wrong with it as the node that was asked sees it, each with what to do. */
  readonly problems: readonly string[];
}

export interface CallView {
  /** PID of the call. */
  readonly id: string;
  readonly state: 'setup' | 'ringing' | 'established' | 'held' | 'ended';
  /** The caller's number. */
  readonly caller: string;
  readonly dialled: string;
  /** The calling device. */
  readonly from: string;
  /** The device that answered. */
  readonly to: string | undefined;
  /** Ms since the epoch. */
  readonly startedAt: number;
  readonly answeredAt: number | undefined;
}

export interface ConferenceView {
  readonly number: string;
  readonly name: string;
  readonly pid: string;
  /** Undefined: nobody is in it. */
  readonly bridge: string | undefined;
  /** Nobody else is let in. */
  readonly locked: boolean;
  readonly members: readonly object[];
}

/** What a moderator may want of a conference; `member`: the id of a participant. Each sets a state: given twice it changes nothing more. */
export type ModeratorCommand =
  | { readonly type: 'lock'; readonly locked: boolean }
  | { readonly type: 'mute'; readonly member: string; readonly muted: boolean }
  | { readonly type: 'kick'; readonly member: string };

export type ConferenceFailure =
  | 'unknown-conference'
  | 'unknown-member'
  /** Nobody is in it. */
  | 'empty'
  /** It is configured, and no node has it at the moment. */
  | 'no-owner'
  /** The node that has it did not answer in time. */
  | 'no-answer';

export type ConferenceOutcome =
  { readonly ok: true; readonly conference: ConferenceView } | { readonly ok: false; readonly why: ConferenceFailure };

export type CommandOutcome =
  | {
      readonly ok: true;
      /** False: it stands, and the bridge has not done its part yet. */
      readonly confirmed: boolean;
      /** Of the conference, after `lock`. */
      readonly locked?: boolean;
      /** After `mute`. */
      readonly member?: object;
    }
  | { readonly ok: false; readonly why: ConferenceFailure };

export interface MediaResourceView {
  readonly name: string;
  readonly type: 'moh' | 'transcoder' | 'mtp' | 'conference';
  readonly engine: string;
  readonly node: number;
  readonly site: string | undefined;
  /** Undefined: not registered. */
  readonly pid: string | undefined;
  readonly boot: number | undefined;
  /** Sessions at a time. */
  readonly capacity: number;
  /** Sessions leased; undefined: another node's, not known here. */
  readonly inUse: number | undefined;
  readonly state: 'up' | 'down' | 'unknown';
  /** Why it is down. */
  readonly reason?: string;
}
