import { deltaSeconds, finalMeaning, offerAgainMs } from '../../../src/sip-message/final-meaning';

const METHODS = ['INVITE', 'UPDATE', 'INFO', 'MESSAGE', 'OPTIONS', 'NOTIFY', 'REFER', 'PRACK', 'BYE'] as const;
const none = (): undefined => undefined;
const statuses = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe('what a final response in a dialog means', () => {
  const OVER = [404, 408, 410, 416, 481, 482, 484, 485, 502, 604];

  test.each(METHODS)('%s: every status from 200 to 699', (method) => {
    for (const status of statuses(200, 700)) {
      const { type } = finalMeaning(method, status, none);
      const expected = ((): string => {
        if (status === 401 || status === 407) return 'challenged';
        if (method === 'BYE') return 'done';
        if (status < 300) return 'accepted';
        if (method === 'PRACK') return status === 491 ? 'glare' : 'refused';
        if (method === 'REFER' && [404, 410, 416, 484, 485, 604].includes(status)) return 'refused';
        if (OVER.includes(status)) return 'dialog-over';
        return status === 491 ? 'glare' : 'refused';
      })();
      expect([status, type]).toEqual([status, expected]);
    }
  });

  test.each([
    [
      'RFC 3261 §14.1: the session stays',
      'INVITE',
      [403, 405, 415, 480, 486, 487, 488, 500, 501, 503, 504, 600, 603, 606],
    ],
    [
      'RFC 5057 §5.2: a complaint about the request',
      'INFO',
      [400, 403, 405, 413, 415, 420, 489, 500, 501, 503, 513, 603],
    ],
    ['RFC 4028 §7.4, without Min-SE', 'UPDATE', [422]],
  ])('%s', (_what, method, kept) => {
    for (const status of kept)
      expect(finalMeaning(method, status)).toEqual({ type: 'refused', afterSeconds: undefined });
  });

  test.each([
    [500, '5', 5],
    [503, '120 (maintenance)', 120],
    [480, '18000;duration=3600', 18000],
    [600, ' 0 ', 0],
    [500, '99999999999', 0xffffffff],
    [500, 'soon', undefined],
    [500, '-5', undefined],
    [500, '5x', undefined],
    [500, '', undefined],
  ])('%s with Retry-After %s', (status, value, afterSeconds) => {
    const header = (name: string) => (name === 'Retry-After' ? value : undefined);
    expect(finalMeaning('INVITE', status, header)).toEqual({ type: 'refused', afterSeconds });
  });

  test('422 with Min-SE: again with a longer interval, for what has one', () => {
    const header = (name: string) => (name === 'Min-SE' ? '1800;x=y' : undefined);
    expect(finalMeaning('INVITE', 422, header)).toEqual({ type: 'longer-interval', minimum: 1800 });
    expect(finalMeaning('UPDATE', 422, header)).toEqual({ type: 'longer-interval', minimum: 1800 });
    expect(finalMeaning('INFO', 422, header)).toEqual({ type: 'refused', afterSeconds: undefined });
    expect(deltaSeconds(undefined)).toBeUndefined();
  });
});

describe('an offer of ours that was refused, and without which there is no sound', () => {
  test.each<[number, string | undefined, number | undefined]>([
    [491, undefined, 2500],
    [500, undefined, 2500],
    [500, '5', 5000],
    [500, '1', 2500],
    [503, '10 (busy);duration=3', 10_000],
    [480, '4000000000', 30_000],
    [503, undefined, undefined],
    [488, undefined, undefined],
    [403, undefined, undefined],
    [407, '5', undefined],
    [408, '5', undefined],
    [481, '5', undefined],
  ])('%i, Retry-After %s: again after %s ms', (status, retryAfter, expected) => {
    const header = (name: string): string | undefined => (name === 'Retry-After' ? retryAfter : undefined);
    expect(offerAgainMs(status, header)).toBe(expected);
  });
});
