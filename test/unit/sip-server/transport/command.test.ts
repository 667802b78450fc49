import { parseArguments } from '../../../../src/sip-server/command';

const parse = (...argv: string[]): ReturnType<typeof parseArguments> =>
  parseArguments(['--control', '127.0.0.1:0', '--secret', 's', ...argv], {});

test('listeners of every protocol, over IPv4 and IPv6, with certificates', () => {
  const tls = ['--tls-key', 'k', '--tls-cert', 'c'];
  const { listen, tls: files } = parse('--listen', 'tls:10.0.0.1:5061', '--listen', 'wss:[::1]:443', ...tls);
  expect(listen).toEqual([
    { protocol: 'tls', address: '10.0.0.1', port: 5061 },
    { protocol: 'wss', address: '::1', port: 443 },
  ]);
  expect(files).toEqual({ key: 'k', cert: 'c' });
  expect(parse('--listen', 'udp:[::]:5060', ...tls, '--tls-ca', 'a').tls).toEqual({ key: 'k', cert: 'c', ca: 'a' });
  expect(parse('--listen', 'ws:127.0.0.1:80').tls).toBeUndefined();
});

test('switches take no value', () => {
  const listen = ['--listen', 'udp:127.0.0.1:5060'];
  expect(parse(...listen)).toMatchObject({ parent: false, forceRport: false });
  expect(parse('--force-rport', ...listen, '--parent')).toMatchObject({ parent: true, forceRport: true });
});

test('an announced address for one listener goes before that for all of its family', () => {
  const { listen } = parse(
    ...['--announce', '203.0.113.1', '--listen', 'udp:10.0.0.1:5060', '--listen', 'udp:[fd00::1]:5060'],
    ...['--listen', 'tcp:10.0.0.1:5060@sip.example.com:5070', '--listen', 'udp:10.0.0.1:5062@[2001:db8::1]'],
  );
  expect(listen.map(({ announced }) => announced)).toEqual([
    { address: '203.0.113.1', port: 5060 },
    undefined,
    { address: 'sip.example.com', port: 5070 },
    { address: '2001:db8::1', port: 0 },
  ]);
});

test.each([
  [['--listen', 'tls:10.0.0.1:5061'], 'needs --tls-key and --tls-cert'],
  [['--listen', 'udp:10.0.0.1:5060', '--tls-key', 'k'], 'go together'],
  [['--listen', 'udp:::1:5060'], 'IPv6 in brackets'],
  [['--listen', 'udp:host:5060'], 'IP address'],
  [['--listen', 'sctp:10.0.0.1:5060'], 'does not begin with udp'],
  [['--listen', 'udp:10.0.0.1:5060@a b'], 'not an address to announce'],
  [['--listen', 'udp:10.0.0.1:5060', '--announce', '203.0.113.1:5060'], 'without a port'],
  [['--listen'], 'needs a value'],
  [['--lisen', 'udp:10.0.0.1:5060'], 'unknown option'],
])('%j is refused: %s', (argv, reason) => expect(() => parse(...argv)).toThrow(reason));
