import {
  NO_REFER_SUB,
  readSipfrag,
  referEventId,
  referNotifyHeaders,
  sipfrag,
  SIPFRAG_TYPE,
  wantsNotify,
} from '../../../src/sip/sipfrag';
import { headerReader } from './support';

describe('What a transferor is told (RFC 3515, RFC 3420, RFC 4488)', () => {
  test.each([
    [100, undefined, 'SIP/2.0 100 Trying\r\n'],
    [180, undefined, 'SIP/2.0 180 Ringing\r\n'],
    [200, undefined, 'SIP/2.0 200 OK\r\n'],
    [486, 'Belegt', 'SIP/2.0 486 Belegt\r\n'],
    [503, 'a\r\nVia: b', 'SIP/2.0 503 a Via: b\r\n'],
    [499, undefined, 'SIP/2.0 499 Bad Request\r\n'],
    [487, '', 'SIP/2.0 487 \r\n'],
  ])('%s %j is the body %j', (status, reason, body) => {
    expect(sipfrag(status, reason)).toBe(body);
    expect(readSipfrag(body)).toMatchObject({ status });
  });

  test.each([
    ['SIP/2.0 200 OK', { status: 200, reason: 'OK' }],
    ['SIP/2.0 200 OK\n', { status: 200, reason: 'OK' }],
    ['SIP/2.0 603\r\n', { status: 603, reason: '' }],
    ['SIP/2.0 180 Ringing\r\nTo: <sip:x@y>;tag=1\r\n', { status: 180, reason: 'Ringing' }],
    ['', undefined],
    ['INVITE sip:x SIP/2.0\r\n', undefined],
    ['SIP/2.0 2000 OK', undefined],
    ['SIP/2.0 099 OK', undefined],
    ['\r\nSIP/2.0 200 OK', undefined],
  ])('%j says %j', (body, line) => {
    expect(readSipfrag(body)).toEqual(line);
  });

  test.each([
    [{ status: 100 }, 'refer', 'active;expires=600'],
    [{ status: 180, id: '93', expiresSeconds: 20 }, 'refer;id=93', 'active;expires=20'],
    [{ status: 200 }, 'refer', 'terminated;reason=noresource'],
    [{ status: 486, id: '2' }, 'refer;id=2', 'terminated;reason=noresource'],
    [{ status: 100, final: true }, 'refer', 'terminated;reason=noresource'],
    [{ status: 503, final: false }, 'refer', 'active;expires=600'],
  ])('NOTIFY of %j', (notify, event, state) => {
    expect(referNotifyHeaders(notify)).toEqual({ Event: event, 'Subscription-State': state });
  });

  test('RFC 3515 §2.4.6: the id of a subscription is the number of its CSeq', () => {
    expect(referEventId(headerReader({ CSeq: '93809823 REFER' }))).toBe('93809823');
    expect(referEventId(headerReader({ CSeq: 'x REFER' }))).toBeUndefined();
  });

  test.each([
    [undefined, true],
    ['true', true],
    ['false', false],
    [' False ;x=y', false],
    ['falsehood', true],
    ['', true],
  ])('RFC 4488: after Refer-Sub %j NOTIFY is wanted: %s', (value, wanted) => {
    expect(wantsNotify(headerReader(value === undefined ? {} : { 'Refer-Sub': value }))).toBe(wanted);
    expect(NO_REFER_SUB).toEqual({ 'Refer-Sub': 'false' });
    expect(SIPFRAG_TYPE).toBe('message/sipfrag;version=2.0');
  });
});
