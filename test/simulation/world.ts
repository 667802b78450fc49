import type { Destination, ProtocolMessage } from '../../src/cluster/protocol/messages';
import type { RegistrationRecord } from '../../src/registration/record';
import { Agenda } from './agenda';
import { Random } from './random';
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
  readonly nodes = new Map<number, SimulatedNode>();
  readonly complaints: string[] = [];
  faults: Faults = NO_FAULTS;
  busUp = true;
  /** Kinds of effects that occurred. */
  readonly seen = new Set<string>();
  /** Node number -> side of the partition; nodes hear only their own side. */
  sides = new Map<number, number>();
  /** Called with every message; `true` loses it. */
  intercept: (from: number, to: Destination, message: ProtocolMessage) => boolean = () => false;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** Starts a process of this node number; an earlier one must have ended (else: a twin, not in `nodes`). */
  start(number: number, skewMs = 0, journal: readonly RegistrationRecord[] = []): SimulatedNode {
    const node = new SimulatedNode(this, number, this.random.token(), skewMs, journal);
    const present = this.nodes.get(number);
    if (present?.running === true) this.twins.push(node);
    else this.nodes.set(number, node);
    return node;
  }

  private readonly twins: SimulatedNode[] = [];

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
    if (!this.busUp || this.intercept(from.number, to, message)) return;
    for (const node of [...this.nodes.values(), ...this.twins]) {
      if (!node.running || (typeof to === 'number' && to !== node.number)) continue;
      if (this.sideOf(node) !== this.sideOf(from)) continue;
      if (this.random.chance(this.faults.drop)) continue;
      this.deliver(node, message);
      if (this.random.chance(this.faults.duplicate)) this.deliver(node, message);
    }
  }

  complain(what: string): void {
    this.complaints.push(what);
  }

  /** What is wrong when all is quiet: every table is the union of what the live nodes hold themselves. */
  differences(): string[] {
    const wrong = [...this.complaints];
    const holders = new Map<string, number>();
    for (const owner of this.running)
      for (const key of owner.keys()) {
        const other = holders.get(key);
        if (other !== undefined) wrong.push(`${key} is held by node ${other} and node ${owner.number}`);
        holders.set(key, owner.number);
      }
    for (const node of this.running) {
      for (const owner of this.nodes.values()) {
        if (owner.number === node.number) continue;
        const expected = owner.running ? tableOf(owner, owner.number) : [];
        const actual = tableOf(node, owner.number);
        if (expected.join('\n') !== actual.join('\n'))
          wrong.push(
            `node ${node.number} holds of node ${owner.number}: ${actual.join(' ')}, not ${expected.join(' ')}`,
          );
      }
      if (node.protocol?.converged !== true) wrong.push(`node ${node.number} does not say that it has converged`);
    }
    return wrong;
  }

  private deliver(node: SimulatedNode, message: ProtocolMessage): void {
    this.agenda.after(1 + this.random.below(this.faults.delayMs), () => node.receive(message));
  }

  private sideOf(node: SimulatedNode): number {
    return this.sides.get(node.number) ?? 0;
  }
}

function tableOf(node: SimulatedNode, owner: number): string[] {
  return Array.from(
    node.composite.of(owner),
    ({ key, pid, boot, stamp, expiresAt }) => `${key}=${pid}/${boot}@${stamp.ms}.${stamp.counter}-${expiresAt}`,
  ).sort();
}
