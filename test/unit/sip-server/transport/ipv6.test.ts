import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { connect } from 'node:net';
import { getHeader } from '../../../../src/sip-message/headers';
import { parseVia } from '../../../../src/sip-message/via';
import { addressOfHost, hostAndPort, parseHostAndPort } from '../../../../src/sip-server/host';
import type { ListenPoint } from '../../../../src/sip-server/layers';
import { choosePoint, expandWildcard, isNearby } from '../../../../src/sip-server/transport/addresses';
import { isUdpPortBound } from '../../../../src/sip-server/transport/local-sockets';
import { closeAll, Inbox, peer, requestText, send } from './fixtures';

const hasLoopback = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));
if (!hasLoopback) process.stderr.write('skipped: tests of IPv6, because this machine has no ::1\n');
const withIPv6 = hasLoopback ? describe : describe.skip;

afterEach(closeAll);

withIPv6('IPv6', () => {
  test('RFC 5118 §4.5: UDP; received is written without brackets, an equal sent-by in other spelling needs none', async () => {
    const node = await peer('::1');
    const phone = createSocket('udp6');
    const inbox = new Inbox<string>();
    phone.on('message', (bytes) => inbox.push(bytes.toString()));
    await new Promise<void>((resolve) => phone.bind(0, '::1', resolve));
    const { port } = phone.address();
    phone.send(requestText('SIP/2.0/UDP [2001:db8::9]:5062;branch=z9hG4bK1'), node.port('udp'), '::1');
    const { message, flow } = await node.messages.next();
    const text = getHeader(message, 'Via') ?? '';
    expect(text).toBe(`SIP/2.0/UDP [2001:db8::9]:5062;branch=z9hG4bK1;rport=${port};received=::1`);
    expect(parseVia(text)?.params.get('received')).toBe('::1');
    expect(flow).toMatchObject({ remoteAddress: '::1', remotePort: port, local: { address: '::1' } });
    phone.send(requestText(`SIP/2.0/UDP [0:0::0:1]:${port};branch=z9hG4bK2`), node.port('udp'), '::1');
    expect(getHeader((await node.messages.next()).message, 'Via')).not.toContain('received');
    expect(await send(node.transport, 'hello', { protocol: 'udp', address: '[::1]', port })).toHaveProperty('flow');
    expect(await inbox.next()).toBe('hello');
    expect(await isUdpPortBound('::1', port)).toBe(true);
    await new Promise<void>((resolve) => phone.close(() => resolve()));
    expect(await isUdpPortBound('::1', port)).toBe(false);
    await send(node.transport, requestText('SIP/2.0/UDP a;branch=z9hG4bK3'), { protocol: 'udp', address: '::1', port });
    expect(await node.failures.next()).toEqual({ address: '::1', port, failure: 'refused' });
  });

  test('TCP: one connection for both directions, found by any spelling of the address', async () => {
    const a = await peer('::1');
    const b = await peer('::1');
    const to = { protocol: 'tcp', address: '::1', port: b.port('tcp') } as const;
    const via = `SIP/2.0/TCP [::1]:${a.port('tcp')};branch=z9hG4bK1`;
    const first = await send(a.transport, requestText(via), to);
    expect(await send(a.transport, requestText(via), { ...to, address: '[0::1]' })).toEqual(first);
    const { flow } = await b.messages.next();
    const back = { protocol: 'tcp', address: '::1', port: flow.remotePort } as const;
    expect(await send(b.transport, requestText('SIP/2.0/TCP [::1];branch=z9hG4bK2'), back)).toEqual({ flow });
    expect(await send(a.transport, 'x', { ...to, address: '127.0.0.1' })).toEqual({ failure: 'no-listener' });
  });

  test('a listener on :: serves the IPv6 addresses of this machine and leaves IPv4 alone', async () => {
    const node = await peer('::', {}, ['tcp']);
    expect(node.transport.points.map(({ address }) => address)).toContain('::1');
    expect(node.transport.points.some(({ address }) => address.startsWith('fe80'))).toBe(false);
    const point = node.transport.pointFor('tcp', '::1');
    const socket = connect({ port: point?.port ?? 0, host: '::1' });
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    socket.destroy();
  });
});

test('addresses are written and read with brackets, and compared in one spelling', () => {
  expect(hostAndPort('::1', 5060)).toBe('[::1]:5060');
  expect(hostAndPort('127.0.0.1', 5060)).toBe('127.0.0.1:5060');
  expect(addressOfHost('[2001:DB8:0::1]')).toBe('2001:db8::1');
  expect(addressOfHost('Example.COM')).toBe('example.com');
  expect(parseHostAndPort('[::1]:5060')).toEqual({ address: '::1', port: 5060 });
  expect(parseHostAndPort('127.0.0.1:0')).toEqual({ address: '127.0.0.1', port: 0 });
  for (const wrong of ['::1:5060', '[::1]', '[::g]:1', '127.0.0.1', '127.0.0.1:70000', ':5060']) {
    expect(parseHostAndPort(wrong)).toBeUndefined();
  }
});

test('the IPv6 listener nearest to the destination is chosen', () => {
  const point = (address: string): ListenPoint => ({ protocol: 'udp', address, port: 5060 });
  const points = ['127.0.0.1', '::1', 'fd00:1::1', 'fd00:2::1', '2001:db8::1'].map(point);
  const chosen = (address: string): string | undefined => choosePoint(points, 'udp', address)?.address;
  expect(['::1', 'fd00:2::77', 'fd00:1::77', '2001:db8:7::1'].map(chosen)).toEqual([
    '::1',
    'fd00:2::1',
    'fd00:1::1',
    '2001:db8::1',
  ]);
  expect(['fd12::1', 'fe80::1', '::1', '2001:db8::1'].map(isNearby)).toEqual([true, true, true, false]);
  expect(expandWildcard(point('[2001:DB8::0]')).map(({ address }) => address)).toEqual(['2001:db8::']);
});

test('an announced address goes with its listener; its port 0 is the port of the listener', async () => {
  const announced = { address: '203.0.113.9', port: 0 };
  const node = await peer('127.0.0.1', {}, ['udp', 'tcp'], announced);
  for (const point of node.transport.points) expect(point.announced).toEqual({ ...announced, port: point.port });
});
