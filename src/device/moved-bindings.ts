import type { DeviceConfig } from '../config/types';
import { compareStamps, type Stamp } from '../process/hlc';
import { bindingKey } from '../registration/binding-key';
import type { RegistrationRecord } from '../registration/record';
import { parseCSeq } from '../sip-message/cseq';
import type { ReceivedRequest } from '../sip/user-agent';
import { isConnectionBound } from './outgoing';
import type { DevicesOptions } from './ports';
import type { Registration } from './station';

/** What a phone said last in a registration. */
export interface LastWord {
  readonly callId: string;
  readonly cseq: number;
}

/** A binding as it was here. */
export interface KeptBinding {
  readonly device: DeviceConfig;
  readonly registration: Registration;
}

/** Phones that go back to a node of theirs take leave of the one they were with soon after. */
const REMEMBERED_MS = 3_600_000;
const CAPACITY = 20_000;
/** A request, and the same again with credentials. */
const NEXT_REQUESTS = 2;

/** Bindings that were here and have moved to other nodes, and the removal of those that are elsewhere. */
export class MovedBindings {
  private readonly moved = new Map<string, LastWord & { readonly at: number }>();
  /** By binding key: what comes back when the newer registration turns out to be none. The cluster says how long it is kept. */
  private readonly kept = new Map<string, KeptBinding>();
  /** Devices that have left with everything that they have anywhere: until when something of that may turn up. */
  private readonly left = new Map<string, { readonly stamp: Stamp; readonly until: number }>();

  constructor(
    private readonly options: Pick<
      DevicesOptions,
      'boot' | 'clock' | 'composite' | 'config' | 'journal' | 'node' | 'pids' | 'stamps'
    >,
  ) {
    for (const { of, name, stamp, until } of options.journal?.buried() ?? [])
      if (of === 'device') this.left.set(name, { stamp, until });
    options.composite.onChange(({ type, owner, record }) => {
      if (type === 'put') this.endWhatHasLeft(owner, record);
    });
  }

  /** What other nodes have told before this was made. */
  start(): void {
    if (this.left.size > 0)
      for (const { owner, record } of [...this.options.composite.all()]) this.endWhatHasLeft(owner, record);
  }

  /** The phone has registered with another node since. */
  note(key: string, { callId, cseq }: LastWord): void {
    const now = this.options.clock.now();
    this.moved.delete(key);
    this.moved.set(key, { callId, cseq, at: now });
    for (const [oldest, { at }] of this.moved) {
      if (this.moved.size <= CAPACITY && now - at < REMEMBERED_MS) return;
      this.moved.delete(oldest);
    }
  }

  keep(key: string, binding: KeptBinding): void {
    this.kept.set(key, binding);
  }

  /** What was kept of the binding, once. */
  take(key: string): KeptBinding | undefined {
    const kept = this.kept.get(key);
    this.kept.delete(key);
    return kept;
  }

  /** It does not come back, not after a restart either. */
  settle(key: string): void {
    this.kept.delete(key);
    this.options.journal?.delete(key);
  }

  /** This connection is closed: what came over it does not come back. Without one: all of them. */
  connectionClosed(flow?: string): void {
    for (const [key, { registration }] of this.kept) {
      const { source } = registration;
      if (isConnectionBound(source) && (flow === undefined || source.flow === flow)) this.kept.delete(key);
    }
  }

  /**
   * The phone leaves (a REGISTER that removes), and what it removes is not here. Has it come to us since the node that controls it is silent?
   * Then its binding is taken over and deleted: that node hears of a newer registration and gives its own up (procedure B). A
   * phone that only takes leave of us, whom it has left for that node before, stays there. What nobody here knows of is ended all
   * the same: its node may be cut off, or down, and come back with it. `wasHere`: it was registered here, and may mean no more than that.
   */
  removeElsewhere(
    device: DeviceConfig,
    identities: readonly string[] | 'all',
    request: ReceivedRequest,
    wasHere: boolean,
  ): void {
    const { composite, node, stamps } = this.options;
    const elsewhere = composite.ofDevice(device.name).filter(({ owner }) => owner !== node);
    for (const [key, { device: of, registration }] of this.kept)
      if (of.name === device.name && (identities === 'all' || identities.includes(registration.binding.identity)))
        this.settle(key);
    if (identities === 'all') {
      const meant = elsewhere.filter(({ record }) => !this.continues(record.key, request));
      for (const { record } of meant) this.end(record);
      // Who only takes leave of us has something elsewhere that stays.
      if (!wasHere && meant.length === elsewhere.length) this.leaves(device);
      return;
    }
    for (const identity of identities) {
      const key = bindingKey(device.name, identity);
      if (this.continues(key, request)) continue;
      const known = elsewhere.find(({ record }) => record.key === key)?.record;
      this.end(known ?? this.unknown(device, identity), stamps.next());
    }
  }

  /** Told to all, as ours with a newer stamp that is deleted at once: from then on the cluster knows what is older as dead. */
  private end(record: RegistrationRecord, stamp = this.options.stamps.next()): void {
    const { boot, composite, node, pids } = this.options;
    composite.put(node, { ...record, pid: pids.allocate('dp'), boot, stamp });
    composite.delete(node, record.key, 'unregistered');
  }

  private unknown(device: DeviceConfig, identity: string): RegistrationRecord {
    const { boot, node, stamps } = this.options;
    return {
      key: bindingKey(device.name, identity),
      kind: 'station',
      device: device.name,
      lines: [],
      instance: identity,
      pid: `${node}.dp.0`,
      boot,
      contact: '',
      address: '',
      stamp: stamps.next(),
      expiresAt: this.longestLife,
    };
  }

  /** Whatever was registered until now is over by then. */
  private get longestLife(): number {
    return this.options.clock.now() + this.options.config.registrar.maxExpires * 1000;
  }

  private leaves({ name }: DeviceConfig): void {
    const { clock, journal, stamps } = this.options;
    const [now, stamp, until] = [clock.now(), stamps.next(), this.longestLife];
    this.left.delete(name);
    this.left.set(name, { stamp, until });
    journal?.bury({ of: 'device', name, stamp, until });
    for (const [oldest, { until: end }] of this.left) {
      if (this.left.size <= CAPACITY && now < end) return;
      this.left.delete(oldest);
      journal?.exhume({ of: 'device', name: oldest });
    }
  }

  private endWhatHasLeft(owner: number, record: RegistrationRecord): void {
    const left = owner === this.options.node ? undefined : this.left.get(record.device);
    if (left === undefined || compareStamps(record.stamp, left.stamp) > 0) return;
    if (this.options.clock.now() < left.until) this.end(record, left.stamp);
  }

  /** The request follows at once upon the last one of the registration that was here, and is about that. */
  private continues(key: string, request: ReceivedRequest): boolean {
    const last = this.moved.get(key);
    const cseq = parseCSeq(request.header('CSeq') ?? '')?.number;
    return (
      last !== undefined && cseq !== undefined && last.callId === request.callId && cseq - last.cseq <= NEXT_REQUESTS
    );
  }
}
