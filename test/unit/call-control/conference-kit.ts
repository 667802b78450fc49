import { Conference } from '../../../src/call-control/conference/conference';
import type { ConferenceConfig } from '../../../src/config/types';
import type { DeviceProfile } from '../../../src/device/device-process';
import type {
  Allocation,
  AllocationResult,
  LossReason,
  MediaResourceManager,
  ResourceNeed,
  ResourceReply,
} from '../../../src/media-resource/ports';
import type { Clock } from '../../../src/process/clock';
import type { Session, SessionSignal } from '../../../src/sip/user-agent';

export function sdp(direction = 'sendrecv', port = 4000): string {
  return `v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 8\r\na=${direction}\r\n`;
}

export function station(name: string): DeviceProfile {
  const nothing = { mediaResourceGroupList: undefined, userClass: undefined, codecs: undefined };
  return { name, kind: 'station', site: 'dallas', ...nothing };
}

/** A place at a bridge that says what it is asked. */
export class FakePlace implements Allocation {
  readonly pid: string;
  readonly boot = 1;
  readonly asked: string[] = [];
  released = false;
  answers: ResourceReply = { ok: true, sdp: sdp('sendrecv', 6000) };
  /** What it says when it is to mute or unmute; undefined: nothing, ever. */
  muting: ResourceReply | undefined = { ok: true };
  private readonly listeners: ((reason: LossReason) => void)[] = [];

  constructor(
    readonly id: string,
    readonly device: string,
    readonly room: string | undefined,
  ) {
    this.pid = `1.mp.${device.length}`;
  }

  private async ask(what: string, reply: ResourceReply): Promise<ResourceReply> {
    this.asked.push(what);
    return reply;
  }

  offer = () => this.ask('offer', this.answers);
  connect = ({ answer }: { answer: string }) => this.ask(`connect ${/a=(\w+)/.exec(answer)?.[1] ?? ''}`, { ok: true });
  accept = () => this.ask('accept', this.answers);
  control = (muted: boolean) => {
    const { muting } = this;
    if (muting !== undefined) return this.ask(`muted ${muted}`, muting);
    this.asked.push(`muted ${muted}`);
    return new Promise<never>(() => undefined);
  };
  async release(): Promise<void> {
    this.released = true;
  }
  onLost(listener: (reason: LossReason) => void): void {
    this.listeners.push(listener);
  }
  lose(reason: LossReason = 'down'): void {
    for (const listener of this.listeners.splice(0)) listener(reason);
  }
}

export class FakeManager implements MediaResourceManager {
  readonly needs: ResourceNeed[] = [];
  readonly places: FakePlace[] = [];
  /** In order; the first that is not excluded grants. */
  bridges = ['bridge-a', 'bridge-bb'];
  answers: ResourceReply | undefined;
  /** Allocations that talk; undefined: the bridge cannot tell. */
  talking: readonly string[] | undefined;

  async talkers(_process: object, allocations: readonly string[]): Promise<ReadonlySet<string> | undefined> {
    const { talking } = this;
    return talking === undefined ? undefined : new Set(allocations.filter((id) => talking.includes(id)));
  }

  get open(): number {
    return this.places.filter(({ released }) => !released).length;
  }

  async allocate(need: ResourceNeed, why: string): Promise<AllocationResult> {
    this.needs.push(need);
    const able = this.bridges.filter((name) => need.exclude?.includes(name) !== true);
    const winner = able.find((name) => need.at === undefined || need.at === name);
    const place = winner === undefined ? undefined : new FakePlace(`${this.places.length}`, winner, need.room);
    if (place !== undefined) {
      if (this.answers !== undefined) place.answers = this.answers;
      this.places.push(place);
    }
    const { type, device } = need;
    const explanation = {
      type,
      why,
      device,
      list: 'dallas',
      listFrom: 'site',
      trials: [],
      winner,
      at: 0,
      ms: 0,
    } as const;
    return { allocation: place, explanation };
  }
}

export class FakeClock implements Clock {
  private readonly timers = new Set<{ readonly at: number; readonly fire: () => void }>();
  private time = 0;

  now(): number {
    return this.time;
  }

  setTimer(ms: number, fire: () => void): () => void {
    const timer = { at: this.time + ms, fire };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  get pending(): number {
    return this.timers.size;
  }

  pass(ms: number): void {
    this.time += ms;
    for (const timer of [...this.timers]) if (timer.at <= this.time && this.timers.delete(timer)) timer.fire();
  }
}

/** Everything that promises have to say. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

export function open(change: Partial<ConferenceConfig> = {}) {
  const manager = new FakeManager();
  const clock = new FakeClock();
  const config: ConferenceConfig = {
    ...{ number: '8000', name: 'team', type: 'meet-me', nodes: [1], maxMembers: 3, endPolicy: 'last-leaves' },
    ...change,
  };
  let rooms = 0;
  let emptied = 0;
  const conference = new Conference({
    config,
    number: '8000',
    pid: '1.cf.1',
    boot: 1,
    profile: { ...station('team'), kind: 'conference' },
    resources: manager,
    clock,
    log: { info: () => undefined, warn: () => undefined },
    newRoom: () => `room-${++rooms}`,
    initiatorOf: ({ from }) => ({ device: from?.name ?? '?', site: from?.site }),
    refreshSeconds: 1800,
    onEmpty: () => (emptied += 1),
  });
  const call = async (name: string, offer = sdp()): Promise<{ session: Session; signals: SessionSignal[] }> => {
    const caller = { number: name, displayName: undefined, device: name };
    const session = conference.call({
      caller,
      from: station(name),
      digits: '8000',
      sdp: offer === '' ? undefined : offer,
      maxForwards: 69,
    });
    const signals: SessionSignal[] = [];
    session.listen((signal) => signals.push(signal));
    await settled();
    return { session, signals };
  };
  return { manager, clock, conference, call, emptied: () => emptied };
}
