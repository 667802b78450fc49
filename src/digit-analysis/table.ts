import type { RouteConfig } from '../config/types';
import type { CompositeSet, HeldRecord } from '../registration/composite-set';
import type { RegistrationRecord } from '../registration/record';
import type { Analysis, AnalysisOptions, DigitAnalysis, Target } from './analysis';
import { compilePattern, MAX_DIALLED, PatternIndex, type CompiledPattern } from './pattern';
import { nodeName, tunnelled } from './tunnelled';
import { newestFirst, RecordIndex } from './record-index';

export interface TableOptions {
  readonly set: CompositeSet;
  /** Our own node number. */
  readonly localNode: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Numbers that exist though nobody may be registered for them: the configured lines. */
  readonly knownNumbers: Iterable<string>;
  /** Username -> device name: a device can also be called by its username. */
  readonly usernames?: ReadonlyMap<string, string>;
  readonly routes: readonly RouteConfig[];
  /** Claim R14: `tunnelled`: of what is at other nodes only the node number is used. Left out: direct. */
  readonly signalling?: 'direct' | 'tunnelled';
}

/** One line of the registration information table (claim R3). */
export interface TableEntry {
  /** A number, or a route's pattern. */
  readonly dn: string;
  readonly kind: 'station' | 'gateway' | 'conference';
  /** A node's name where only the node is known (claim R14); then what is undefined here is not known. */
  readonly device: string;
  readonly instance: string | undefined;
  /** Or the node number alone. */
  readonly pid: string;
  readonly boot: number | undefined;
  readonly node: number;
  readonly address: string | undefined;
  readonly contact: string | undefined;
  readonly local: boolean;
  /** When the device last registered; ms since the epoch. */
  readonly registeredAt: number;
  /** Ms since the epoch; 0: never. */
  readonly expiresAt: number;
  /** MAC address, configured or reported. */
  readonly mac?: string;
}

/** Why a record was offered or not. */
export type RecordVerdict = 'offered' | 'expired' | 'not-local';

export interface ExplainedRecord extends TableEntry {
  readonly verdict: RecordVerdict;
}

export interface ExplainedPattern {
  readonly pattern: string;
  readonly chosen: boolean;
  readonly why: string;
  /** How many strings of the dialled length it matches, in decimal. */
  readonly matchingStrings: string;
  /** What would be sent to the gateway. */
  readonly digits: string;
  readonly targets: readonly { readonly gateway: string; readonly records: readonly ExplainedRecord[] }[];
}

/** Everything that was looked at for dialled digits, and what came of it. */
export interface DialExplanation {
  readonly dialled: string;
  readonly from: string;
  readonly number:
    { readonly known: boolean; readonly records: readonly ExplainedRecord[]; readonly why: string } | undefined;
  /** Every pattern that matches, best first. */
  readonly patterns: readonly ExplainedPattern[];
  readonly result: Analysis;
}

/**
 * The registration information table (claims R3, R4): dialled digits to the processes that may be called. It follows
 * the composite set by itself; numbers are a hash look-up, and a number beats every pattern.
 */
export class RegistrationInformationTable implements DigitAnalysis {
  private readonly records: RecordIndex;
  private readonly known: ReadonlySet<string>;
  private readonly routes: PatternIndex<RouteConfig>;

  /** Throws when a route's pattern is none; the configuration has checked that. */
  constructor(private readonly options: TableOptions) {
    this.records = new RecordIndex(options.set);
    this.known = new Set(options.knownNumbers);
    this.routes = new PatternIndex(
      options.routes.map((route) => {
        const pattern = compilePattern(route.pattern);
        if (pattern === undefined) throw new Error(`not a pattern: ${route.pattern}`);
        return { pattern, value: route };
      }),
    );
  }

  analyse(dialled: string, { localOnly, numbersOnly }: AnalysisOptions): Analysis {
    if (dialled.length === 0 || dialled.length > MAX_DIALLED) return { type: 'unknown' };
    const held = this.stationsOf(dialled);
    if (held !== undefined) return this.asAnalysis(dialled, dialled, this.stationBranches(dialled, held, localOnly));
    const best = numbersOnly ? undefined : this.routes.candidates(dialled)[0];
    if (best === undefined) return { type: 'unknown' };
    const gateways = this.gatewayTargets(best.pattern, best.value, dialled, localOnly);
    return this.asAnalysis(best.pattern.text, dialled, gateways.length === 0 ? [] : [gateways]);
  }

  /** As `analyse` for one of our own devices (`numbersOnly`: a gateway), with everything that was looked at. */
  explain(dialled: string, from: string, numbersOnly = false): DialExplanation {
    const held = this.stationsOf(dialled);
    const candidates = this.routes.candidates(dialled);
    return {
      dialled,
      from,
      number: held && {
        known: this.known.has(dialled) || this.options.usernames?.has(dialled) === true,
        records: newestFirst(held).map((each) => this.explainRecord(dialled, each)),
        why: 'a number: it goes before every pattern',
      },
      patterns: candidates.map(({ pattern, value }, index) => ({
        pattern: pattern.text,
        chosen: held === undefined && index === 0 && !numbersOnly,
        why:
          held !== undefined
            ? 'the number goes first'
            : numbersOnly
              ? 'calls of a gateway reach numbers only'
              : index === 0
                ? 'closest match'
                : 'matches more strings, or as many and stands later',
        matchingStrings: pattern.matching(dialled.length).toString(),
        digits: pattern.strip(dialled),
        targets: value.targets.map((gateway) => ({
          gateway,
          records: newestFirst(this.records.gateway(gateway)).map((each) => this.explainRecord(pattern.text, each)),
        })),
      })),
      result: this.analyse(dialled, { localOnly: false, numbersOnly, from }),
    };
  }

  /** The whole table: each number of each record, and each route's pattern for each record of its gateways. */
  *entries(): IterableIterator<TableEntry> {
    for (const [number, records] of this.records.allNumbers()) yield* this.entriesOf(number, records);
    for (const { pattern, targets } of this.options.routes)
      yield* this.entriesOf(
        pattern,
        targets.flatMap((gateway) => this.records.gateway(gateway)),
      );
  }

  private *entriesOf(dn: string, records: readonly HeldRecord[]): IterableIterator<TableEntry> {
    const nodes = new Set<number>();
    for (const held of records) {
      if (this.isNodeOnly(held.owner)) {
        if (nodes.has(held.owner)) continue;
        nodes.add(held.owner);
      }
      yield this.entry(dn, held);
    }
  }

  /** Claim R14: of this owner's devices only the node number is used. */
  private isNodeOnly(owner: number): boolean {
    return this.options.signalling === 'tunnelled' && owner !== this.options.localNode;
  }

  /** The records of a number or username that exists; undefined when it does not. */
  private stationsOf(dialled: string): readonly HeldRecord[] | undefined {
    const held = this.records.byNumber(dialled);
    if (held.length > 0 || this.known.has(dialled)) return held;
    const device = this.options.usernames?.get(dialled);
    return device === undefined ? undefined : this.records.station(device);
  }

  /** Different binding keys ring together; one key at several owners is one branch, newest first (claims R11, R12). */
  private stationBranches(dialled: string, held: readonly HeldRecord[], localOnly: boolean): Target[][] {
    const branches = new Map<string, Target[]>();
    for (const each of newestFirst(held)) {
      if (this.verdict(each, localOnly) !== 'offered') continue;
      // A node checks the digits against the lines of the device: a username is nothing that it could find there.
      const digits = each.record.lines.includes(dialled) ? dialled : (each.record.lines[0] ?? dialled);
      const target = this.target(each, 'station', digits);
      const branch = branches.get(each.record.key);
      if (branch === undefined) branches.set(each.record.key, [target]);
      else branch.push(target);
    }
    return [...branches.values()];
  }

  private gatewayTargets(pattern: CompiledPattern, route: RouteConfig, dialled: string, localOnly: boolean): Target[] {
    const digits = pattern.strip(dialled);
    return route.targets.flatMap((gateway) =>
      newestFirst(this.records.gateway(gateway))
        .filter((held) => this.verdict(held, localOnly) === 'offered')
        .map((held) => this.target(held, 'gateway', digits)),
    );
  }

  /** Only the owner knows that a record has expired: it may have been refreshed there a moment ago. */
  private verdict({ owner, record }: HeldRecord, localOnly: boolean): RecordVerdict {
    const local = owner === this.options.localNode;
    if (localOnly && !local) return 'not-local';
    return local && record.expiresAt > 0 && record.expiresAt <= this.options.now() ? 'expired' : 'offered';
  }

  private target({ owner, record }: HeldRecord, kind: Target['kind'], digits: string): Target {
    const { pid, boot, device } = record;
    return { pid, boot, node: owner, local: owner === this.options.localNode, device, kind, digits };
  }

  private entry(dn: string, { owner, record }: HeldRecord): TableEntry {
    if (this.isNodeOnly(owner)) return nodeEntry(dn, owner, record);
    return {
      dn,
      kind: shownKind(record),
      device: record.device,
      instance: record.instance,
      pid: record.pid,
      boot: record.boot,
      node: owner,
      address: record.address,
      contact: record.contact,
      local: owner === this.options.localNode,
      registeredAt: record.stamp.ms,
      expiresAt: record.expiresAt,
      ...(record.mac === undefined ? {} : { mac: record.mac }),
    };
  }

  private asAnalysis(matched: string, dialled: string, branches: readonly (readonly Target[])[]): Analysis {
    if (branches.length === 0) return { type: 'unregistered', matched };
    const shown = this.options.signalling === 'tunnelled' ? tunnelled(branches, dialled) : branches;
    return { type: 'targets', branches: shown, matched };
  }

  private explainRecord(dn: string, held: HeldRecord): ExplainedRecord {
    return { ...this.entry(dn, held), verdict: this.verdict(held, false) };
  }
}

function shownKind({ kind }: Pick<RegistrationRecord, 'kind'>): TableEntry['kind'] {
  return kind === 'media-resource' ? 'station' : kind;
}

function nodeEntry(dn: string, node: number, { kind, stamp, expiresAt }: RegistrationRecord): TableEntry {
  return {
    dn,
    kind: shownKind({ kind }),
    device: nodeName(node),
    instance: undefined,
    pid: String(node),
    boot: undefined,
    node,
    address: undefined,
    contact: undefined,
    local: false,
    registeredAt: stamp.ms,
    expiresAt,
  };
}
