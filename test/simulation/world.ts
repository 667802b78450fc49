import type { Destination, ProtocolMessage } from '../../src/cluster/protocol/messages';
import type { Stamp } from '../../src/process/hlc';
import { Agenda } from './agenda';
import { type Mutation, UNCHANGED } from './mutation';
import { Random } from './random';
import { type Disk, EMPTY_DISK } from './simulated-disk';
import { SimulatedNode } from './simulated-node';

/** What the bus does to messages. */
export interface Faults {
  readonly drop: number;
  readonly duplicate: number;
  /** Each message takes 1 ms to this long, by chance: so they overtake each other. */
  readonly delayMs: number;
}

export const NO_FAULTS: Faults = { drop: 0, duplicate: 0, delayMs: 3 };

/** Several nodes in one process on one simulated bus; everything by chance comes from one seed. */
export class World {
  readonly agenda = new Agenda(1_700_000_000_000);
  readonly random: Random;
  /** By node number its newest process. */
  readonly nodes = new Map<number, SimulatedNode>();
  /** Processes that run, or ran, with the number of another one. */
  readonly twins: SimulatedNode[] = [];
  readonly complaints: string[] = [];
  faults: Faults = NO_FAULTS;
  /** Kinds of effects that occurred. */
  readonly seen = new Set<string>();
  /** Node number -> side of the partition; nodes hear only their own side. */
  sides = new Map<number, number>();
  /** Directions that are cut: `from>to`. */
  readonly cuts = new Set<string>();
  /** Called with every message; `true` loses it. */
  intercept: (from: number, to: Destination, message: ProtocolMessage) => boolean = () => false;
  /** Since when the bus does not work. */
  busDownSince: number | undefined;
  private readonly settings = new Map<string, Stamp>();
  /** When a message from one node to another was last lost: `from * 1000 + to`. */
  private readonly losses = new Map<number, number>();

  constructor(
    seed: number,
    readonly mutation: Mutation = UNCHANGED,
  ) {
    this.random = new Random(seed);
  }

  get busUp(): boolean {
    return this.busDownSince === undefined;
  }

  set busUp(up: boolean) {
    this.busDownSince = up ? undefined : (this.busDownSince ?? this.agenda.now);
  }

  /** Starts a process of this node number; an earlier one must have ended (else: a twin, not in `nodes`). */
  start(number: number, skewMs = 0, found: Disk = EMPTY_DISK, drift = 0): SimulatedNode {
    const node = new SimulatedNode(this, number, this.random.token(), skewMs, found, drift);
    const present = this.nodes.get(number);
    if (present?.running === true) this.twins.push(node);
    else this.nodes.set(number, node);
    return node;
  }

  /** Starts another process of this number while the present one stands still: nobody sees the old one, until it wakes. */
  replace(number: number, skewMs: number): void {
    const present = this.nodes.get(number);
    const node = new SimulatedNode(this, number, this.random.token(), skewMs);
    if (present !== undefined) this.twins.push(present);
    this.nodes.set(number, node);
  }

  /** A process has ended: if another one runs with its number, that is the node. */
  ended(node: SimulatedNode): void {
    const lives = this.nodes.get(node.number);
    // For the others the entries of another process were the node's until now.
    if (lives !== undefined) lives.disturbedAt = this.agenda.now;
    if (lives !== node) return;
    const other = this.twins.find((twin) => twin.number === node.number && twin.running);
    if (other === undefined) return;
    this.twins.splice(this.twins.indexOf(other), 1, node);
    this.nodes.set(node.number, other);
    other.disturbedAt = this.agenda.now;
  }

  node(number: number): SimulatedNode {
    const node = this.nodes.get(number);
    if (node === undefined) throw new Error(`no node ${number}`);
    return node;
  }

  get running(): SimulatedNode[] {
    return [...this.nodes.values()].filter((node) => node.running);
  }

  runFor(ms: number): void {
    this.agenda.runFor(ms);
  }

  send(from: SimulatedNode, to: Destination, message: ProtocolMessage): void {
    const intercepted = this.intercept(from.number, to, message);
    for (const node of [...this.nodes.values(), ...this.twins]) {
      if (!node.running || (typeof to === 'number' && to !== node.number)) continue;
      if (intercepted || this.isCut(from, node) || this.random.chance(this.faults.drop)) {
        if (node === from && this.mutation.hearsItself === true) this.deliver(node, message);
        this.lost(from.number, node.number);
        continue;
      }
      this.deliver(node, message);
      if (this.random.chance(this.faults.duplicate)) this.deliver(node, message);
    }
  }

  /** Something went wrong on the way from one node to the other. */
  lost(from: number, to: number): void {
    this.losses.set(from * 1000 + to, this.agenda.now);
  }

  /** When something was last lost between these two, in either direction. */
  lastLoss(a: number, b: number): number {
    return Math.max(this.losses.get(a * 1000 + b) ?? 0, this.losses.get(b * 1000 + a) ?? 0);
  }

  /** Something was set somewhere. */
  written(body: string, stamp: Stamp): void {
    this.settings.set(body, stamp);
  }

  /** When this was set, wherever. */
  writtenAt(body: string): Stamp | undefined {
    return this.settings.get(body);
  }

  complain(what: string): void {
    this.complaints.push(what);
  }

  /** What is wrong when all is quiet: every table is the union of what the live nodes hold themselves. */
  differences(): string[] {
    const wrong = [...this.complaints];
    for (const twin of this.twins)
      if (twin.running) wrong.push(`two processes run as node ${twin.number}, and none of them has ended`);
    for (const node of this.running) {
      for (const owner of this.nodes.values()) {
        if (owner.number === node.number) continue;
        const expected = owner.running ? tableOf(owner, owner.number) : [];
        const actual = tableOf(node, owner.number);
        if (expected.join('\n') !== actual.join('\n'))
          wrong.push(
            `tables differ: node ${node.number} holds of node ${owner.number}: ${actual.join(' ')}, not ${expected.join(' ')}`,
          );
      }
      if (node.protocol?.converged !== true) wrong.push(`node ${node.number} does not say that it has converged`);
    }
    return wrong;
  }

  /** Devices that two live nodes hold: one of them has not heard that the device has moved. */
  heldTwice(): string[] {
    const wrong: string[] = [];
    const holders = new Map<string, number>();
    for (const owner of this.running)
      for (const key of owner.keys()) {
        const other = holders.get(key);
        if (other !== undefined) wrong.push(`held twice: ${key} by node ${other} and node ${owner.number}`);
        holders.set(key, owner.number);
      }
    return wrong;
  }

  private isCut(from: SimulatedNode, to: SimulatedNode): boolean {
    if (!this.busUp || from.mute || to.deafSince !== undefined) return true;
    return this.sideOf(from) !== this.sideOf(to) || this.cuts.has(`${from.number}>${to.number}`);
  }

  private deliver(node: SimulatedNode, message: ProtocolMessage): void {
    this.agenda.after(1 + this.random.below(this.faults.delayMs), () => node.receive(message));
  }

  private sideOf(node: SimulatedNode): number {
    return this.sides.get(node.number) ?? 0;
  }
}

function tableOf(node: SimulatedNode, owner: number): string[] {
  const devices = Array.from(
    node.composite.of(owner),
    ({ key, pid, boot, stamp, expiresAt, address }) =>
      `${key}=${pid}/${boot}@${stamp.ms}.${stamp.counter}-${expiresAt}-${address}`,
  );
  const others = Array.from(
    node.lines.entries.of(owner),
    ({ key, boot, stamp, body }) => `${key}=${boot}@${stamp.ms}.${stamp.counter}-${body}`,
  );
  return [...devices, ...others].sort();
}
