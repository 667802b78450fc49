import type { ListenPoint } from '../../../../src/sip-server/layers';
import { choosePoint, expandWildcard, failureOf, isNearby } from '../../../../src/sip-server/transport/addresses';

const point = (address: string, protocol: ListenPoint['protocol'] = 'udp'): ListenPoint => ({
  protocol,
  address,
  port: 5060,
});

describe('choosePoint', () => {
  const points = [point('127.0.0.1'), point('10.1.0.1'), point('192.168.7.1'), point('10.1.0.1', 'tcp')];

  test.each([
    ['127.0.0.9', '127.0.0.1'],
    ['10.1.2.3', '10.1.0.1'],
    ['192.168.7.77', '192.168.7.1'],
    ['8.8.8.8', '10.1.0.1'],
  ])('to %s it is %s', (address, expected) => expect(choosePoint(points, 'udp', address)?.address).toBe(expected));

  test('loopback only serves loopback while there is another one; a missing protocol or family has none', () => {
    expect(choosePoint([point('127.0.0.1')], 'udp', '10.0.0.1')?.address).toBe('127.0.0.1');
    expect(choosePoint(points, 'tcp', '127.0.0.1')?.address).toBe('10.1.0.1');
    expect(choosePoint(points, 'tls', '10.0.0.1')).toBeUndefined();
    expect(choosePoint(points, 'udp', '::1')).toBeUndefined();
    expect(choosePoint(points, 'udp', 'host.example')).toBeUndefined();
  });
});

test('the wildcard becomes one listener for each address, so that Via can name it', () => {
  const expanded = expandWildcard(point('0.0.0.0')).map(({ address }) => address);
  expect(expanded).toContain('127.0.0.1');
  expect(expanded).not.toContain('0.0.0.0');
  expect(expandWildcard(point('10.0.0.1'))).toEqual([point('10.0.0.1')]);
});

test('only private addresses are near enough for the refusal of a probe to mean something', () => {
  const near = ['127.0.0.1', '10.0.0.1', '172.16.0.1', '172.31.255.1', '192.168.1.1', '169.254.1.1', '::1'];
  const far = ['8.8.8.8', '172.32.0.1', '192.169.0.1', '11.0.0.1', '2001:db8::1'];
  expect([...near, ...far].filter(isNearby)).toEqual(near);
});

test('operating system errors have their failures; anything else is an error', () => {
  const failures = ['ECONNREFUSED', 'EHOSTUNREACH', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EMSGSIZE', 'EWHATEVER'].map(
    (code) => failureOf(Object.assign(new Error(code), { code })),
  );
  expect(failures).toEqual(['refused', 'unreachable', 'closed', 'closed', 'timeout', 'too-large', 'error']);
  expect(failureOf(undefined)).toBe('error');
});
