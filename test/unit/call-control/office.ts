import type { OutgoingCall } from '../../../src/device/device-process';
import type { CallControlDependencies, LegView } from '../../../src/call-control';
import { featureCodesOf } from '../../../src/config/feature-codes';
import { Lines } from '../../../src/line/lines';
import { ParkSlots } from '../../../src/line/park-slots';
import { HybridClock } from '../../../src/process/hlc';
import { EntrySet } from '../../../src/registration/entry-set';
import { PidAllocator, type Pid } from '../../../src/process/pid';
import { parseReplaces } from '../../../src/sip/replaces';
import type { Session } from '../../../src/sip/user-agent';
import type { Codec } from '../../support/media-stream';
import { BOOT, FakeDevice, headers, profile, settled, target, World } from './kit';
import { lose, music, speech, WiredDevice } from './model-sound';
import { Wire, WireSession } from './wire';
import { WiredPhone } from './wired-phone';

/** Phones at several nodes, whose messages take their time, and which may do whatever people do with telephones. */

export interface Equipment {
  /** Index of its node. */
  readonly node: number;
  readonly codecs: readonly Codec[];
  /** The node knows them beforehand. */
  readonly configured: boolean;
  /** It hangs up by itself when its transfer has come about. */
  readonly polite: boolean;
}

interface Station {
  readonly name: string;
  readonly number: string;
  readonly pid: Pid;
  readonly equipment: Equipment;
}

/** One call of one phone. */
export interface Line {
  readonly station: Station;
  readonly phone: WiredPhone;
  readonly callId: string;
  /** It rings: the offer that it is to answer. */
  ringing: { readonly offer: string | undefined } | undefined;
}

const NAMES = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'] as const;
const MOST_LINES = 12;
/** Where calls are parked. */
export const SLOTS = ['701', '702'] as const;
const RECALL_MS = 30_000;
const LINES = new Lines({
  devices: NAMES.map((name, at) => ({ name, lines: [`${at + 1}000`] })),
  numbers: NAMES.map((_, at) => ({
    ...{ number: `${at + 1}000`, pickupGroup: 'office', displayName: undefined },
    ...{ busyTrigger: undefined, maxCalls: undefined, noAnswerSeconds: undefined },
  })),
});

export class OfficeModel {
  readonly wire = new Wire();
  private readonly parked = new EntrySet();
  readonly worlds: readonly World[];
  readonly stations: readonly Station[];
  readonly lines: Line[] = [];
  /** Resources that have died. */
  losses = 0;

  constructor(nodes: number, equipment: readonly Equipment[]) {
    this.worlds = Array.from({ length: nodes }, (_, at) => {
      const world = new World({ pids: new PidAllocator(at + 1), ...this.features(at + 1, nodes) }, 7000 + 1000 * at);
      world.resources.servers = 10_000;
      return world;
    });
    this.stations = equipment.map((one, at) => {
      const node = one.node % nodes;
      const pid: Pid = `${node + 1}.dp.${at + 1}`;
      return { name: NAMES[at]!, number: `${at + 1}000`, pid, equipment: { ...one, node } };
    });
    for (const station of this.stations) this.install(station);
    this.worlds.forEach((home, node) => {
      for (const [at, world] of this.worlds.entries())
        if (world !== home) {
          const across = (call: OutgoingCall): Session => this.across(at, home, undefined, call);
          const pid: Pid = `${node + 1}.cp.0`;
          world.devices.set(`node-${node + 1}`, new WiredDevice(nodeProfile(node + 1), pid, across));
        }
    });
  }

  /** Every phone may pick up for every other; what is parked all nodes know at once. */
  private features(node: number, nodes: number): Partial<CallControlDependencies> {
    const others = Array.from({ length: nodes }, (_, at) => at + 1).filter((other) => other !== node);
    const stamps = new HybridClock(node, () => 0);
    return {
      lines: LINES,
      featureCodes: featureCodesOf({}),
      parking: { slots: new ParkSlots({ node, boot: BOOT }, SLOTS, others, this.parked, stamps), recallMs: RECALL_MS },
      otherNodes: {
        live: () => others,
        ask: (other, question) => Promise.resolve(this.worlds[other - 1]?.control.answer(question)),
      },
    };
  }

  private install(station: Station): void {
    const { name, number, pid, equipment } = station;
    const home = this.worlds[equipment.node]!;
    const device = new WiredDevice(profileOf(station), pid, (call) => this.rings(station, call));
    this.worlds.forEach((world, at) => {
      const local = world === home;
      const node = equipment.node + 1;
      world.route(number, [target(pid, name, { digits: number, local, node })]);
      const across = (call: OutgoingCall): Session => this.across(at, home, device, call);
      world.devices.set(pid, local ? device : new WiredDevice(nodeProfile(node), pid, across));
    });
  }

  private pair(delayed: boolean): readonly [WireSession, WireSession] {
    return WireSession.pair(this.wire, `call-${this.wire.queues.length}`, delayed);
  }

  /** A phone is called. */
  private rings(station: Station, { sdp }: OutgoingCall): Session {
    const [near, far] = this.pair(sdp === undefined);
    near.send(() => {
      far.progress(180);
      this.add(station, far, 'callee', { offer: sdp });
    });
    return near;
  }

  /** A call goes to another node. */
  private across(from: number, to: World, device: FakeDevice | undefined, call: OutgoingCall): Session {
    const [near, far] = this.pair(call.sdp === undefined);
    const { caller, digits, sdp, maxForwards, context } = call;
    const replaces = parseReplaces(call.headers?.['Replaces'] ?? '');
    if (replaces !== undefined) this.wire.note(`${near.callId} replaces ${replaces.callId}`);
    near.send(() =>
      to.control.incoming({
        ...{ session: far, from: nodeProfile(from + 1), caller, maxForwards },
        ...{ header: headers(call.headers), dialled: digits, sdp, target: device, pid: undefined },
        ...(context === undefined ? {} : { context }),
        ...(replaces === undefined ? {} : { replaces }),
      }),
    );
    return near;
  }

  private add(station: Station, session: WireSession, role: 'caller' | 'callee', ringing?: Line['ringing']): Line {
    const { name, equipment } = station;
    const number = this.lines.length + 1;
    const { clock } = this.worlds[equipment.node]!;
    const phone = new WiredPhone(`${name}/${number}`, 4000 + number, equipment.codecs, session, clock, role);
    const line = { station, phone, callId: session.callId, ringing };
    this.lines.push(line);
    return line;
  }

  dial(from: Station, number: string): void {
    if (this.lines.length >= MOST_LINES) return;
    const [session, node] = this.pair(false);
    const { phone } = this.add(from, session, 'caller');
    const caller = { number: from.number, displayName: from.name };
    const about = { session: node, from: profileOf(from), pid: from.pid, caller, dialled: number };
    const offer = phone.describe();
    session.send(() =>
      this.worlds[from.equipment.node]!.control.incoming({
        ...about,
        ...{ sdp: offer, maxForwards: 70, target: undefined, header: headers() },
      }),
    );
  }

  pickUp(line: Line): void {
    const { ringing } = line;
    line.ringing = undefined;
    if (ringing !== undefined && !line.phone.over) line.phone.pickUp(ringing.offer);
  }

  refuse(line: Line): void {
    if (line.ringing === undefined) return;
    line.ringing = undefined;
    line.phone.refuse(486);
  }

  /** Lines that are neither over nor ringing. */
  get up(): readonly Line[] {
    return this.lines.filter(({ phone, ringing }) => !phone.over && ringing === undefined);
  }

  /** Those that are answered: nobody offers anything before that (RFC 3261 §14.1). */
  get talking(): readonly Line[] {
    return this.up.filter(({ phone }) => phone.talking);
  }

  get ringing(): readonly Line[] {
    return this.lines.filter(({ phone, ringing }) => !phone.over && ringing !== undefined);
  }

  async calm(): Promise<void> {
    this.wire.deliverAll();
    await settled();
    this.wire.deliverAll();
  }

  wait(ms: number): void {
    for (const world of this.worlds) world.clock.advance(ms);
  }

  /** Phones, servers and timers go on until nothing is under way. */
  async rest(): Promise<void> {
    for (const { resources } of this.worlds) resources.answer();
    for (let turn = 0; turn < 80; turn += 1) {
      await this.calm();
      for (const { phone, station } of this.lines) if (phone.transferred && station.equipment.polite) phone.hangUp();
      this.wait(500);
      const isShort = this.holds || this.middles.length === 0;
      if (turn > 20 && isShort && this.up.every(({ phone }) => phone.idle)) break;
    }
    // What a timer has begun at the very end comes to its end, too.
    for (let turn = 0; turn < 8; turn += 1) await this.calm();
  }

  /** A resource that is in use dies. */
  lose(node: number, which: number): void {
    if (lose(this.worlds[node % this.worlds.length]!, which)) this.losses += 1;
  }

  private legs(world: World): readonly { readonly leg: LegView; readonly all: readonly LegView[] }[] {
    return world.control.calls().flatMap(({ id }) => {
      const all = world.control.call(id)?.legs ?? [];
      return all.map((leg) => ({ leg, all }));
    });
  }

  private at(world: World, callId: string): { readonly leg: LegView; readonly all: readonly LegView[] } | undefined {
    return this.legs(world).find(({ leg }) => leg.callId === callId);
  }

  /** The leg that a line is brought together with at the end of all nodes; undefined: there is none. */
  other(line: Line): LegView | undefined {
    let world: World | undefined = this.worlds[line.station.equipment.node];
    let { callId } = line;
    for (let hops = 0; hops < 20 && world !== undefined; hops += 1) {
      const found = this.at(world, callId);
      const peer = found?.all.find(({ id }) => id === found.leg.peer);
      if (peer === undefined || peer.kind !== 'node') return peer;
      callId = peer.callId;
      world = this.worlds.find((one) => one !== world && this.at(one, callId) !== undefined);
    }
    return undefined;
  }

  /** Legs of phones that the nodes have, and lines that the phones have, are the same. */
  expectLegs(): void {
    const known = this.worlds.flatMap((world) =>
      this.legs(world).flatMap(({ leg }) => (isOfPhone(leg) ? [leg.callId] : [])),
    );
    const answered = this.up.filter(({ phone }) => phone.talking);
    expect(known.sort()).toEqual(answered.map(({ callId }) => callId).sort());
  }

  /** Nobody but the nodes of phones has a part of a call in which nobody holds and nobody is being transferred. */
  expectShort(): void {
    if (!this.holds) expect(this.middles).toEqual([]);
  }

  /** Somebody holds, or is being rung or transferred: then the way may be longer than need be. */
  private get holds(): boolean {
    const idle = this.lines.every(({ phone }) => phone.over || (phone.hold === 'none' && !phone.transferring));
    return !idle || this.ringing.length > 0;
  }

  /** Calls of nodes that have no phone in them. */
  private get middles(): readonly unknown[] {
    return this.worlds.flatMap((world) =>
      world.control
        .calls()
        // Who is parked is held by nobody's phone.
        .filter(({ id }) => world.control.call(id)?.legs.every(({ kind, holds }) => kind === 'node' && !holds)),
    );
  }

  /** Everybody hears who is at the other end, or music from who holds. */
  expectSound(): void {
    for (const line of this.up) {
      const ear = line.phone;
      const peer = this.other(line);
      if (!ear.talking || ear.hold !== 'none' || ear.transferring || peer === undefined) continue;
      const mouth = this.lines.find(({ callId }) => callId === peer.callId)?.phone;
      const away =
        mouth === undefined || mouth.over || mouth.transferring || mouth.hold !== 'none' || peer.phase === 'over';
      const where = `${ear.name} hears, when ${mouth?.name} (${away ? 'away' : 'there'}): `;
      if (!away) expect(where + speech(this.worlds, mouth, ear, 6)).toBe(`${where}speech`);
      // A hold during which servers die may be silent.
      else if (this.losses === 0) expect(where + music(this.worlds, ear)).toBe(`${where}music`);
    }
  }

  /** Everybody hangs up: nothing is left anywhere. */
  async close(): Promise<void> {
    for (const line of this.lines) {
      if (line.ringing !== undefined) this.refuse(line);
      line.phone.hangUp();
    }
    for (let turn = 0; turn < 30; turn += 1) {
      await this.calm();
      // Whoever has transferred a call in vain is called back.
      for (const line of this.ringing) this.refuse(line);
      this.wait(500);
    }
    await this.calm();
    expect(this.worlds.map(({ control }) => control.calls())).toEqual(this.worlds.map(() => []));
    for (const world of this.worlds) await world.close();
  }
}

function nodeProfile(node: number): ReturnType<typeof profile> {
  return { ...profile(`node-${node}`, 'node'), node };
}

function profileOf({ name, equipment: { codecs, configured } }: Station): ReturnType<typeof profile> {
  return { ...profile(name), codecs: configured ? codecs : undefined };
}

/** Not of a node, nor of a slot at which nobody is parked yet. */
function isOfPhone({ kind, phase }: LegView): boolean {
  return kind !== 'node' && kind !== 'park' && phase === 'confirmed';
}
