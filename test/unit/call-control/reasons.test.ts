import { parseReasons } from '../../../src/sip/reason';
import { sdp, talking, target, World } from './kit';

const told = (header: string | undefined) => ({ reason: 'for people, never read', reasons: parseReasons(header) });

describe('a Reason on its way through a call (RFC 3326 §2)', () => {
  const causes = (header: string | undefined): readonly (number | undefined)[] =>
    parseReasons(header).flatMap(({ protocol, cause }) => (protocol.toUpperCase() === 'SIP' ? [cause] : []));

  test.each([
    ['SIP;cause=200;text="Call completed elsewhere"', true],
    ['SIP;cause=200', true],
    ['SIP;cause=200;text="Answered elsewhere"', true],
    ['SIP ;cause=200 ;text="Anruf \u00fcbernommen"', true],
    ['Q.850;cause=26;text="Other", SIP;cause=200;text="Call completed elsewhere"', true],
    ['SIP;cause=200;text="Call completed elsewhere", Q.850;cause=26;text="Other"', true],
    ['sip;CAUSE=200', true],
    ['SIP;cause=487;text="ORIGINATOR_CANCEL"', false],
    ['SIP;cause=600;text="Busy Everywhere"', false],
    ['Q.850;cause=16;text="Call completed elsewhere"', false],
    [undefined, false],
  ])('CANCEL with %s: answered elsewhere is told as such: %s', (header, elsewhere) => {
    const world = new World();
    const bob = world.device('SEP-bob', '1.dp.2');
    world.route('2000', [target('1.dp.2', 'SEP-bob')]);
    const a = world.call();
    bob.session.rings();
    a.emit({ type: 'cancelled', ...told(header) });
    expect(causes(bob.session.last('cancel').reason).includes(200)).toBe(elsewhere);
  });

  test.each([
    ['Q.850;cause=41;text="Temporary failure"', 'Q.850;cause=41;text="Temporary failure"'],
    ['Q.850;cause=16', 'Q.850;cause=16'],
    ['Q.850;cause=16, SIP;cause=480;text="x \\"y\\""', 'Q.850;cause=16, SIP;cause=480;text="x \\"y\\""'],
    ['X.int;reasoncode=0x0', 'X.int;reasoncode=0x0'],
    [';;', undefined],
    [undefined, undefined],
  ])('BYE with %s: %s, in both directions and in the record', (header, expected) => {
    for (const from of ['a', 'b'] as const) {
      const call = talking();
      const other = call[from === 'a' ? 'b' : 'a'];
      call[from].emit({ type: 'ended', by: 'peer', ...told(header) });
      expect(other.last('bye').reason).toBe(expected);
      expect(call.world.records.at(-1)?.reasons).toEqual(parseReasons(header));
    }
  });

  test('an end of our own making names a SIP cause', () => {
    const { a, b } = talking();
    a.emit({ type: 'ended', by: 'server', reason: 'Session timer expired' });
    expect(b.last('bye').reason).toBe('SIP;cause=503;text="Session timer expired"');
  });

  test.each([
    ['Q.850;cause=34;text="No circuit"', 'Q.850;cause=34;text="No circuit"'],
    [';;', undefined],
  ])('a final response with %s: %s', (header, expected) => {
    const world = new World();
    const bob = world.device('SEP-bob', '1.dp.2');
    world.route('2000', [target('1.dp.2', 'SEP-bob')]);
    const a = world.call({ sdp: sdp('alice') });
    bob.session.rejects(603, { Reason: header });
    expect(a.last('reject').headers['Reason']).toBe(expected);
  });
});
