import fc from 'fast-check';
import type { Analysis, Target } from '../../../src/digit-analysis/analysis';
import { RegistrationInformationTable } from '../../../src/digit-analysis/table';
import { tunnelled } from '../../../src/digit-analysis/tunnelled';
import { CompositeSet } from '../../../src/registration/composite-set';
import type { RegistrationRecord } from '../../../src/registration/record';

const NOW = 1_700_000_000_000;

function station(
  owner: number,
  device: string,
  age: number,
  over: Partial<RegistrationRecord> = {},
): RegistrationRecord {
  return {
    key: `${device}|i1`,
    kind: 'station',
    device,
    lines: ['2000'],
    instance: 'i1',
    pid: `${owner}.dp.1`,
    boot: 7,
    contact: 'sip:bob@127.0.0.1:5062',
    address: 'udp:127.0.0.1:5062',
    stamp: { ms: NOW - age, counter: 0, node: owner },
    expiresAt: NOW + 60_000,
    ...over,
  };
}

function gateway(owner: number, device: string): RegistrationRecord {
  return station(owner, device, 0, { key: device, kind: 'gateway', lines: [], pid: `${owner}.gp.1`, expiresAt: 0 });
}

function setUp() {
  const set = new CompositeSet();
  const table = new RegistrationInformationTable({
    set,
    localNode: 1,
    now: () => NOW,
    knownNumbers: ['2000'],
    usernames: new Map([['bob', 'SEP-bob']]),
    routes: [{ pattern: '9.@', targets: ['gw-a', 'gw-b', 'gw-c'] }],
    signalling: 'tunnelled',
  });
  const ask = (dialled: string, localOnly = false): string[][] =>
    shown(table.analyse(dialled, { localOnly, from: 'SEP-x' }));
  return { set, table, ask };
}

function shown(analysis: Analysis): string[][] {
  if (analysis.type !== 'targets') return [];
  return analysis.branches.map((branch) => branch.map(({ pid, node, digits }) => `${pid ?? node} ${digits}`));
}

describe('claim R14: of what is at other nodes only the node number is used', () => {
  it('gives the node in place of the PID, with the dialled digits', () => {
    const { set, table } = setUp();
    set.put(2, station(2, 'SEP-bob', 0));
    expect(table.analyse('2000', { localOnly: false, from: 'SEP-x' })).toEqual({
      type: 'targets',
      matched: '2000',
      branches: [
        [{ pid: undefined, boot: 0, node: 2, local: false, device: 'node-2', kind: 'station', digits: '2000' }],
      ],
    });
  });

  it('keeps the PIDs of our own devices', () => {
    const { set, ask } = setUp();
    set.put(1, station(1, 'SEP-bob', 0));
    set.put(2, station(2, 'SEP-carol', 1));
    expect(ask('2000')).toEqual([['1.dp.1 2000'], ['2 2000']]);
    expect(ask('2000', true)).toEqual([['1.dp.1 2000']]);
  });

  it('asks a node once, however many of its devices have the number: it rings them all', () => {
    const { set, ask } = setUp();
    set.put(2, station(2, 'SEP-bob', 0));
    set.put(2, station(2, 'SEP-carol', 1, { pid: '2.dp.2' }));
    expect(ask('2000')).toEqual([['2 2000']]);
  });

  it('claims R12, R13: an older entry of the same binding is what is tried next', () => {
    const { set, ask } = setUp();
    set.put(2, station(2, 'SEP-bob', 0));
    set.put(3, station(3, 'SEP-bob', 5));
    set.put(1, station(1, 'SEP-bob', 9));
    expect(ask('2000')).toEqual([['2 2000', '3 2000', '1.dp.1 2000']]);
  });

  it('a node that is asked anyway is not fallen back on', () => {
    const { set, ask } = setUp();
    set.put(2, station(2, 'SEP-bob', 5));
    set.put(3, station(3, 'SEP-bob', 0));
    set.put(2, station(2, 'SEP-carol', 9, { pid: '2.dp.2' }));
    expect(ask('2000')).toEqual([['3 2000'], ['2 2000']]);
  });

  it('a gateway elsewhere is its node, sent what was dialled: the node strips by its own pattern', () => {
    const { set, ask } = setUp();
    set.put(2, gateway(2, 'gw-a'));
    set.put(1, gateway(1, 'gw-b'));
    set.put(2, gateway(2, 'gw-c'));
    expect(ask('92145551234')).toEqual([['2 92145551234', '1.gp.1 2145551234']]);
  });

  it('a username that is dialled goes to the node as it is', () => {
    const { set, ask } = setUp();
    set.put(2, station(2, 'SEP-bob', 0));
    expect(ask('bob')).toEqual([['2 bob']]);
  });

  it('the table has one entry for each number and node, with the node number in place of the PID', () => {
    const { set, table } = setUp();
    set.put(2, station(2, 'SEP-bob', 0));
    set.put(2, station(2, 'SEP-carol', 0, { pid: '2.dp.2' }));
    set.put(1, station(1, 'SEP-dave', 0));
    set.put(2, gateway(2, 'gw-a'));
    set.put(2, gateway(2, 'gw-c'));
    expect([...table.entries()].map(({ dn, pid, boot, address }) => [dn, pid, boot, address])).toEqual([
      ['2000', '2', undefined, undefined],
      ['2000', '1.dp.1', 7, 'udp:127.0.0.1:5062'],
      ['9.@', '2', undefined, undefined],
    ]);
  });

  it('whatever the branches: every node is asked once, every local process and every node is still there', () => {
    const target = fc
      .record({ node: fc.integer({ min: 1, max: 4 }), instance: fc.integer({ min: 1, max: 9 }) })
      .map(({ node, instance }): Target => ({
        pid: `${node}.dp.${instance}`,
        boot: 1,
        node,
        local: node === 1,
        device: `d${instance}`,
        kind: 'station',
        digits: '2000',
      }));
    const nodes = (branches: readonly (readonly Target[])[]): number[] =>
      branches.flat().flatMap(({ node, local }) => (local ? [] : [node]));
    const own = (branches: readonly (readonly Target[])[]): unknown[] =>
      branches.flat().flatMap(({ pid, local }) => (local ? [pid] : []));
    fc.assert(
      fc.property(fc.array(fc.array(target, { minLength: 1, maxLength: 4 }), { maxLength: 5 }), (branches) => {
        const result = tunnelled(branches, '2000');
        expect(nodes(result).sort()).toEqual([...new Set(nodes(branches))].sort());
        expect(own(result).sort()).toEqual(own(branches).sort());
        expect(result.every((branch) => branch.length > 0)).toBe(true);
      }),
    );
  });
});
