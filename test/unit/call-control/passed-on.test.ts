import { bodyHeaders, keptHeaders, passedContentType, safeText } from '../../../src/call-control/core/passed-on';
import { headerReader } from '../sip/support';

const told = (name: string, value: string): string | undefined => keptHeaders(headerReader({ [name]: value }))[name];
const long = (text: string, length: number): string => text.repeat(Math.ceil(length / text.length));

describe('what a refusal of one leg says goes on as what it means, within a limit', () => {
  test.each<[string, string, string | undefined]>([
    ['Retry-After', '5', '5'],
    ['Retry-After', '0', '0'],
    ['Retry-After', '3600', '3600'],
    ['Retry-After', '3601', '3600'],
    ['Retry-After', '4294967295', '3600'],
    ['Retry-After', '99999999999999', '3600'],
    ['Retry-After', long('9', 8000), undefined],
    ['Retry-After', '18000;duration=3600', '3600'],
    ['Retry-After', '120 (I am in a meeting)', '120'],
    ['Retry-After', '-1', undefined],
    ['Retry-After', 'tomorrow', undefined],
    ['Retry-After', '1e9', undefined],
    ['Retry-After', '', undefined],
    ['Warning', '399 tandem.test "no codec"', '399 tandem.test "no codec"'],
    ['Warning', '301 [::1]:5060 "a \\" b"', '301 [::1]:5060 "a \\" b"'],
    ['Warning', '399 a "x", 304 b "y"', '399 a "x", 304 b "y"'],
    ['Warning', long('399 a "x", ', 110), '399 a "x", 399 a "x", 399 a "x", 399 a "x"'],
    ['Warning', '399 a unquoted', undefined],
    ['Warning', '39 a "x"', undefined],
    ['Warning', '399 a "unended', undefined],
    ['Warning', '399 a "x" y', undefined],
    ['Warning', `399 a "${long('x', 8000)}"`, undefined],
    ['Reason', 'Q.850;cause=16', 'Q.850;cause=16'],
    ['Reason', `SIP;cause=486;text="${long('x', 8000)}"`, undefined],
    ['Reason', ';;;', undefined],
    ['Server', 'secret', undefined],
    ['Min-Expires', '99999999999', undefined],
  ])('%s: %.40s', (name, value, expected) => expect(told(name, value)).toBe(expected));
});

describe('what belongs to a body goes on when it can be read', () => {
  test.each<[string, string, boolean]>([
    ['Info-Package', 'trickle-ice', true],
    ['Info-Package', 'dtmf;v=1', true],
    ['Info-Package', '', false],
    ['Info-Package', 'a b', false],
    ['Info-Package', long('x', 300), false],
    ['Content-Disposition', 'info-package; handling=optional', true],
    ['Content-Disposition', ';', false],
    ['Content-Disposition', `render;x="${long('y', 300)}"`, false],
    ['Content-Language', 'en, de', true],
    ['Content-Language', 'a b', false],
  ])('%s: %.40s', (name, value, passes) =>
    expect(bodyHeaders(headerReader({ [name]: value }))[name]).toBe(passes ? value : undefined),
  );

  test.each<[string | undefined, boolean]>([
    ['application/dtmf-relay', true],
    ['multipart/mixed;boundary="a b"', true],
    [undefined, false],
    ['', false],
    ['text', false],
    ['text/plain;;=', false],
    [`text/${long('x', 300)}`, false],
  ])('Content-Type: %.40s', (value, passes) => expect(passedContentType(value)).toBe(passes ? value : undefined));

  test('reason phrases', () => {
    expect(safeText('Busy Here')).toBe('Busy Here');
    expect(safeText('a\r\nb')).toBeUndefined();
    expect(safeText(long('x', 8000))?.length).toBe(256);
  });
});
