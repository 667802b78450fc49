import type { Destination, ProtocolMessage } from '../../src/cluster/protocol/messages';
import type { Stamp } from '../../src/process/hlc';
import type { Agenda } from './agenda';
import type { Mutation } from './mutation';
import type { SimulatedNode } from './simulated-node';

/** What a simulated node needs of the world around it. */
export interface SimulatedWorld {
  readonly agenda: Agenda;
  readonly mutation: Mutation;
  readonly busDownSince: number | undefined;
  node(number: number): SimulatedNode;
  lost(from: number, to: number): void;
  ended(node: SimulatedNode): void;
  written(body: string, stamp: Stamp): void;
  writtenAt(body: string): Stamp | undefined;
  send(from: SimulatedNode, to: Destination, message: ProtocolMessage): void;
  complain(what: string): void;
  readonly seen: Set<string>;
}
