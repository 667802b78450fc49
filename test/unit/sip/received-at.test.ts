import fc from 'fast-check';
import { timeToken } from '../../../src/sip-server/control/tokens';
import { momentOf } from '../../../src/sip/drachtio/messages';

const DAY_MS = 86_400_000;

describe('when a SIP server had a request', () => {
  test('property: what it writes is read as the moment that it was, also across midnight', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
        fc.integer({ min: -1_000, max: DAY_MS / 2 - 1 }),
        (moment, waited) => expect(momentOf(timeToken(moment), moment + waited)).toBe(moment),
      ),
    );
  });

  test.each([undefined, '', 'now', '1:2:3', '12:00', '12:00:00'])('%p is no time', (text) => {
    expect(momentOf(text, 1_700_000_000_000)).toBeUndefined();
  });
});
