import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Phone } from '../../support/baresip';
import { CertificateAuthority, type CertificateFiles } from '../../support/certificates';
import { Cluster } from '../../support/cluster';
import { domain, passwordOf, people } from '../../support/cluster-config';
import { describeUnless } from '../../support/drachtio-limits';
import { freePort } from '../../support/ports';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, methodOf, randomToken, statusOf } from '../../support/sip-text';
import { endCalls, hangUp, talk } from '../../support/talk';

jest.setTimeout(120_000);

const sdp = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 40000 RTP/AVP 0 101',
  'a=rtpmap:0 PCMU/8000',
  'a=rtpmap:101 telephone-event/8000',
  'a=sendrecv',
  '',
].join('\r\n');

const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));
if (!hasIPv6) process.stderr.write('skipped: a browser over IPv6, because this machine has no ::1\n');
const withIPv6 = hasIPv6 ? it : it.skip;

describeUnless('listeners')('two nodes with TLS and WebSocket listeners', () => {
  const scope = new Scope();
  const ports = new Map<string, number>();
  let tls: CertificateFiles;
  let cluster: Cluster;
  let bob: Phone;
  /** Those of one test: a browser that is still connected in the next would ring as well. */
  let browsers = new Scope();

  beforeAll(async () => {
    tls = new CertificateAuthority(scope.directory('certificates')).issue('node', ['IP:127.0.0.1', 'DNS:localhost']);
    for (const node of [1, 2]) {
      for (const protocol of ['tls', 'ws', 'wss']) ports.set(`${protocol}-${node}`, await freePort());
    }
    cluster = await Cluster.start({
      engines: [],
      change: (file) => {
        Object.assign(file, { tls: { key: tls.key, cert: tls.cert } });
        if (hasIPv6) file.nodes[0]?.listen.push(`ws:[::1]:${ports.get('ws-1')}`);
        for (const node of file.nodes) {
          for (const protocol of ['tls', 'ws', 'wss']) {
            node.listen.push(`${protocol}:127.0.0.1:${ports.get(`${protocol}-${node.id}`)}`);
          }
        }
      },
    });
    bob = await cluster.phone('bob', {
      transport: 'tls',
      server: `127.0.0.1:${ports.get('tls-2')}`,
      config: [`sip_cafile ${tls.ca}`],
    });
  });
  afterAll(async () => {
    await cluster.close();
    await scope.close();
  });
  afterEach(async () => {
    await endCalls(bob);
    await browsers.close();
    browsers = new Scope();
    await cluster.nothingIsLeft();
  });

  /** Alice in a browser, registered with node 1. */
  async function browser(protocol: 'ws' | 'wss', host = '127.0.0.1'): Promise<SipPeer> {
    const options = { ca: readFileSync(tls.ca) };
    const alice = await SipPeer.webSocket(browsers, `${protocol}://${host}:${ports.get(`${protocol}-1`)}`, options);
    const aor = `<sip:alice@${domain}>`;
    const register = { method: 'REGISTER', uri: `sip:${domain}`, from: aor, to: aor, headers: ['Expires: 120'] };
    const response = await alice.askWithDigest(register, 'alice', passwordOf('alice'));
    expect(statusOf(response)).toBe(200);
    await cluster.everybodyKnows(people.alice.dn);
    return alice;
  }

  it.each(['ws', 'wss'] as const)(
    'a phone over TLS calls a browser over %s at the other site, on its own connection',
    async (protocol) => {
      const alice = await browser(protocol);
      await bob.dial(people.alice.dn);
      const invite = await alice.message('an INVITE', (text) => methodOf(text) === 'INVITE');
      expect(headerOf(invite, 'Via')).toContain(
        `SIP/2.0/${protocol.toUpperCase()} 127.0.0.1:${ports.get(`${protocol}-1`)}`,
      );
      expect(headerOf(invite, 'Contact')).toContain(`transport=${protocol}`);
      alice.answer(invite, '180 Ringing');
      alice.answer(invite, '200 OK', { body: sdp });
      await bob.established();
      await alice.message('an ACK', (text) => methodOf(text) === 'ACK');
      await bob.hangup();
      const bye = await alice.message('a BYE', (text) => methodOf(text) === 'BYE');
      alice.answer(bye, '200 OK');
      await bob.closed();
    },
  );

  it.each(['ws', 'wss'] as const)(
    'a browser over %s calls a phone over TLS at the other site, and ends the call',
    async (protocol) => {
      const alice = await browser(protocol);
      bob.now();
      const uri = `sip:${people.bob.dn}@${domain}`;
      const dialog = { from: `<sip:alice@${domain}>;tag=${randomToken()}`, callId: randomToken() };
      const answered = alice.askWithDigest(
        { ...dialog, method: 'INVITE', uri, body: sdp },
        'alice',
        passwordOf('alice'),
      );
      await bob.incoming();
      await bob.accept();
      const ok = await answered;
      expect(statusOf(ok)).toBe(200);
      const target = /<([^>]+)>/.exec(headerOf(ok, 'Contact') ?? '')?.[1] ?? '';
      const to = headerOf(ok, 'To') ?? '';
      alice.send(alice.request({ ...dialog, method: 'ACK', uri: target, to, cseq: 2 }));
      await bob.established();
      expect(statusOf(await alice.ask({ ...dialog, method: 'BYE', uri: target, to, cseq: 3 }))).toBe(200);
      await bob.closed();
    },
  );

  withIPv6('a phone over TLS calls a browser that came over IPv6', async () => {
    const alice = await browser('ws', '[::1]');
    await bob.dial(people.alice.dn);
    const invite = await alice.message('an INVITE', (text) => methodOf(text) === 'INVITE');
    expect(headerOf(invite, 'Via')).toContain(`SIP/2.0/WS [::1]:${ports.get('ws-1')};`);
    expect(headerOf(invite, 'Contact')).toContain(`@[::1]:${ports.get('ws-1')};transport=ws`);
    alice.answer(invite, '486 Busy Here');
    await bob.closed();
  });

  it('two phones, one over TLS and one over UDP, hear each other across the sites', async () => {
    const carol = await cluster.phone('carol');
    await talk(carol, bob, people.bob.dn);
    await hangUp(bob, carol);
    await talk(bob, carol, people.carol.dn);
    await hangUp(carol, bob);
  });

  it('the phone over TLS was answered and called by TLS only', () => {
    const ways = bob.trace().map(({ way }) => way.split(' ')[0]);
    expect(new Set(ways)).toEqual(new Set(['TLS']));
  });
});
