import { headerKey } from './headers';
import type { SipMessage } from './message';

/** The message as bytes. Content-Length is computed (the place it had is kept); header names stay as they are stored. */
export function serialize(message: SipMessage): Buffer {
  let head =
    message.kind === 'request'
      ? `${message.method} ${message.uri} SIP/2.0\r\n`
      : `SIP/2.0 ${message.status} ${message.reason}\r\n`;
  let hasLength = false;
  for (const { name, value } of message.headers) {
    if (headerKey(name) !== 'content-length') head += `${name}: ${value}\r\n`;
    else if (!hasLength) {
      head += `${name}: ${message.body.length}\r\n`;
      hasLength = true;
    }
  }
  head += hasLength ? '\r\n' : `Content-Length: ${message.body.length}\r\n\r\n`;
  return message.body.length === 0 ? Buffer.from(head) : Buffer.concat([Buffer.from(head), message.body]);
}
