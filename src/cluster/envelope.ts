import { sign, verify } from '../process/hmac';
import { readMessage, type ClusterMessage } from './schema';
import { writeMessage } from './wire';

/** Version of the messages between nodes. Nodes of another version are not understood, and counted. */
const VERSION = 'tandem4';
/** No message is longer than this, in bytes: Redis cuts a subscriber that falls behind. */
export const MAX_MESSAGE_BYTES = 64 * 1024;

export type Refusal = 'too-large' | 'version' | 'forged' | 'malformed';

export type Opened =
  { readonly ok: true; readonly message: ClusterMessage } | { readonly ok: false; readonly refusal: Refusal };

/** Authenticates messages with the cluster's secret: `version signature json`. The channel is signed too. */
export class Envelope {
  constructor(
    private readonly clusterName: string,
    private readonly secret: string,
  ) {}

  /** `undefined` when the message is too large to be sent. */
  seal(channel: string, message: ClusterMessage): string | undefined {
    const json = writeMessage(message);
    const payload = `${VERSION} ${this.signature(channel, json)} ${json}`;
    return Buffer.byteLength(payload) <= MAX_MESSAGE_BYTES ? payload : undefined;
  }

  /** Opens what came from the network; never throws. */
  open(channel: string, payload: string): Opened {
    if (payload.length > MAX_MESSAGE_BYTES) return { ok: false, refusal: 'too-large' };
    const versionEnd = payload.indexOf(' ');
    const signatureEnd = payload.indexOf(' ', versionEnd + 1);
    if (payload.slice(0, Math.max(0, versionEnd)) !== VERSION) return { ok: false, refusal: 'version' };
    if (signatureEnd < 0) return { ok: false, refusal: 'malformed' };
    const json = payload.slice(signatureEnd + 1);
    if (!verify(this.secret, this.parts(channel, json), payload.slice(versionEnd + 1, signatureEnd)))
      return { ok: false, refusal: 'forged' };
    const message = readMessage(parseJson(json));
    return message === undefined ? { ok: false, refusal: 'malformed' } : { ok: true, message };
  }

  private signature(channel: string, json: string): string {
    return sign(this.secret, this.parts(channel, json));
  }

  private parts(channel: string, json: string): string[] {
    return [VERSION, this.clusterName, channel, json];
  }
}

/** Which node a message that was refused claims to be of; nothing of it is believed: it is for a word to the operator. */
export function claimedSender(payload: string): number | undefined {
  const node = /"node":([1-9]\d{0,5})[,}]/.exec(payload.slice(0, 300))?.[1];
  return node === undefined ? undefined : Number(node);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
