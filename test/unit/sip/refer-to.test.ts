import { readIdentity } from '../../../src/sip/identity';
import { readReferTo } from '../../../src/sip/refer-to';
import { headerReader } from './support';

const read = (value: string): unknown => readReferTo(headerReader({ 'Refer-To': value }));
const REPLACES = { callId: 'a1@b', toTag: 't', fromTag: 'f', earlyOnly: false };
const bad = { status: 400, reason: 'Bad Refer-To Header' };

describe('Refer-To (RFC 3515, RFC 3892)', () => {
  test.each([
    ['<sip:1001@acme.example>', '1001', 'acme.example', 'sip:1001@acme.example'],
    ['sip:1001@acme.example', '1001', 'acme.example', 'sip:1001@acme.example'],
    ['"Carol, \\"x\\"" <sips:1001@acme.example:5061;transport=tcp>;x=y', '1001', 'acme.example', undefined],
    ['Carol <sip:+1-972-555-0100@acme.example;user=phone>', '+19725550100', 'acme.example', undefined],
    ['<sip:1001;cpc=ordinary@acme.example>', '1001', 'acme.example', undefined],
    ['<sip:%2A71@acme.example>', '*71', 'acme.example', 'sip:*71@acme.example'],
    ['<sip:192.0.2.4:5062>', '', '192.0.2.4', 'sip:192.0.2.4:5062'],
    ['<sip:1001@acme.example;method=INVITE>', '1001', 'acme.example', 'sip:1001@acme.example'],
    ['<sip:1001:secret@acme.example>', '1001', 'acme.example', 'sip:1001@acme.example'],
    ['<SIP:1001@[2001:db8::1]>', '1001', '[2001:db8::1]', 'sip:1001@[2001:db8::1]'],
    ['tel:+1-972-555-0100', '+19725550100', '', 'tel:+1-972-555-0100'],
  ])('%s is %s at %s', (value, dialled, host, uri) => {
    expect(read(value)).toMatchObject({ target: { dialled, host, context: undefined }, replaces: undefined });
    if (uri !== undefined) expect(read(value)).toMatchObject({ uri });
  });

  test.each([
    ['<tel:1001;phone-context=acme.example>', 'acme.example'],
    ['tel:1001;phone-context=acme.example', 'acme.example'],
    ['<sip:1001;phone-context=+1972@acme.example;user=phone>', '+1972'],
    ['sip:1001;phone-context=+1972@acme.example', '+1972'],
  ])('the number of %s is one of %s, with or without brackets', (value, context) => {
    expect(read(value)).toMatchObject({ target: { dialled: '1001', context } });
  });

  test.each([
    '<sip:1001@acme.example?Replaces=a1%40b%3Bto-tag%3Dt%3Bfrom-tag%3Df>',
    '<sip:1001@acme.example?REPLACES=a1%40b%3Bfrom-tag%3Df%3Bto-tag%3Dt&Require=replaces>',
    '<sip:1001@acme.example;transport=udp?Require=replaces&Replaces=a1%40b%3Bto-tag%3Dt%3Bfrom-tag%3Df>',
    'sip:1001@acme.example?Replaces=a1%40b%3Bto-tag%3Dt%3Bfrom-tag%3Df',
    '<sip:1001@acme.example?Replaces=a1@b;to-tag=t;from-tag=f>',
  ])('%s names a dialog', (value) => {
    expect(read(value)).toMatchObject({ target: { dialled: '1001', host: 'acme.example' }, replaces: REPLACES });
  });

  test('no other header of the URI, no process and no line end gets out', () => {
    const dangerous =
      '<sip:1001@acme.example;pid=cp%2Fx;boot=1?Route=%3Csip:evil%3E&P-Asserted-Identity=sip:ceo@acme.example&From=x&body=v%3D0>';
    const result = read(dangerous);
    expect(result).toMatchObject({ target: { dialled: '1001' }, replaces: undefined });
    expect(Object.keys(result as { target: object }).sort()).toEqual(['replaces', 'target', 'uri']);
    expect(Object.keys((result as { target: object }).target).sort()).toEqual(['context', 'dialled', 'host']);
    expect(JSON.stringify(result)).not.toMatch(/evil|ceo|v=0/);
    expect(read('<sip:10%0d%0aVia:x@acme.example>')).toEqual(bad);
    expect(read('<sip:1@acme.example?Replaces=x%0d%0aVia:y%3Bto-tag%3Dt%3Bfrom-tag%3Df>')).toMatchObject({
      status: 400,
    });
  });

  test.each([
    ['', 400, 'Missing Refer-To Header'],
    ['<sip:1@a>, <sip:2@a>', 400, 'Several Refer-To Headers'],
    ['<sip:1@a>,<sip:1@a>', 400, 'Several Refer-To Headers'],
    ['sip:1@a,sip:2@a', 400, 'Several Refer-To Headers'],
    ['sip:1@a, sip:2@a', 400, 'Several Refer-To Headers'],
    ['tel:1,tel:2', 400, 'Several Refer-To Headers'],
    ['1001', 400, 'Bad Refer-To Header'],
    ['*', 400, 'Bad Refer-To Header'],
    ['<>', 400, 'Bad Refer-To Header'],
    ['<sip:1001@acme.example', 400, 'Bad Refer-To Header'],
    ['"Carol <sip:1001@acme.example>', 400, 'Bad Refer-To Header'],
    ['<sip:1001@>', 400, 'Bad Refer-To Header'],
    ['<sip:1001@a:99999>', 400, 'Bad Refer-To Header'],
    ['<sip:%zz@acme.example>', 400, 'Bad Refer-To Header'],
    ['<tel:>', 400, 'Bad Refer-To Header'],
    [`<sip:${'1'.repeat(200)}@acme.example>`, 400, 'Bad Refer-To Header'],
    [`<sip:1@acme.example;x=${'1'.repeat(5000)}>`, 400, 'Bad Refer-To Header'],
    ['<mailto:carol@acme.example>', 416, 'Unsupported URI Scheme'],
    ['http://acme.example/', 416, 'Unsupported URI Scheme'],
    ['<im:carol@acme.example>', 416, 'Unsupported URI Scheme'],
    ['<sip:1@acme.example;method=BYE>', 501, 'Only INVITE Is Referred'],
    ['<sip:1@acme.example;method=REFER>', 501, 'Only INVITE Is Referred'],
    ['<sip:1@acme.example;method=invite>', 501, 'Only INVITE Is Referred'],
    ['sip:1@acme.example;method=MESSAGE', 501, 'Only INVITE Is Referred'],
    ['<sip:1@acme.example?Replaces=x>', 400, 'Bad Replaces Header'],
    ['<sip:1@acme.example?Replaces=>', 400, 'Bad Replaces Header'],
    [
      '<sip:1@acme.example?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=y%3Bto-tag%3D1%3Bfrom-tag%3D2>',
      400,
      'Several Replaces Headers',
    ],
    [
      '<sip:1@acme.example?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2%2Cy%3Bto-tag%3D1%3Bfrom-tag%3D2>',
      400,
      'Several Replaces Headers',
    ],
  ])('%s is refused: %s %s', (value, status, reason) => {
    expect(read(value)).toEqual({ status, reason });
  });

  test('there is none', () => {
    expect(readReferTo(headerReader({}))).toEqual({ status: 400, reason: 'Missing Refer-To Header' });
  });

  test('RFC 3892: Referred-By is an address', () => {
    expect(readIdentity('"Bob" <sip:1000@acme.example>;cid="20398823@x.example"')).toMatchObject({
      user: '1000',
      host: 'acme.example',
    });
    expect(readIdentity('<sip:1000@acme.example>, <sip:1001@acme.example>')).toBeUndefined();
  });
});
