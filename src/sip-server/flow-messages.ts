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
  /** To the server: do you live? `pong` at once. */
  | { readonly type: 'ping' }
  | { readonly type: 'pong' };

/** Undefined for anything else. */
export function readFlowMessage(value: unknown): FlowMessage | undefined {
  if (typeof value !== 'object' || value === null || !('type' in value)) return undefined;
  if (value.type === 'ping' || value.type === 'pong') return { type: value.type };
  if ('flow' in value && typeof value.flow === 'string') {
    const { type, flow } = value;
    return type === 'flow-closed' || type === 'close-flow' ? { type, flow } : undefined;
  }
  if (!('id' in value) || typeof value.id !== 'number') return undefined;
  const { type, id } = value;
  if (type === 'watch-flows' && 'flows' in value && isListOf(value.flows, 'string'))
    return { type, id, flows: value.flows };
  if (type === 'flows-watched' && 'open' in value && isListOf(value.open, 'boolean'))
    return { type, id, open: value.open };
  return undefined;
}

function isListOf(value: unknown, type: 'string'): value is string[];
function isListOf(value: unknown, type: 'boolean'): value is boolean[];
function isListOf(value: unknown, type: string): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === type);
}
