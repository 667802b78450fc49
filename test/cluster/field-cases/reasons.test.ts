import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../../support/cluster';
import { addGateway } from '../../support/cluster-config';
import { freePort } from '../../support/ports';
import { plainSdp, RawLine, type RawCall } from '../../support/raw-line';
import { headerOf, statusOf } from '../../support/sip-text';

jest.setTimeout(60_000);

type End = 'alice' | 'carol' | 'bob' | 'gateway';

let cluster: Cluster;
let lines: Record<End, RawLine>;

/** What is dialled to reach an end; alice, carol and the gateway are at node 1, bob at node 2. */
const NUMBERS: Record<End, string> = { alice: '1000', carol: '1001', bob: '2000', gateway: '95551234' };
const PATHS: [End, End][] = [
  ['alice', 'carol'],
  ['alice', 'bob'],
  ['bob', 'alice'],
  ['alice', 'gateway'],
  ['bob', 'gateway'],
  ['gateway', 'alice'],
  ['gateway', 'bob'],
];

beforeAll(async () => {
  const port = await freePort();
  cluster = await Cluster.start({
    engines: [],
    change: (file) => addGateway(file, port),
  });
  const sip = (node: number): number => cluster.node(node).place.sipPort;
  lines = {
    alice: await RawLine.phone(cluster.scope, 'alice', sip(1)),
    carol: await RawLine.phone(cluster.scope, 'carol', sip(1)),
    bob: await RawLine.phone(cluster.scope, 'bob', sip(2)),
    gateway: await RawLine.gateway(cluster.scope, port, sip(1)),
  };
  for (const number of ['1000', '1001', '2000']) await cluster.everybodyKnows(number);
});
afterAll(() => cluster.close());

/** A call that rings. */
async function ring(from: End, to: End): Promise<[caller: RawCall, callee: RawCall]> {
  const count = lines[to].invites.length;
  const caller = await lines[from].call(NUMBERS[to]);
  const callee = await lines[to].called(count);
  callee.answer('180 Ringing');
  await lines[from].peer.message('180', (one) => statusOf(one) === 180 && headerOf(one, 'Call-ID') === caller.callId);
  return [caller, callee];
}

async function talk(from: End, to: End): Promise<[caller: RawCall, callee: RawCall]> {
  const [caller, callee] = await ring(from, to);
  callee.answer('200 OK', { body: plainSdp() });
  expect(statusOf(await caller.final())).toBe(200);
  await callee.got('ACK');
  return [caller, callee];
}

/** All values, on however many lines. */
function reasonsIn(message: string): string[] {
  return [...message.matchAll(/^Reason:\s*(.*)$/gim)].flatMap(([, value = '']) =>
    value.trim().split(/,\s*(?=[^"]*(?:"[^"]*"[^"]*)*$)/),
  );
}

describe.each(PATHS)('field case B20, %s gives up the call to %s', (from, to) => {
  afterAll(() => cluster.nothingIsLeft());
  const elsewhere = 'SIP;cause=200;text="Call completed elsewhere"';
  const other = 'Q.850;cause=26;text="Other"';
  it.each<[string, string[], boolean]>([
    ['as RFC 3326 has it', [elsewhere], true],
    ['without text', ['SIP;cause=200'], true],
    ['another text', ['SIP;cause=200;text="Answered elsewhere"'], true],
    ['spaces, and a text of another language', ['SIP ;cause=200 ;text="Anruf übernommen"'], true],
    ['two on one line', [`${other}, ${elsewhere}`], true],
    ['two lines', [other, elsewhere], true],
    ['two lines, turned round', [elsewhere, other], true],
    ['two on one line, turned round', [`${elsewhere},${other}`], true],
    ['other letters', ['sip;CAUSE=200'], true],
    ['487', ['SIP;cause=487;text="ORIGINATOR_CANCEL"'], false],
    ['600', ['SIP;cause=600;text="Busy Everywhere"'], false],
    ['200 of another protocol', ['Q.850;cause=200'], false],
    ['none', [], false],
  ])('Reason: %s', async (_, values, wanted) => {
    const [caller, callee] = await ring(from, to);
    caller.cancel(values.map((value) => `Reason: ${value}`));
    const cancel = await callee.got('CANCEL');
    callee.answer('487 Request Terminated');
    expect(statusOf(await caller.final())).toBe(487);
    const told = reasonsIn(cancel).some((value) => /^SIP\s*;.*cause=200(;|$)/i.test(value));
    expect({ told, cancel: reasonsIn(cancel) }).toMatchObject({ told: wanted });
  });
});

describe('field case B20, a fork of ours', () => {
  it('the phone that did not get the call is told that another one did', async () => {
    const second = await RawLine.phone(cluster.scope, 'bob', cluster.node(2).place.sipPort);
    const both = [lines.bob, second];
    const counts = both.map((line) => line.invites.length);
    const caller = await lines.alice.call(NUMBERS.bob);
    const [winner, loser] = await Promise.all(both.map((line, at) => line.called(counts[at])));
    loser?.answer('180 Ringing');
    winner?.answer('200 OK', { body: plainSdp() });
    await caller.final();
    expect(reasonsIn((await loser?.got('CANCEL')) ?? '')).toEqual([expect.stringMatching(/^SIP;cause=200/)]);
    loser?.answer('487 Request Terminated');
    await caller.ask('BYE');
    await cluster.nothingIsLeft();
    await second.leave();
  });
});

/** Header lines, and what the other end is to be told. */
const CAUSES: [string, string[], string[]][] = [
  ['41 with text', ['Q.850;cause=41;text="Temporary failure"'], ['Q.850;cause=41;text="Temporary failure"']],
  ['16 without text', ['Q.850;cause=16'], ['Q.850;cause=16']],
  ['two on one line', ['Q.850;cause=38, SIP;cause=503;text="a, b"'], ['Q.850;cause=38', 'SIP;cause=503;text="a, b"']],
  ['two lines', ['SIP;cause=503', 'Q.850;cause=38'], ['SIP;cause=503', 'Q.850;cause=38']],
  ['a protocol of somebody else', ['X.int;reasoncode=0x0'], ['X.int;reasoncode=0x0']],
  ['garbage', [';;'], []],
  ['garbage beside a value', [';;, Q.850;cause=17'], ['Q.850;cause=17']],
  ['none', [], []],
];

describe.each([...PATHS, ['carol', 'alice'], ['bob', 'carol']] as [End, End][])(
  'field case B21, %s has called %s',
  (from, to) => {
    afterAll(() => cluster.nothingIsLeft());
    it.each(CAUSES)('the cause of a BYE stays what it was, in both directions: %s', async (_, sent, wanted) => {
      for (const ender of [0, 1]) {
        const ends = await talk(from, to);
        const [one, two] = ender === 0 ? ends : [ends[1], ends[0]];
        const bye = one.ask('BYE', { headers: sent.map((value) => `Reason: ${value}`) });
        expect(reasonsIn(await two.got('BYE'))).toEqual(wanted);
        expect(statusOf(await bye)).toBe(200);
      }
    });

    it.each([
      ['503 Service Unavailable', ['Q.850;cause=34']],
      ['486 Busy Here', ['Q.850;cause=17;text="User busy"']],
      ['603 Decline', ['Q.850;cause=21', 'SIP;cause=603']],
    ])('the cause of %s stays what it was', async (status, reasons) => {
      const [caller, callee] = await ring(from, to);
      callee.answer(status, { headers: reasons.map((value) => `Reason: ${value}`) });
      const response = await caller.final();
      expect(statusOf(response)).toBe(Number(status.slice(0, 3)));
      expect(reasonsIn(response)).toEqual(reasons);
    });
  },
);

describe('field case B16, a caller that requires reliable provisional responses', () => {
  afterAll(() => cluster.nothingIsLeft());
  it.each(PATHS)('from %s to %s: refused with 420 at once, once, and nobody rings', async (from, to) => {
    const count = lines[to].invites.length;
    for (const headers of [['Require: 100rel'], ['Supported: timer, 100rel', 'require: timer,100REL']]) {
      const caller = await lines[from].call(NUMBERS[to], { headers });
      const response = await caller.final();
      expect(statusOf(response)).toBe(420);
      expect(headerOf(response, 'Unsupported')).toBe('100rel');
      expect(caller.responses.filter((one) => statusOf(one) > 100 && statusOf(one) < 200)).toEqual([]);
      // Acknowledged: it is not sent again (T1 is 500 ms).
      await pause(700);
      expect(caller.responses.filter((one) => statusOf(one) === 420)).toHaveLength(1);
    }
    expect(lines[to].invites).toHaveLength(count);
  });

  it.each(PATHS)('from %s to %s: a refusal that is not acknowledged is sent again', async (from, to) => {
    const caller = await lines[from].call(NUMBERS[to], { headers: ['Require: 100rel'] });
    const response = await caller.final(false);
    await pause(700);
    expect(caller.responses.filter((one) => statusOf(one) === 420)).toHaveLength(2);
    caller.acknowledgeRefusal(response);
  });

  it.each(PATHS)('from %s to %s: one that only knows them is called through', async (from, to) => {
    const count = lines[to].invites.length;
    const caller = await lines[from].call(NUMBERS[to], { headers: ['Supported: 100rel'] });
    const callee = await lines[to].called(count);
    callee.answer('180 Ringing');
    callee.answer('200 OK', { body: plainSdp() });
    expect(statusOf(await caller.final())).toBe(200);
    for (const one of caller.responses) expect(headerOf(one, 'RSeq')).toBeUndefined();
    await caller.ask('BYE');
  });
});

describe('a refusal has the same status wherever the callee is', () => {
  afterAll(() => cluster.nothingIsLeft());
  const refusedBy = async (from: End, to: End, line: string): Promise<string> => {
    const count = lines[to].invites.length;
    const caller = await lines[from].call(NUMBERS[to]);
    (await lines[to].called(count)).answer(line);
    const final = await caller.final();
    expect(headerOf(final, 'X-Tandem-Judged')).toBeUndefined();
    return final.split('\r\n')[0] ?? '';
  };
  it.each([
    '404 Not There',
    '480 Asleep',
    '486 Busy Here',
    '500 My Fault',
    '503 Full',
    '504 Too Late',
    '580 No',
    '603 Decline',
  ])('%s', async (line) => {
    const phone = await refusedBy('alice', 'carol', line);
    expect({ phone: await refusedBy('bob', 'carol', line) }).toEqual({ phone });
    expect({ phone: await refusedBy('alice', 'bob', line) }).toEqual({ phone });
    const trunk = await refusedBy('alice', 'gateway', line);
    expect({ trunk: await refusedBy('bob', 'gateway', line) }).toEqual({ trunk });
  });
});
