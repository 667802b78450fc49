import { protocolToken } from '../control/tokens';
import type { FlowAddress } from '../flow-messages';
import type { Flow } from '../layers';

/**
 * The open connections over which a REGISTER was accepted. The application is told of them, and of no others, when they
 * close: who connects and goes costs nobody anything.
 */
export class RegisteredFlows {
  private readonly flows = new Map<number, FlowAddress>();
  private readonly connections = new Map<string, number>();

  constructor(
    private readonly isOpen: (connection: number) => boolean,
    private readonly onClosed: (flow: FlowAddress) => void,
  ) {}

  /** A REGISTER that came over `flow` was accepted; the connection may be closed already. */
  learn(flow: Flow): void {
    const { connection, protocol, remoteAddress: address, remotePort: port } = flow;
    if (connection === undefined) return;
    const told = { protocol: protocolToken(protocol), address, port };
    if (!this.isOpen(connection)) {
      this.onClosed(told);
      return;
    }
    this.flows.set(connection, told);
    this.connections.set(keyOf(told), connection);
  }

  closed(connection: number): void {
    const flow = this.flows.get(connection);
    if (flow === undefined) return;
    this.flows.delete(connection);
    const key = keyOf(flow);
    if (this.connections.get(key) === connection) this.connections.delete(key);
    this.onClosed(flow);
  }

  find(flow: FlowAddress): number | undefined {
    return this.connections.get(keyOf(flow));
  }

  get size(): number {
    return this.flows.size;
  }
}

function keyOf({ protocol, address, port }: FlowAddress): string {
  return `${protocol} ${address} ${port}`;
}
