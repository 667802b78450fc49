import { Conference } from '../../../src/call-control/conference/conference';
import { admit } from '../../../src/call-control/conference/admission';
import { focusHeaders, focusIn } from '../../../src/call-control/conference/focus';
import type { ConferenceConfig } from '../../../src/config/types';
import type { DeviceProfile } from '../../../src/device/device-process';
import type {
  Allocation,
  AllocationResult,
  MediaResourceManager,
  ResourceNeed,
  ResourceReply,
} from '../../../src/media-resource/ports';
import type { Clock } from '../../../src/process/clock';
import type { Session, SessionSignal } from '../../../src/sip/user-agent';

function sdp(direction = 'sendrecv', port = 4000): string {
  return `v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 8\r\na=${direction}\r\n`;
}

function station(name: string): DeviceProfile {
  const nothing = { mediaResourceGroupList: undefined, userClass: undefined, codecs: undefined };
  return { name, kind: 'station', site: 'dallas', ...nothing };
}

/** A place at a bridge that says what it is asked. */
class FakePlace implements Allocation {
  readonly pid: string;
  readonly boot = 1;
  readonly leaseMs = 30_000;
  readonly asked: string[] = [];
  released = false;
  answers: ResourceReply = { ok: true, sdp: sdp('sendrecv', 6000) };
  renewal: ResourceReply = { ok: true };
  private readonly listeners: (() => void)[] = [];

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
  control = (muted: boolean) => this.ask(`muted ${muted}`, { ok: true });
  renew = () => this.ask('renew', this.renewal);
  async release(): Promise<void> {
    this.released = true;
  }
  onLost(listener: () => void): void {
    this.listeners.push(listener);
  }
  lose(): void {
    for (const listener of this.listeners.splice(0)) listener();
  }
}

class FakeManager implements MediaResourceManager {
  readonly needs: ResourceNeed[] = [];
  readonly places: FakePlace[] = [];
  /** In order; the first that is not excluded grants. */
  bridges = ['bridge-a', 'bridge-bb'];
  answers: ResourceReply | undefined;

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

class FakeClock implements Clock {
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
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

function open(change: Partial<ConferenceConfig> = {}) {
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
    const caller = { number: name, displayName: undefined };
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

describe('a conference', () => {
  it("claim M3: the first caller's list is walked, and everybody later is at the same bridge in the same room", async () => {
    const { manager, conference, call } = open();
    const first = await call('alice');
    await call('bob');
    expect(first.signals).toMatchObject([{ type: 'answered' }]);
    expect(manager.needs).toMatchObject([
      { type: 'conference', device: 'alice', site: 'dallas', room: 'room-1' },
      { type: 'conference', device: 'alice', at: 'bridge-a', room: 'room-1' },
    ]);
    expect(conference.view()).toMatchObject({ bridge: 'bridge-a', initiator: 'alice', members: [{}, {}] });
  });

  it('two who call at the same moment open one bridge', async () => {
    const { manager, call } = open();
    await Promise.all([call('alice'), call('bob')]);
    expect(manager.needs.map(({ at }) => at)).toEqual([undefined, 'bridge-a']);
  });

  it('each who leaves gives back one place; the last one ends it, and the next caller opens it anew', async () => {
    const { manager, clock, call, emptied } = open();
    const [a, b] = [await call('alice'), await call('bob')];
    a.session.bye();
    await settled();
    expect(manager.open).toBe(1);
    b.session.bye();
    b.session.bye();
    await settled();
    expect([manager.open, emptied(), clock.pending]).toEqual([0, 1, 0]);
    await call('carol');
    expect(manager.needs.at(-1)).toMatchObject({ device: 'carol', room: 'room-2' });
  });

  it('one more than maxMembers gets 486 with a Reason, and takes nothing', async () => {
    const { manager, call } = open({ maxMembers: 2 });
    await call('alice');
    await call('bob');
    const { signals } = await call('carol');
    expect(signals).toMatchObject([{ type: 'rejected', status: 486, reason: 'The conference is full' }]);
    expect(signals[0]?.type === 'rejected' && signals[0].header('Reason')).toBe(
      'SIP;cause=486;text="The conference is full"',
    );
    expect(manager.open).toBe(2);
  });

  it('without a bridge the caller gets 503 with a Reason', async () => {
    const { manager, call, emptied } = open();
    manager.bridges = [];
    const { signals } = await call('alice');
    expect(signals).toMatchObject([{ type: 'rejected', status: 503, reason: 'No conference bridge is available' }]);
    expect(emptied()).toBe(1);
  });

  it('claim M13: a bridge that grants and then fails is passed by; one that cannot take the codecs refuses the call', async () => {
    const { manager, call } = open();
    manager.answers = { ok: false, reason: 'down' };
    await call('alice');
    expect(manager.needs.map(({ exclude }) => exclude)).toEqual([[], ['bridge-a'], ['bridge-a', 'bridge-bb']]);
    expect(manager.open).toBe(0);
    manager.answers = { ok: false, reason: 'unsupported' };
    expect((await call('bob')).signals).toMatchObject([{ type: 'rejected', status: 488 }]);
    expect(manager.open).toBe(0);
  });

  it('who hangs up while a place is being found has none in the end', async () => {
    const { manager, conference } = open();
    const caller = { number: 'alice', displayName: undefined };
    const session = conference.call({ caller, digits: '8000', sdp: sdp(), maxForwards: 69 });
    const signals: SessionSignal[] = [];
    session.listen((signal) => signals.push(signal));
    await Promise.resolve();
    session.cancel();
    await settled();
    expect(signals).toMatchObject([{ type: 'rejected', status: 487 }]);
    expect(manager.open).toBe(0);
  });

  it('who holds is muted, and is heard again after it resumes; the same said twice is asked once', async () => {
    const { manager, call } = open();
    const { session, signals } = await call('alice');
    session.reinvite('1', { sdp: sdp('sendonly') });
    session.reinvite('2', { sdp: sdp('sendonly') });
    session.reinvite('3', { sdp: sdp() });
    await settled();
    expect(manager.places[0]?.asked).toEqual(['accept', 'accept', 'muted true', 'accept', 'accept', 'muted false']);
    expect(signals.slice(1).map(({ type }) => type)).toEqual(Array(3).fill('reinvite-answered'));
  });

  it('a delayed offer: the bridge offers, and the answer comes with the ACK; the same in a re-INVITE', async () => {
    const { manager, call } = open();
    const caller = await call('alice', '');
    expect(caller.signals).toMatchObject([{ type: 'answered' }]);
    caller.session.acknowledge(sdp());
    caller.session.reinvite('1', {});
    caller.session.acknowledge(sdp('sendonly'));
    await settled();
    expect(manager.places[0]?.asked).toEqual(['offer', 'connect sendrecv', 'offer', 'connect sendonly', 'muted true']);
  });

  it('the bridge is lost: everybody is offered the next one, in one room, and the old places are given back', async () => {
    const { manager, conference, call } = open();
    const parties = [await call('alice'), await call('bob')];
    manager.bridges = ['bridge-bb'];
    for (const place of manager.places.slice(0, 2)) place.lose();
    await settled();
    for (const { session, signals } of parties) {
      const offer = signals.at(-1);
      expect(offer).toMatchObject({ type: 'reinvited' });
      if (offer?.type === 'reinvited') session.respond(offer.id, 200, { sdp: sdp() });
    }
    await settled();
    expect(parties.map(({ signals }) => signals.at(-1)?.type)).toEqual(['acknowledged', 'acknowledged']);
    const moved = manager.places.slice(2);
    expect(moved.map(({ device, room, asked }) => [device, room, asked])).toEqual([
      ['bridge-bb', 'room-2', ['offer', 'connect sendrecv']],
      ['bridge-bb', 'room-2', ['offer', 'connect sendrecv']],
    ]);
    expect(manager.open).toBe(2);
    expect(conference.view().bridge).toBe('bridge-bb');
  });

  it('a moved participant that holds stays muted at the next bridge', async () => {
    const { manager, call } = open();
    const { session, signals } = await call('alice');
    session.reinvite('1', { sdp: sdp('sendonly') });
    await settled();
    manager.bridges = ['bridge-bb'];
    manager.places[0]?.lose();
    await settled();
    const offer = signals.at(-1);
    if (offer?.type === 'reinvited') session.respond(offer.id, 200, { sdp: sdp('inactive') });
    await settled();
    expect(manager.places[1]?.asked).toEqual(['offer', 'connect inactive', 'muted true']);
  });

  it('RFC 3261 §14.1: after 491 the next bridge is offered again, unless the participant made an offer of its own', async () => {
    const { manager, clock, call } = open();
    const [a, b] = [await call('alice'), await call('bob')];
    manager.bridges = ['bridge-bb'];
    for (const place of manager.places.slice(0, 2)) place.lose();
    await settled();
    for (const { session, signals } of [a, b]) {
      const offer = signals.at(-1);
      if (offer?.type === 'reinvited') session.respond(offer.id, 491);
    }
    b.session.reinvite('1', { sdp: sdp() });
    await settled();
    clock.pass(2500);
    await settled();
    expect(a.signals.map(({ type }) => type)).toEqual(['answered', 'reinvited', 'reinvited']);
    expect(b.signals.map(({ type }) => type)).toEqual(['answered', 'reinvited', 'reinvite-answered']);
  });

  it('a lost bridge with no other: the call ends with a Reason and nothing is left', async () => {
    const { manager, clock, call } = open();
    const { signals } = await call('alice');
    manager.bridges = [];
    manager.places[0]?.lose();
    await settled();
    expect(signals.at(-1)).toMatchObject({
      type: 'ended',
      reason: 'SIP;cause=503;text="No conference bridge is available"',
    });
    expect([manager.open, clock.pending]).toEqual([0, 0]);
  });

  it('a lease that the bridge does not know: a new place at the same bridge, and the others stay', async () => {
    const { manager, clock, call } = open();
    const [a, b] = [await call('alice'), await call('bob')];
    const [place] = manager.places;
    if (place !== undefined) place.renewal = { ok: false, reason: 'unknown-allocation' };
    clock.pass(10_000);
    await settled();
    expect(manager.needs.at(-1)).toMatchObject({ at: 'bridge-a', room: 'room-1' });
    expect(a.signals.at(-1)).toMatchObject({ type: 'reinvited' });
    expect(b.signals).toHaveLength(1);
    expect(manager.open).toBe(2);
  });

  it('a bridge whose places fail again and again does not keep a participant busy for ever', async () => {
    const { manager, call } = open();
    const { session, signals } = await call('alice');
    for (let round = 0; round < 20 && signals.at(-1)?.type !== 'ended'; round++) {
      manager.places.at(-1)?.lose();
      await settled();
      const offer = signals.at(-1);
      if (offer?.type === 'reinvited') session.respond(offer.id, 491);
    }
    const last = signals.at(-1);
    expect(last?.type === 'ended' && last.reason).toContain('fails');
    expect(manager.open).toBe(0);
  });

  it('initiator-leaves: it is over for everybody, with a Reason', async () => {
    const { manager, call, emptied } = open({ endPolicy: 'initiator-leaves' });
    const [a, b, c] = [await call('alice'), await call('bob'), await call('carol')];
    a.session.bye();
    await settled();
    for (const { signals } of [b, c]) {
      const last = signals.at(-1);
      expect(last?.type === 'ended' && last.reason).toContain('The conference is over');
    }
    expect([manager.open, emptied()]).toEqual([0, 1]);
  });

  it('requests in the dialog are answered', async () => {
    const { call } = open();
    const { session, signals } = await call('alice');
    session.request('1', { method: 'INFO' });
    session.request('2', { method: 'MESSAGE' });
    expect(signals.slice(1)).toMatchObject([{ status: 200 }, { status: 405 }]);
  });
});

describe('who may join', () => {
  it.each([
    [{ members: 1, maxMembers: 2, draining: false }, { ok: true }],
    [
      { members: 2, maxMembers: 2, draining: false },
      { ok: false, status: 486 },
    ],
    [
      { members: 0, maxMembers: 2, draining: true },
      { ok: false, status: 503 },
    ],
  ])('%j: %j', (occupancy, expected) => {
    expect(admit(occupancy)).toMatchObject(expected);
  });
});

describe('RFC 4579 §4.2: isfocus', () => {
  it('is read from a Contact and told to the caller', () => {
    expect(focusIn('<sip:8000@127.0.0.1:5060>;isfocus')).toBe('8000');
    expect(focusIn('<sip:8999*123@127.0.0.1:5060;transport=tcp>;isfocus')).toBe('8999*123');
    expect(focusHeaders('8000')).toEqual({ Contact: '<sip:8000@localhost>;isfocus' });
  });

  it.each([undefined, '', '*', '<sip:8000@127.0.0.1>', '<tel:8000>;isfocus', '<sip:a%0d%0ab@h>;isfocus', '<;isfocus'])(
    'nothing is made of %s',
    (contact) => {
      expect(focusIn(contact)).toBeUndefined();
      expect(focusHeaders(undefined)).toEqual({});
    },
  );
});
