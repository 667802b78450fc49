import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SimulatedClock } from '../../../../src/process/clock';
import type { Protocol } from '../../../../src/sip-server/layers';
import { createLocator, systemDns, type Locate, type Target } from '../../../../src/sip-server/locate';
import { DnsServer, type Zone } from '../../../support/dns-server';
import { eventuallyTrue } from '../../../support/eventually';
import { Scope } from '../../../support/scope';

const ZONE: Zone = {
  'plain.test': { A: ['192.0.2.1'], AAAA: ['2001:db8::1'] },
  'srv.test': { A: ['192.0.2.9'] },
  '_sip._udp.srv.test': { SRV: ['20 0 5080 two.srv.test', '10 0 5070 one.srv.test'] },
  '_sip._tcp.srv.test': { SRV: ['10 0 5090 two.srv.test'] },
  '_sips._tcp.srv.test': { SRV: ['10 0 5061 one.srv.test'] },
  'one.srv.test': { A: ['192.0.2.11', '192.0.2.12'] },
  'two.srv.test': { A: ['192.0.2.21'] },
  'naptr.test': {
    NAPTR: [
      '50 50 s SIPS+D2T _sips._tcp.srv.test',
      '90 50 s SIP+D2T _sip._tcp.srv.test',
      '90 60 s SIP+D2U _sip._udp.srv.test',
    ],
    A: ['192.0.2.9'],
  },
  'denied.test': { A: ['192.0.2.9'] },
  '_sip._udp.denied.test': { SRV: ['0 0 0 .'] },
  'listed.test': { A: ['192.0.2.9'] },
};

let scope: Scope;
beforeEach(() => {
  scope = new Scope();
});
afterEach(() => scope.close());

interface Bench {
  readonly clock: SimulatedClock;
  readonly dns: DnsServer;
  readonly locate: Locate;
  readonly find: (host: string, target?: Partial<Target>) => Promise<string[]>;
}

async function bench(ttl?: number): Promise<Bench> {
  const clock = new SimulatedClock();
  const dns = await DnsServer.start(scope, ZONE, ttl);
  const hostsFile = join(scope.directory('hosts'), 'hosts');
  writeFileSync(
    hostsFile,
    '127.0.0.1 localhost\n# x\n2001:db8::7 Listed.test\n192.0.2.7  other listed.test # y\nnonsense\n',
  );
  const system = systemDns({ servers: [dns.address], hostsFile, timeoutMs: 300 });
  const locate = createLocator({ dns: system, clock, random: () => 0 });
  const find = async (host: string, target: Partial<Target> = {}): Promise<string[]> => {
    const usable: Protocol[] = ['udp', 'tcp'];
    const found = await locate({ host, port: undefined, protocol: undefined, usable, ...target });
    return found.map(({ protocol, address, port }) => `${protocol} ${address} ${port}`);
  };
  return { clock, dns, locate, find };
}

describe('locating a server', () => {
  test('RFC 3263 §4.2: a port in the URI: A and AAAA records, and no others, are asked for', async () => {
    const { find, dns } = await bench();
    expect(await find('plain.test', { port: 5099 })).toEqual(['udp 192.0.2.1 5099', 'udp 2001:db8::1 5099']);
    expect(dns.asked.sort()).toEqual(['A plain.test', 'AAAA plain.test']);
  });

  test('RFC 3263 §4.2: a transport in the URI: its SRV records, by priority', async () => {
    const { find } = await bench();
    expect(await find('srv.test', { protocol: 'udp' })).toEqual([
      'udp 192.0.2.11 5070',
      'udp 192.0.2.12 5070',
      'udp 192.0.2.21 5080',
    ]);
    expect(await find('srv.test', { protocol: 'tls' })).toEqual(['tls 192.0.2.11 5061', 'tls 192.0.2.12 5061']);
  });

  test('RFC 3263 §4.2: without SRV records the address itself, at the port of the transport', async () => {
    const { find } = await bench();
    expect(await find('plain.test', { protocol: 'tls' })).toEqual(['tls 192.0.2.1 5061', 'tls 2001:db8::1 5061']);
    expect(await find('plain.test')).toEqual(['udp 192.0.2.1 5060', 'udp 2001:db8::1 5060']);
  });

  test('RFC 3263 §4.1: NAPTR records choose the transport among those that we have', async () => {
    const { find } = await bench();
    const tcpThenUdp = ['tcp 192.0.2.21 5090', 'udp 192.0.2.11 5070', 'udp 192.0.2.12 5070', 'udp 192.0.2.21 5080'];
    expect(await find('naptr.test')).toEqual(tcpThenUdp);
    expect((await find('naptr.test', { usable: ['udp', 'tcp', 'tls'] }))[0]).toBe('tls 192.0.2.11 5061');
  });

  test('RFC 3263 §4.1: without NAPTR records the SRV records tell', async () => {
    const { find } = await bench();
    expect((await find('srv.test')).map((one) => one.slice(0, 3))).toEqual(['udp', 'udp', 'udp', 'tcp']);
    expect(await find('srv.test', { usable: ['tcp'] })).toEqual(['tcp 192.0.2.21 5090']);
  });

  test('RFC 2782: a service that is said not to be there is not looked for at the address', async () => {
    const { find } = await bench();
    expect(await find('denied.test', { protocol: 'udp' })).toEqual([]);
  });

  test('a name in the hosts file needs no name server', async () => {
    const { find, dns } = await bench();
    expect(await find('LISTED.test')).toEqual(['udp 192.0.2.7 5060', 'udp 2001:db8::7 5060']);
    expect(dns.asked).toEqual([]);
  });

  test('a name that does not exist has no addresses', async () => {
    const { find } = await bench();
    expect(await find('nowhere.test')).toEqual([]);
    expect(await find('nowhere.test', { usable: [] })).toEqual([]);
    expect(await find('not a name \0 at all')).toEqual([]);
    expect(await find('x'.repeat(5000))).toEqual([]);
  });

  test('answers are remembered for as long as their TTL, and asked for once by many', async () => {
    const { find, dns, clock } = await bench(20);
    await Promise.all(Array.from({ length: 50 }, () => find('plain.test', { port: 1 })));
    expect(dns.asked).toHaveLength(2);
    clock.advance(19_000);
    await find('PLAIN.test.', { port: 2 });
    expect(dns.asked).toHaveLength(2);
    clock.advance(1_000);
    await find('plain.test', { port: 1 });
    expect(dns.asked).toHaveLength(4);
  });

  test('a name server that says nothing costs 2.5 seconds at each step, not more', async () => {
    const { find, dns, clock } = await bench();
    dns.answers = false;
    const found = find('plain.test');
    let settled = false;
    void found.then(() => {
      settled = true;
    });
    await eventuallyTrue('asked', () => dns.asked.length >= 4, { every: 5 });
    clock.advance(2_500);
    await eventuallyTrue('an end', () => settled, { cap: 250, every: 5 });
    expect(await found).toEqual([]);
  });
});
