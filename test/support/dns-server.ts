import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import type { Scope } from './scope';

type Type = 'A' | 'AAAA' | 'SRV' | 'NAPTR';
const NUMBERS: Readonly<Record<Type, number>> = { A: 1, AAAA: 28, SRV: 33, NAPTR: 35 };

/** `10 5 5060 host` for SRV, `10 20 s SIP+D2T _sip._tcp.host` for NAPTR, an address for A and AAAA. */
export type Zone = Readonly<Record<string, Readonly<Partial<Record<Type, readonly string[]>>>>>;

const nameBytes = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .split('.')
      .filter((label) => label !== '')
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ]);
const number = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);

function ipv6Bytes(address: string): Buffer {
  const [left = '', right = ''] = address.split('::');
  const groups = (part: string): string[] => part.split(':').filter((group) => group !== '');
  const missing = 8 - groups(left).length - groups(right).length;
  const all = [...groups(left), ...Array.from({ length: missing }, () => '0'), ...groups(right)];
  return Buffer.concat(all.map((group) => number(parseInt(group, 16))));
}

function recordBytes(type: Type, value: string): Buffer {
  if (isIPv4(value)) return Buffer.from(value.split('.').map(Number));
  if (type === 'AAAA') return ipv6Bytes(value);
  const parts = value.split(' ');
  const numbers = parts.slice(0, type === 'SRV' ? 3 : 2).map((part) => number(Number(part)));
  const name = nameBytes(parts.at(-1) ?? '');
  if (type === 'SRV') return Buffer.concat([...numbers, name]);
  return Buffer.concat([...numbers, text(parts[2] ?? ''), text(parts[3] ?? ''), text(''), name]);
}

/** A name server on loopback that knows one zone; names that are not in it do not exist. */
export class DnsServer {
  /** `SRV _sip._udp.example`, in the order in which they were asked. */
  readonly asked: string[] = [];
  /** False: it says nothing. */
  answers = true;

  private constructor(
    readonly address: string,
    private readonly zone: Zone,
    private readonly ttl: number,
  ) {}

  /** `at`: by default a free port; name servers of programs that we do not tell another listen on 53. */
  static async start(scope: Scope, zone: Zone, ttl = 60, at = { address: '127.0.0.1', port: 0 }): Promise<DnsServer> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(at.port, at.address, resolve);
    });
    scope.defer(() => socket.close());
    const server = new DnsServer(`${at.address}:${socket.address().port}`, zone, ttl);
    socket.on('message', (question, from) => {
      const answer = server.answer(question);
      if (answer !== undefined) socket.send(answer, from.port, from.address);
    });
    return server;
  }

  private answer(query: Buffer): Buffer | undefined {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join('.').toLowerCase();
    const question = query.subarray(12, at + 5);
    const asked = query.readUInt16BE(at + 1);
    const type = (Object.keys(NUMBERS) as Type[]).find((one) => NUMBERS[one] === asked);
    this.asked.push(`${type ?? asked} ${name}`);
    if (!this.answers) return undefined;
    const known = this.zone[name];
    const values = type === undefined ? [] : (known?.[type] ?? []);
    const records = values.map((value) => {
      const data = recordBytes(type ?? 'A', value);
      const ttl = Buffer.alloc(4);
      ttl.writeUInt32BE(this.ttl);
      return Buffer.concat([number(0xc00c), number(asked), number(1), ttl, number(data.length), data]);
    });
    // Response, recursion available; 3: no such name.
    const flags = 0x8180 | (known === undefined ? 3 : 0);
    const head = [query.subarray(0, 2), number(flags), number(1), number(records.length), number(0), number(0)];
    return Buffer.concat([...head, question, ...records]);
  }
}
