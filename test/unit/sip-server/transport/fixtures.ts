import type {
  Destination,
  Flow,
  ListenPoint,
  Protocol,
  TransportEvents,
  TransportLayer,
} from '../../../../src/sip-server/layers';
import type { SipMessage } from '../../../../src/sip-message/message';
import type { SendResult } from '../../../../src/sip-server/transport/protocol-transport';
import { createTransport, type TransportOptions } from '../../../../src/sip-server/transport';

export interface Received {
  readonly message: SipMessage;
  readonly flow: Flow;
  readonly bytes: number;
}

/** Waits until `ready` gives something, looking whenever `poke` is called; fails after `capMs`. */
export class Inbox<T> {
  private readonly items: T[] = [];
  private waiting: (() => void)[] = [];

  push(item: T): void {
    this.items.push(item);
    for (const wake of this.waiting.splice(0)) wake();
  }

  get size(): number {
    return this.items.length;
  }

  async next(what = 'item', capMs = 3000): Promise<T> {
    const deadline = Date.now() + capMs;
    for (;;) {
      const item = this.items.shift();
      if (item !== undefined) return item;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${what} within ${capMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

export interface Peer {
  readonly transport: TransportLayer;
  readonly messages: Inbox<Received>;
  readonly malformed: Inbox<{ readonly reason: string; readonly status: number; readonly flow: Flow }>;
  readonly closed: Inbox<number>;
  readonly failures: Inbox<{ readonly address: string; readonly port: number; readonly failure: string }>;
  readonly port: (protocol: Protocol) => number;
}

const open: TransportLayer[] = [];

/** A transport with listeners on `address`, closed by `closeAll`. */
export async function peer(
  address: string,
  options: TransportOptions = {},
  protocols: readonly Protocol[] = ['udp', 'tcp'],
  announced?: ListenPoint['announced'],
): Promise<Peer> {
  const transport = createTransport(options);
  open.push(transport);
  const messages = new Inbox<Received>();
  const malformed: Peer['malformed'] = new Inbox();
  const closed = new Inbox<number>();
  const failures: Peer['failures'] = new Inbox();
  const events: TransportEvents = {
    message: (message, flow, bytes) => messages.push({ message, flow, bytes }),
    malformed: ({ reason, status }, flow) => malformed.push({ reason, status, flow }),
    connectionClosed: (connection) => closed.push(connection),
  };
  transport.onSendFailure((to, failure) => failures.push({ address: to.address, port: to.port, failure }));
  const points = await transport.listen(
    protocols.map((protocol) => ({ protocol, address, port: 0, ...(announced === undefined ? {} : { announced }) })),
    events,
  );
  const port = (protocol: Protocol): number => points.find((point) => point.protocol === protocol)?.port ?? 0;
  return { transport, messages, malformed, closed, failures, port };
}

export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((transport) => transport.close()));
}

export function send(transport: TransportLayer, text: string, to: Destination): Promise<SendResult> {
  return new Promise((resolve) => transport.send(Buffer.from(text), to, resolve));
}

/** A request as a client writes it. */
export function requestText(via: string, extra = '', body = ''): string {
  return [
    'OPTIONS sip:b@example.com SIP/2.0',
    `Via: ${via}`,
    'From: <sip:a@example.com>;tag=f1',
    'To: <sip:b@example.com>',
    'Call-ID: c1@example.com',
    'CSeq: 1 OPTIONS',
    'Max-Forwards: 70',
    ...(extra === '' ? [] : [extra]),
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}
