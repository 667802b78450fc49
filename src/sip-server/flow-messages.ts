/** A connection of a client, as drachtio's control protocol names it: WebSockets are `tcp`. */
export interface FlowAddress {
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
}

/**
 * What the embedded SIP server and the process that forked it say to each other beside the control protocol, which has
 * no word for a connection that closes.
 */
export type FlowMessage =
  /** From the server: a connection over which a REGISTER was accepted is closed, since `at` (ms since the epoch). */
  | { readonly type: 'flow-closed'; readonly flow: FlowAddress; readonly at: number }
  /** To the server: close it. */
  | { readonly type: 'close-flow'; readonly flow: FlowAddress };

/** Undefined for anything else. */
export function readFlowMessage(value: unknown): FlowMessage | undefined {
  if (typeof value !== 'object' || value === null || !('type' in value) || !('flow' in value)) return undefined;
  const flow = readFlow(value.flow);
  if (flow === undefined) return undefined;
  if (value.type === 'close-flow') return { type: 'close-flow', flow };
  if (value.type === 'flow-closed' && 'at' in value && typeof value.at === 'number')
    return { type: 'flow-closed', flow, at: value.at };
  return undefined;
}

function readFlow(value: unknown): FlowAddress | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('protocol' in value) || !('address' in value) || !('port' in value)) return undefined;
  const { protocol, address, port } = value;
  if (typeof protocol !== 'string' || typeof address !== 'string' || typeof port !== 'number') return undefined;
  return { protocol, address, port };
}
