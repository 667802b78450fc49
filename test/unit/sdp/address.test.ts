import { canonicalHost, familyOf } from '../../../src/process/address';
import { addressPair, audioTransport, isBehindNat } from '../../../src/sdp';
import { isSourceLearned, withoutSource, withPlainAddresses, withSourceLearned } from '../../../src/sdp';
import { mainFamily } from '../../../src/sdp';

const sdp = (address: string, more = ''): string =>
  `v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN ${address.includes(':') ? 'IP6' : 'IP4'} ${address}\r\nt=0 0\r\n` +
  `m=audio 4000 RTP/AVP 8\r\na=rtcp:4001\r\n${more}`;

describe('RFC 5952, 4291 §2.5.5.2: addresses are compared as addresses', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1', 4],
    ['::ffff:192.0.2.1', '192.0.2.1', 4],
    ['::FFFF:192.0.2.1', '192.0.2.1', 4],
    ['::ffff:c000:201', '192.0.2.1', 4],
    ['0:0:0:0:0:FFFF:192.0.2.1', '192.0.2.1', 4],
    ['[::ffff:192.0.2.1]', '192.0.2.1', 4],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1', 6],
    ['2001:0db8::0001', '2001:db8::1', 6],
    ['[2001:db8::1]', '2001:db8::1', 6],
    ['fe80::1%eth0', 'fe80::1', 6],
    ['0:0:0:0:0:0:0:0', '::', 6],
    ['Phone.Example.COM', 'phone.example.com', 4],
    ['', '', 4],
    [':::', ':::', 4],
  ])('%s is %s, of IPv%d', (text, canonical, family) => {
    expect(canonicalHost(text)).toBe(canonical);
    expect(familyOf(text)).toBe(family);
  });

  it('an IPv4-mapped address in c= counts as IPv4, and is shown as such', () => {
    const mapped = sdp('::FFFF:192.0.2.1', 'a=rtcp:4001 IN IP6 ::ffff:192.0.2.1\r\n');
    expect(audioTransport(mapped)).toMatchObject({ family: 4 });
    const plain = withPlainAddresses(mapped);
    expect(plain).toContain('\r\nc=IN IP4 192.0.2.1\r\n');
    expect(plain).toContain('\r\na=rtcp:4001 IN IP4 192.0.2.1\r\n');
    for (const other of [sdp('192.0.2.1'), sdp('2001:db8::1')]) expect(withPlainAddresses(other)).toBe(other);
  });

  it('the order of listeners decides nothing: one address of each family, never a wildcard', () => {
    const expected = { 4: '192.0.2.1', 6: '2001:db8::1' };
    expect(addressPair(['2001:db8::1', '192.0.2.1', '192.0.2.2'])).toEqual(expected);
    expect(addressPair(['0.0.0.0', '::', '192.0.2.1', '2001:DB8:0::1'])).toEqual(expected);
    expect(addressPair(['::ffff:192.0.2.1'])).toEqual({ 4: '192.0.2.1', 6: '::1' });
    expect(addressPair(['node.example.com'])).toEqual({ 4: '127.0.0.1', 6: '::1' });
    expect([addressPair(['::1', '192.0.2.1']), addressPair(['2001:db8::1']), addressPair([])].map(mainFamily)).toEqual([
      4, 6, 4,
    ]);
  });
});

describe('whose media come from elsewhere than the description says', () => {
  test.each([
    ['10.1.2.3', '198.51.100.7', true],
    ['172.31.0.1', '198.51.100.7', true],
    ['172.32.0.1', '198.51.100.7', false],
    ['192.168.1.2', '10.0.0.1', true],
    ['100.64.0.1', '198.51.100.7', true],
    ['169.254.1.1', '198.51.100.7', true],
    ['fd00::1', '2001:db8::7', true],
    ['fe80::1', '2001:db8::7', true],
    ['192.168.1.2', '192.168.1.2', false],
    ['192.168.1.2', '::ffff:192.168.1.2', false],
    ['FD00:0::1', 'fd00::1', false],
    ['198.51.100.8', '198.51.100.7', false],
    ['127.0.0.5', '127.0.0.1', false],
    ['phone.example.com', '198.51.100.7', false],
  ])('c=%s, signalling from %s: %s', (address, source, hidden) => {
    expect(isBehindNat(sdp(address), source)).toBe(hidden);
    expect(isBehindNat(sdp(address, 'a=ice-ufrag:x\r\n'), source)).toBe(false);
  });

  it('is marked in the description, once, and the mark can be taken off again', () => {
    const plain = sdp('10.1.2.3');
    const marked = withSourceLearned(withSourceLearned(plain));
    expect(isSourceLearned(marked)).toBe(true);
    expect(isSourceLearned(plain)).toBe(false);
    expect(withoutSource(marked)).toBe(plain);
    expect(withoutSource(plain)).toBe(plain);
    for (const text of ['', 'v=0', 'x']) expect(isSourceLearned(withSourceLearned(text))).toBe(text !== '');
  });
});
