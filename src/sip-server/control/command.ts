import { splitPayload } from './frame';

/** What an application asks for in one frame. */
export type Command =
  | { readonly type: 'authenticate'; readonly id: string; readonly secret: string }
  | { readonly type: 'route' | 'remove_route'; readonly id: string; readonly verb: string }
  | { readonly type: 'ping'; readonly id: string }
  | {
      readonly type: 'sip';
      readonly id: string;
      readonly transactionId: string;
      readonly dialogId: string;
      /** Next hop given by the application: a SIP URI, or `host[:port]`; empty: none. */
      readonly routeUri: string;
      readonly message: Buffer;
    }
  | {
      readonly type: 'proxy';
      readonly id: string;
      readonly transactionId: string;
      readonly tokens: readonly string[];
      readonly message: Buffer;
    }
  /** Answered with `NO`, and the connection is closed. */
  | { readonly type: 'refused'; readonly id: string; readonly reason: string };

/** Never throws; anything that is no command of ours is `refused` with the text of the reply. */
export function parseCommand(payload: Buffer): Command {
  const { tokens, message } = splitPayload(payload);
  const [id = '', type, first = '', second = '', third = ''] = tokens;
  switch (type) {
    case undefined:
      return { type: 'refused', id, reason: 'Invalid message format' };
    case 'authenticate':
      return { type, id, secret: first };
    case 'route':
    case 'remove_route':
      return first === '' ? { type: 'refused', id, reason: 'Invalid message format' } : { type, id, verb: first };
    case 'ping':
      return { type, id };
    case 'sip':
      if (message === undefined) return { type: 'refused', id, reason: 'Invalid message format' };
      return { type, id, transactionId: first, dialogId: second, routeUri: third, message };
    case 'proxy':
      if (message === undefined || tokens.length < 4) {
        return { type: 'refused', id, reason: 'Invalid proxy request: not enough information provided' };
      }
      return { type, id, transactionId: first, tokens: tokens.slice(3), message };
    default:
      return { type: 'refused', id, reason: 'Unknown message type' };
  }
}
