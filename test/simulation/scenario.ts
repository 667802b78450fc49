import { POLL_INTERVAL_MS } from '../../src/cluster/protocol/timing';
import { NOBODY } from '../../src/registration/entry';
import type { LineCall } from '../../src/line/line-states';
import { type Clocks, type Device, Judgement } from './judgement';
import { wrongLines } from './line-judgement';
import type { Mutation } from './mutation';
import { type Disk, EMPTY_DISK } from './simulated-disk';
import type { SimulatedNode } from './simulated-node';
import { Watch } from './watch';
import { type Faults, NO_FAULTS, World } from './world';

/** Invariants hold this long after the last fault. */
export const QUIET_MS = 6 * POLL_INTERVAL_MS;

export interface Outcome {
  /** Broken invariants, in words; nothing when all hold. */
  readonly wrong: readonly string[];
  /** Kinds of effects and faults that occurred. */
  readonly seen: ReadonlySet<string>;
  /** How long an entry was missing after the last loss, at most. */
  readonly longestMissingMs: number;
}

/** Two clocks this far off in different directions are still within the bound. */
const WRONG_MS = 28_000;
/** The lines of some phones. */
const LINES = ['1000', '1001', '1002', '1003'];
const HOUR_MS = 3_600_000;

/** One run, everything by chance from one seed: a time of faults, then quiet. */
export class Scenario {
  private readonly world: World;
  private readonly clocks: Clocks;
  private readonly devices: Device[];
  private readonly size: number;
  private readonly delayMs: number;
  /** What a node had on its disk when that became full. */
  private readonly oldDisks = new Map<number, Disk>();
  private settings = 0;
  private connections = 0;
  /** Connections that are closed, which their nodes have not noticed yet. */
  private readonly closing = new Set<() => void>();

  constructor(seed: number, mutation?: Mutation) {
    this.world = new World(seed, mutation);
    const { random } = this.world;
    const dice = random.below(100);
    this.clocks = dice < 30 ? 'right' : dice < 80 ? 'wrong' : 'wild';
    this.size = random.chance(0.12) ? 900 : 0;
    this.delayMs = 1 + random.below(random.chance(0.5) ? 20 : 400);
    const devices = 8 + random.below(20);
    this.devices = Array.from({ length: devices }, (_, index) => ({
      key: `phone-${index}`,
      line: String(1000 + (index % Math.ceil(devices * 0.7))),
      home: undefined,
      bound: random.chance(0.5),
      address: '',
      brief: false,
      sleeps: false,
      hasLeft: false,
      left: undefined,
    }));
  }

  run(): Outcome {
    const { world } = this;
    const { random } = world;
    const nodes = 2 + random.below(6);
    for (let number = 1; number <= nodes; number++) world.start(number, this.skew(), EMPTY_DISK, this.drift());
    world.runFor(600 + random.below(1_000));
    if (this.size > 0) this.fill(random.pick(world.running));
    world.faults = this.faults();
    const watch = new Watch(world, Math.max(this.delayMs, NO_FAULTS.delayMs));
    for (let steps = 25 + random.below(60); steps > 0; steps--) {
      this.step();
      world.runFor(random.chance(0.1) ? random.below(6_000) : 1 + random.below(150));
    }
    this.calm();
    watch.stop();
    return {
      wrong: [...new Judgement(world, this.devices, this.clocks).wrong(), ...wrongLines(world.running, LINES)],
      seen: world.seen,
      longestMissingMs: watch.longest,
    };
  }

  private faults(): Faults {
    const { random } = this.world;
    const delayMs = this.delayMs;
    if (random.chance(0.2)) return { drop: 0, duplicate: 0, delayMs };
    return { drop: random.next() * 0.3, duplicate: random.next() * 0.2, delayMs };
  }

  private skew(): number {
    const { random } = this.world;
    if (this.clocks === 'right') return 0;
    const most = this.clocks === 'wild' && random.chance(0.4) ? HOUR_MS : WRONG_MS;
    return random.below(2 * most) - most;
  }

  private drift(): number {
    return this.clocks === 'right' ? 0 : (this.world.random.next() - 0.5) * 0.01;
  }

  /** Something happens: to a device most of the time, else to a node, a clock, or the bus. */
  private step(): void {
    const { world } = this;
    const { random } = world;
    const numbers = [...world.nodes.keys()];
    const node = world.node(random.pick(numbers) ?? 1);
    if (random.chance(0.25)) return this.line(node);
    const dice = random.below(100);
    if (dice < 60) this.device(node, dice);
    else if (dice < 63) node.refute(random.pick(numbers) ?? 1);
    else if (dice < 66) node.crash();
    else if (dice < 67) this.powerFails(node);
    else if (dice < 69) node.leave();
    else if (dice < 78) this.restart(node);
    else if (dice < 79) this.pause(node);
    else if (dice < 80) this.deadRegistration(node);
    else if (dice < 81) this.hang(node);
    else if (dice < 83) this.diskIsFull(node);
    else if (dice < 85) this.setClock(node);
    else if (dice < 87) this.corrupt(node);
    else this.bus(node, numbers, dice);
  }

  /** A user sets something, somebody begins or ends to look at a line, a call comes or goes. */
  private line({ online, paused, lines }: SimulatedNode): void {
    const { world } = this;
    const { random } = world;
    const line = random.pick(LINES) ?? '';
    const dice = random.below(10);
    if (!online || paused) return;
    if (dice < 3) {
      this.settings += 1;
      lines.settings.set(line, { forwardAll: String(this.settings) });
      const entry = lines.entries.get(NOBODY, `setting/forwardAll/${line}`);
      if (entry !== undefined) world.written(entry.body, entry.stamp);
    } else if (dice < 5) lines.watch(line);
    else if (dice < 6) lines.release(line);
    else
      lines.publish(
        line,
        Array.from({ length: random.below(3) }, (_, index) => this.call(index)),
      );
  }

  private call(index: number): LineCall {
    const since = this.world.agenda.now;
    return { id: `call-${index}-${since}`, state: 'confirmed', direction: 'recipient', since };
  }

  private device(node: SimulatedNode, dice: number): void {
    const { random } = this.world;
    const device = random.pick(this.devices);
    if (device === undefined || device.sleeps) return;
    const { home } = device;
    if (dice < 35) this.register(device, node);
    else if (dice < 40 && home !== undefined) this.register(device, this.world.node(home.number));
    else if (dice < 48) home?.refresh(device.key);
    else if (dice < 52) this.takeLeave(device, node);
    else if (dice < 56 && home !== undefined) this.takeLeave(device, home);
    else if (home?.answers === true) {
      home.unregister(device.key, 'unreachable');
      device.home = undefined;
    }
  }

  /** A device registers here, and by that moves when it was elsewhere; some soon expire. */
  private register(device: Device, node: SimulatedNode): void {
    const { random } = this.world;
    if (!node.answers) return this.registerInVain(device, node);
    const brief = random.chance(0.1);
    const lifetime = brief ? 1_000 + random.below(5_000) : 120_000;
    this.connections += 1;
    const before = { home: device.home, address: device.address };
    device.address = device.bound ? `tcp:127.0.0.1:${this.connections}` : 'udp:127.0.0.1:5062';
    if (node.register(device.key, this.size, device.line, lifetime, device.address) === undefined) return;
    Object.assign(device, { home: node, left: undefined, brief });
    if (device.bound && before.home !== undefined) this.close(device.key, before.home, before.address);
  }

  /** The node does not answer: the phone closes its connection, and goes elsewhere (by datagrams perhaps). What it sent is handled later all the same. */
  private registerInVain(device: Device, node: SimulatedNode): void {
    const { world } = this;
    if (!node.online || device.home === node) return;
    world.seen.add('fault late request');
    this.connections += 1;
    const address = `tcp:127.0.0.1:${this.connections}`;
    node.receiveSip(() => node.register(device.key, this.size, device.line, 120_000, address));
    this.close(device.key, node, address);
    const others = world.running.filter((other) => other !== node && other.answers);
    const other = world.random.pick(others);
    if (other !== undefined) this.register(device, other);
  }

  /** A node notices a while after a connection was closed, and after what had come over it. */
  private close(key: string, node: SimulatedNode, address: string): void {
    const { agenda, random } = this.world;
    const delay = random.below(random.chance(0.7) ? 300 : 5_000);
    const act = (): void => {
      if (this.closing.delete(act)) node.receiveSip(() => node.connectionClosed(key, address));
    };
    node.receiveSip(() => {
      this.closing.add(act);
      agenda.after(delay, act);
    });
  }

  /** A phone takes leave, of the node that has it or of another one. */
  private takeLeave(device: Device, node: SimulatedNode): void {
    const { home: from } = device;
    if (!node.answers || from === undefined) return;
    const hadIt = node.composite.get(node.number, device.key) !== undefined;
    const name = node.takeLeave(device.key) ?? '';
    device.hasLeft = true;
    device.home = undefined;
    // What it had here may be older than where it is now, which then stays; or of a late request, and the newest.
    if (hadIt && from !== node) return;
    device.left = { at: node, from, name };
  }

  /** So many entries that a snapshot takes several chunks. */
  private fill(node: SimulatedNode | undefined): void {
    for (let index = 0; index < 140; index++) node?.register(`many-${index}`, this.size);
  }

  private pause(node: SimulatedNode): void {
    const { world } = this;
    const ms = 200 + world.random.below(8_000);
    node.pause(ms, world.random.chance(0.5));
    if (ms > 4_000 && node.online && world.random.chance(0.3)) {
      world.seen.add('fault twin');
      world.replace(node.number, this.skew());
    }
  }

  private hang(node: SimulatedNode): void {
    this.world.seen.add('fault hung SIP server');
    node.sip.hang(200 + this.world.random.below(8_000));
  }

  /**
   * A phone by datagrams that is elsewhere has tried to come over a connection. The node handles that in the end, and the node
   * that has the phone ends soon after, and begins again.
   */
  private deadRegistration(node: SimulatedNode): void {
    const { world } = this;
    const { random } = world;
    const device = random.pick(this.devices.filter(({ bound, home }) => !bound && home?.answers === true));
    const home = device?.home;
    if (device === undefined || home === undefined || home === node) return;
    this.connections += 1;
    const address = `tcp:127.0.0.1:${this.connections}`;
    node.receiveSip(() => node.register(device.key, this.size, device.line, 120_000, address));
    this.close(device.key, node, address);
    node.sip.goOn();
    for (let waited = 0; waited < 500 && home.composite.get(home.number, device.key) !== undefined; waited += 10)
      world.runFor(10);
    device.sleeps = true;
    home.crash();
    world.seen.add('fault restart in the time of confirmation');
    world.runFor(random.below(1_000));
    this.startAgain(home);
  }

  /** From now on its journal does not follow, until the process that writes it ends. Phones leave meanwhile, and it may end soon. */
  private diskIsFull(node: SimulatedNode): void {
    const { random } = this.world;
    if (!node.online || this.oldDisks.has(node.number)) return;
    this.oldDisks.set(node.number, node.disk);
    for (const device of this.devices) if (device.home === node && random.chance(0.5)) this.takeLeave(device, node);
    this.world.runFor(random.below(2_000));
    if (random.chance(0.5)) node.crash();
  }

  private restart(before: SimulatedNode): void {
    if (before.running) return;
    const { random, seen } = this.world;
    const old = this.oldDisks.get(before.number);
    const lost = random.chance(0.3);
    if (lost) seen.add('fault lost journal');
    else if (old !== undefined) seen.add('fault old journal');
    this.oldDisks.delete(before.number);
    this.startAgain(before, lost ? EMPTY_DISK : old);
  }

  /** With its own disk as it was: a phone by datagrams does not notice. */
  private startAgain(before: SimulatedNode, disk?: Disk): void {
    const after = this.world.start(before.number, this.skew(), disk ?? before.disk, this.drift());
    if (disk !== undefined) return;
    for (const device of this.devices)
      if (device.home === before && !device.bound && before.controls(device.key)) device.home = after;
  }

  /** One node ends, its phones leave at others, all the others end, and all begin again with what they have on their disks. */
  private powerFails(first: SimulatedNode): void {
    const { world } = this;
    world.seen.add('fault power');
    first.crash();
    for (const device of this.devices) {
      const other = world.random.pick(world.running);
      if (device.home === first && other !== undefined && world.random.chance(0.5)) this.takeLeave(device, other);
    }
    world.runFor(world.random.below(1_000));
    for (const node of [...world.running, ...world.twins]) if (node.running) node.crash();
    world.runFor(world.random.below(2_000));
    for (const node of [...world.nodes.values()]) {
      this.oldDisks.delete(node.number);
      this.startAgain(node);
      world.runFor(world.random.below(500));
    }
  }

  private setClock(node: SimulatedNode): void {
    if (this.clocks === 'right') return;
    this.world.seen.add('fault clock set');
    node.skewMs = this.skew();
  }

  private corrupt(node: SimulatedNode): void {
    if (node.online && !node.paused && node.corrupt(this.world.random)) this.world.seen.add('fault corrupted');
  }

  private bus(node: SimulatedNode, numbers: readonly number[], dice: number): void {
    const { world } = this;
    const { random } = world;
    if (dice < 89) this.part(numbers);
    else if (dice < 91)
      for (const from of numbers)
        for (const to of numbers) if (from !== to && random.chance(0.2)) world.cuts.add(`${from}>${to}`);
    if (dice >= 91 && dice < 94) this.reconnect();
    else if (dice === 94) node.mute = !node.mute;
    else if (dice === 95) node.deafSince = node.deafSince === undefined ? world.agenda.now : undefined;
    else if (dice >= 96) world.busUp = !world.busUp;
  }

  /** Two halves that do not hear each other; phones come and go in both of them. */
  private part(numbers: readonly number[]): void {
    const { world } = this;
    const { random } = world;
    world.sides = new Map(numbers.map((number) => [number, random.below(2)]));
    if (!random.chance(0.3)) return;
    world.runFor(random.below(6_000));
    for (const device of this.devices)
      if (random.chance(0.2)) this.takeLeave(device, world.node(random.pick(numbers) ?? 1));
  }

  private reconnect(): void {
    const { world } = this;
    world.sides = new Map();
    world.cuts.clear();
    for (const node of [...world.nodes.values(), ...world.twins]) {
      node.mute = false;
      node.deafSince = undefined;
    }
  }

  /** The last faults: whatever stands still wakes, the bus works, an entry may have been corrupted. Devices go on for a while. */
  private calm(): void {
    const { world } = this;
    const { random } = world;
    world.faults = NO_FAULTS;
    world.busUp = true;
    this.reconnect();
    for (const node of [...world.nodes.values(), ...world.twins]) {
      node.wake(random.chance(0.5));
      node.sip.goOn();
    }
    if (random.chance(0.3)) this.corrupt(random.pick(world.running) ?? world.node(1));
    const changes = random.chance(0.5) ? 10 : 0;
    for (let change = 0; change < changes; change++) {
      this.device(random.pick(world.running) ?? world.node(1), random.below(60));
      world.runFor(QUIET_MS / 20);
    }
    world.runFor(QUIET_MS / 2 - (changes * QUIET_MS) / 20);
    for (const notice of [...this.closing]) notice();
    for (const node of world.running) node.sweeps = false;
    world.runFor(QUIET_MS / 2);
  }
}
