import { formatProblem } from '../../../src/config/problem';
import { parseConfig } from '../../../src/config/load';

const file = (listen: string, top = '', node = ''): string => `
cluster: { name: acme, domain: acme.example, secret: s }
${top}
nodes:
  - { id: 1, name: one, site: dallas, listen: [${listen}]${node} }
sites: { dallas: {} }
`;

const parse = (text: string): ReturnType<typeof parseConfig> =>
  parseConfig(text, { file: '/etc/tandem/t.yaml', env: {} });

function node(text: string): unknown {
  const result = parse(text);
  return result.ok ? result.config.nodes[0] : result.problems.map(formatProblem);
}

const files = 'tls: { key: tls/key.pem, cert: /srv/cert.pem, ca: ca.pem }';

test('certificates are for all nodes, their paths from the folder of the file; a node may have its own', () => {
  const all = { key: '/etc/tandem/tls/key.pem', cert: '/srv/cert.pem', ca: '/etc/tandem/ca.pem' };
  expect(node(file("'tls:10.0.0.1:5061'", files))).toMatchObject({ tls: all });
  const own = { key: '/etc/tandem/k', cert: '/etc/tandem/c', ca: undefined };
  expect(node(file("'wss:[::1]:443'", files, ', tls: { key: k, cert: c }'))).toMatchObject({
    tls: own,
    listen: [{ protocol: 'wss', address: '::1', port: 443 }],
  });
  expect(node(file("'wss:10.0.0.1:443'", '', ', tls: { key: k, cert: c }'))).toMatchObject({ tls: own });
  expect(node(file("'ws:10.0.0.1:80'"))).toMatchObject({ tls: undefined });
});

test('a listener that needs a certificate and has none is a problem, as are missing and unknown keys', () => {
  for (const protocol of ['tls', 'wss']) {
    expect(node(file(`'${protocol}:10.0.0.1:5061'`))).toEqual([
      expect.stringContaining(`nodes[0].listen[0]: ${protocol} needs a certificate`),
    ]);
  }
  expect(node(file("'udp:10.0.0.1:5060'", 'tls: { key: k }'))).toEqual([expect.stringContaining('"cert" is missing')]);
  expect(node(file("'udp:10.0.0.1:5060'", '', ', tls: { key: k, cert: c, cer: d }'))).toEqual([
    expect.stringContaining('unknown key "cer" (did you mean "cert"?)'),
  ]);
});

test('a listener may announce another address', () => {
  const listen = (text: string): unknown => node(file(`'${text}'`));
  for (const announced of ['203.0.113.9', 'sip.example.com:5061', '[2001:db8::1]', '[2001:db8::1]:5070']) {
    expect(listen(`udp:10.0.0.1:5060@${announced}`)).toMatchObject({
      listen: [{ protocol: 'udp', address: '10.0.0.1', port: 5060, announced }],
    });
  }
  for (const wrong of [
    'udp:10.0.0.1:5060@',
    'udp:10.0.0.1:5060@a b',
    'udp:10.0.0.1@203.0.113.9',
    'udp:10.0.0.1:5060@h:x',
  ]) {
    expect(listen(wrong)).toEqual([expect.stringMatching(/must (be|have) /)]);
  }
});
