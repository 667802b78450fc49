import type { Protocol } from '../layers';

/** Records of DNS as RFC 3263 uses them, and the order in which they are to be tried. Pure. */

export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** `.` or empty: the service is decidedly not there (RFC 2782). */
  readonly target: string;
}

export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly service: string;
  readonly replacement: string;
}

/** Priorities ascending; within one, a weighted draw (RFC 2782). `random` is in [0, 1). */
export function orderSrv(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const priorities = [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b);
  return priorities.flatMap((priority) =>
    draw(
      records.filter((record) => record.priority === priority),
      random,
    ),
  );
}

function draw(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  // Those of weight 0 in front: they have a small chance, and only theirs.
  const left = [...records].sort((a, b) => Math.sign(a.weight) - Math.sign(b.weight));
  const drawn: SrvRecord[] = [];
  while (left.length > 0) {
    const sum = left.reduce((total, record) => total + record.weight, 0);
    let mark = Math.floor(random() * (sum + 1));
    const index = left.findIndex((record) => (mark -= record.weight) <= 0);
    drawn.push(...left.splice(Math.max(0, index), 1));
  }
  return drawn;
}

/** Whether DNS says that there is no such service, which is not the same as saying nothing. */
export function isDenied(records: readonly SrvRecord[]): boolean {
  return records.length > 0 && records.every(({ target }) => target === '' || target === '.');
}

const SERVICES: ReadonlyMap<string, Protocol> = new Map([
  ['SIP+D2U', 'udp'],
  ['SIP+D2T', 'tcp'],
  ['SIPS+D2T', 'tls'],
]);

export interface Service {
  readonly protocol: Protocol;
  /** Where its SRV records are. */
  readonly name: string;
}

/**
 * The services of a domain that we can use: those of the lowest order among them, by preference (RFC 3263 section 4.1,
 * RFC 3403 section 4.1).
 */
export function usableServices(records: readonly NaptrRecord[], usable: readonly Protocol[]): Service[] {
  const fitting = records
    .flatMap((record) => {
      const protocol = SERVICES.get(record.service.toUpperCase());
      const fits = protocol !== undefined && usable.includes(protocol) && record.flags.toLowerCase() === 's';
      return fits && record.replacement !== '' ? [{ record, protocol }] : [];
    })
    .sort((a, b) => a.record.order - b.record.order || a.record.preference - b.record.preference);
  const lowest = fitting[0]?.record.order;
  return fitting
    .filter(({ record }) => record.order === lowest)
    .map(({ record, protocol }) => ({ protocol, name: record.replacement }));
}

const SRV_PREFIXES: Readonly<Partial<Record<Protocol, string>>> = {
  udp: '_sip._udp',
  tcp: '_sip._tcp',
  tls: '_sips._tcp',
};

/** The name of a domain's SRV records for a transport; undefined: there are none for it. */
export function srvName(protocol: Protocol, domain: string): string | undefined {
  const prefix = SRV_PREFIXES[protocol];
  return prefix === undefined ? undefined : `${prefix}.${domain}`;
}
