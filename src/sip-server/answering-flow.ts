import type { SipRequest } from '../sip-message/message';
import type { Flow } from './layers';

/**
 * Where the sender of a request listens: responses to it and requests on its flow go by one rule. Over UDP that may be another port than it
 * sends from (RFC 3261 section 18.2.2); a connection is itself.
 */
export function answeringFlow({ answerPort }: SipRequest, flow: Flow): Flow {
  return answerPort === undefined || flow.connection !== undefined ? flow : { ...flow, remotePort: answerPort };
}
