import { missingPrivacy, privacyFailure, readPrivacy } from '../../../src/sip/privacy';

describe('RFC 3323 §5: what is critical and not done is refused', () => {
  const provided = ['header', 'user', 'id', 'history', 'none'];
  const others = ['session', 'nonsense', 'x-1', '<?>', 'ID2'];

  test('alone, with others, in any order and spelling', () => {
    for (const value of [...provided, ...others]) {
      const missing = others.includes(value) ? [value.toLowerCase()] : [];
      for (const header of [`${value};critical`, `critical; ${value}`, `CRITICAL, ${value}`, `id;${value} ;critical`])
        expect([header, missingPrivacy(header)]).toEqual([header, missing]);
    }
    expect(missingPrivacy('session;other;id;critical')).toEqual(['session', 'other']);
  });

  test('not without the word', () => {
    for (const header of [undefined, '', 'session', 'session;id', 'none', 'criticality;session'])
      expect(missingPrivacy(header)).toEqual([]);
    expect(readPrivacy('session').type).toBe('nothing');
  });

  test('the reason tells what it was, and nothing that is no token', () => {
    expect(privacyFailure(['session', '<?>'])).toBe('Privacy Not Provided: session');
    expect(privacyFailure(['<?>'])).toBe('Privacy Not Provided: unknown');
    expect(privacyFailure(['x'.repeat(9000)]).length).toBeLessThan(100);
  });
});
