/**
 * What the embedded SIP server and the process that forked it say to each other beside the control protocol, which has
 * no word for connections. Flows go by the names that `NamedFlows` gives them.
 */
export type FlowMessage =
  /** From the server: a flow that is watched is closed. */
  | { readonly type: 'flow-closed'; readonly flow: string }
  /** To the server: close it. */
  | { readonly type: 'close-flow'; readonly flow: string }
  /** To the server: which of them are open? Those are watched from now on. */
  | { readonly type: 'watch-flows'; readonly id: number; readonly flows: readonly string[] }
  /** From the server, in the same order. What closes afterwards is told afterwards. */
  | { readonly type: 'flows-watched'; readonly id: number; readonly open: readonly boolean[] }
  /** From the server: over which flow is the peer of this dialog now? */
  | { readonly type: 'find-flow'; readonly id: number; readonly dialog: string }
  /** To the server; without a flow: where it was. */
  | { readonly type: 'flow-found'; readonly id: number; readonly flow?: string }
  /** To the server: do you live? `pong` at once. */
  | { readonly type: 'ping' }
  | { readonly type: 'pong' };

/** Undefined for anything else. */
export function readFlowMessage(value: unknown): FlowMessage | undefined {
  if (typeof value !== 'object' || value === null || !('type' in value)) return undefined;
  if (value.type === 'ping' || value.type === 'pong') return { type: value.type };
  const flow = 'flow' in value && typeof value.flow === 'string' ? { flow: value.flow } : undefined;
  if (flow !== undefined && (value.type === 'flow-closed' || value.type === 'close-flow'))
    return { type: value.type, ...flow };
  if (!('id' in value) || typeof value.id !== 'number') return undefined;
  const { type, id } = value;
  if (type === 'watch-flows' && 'flows' in value && isListOf(value.flows, 'string'))
    return { type, id, flows: value.flows };
  if (type === 'flows-watched' && 'open' in value && isListOf(value.open, 'boolean'))
    return { type, id, open: value.open };
  if (type === 'find-flow' && 'dialog' in value && typeof value.dialog === 'string')
    return { type, id, dialog: value.dialog };
  if (type === 'flow-found' && (flow !== undefined || !('flow' in value))) return { type, id, ...flow };
  return undefined;
}

function isListOf(value: unknown, type: 'string'): value is string[];
function isListOf(value: unknown, type: 'boolean'): value is boolean[];
function isListOf(value: unknown, type: string): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === type);
}
