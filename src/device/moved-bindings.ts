import type { DeviceConfig } from '../config/types';
import { parseCSeq } from '../sip-message/cseq';
import type { ReceivedRequest } from '../sip/user-agent';
import type { DevicesOptions } from './ports';

/** What a phone said last in a registration. */
export interface LastWord {
  readonly callId: string;
  readonly cseq: number;
}

/** Phones that go back to a node of theirs take leave of the one they were with soon after. */
const REMEMBERED_MS = 3_600_000;
const CAPACITY = 20_000;
/** A request, and the same again with credentials. */
const NEXT_REQUESTS = 2;

/** Bindings that were here and have moved to other nodes, and the removal of those that are elsewhere. */
export class MovedBindings {
  private readonly moved = new Map<string, LastWord & { readonly at: number }>();

  constructor(
    private readonly options: Pick<DevicesOptions, 'boot' | 'clock' | 'composite' | 'node' | 'pids' | 'stamps'>,
  ) {}

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

  /**
   * The phone leaves (a REGISTER that removes), and what it removes is not here. Has it come to us since the node that controls it is silent?
   * Then its binding is taken over and deleted: that node hears of a newer registration and gives its own up (procedure B). A
   * phone that only takes leave of us, whom it has left for that node before, stays there.
   */
  removeElsewhere(device: DeviceConfig, identities: readonly string[] | 'all', request: ReceivedRequest): void {
    if (identities.length === 0) return;
    const { boot, composite, node, pids, stamps } = this.options;
    for (const { owner, record } of [...composite.ofDevice(device.name)]) {
      if (owner === node || (identities !== 'all' && !identities.includes(record.instance))) continue;
      if (this.continues(record.key, request)) continue;
      composite.put(node, { ...record, pid: pids.allocate('dp'), boot, stamp: stamps.next() });
      composite.delete(node, record.key, 'unregistered');
    }
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
