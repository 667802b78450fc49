import fc from 'fast-check';
import type { Analysis } from '../../../src/digit-analysis/analysis';
import { RegistrationInformationTable, type TableOptions } from '../../../src/digit-analysis/table';
import { CompositeSet } from '../../../src/registration/composite-set';
import type { RegistrationRecord } from '../../../src/registration/record';

const NOW = 1_700_000_000_000;

function station(owner: number, device: string, over: Partial<RegistrationRecord> = {}): RegistrationRecord {
  return {
    key: `${device};i1`,
    kind: 'station',
    device,
    lines: ['1000'],
    instance: 'i1',
    pid: `${owner}.dp.1`,
    boot: 7,
    contact: 'sip:alice@127.0.0.1:5062',
    address: 'udp:127.0.0.1:5062',
    stamp: { ms: NOW, counter: 0, node: owner },
    expiresAt: NOW + 60_000,
    ...over,
  };
}

function gateway(owner: number, device: string): RegistrationRecord {
  return station(owner, device, { key: device, kind: 'gateway', lines: [], pid: `${owner}.gp.1`, expiresAt: 0 });
}

function setUp(options: Partial<TableOptions> = {}) {
  const set = new CompositeSet();
  const routes = [
    { pattern: '9.@', targets: ['gw-a', 'gw-b'] },
    { pattern: '911', targets: ['gw-b'] },
  ];
  const table = new RegistrationInformationTable({
    set,
    localNode: 1,
    now: () => NOW,
    knownNumbers: ['1000', '2000'],
    routes,
    ...options,
  });
  const ask = (dialled: string, localOnly = false) => table.analyse(dialled, { localOnly, from: 'SEP-x' });
  return { set, table, ask };
}

/** The PIDs of each branch, in order. */
function pids(analysis: Analysis): string[][] {
  return analysis.type === 'targets'
    ? analysis.branches.map((branch) => branch.map((target) => target.pid ?? `node ${target.node}`))
    : [];
}

describe('claim R4: digit analysis of a number', () => {
  it('gives the process of the device that is registered for it, here or on another node', () => {
    const { set, ask } = setUp();
    set.put(2, station(2, 'SEP-bob', { lines: ['2000'], pid: '2.dp.5' }));
    expect(ask('2000')).toEqual({
      type: 'targets',
      matched: '2000',
      branches: [
        [{ pid: '2.dp.5', boot: 7, node: 2, local: false, device: 'SEP-bob', kind: 'station', digits: '2000' }],
      ],
    });
  });

  it('says unregistered for a line without registration and unknown for what is no number', () => {
    const { ask } = setUp();
    expect(ask('1000')).toEqual({ type: 'unregistered', matched: '1000' });
    expect(ask('3000')).toEqual({ type: 'unknown' });
    expect(ask('')).toEqual({ type: 'unknown' });
    expect(ask('9'.repeat(65))).toEqual({ type: 'unknown' });
    expect(ask('__proto__')).toEqual({ type: 'unknown' });
  });

  it('rings different binding keys in parallel, wherever they are', () => {
    const { set, ask } = setUp();
    set.put(1, station(1, 'SEP-alice'));
    set.put(2, station(2, 'SEP-carol', { pid: '2.dp.9' }));
    expect(pids(ask('1000')).sort()).toEqual([['1.dp.1'], ['2.dp.9']]);
  });

  it('claim R12: puts one binding key at several owners into one branch, the newest first', () => {
    const { set, ask } = setUp();
    set.put(2, station(2, 'SEP-alice', { stamp: { ms: NOW - 10, counter: 5, node: 2 } }));
    set.put(3, station(3, 'SEP-alice', { stamp: { ms: NOW - 10, counter: 6, node: 3 } }));
    set.put(1, station(1, 'SEP-alice', { stamp: { ms: NOW - 20, counter: 9, node: 1 } }));
    expect(pids(ask('1000'))).toEqual([['3.dp.1', '2.dp.1', '1.dp.1']]);
  });

  it('claim R11: a late deletion of the old node leaves the entry of the new one', () => {
    const { set, ask } = setUp();
    set.put(2, station(2, 'SEP-alice'));
    set.put(3, station(3, 'SEP-alice'));
    set.delete(2, 'SEP-alice;i1', 'moved');
    expect(pids(ask('1000'))).toEqual([['3.dp.1']]);
  });

  it('claim R9: forgets what a purged node had told', () => {
    const { set, ask, table } = setUp();
    set.put(2, station(2, 'SEP-alice'));
    set.put(2, gateway(2, 'gw-a'));
    set.purge(2, 'off-line');
    expect(ask('1000').type).toBe('unregistered');
    expect(ask('95551234').type).toBe('unregistered');
    expect([...table.entries()]).toEqual([]);
  });

  it('offers our own records only to a call from another node (claim R14)', () => {
    const { set, ask } = setUp();
    set.put(1, station(1, 'SEP-alice'));
    set.put(2, station(2, 'SEP-carol'));
    expect(pids(ask('1000', true))).toEqual([['1.dp.1']]);
    set.delete(1, 'SEP-alice;i1', 'unregistered');
    expect(ask('1000', true)).toEqual({ type: 'unregistered', matched: '1000' });
  });

  it('does not offer our own expired record, and leaves a remote one to its owner', () => {
    const { set, ask } = setUp();
    set.put(1, station(1, 'SEP-alice', { expiresAt: NOW }));
    expect(ask('1000').type).toBe('unregistered');
    set.put(2, station(2, 'SEP-carol', { expiresAt: NOW - 5 }));
    expect(pids(ask('1000'))).toEqual([['2.dp.1']]);
  });

  it('follows a device that changes its lines', () => {
    const { set, ask } = setUp();
    set.put(2, station(2, 'SEP-alice', { lines: ['1000', '1009'] }));
    set.put(2, station(2, 'SEP-alice', { lines: ['2000'] }));
    expect(ask('1000').type).toBe('unregistered');
    expect(ask('1009').type).toBe('unknown');
    expect(pids(ask('2000'))).toEqual([['2.dp.1']]);
  });

  it('finds a device by its username, and sends one of its lines to it', () => {
    const { set, ask } = setUp({ usernames: new Map([['alice', 'SEP-alice']]) });
    expect(ask('alice')).toEqual({ type: 'unregistered', matched: 'alice' });
    set.put(2, station(2, 'SEP-alice', { lines: ['1000', '1001'] }));
    expect(ask('alice')).toMatchObject({ type: 'targets', branches: [[{ device: 'SEP-alice', digits: '1000' }]] });
  });

  it('knows the records that were there before it', () => {
    const set = new CompositeSet();
    set.put(2, station(2, 'SEP-alice'));
    expect(pids(setUp({ set }).ask('1000'))).toEqual([['2.dp.1']]);
  });
});

describe('claim R4: digit analysis of a pattern', () => {
  it('gives the gateways of the route in order as alternatives, with the digits that the pattern leaves', () => {
    const { set, ask } = setUp();
    set.put(2, gateway(2, 'gw-b'));
    set.put(1, gateway(1, 'gw-a'));
    const analysis = ask('95551234');
    expect(pids(analysis)).toEqual([['1.gp.1', '2.gp.1']]);
    expect(analysis).toMatchObject({ matched: '9.@', branches: [[{ kind: 'gateway', digits: '5551234' }, {}]] });
  });

  it('leaves out gateways that are not on-line', () => {
    const { set, ask } = setUp();
    expect(ask('95551234')).toEqual({ type: 'unregistered', matched: '9.@' });
    set.put(2, gateway(2, 'gw-b'));
    expect(pids(ask('95551234'))).toEqual([['2.gp.1']]);
    expect(ask('95551234', true).type).toBe('unregistered');
  });

  it('takes the closest match, and a number before any pattern', () => {
    const { set, ask } = setUp({ knownNumbers: ['9111'] });
    set.put(1, gateway(1, 'gw-a'));
    set.put(2, gateway(2, 'gw-b'));
    expect(ask('911')).toMatchObject({ matched: '911', branches: [[{ device: 'gw-b', digits: '911' }]] });
    expect(ask('9111')).toEqual({ type: 'unregistered', matched: '9111' });
  });

  it('does not take a media resource or a gateway for a number', () => {
    const { set, ask } = setUp();
    set.put(1, station(1, 'moh', { kind: 'media-resource', lines: ['1000'] }));
    set.put(1, station(1, 'gw-a', { kind: 'gateway', lines: ['2000'] }));
    expect(ask('1000').type).toBe('unregistered');
    expect(ask('2000').type).toBe('unregistered');
  });
});

describe('claim R3: the registration information table', () => {
  it('lists numbers and patterns with PID, device, address and a mark for local or remote', () => {
    const { set, table } = setUp();
    set.put(1, station(1, 'SEP-alice', { lines: ['1000', '1001'] }));
    set.put(2, gateway(2, 'gw-a'));
    expect([...table.entries()]).toEqual([
      expect.objectContaining({
        dn: '1000',
        device: 'SEP-alice',
        pid: '1.dp.1',
        boot: 7,
        node: 1,
        local: true,
        address: 'udp:127.0.0.1:5062',
      }),
      expect.objectContaining({ dn: '1001', device: 'SEP-alice', local: true }),
      expect.objectContaining({ dn: '9.@', device: 'gw-a', pid: '2.gp.1', local: false, kind: 'gateway' }),
    ]);
  });

  it('explains what was looked at, what was chosen and why', () => {
    const { set, table } = setUp();
    set.put(1, station(1, 'SEP-alice', { expiresAt: NOW - 1 }));
    set.put(2, station(2, 'SEP-carol'));
    set.put(1, gateway(1, 'gw-b'));
    const number = table.explain('1000', 'SEP-bob');
    expect(number.number?.records.map(({ device, verdict }) => [device, verdict])).toEqual([
      ['SEP-carol', 'offered'],
      ['SEP-alice', 'expired'],
    ]);
    expect(number.result).toMatchObject({ type: 'targets', matched: '1000' });
    const external = table.explain('911', 'SEP-bob');
    expect(external.number).toBeUndefined();
    expect(
      external.patterns.map(({ pattern, chosen, matchingStrings, digits }) => [
        pattern,
        chosen,
        matchingStrings,
        digits,
      ]),
    ).toEqual([
      ['911', true, '1', '911'],
      ['9.@', false, '100', '11'],
    ]);
    expect(external.patterns[1]?.targets[0]).toEqual({ gateway: 'gw-a', records: [] });
    expect(table.explain('777', 'SEP-bob')).toMatchObject({
      number: undefined,
      patterns: [],
      result: { type: 'unknown' },
    });
  });

  it('holds, after any changes, what a table built from scratch holds', () => {
    const change = fc.record({
      owner: fc.integer({ min: 1, max: 3 }),
      device: fc.constantFrom('a', 'b', 'c', 'd'),
      kind: fc.constantFrom('station' as const, 'gateway' as const),
      lines: fc.uniqueArray(fc.constantFrom('1000', '1001', '2000'), { maxLength: 3 }),
      remove: fc.constantFrom('no', 'no', 'no', 'delete', 'purge'),
      ms: fc.nat({ max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40, size: 'max' }), (changes) => {
        const routes = [{ pattern: '9.@', targets: ['a', 'b'] }];
        const { set, table } = setUp({ routes });
        for (const { owner, device, kind, lines, remove, ms } of changes) {
          if (remove === 'purge') set.purge(owner, 'off-line');
          else if (remove === 'delete') set.delete(owner, `${device};i1`, 'expired');
          else set.put(owner, station(owner, device, { kind, lines, stamp: { ms, counter: 0, node: owner } }));
        }
        const fresh = setUp({ set, routes }).table;
        for (const dialled of ['1000', '1001', '2000', '3000', '91'])
          for (const localOnly of [false, true]) {
            const options = { localOnly, from: 'x' };
            expect(table.analyse(dialled, options)).toEqual(fresh.analyse(dialled, options));
            // What comes in through a gateway finds the numbers that everybody finds, and no gateway.
            const outside = table.analyse(dialled, { ...options, numbersOnly: true });
            if (dialled === '91') expect(outside).toEqual({ type: 'unknown' });
            else expect(outside).toEqual(table.analyse(dialled, options));
          }
        const order = (entries: Iterable<unknown>) => [...entries].map((entry) => JSON.stringify(entry)).sort();
        expect(order(table.entries())).toEqual(order(fresh.entries()));
      }),
      { numRuns: 300 },
    );
  });

  it('keeps a hundred thousand entries up to date one by one', () => {
    const { set, ask } = setUp();
    for (let index = 0; index < 100_000; index++)
      set.put(2, station(2, `SEP-${index}`, { lines: [`7${index}`], key: `k${index}` }));
    expect(pids(ask('799999'))).toEqual([['2.dp.1']]);
    for (let index = 0; index < 100_000; index += 2) set.delete(2, `k${index}`, 'expired');
    expect(ask('799998').type).toBe('unknown');
    expect(ask('799999').type).toBe('targets');
  });

  it('refuses to start with a route that is no pattern', () => {
    expect(() => setUp({ routes: [{ pattern: '9[', targets: ['gw-a'] }] })).toThrow('not a pattern: 9[');
  });
});
