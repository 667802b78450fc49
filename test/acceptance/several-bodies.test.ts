import { Cluster } from '../support/cluster';
import { domain } from '../support/cluster-config';
import { freePort } from '../support/ports';
import type { SipParty } from '../support/sip-party';
import { SipPeer } from '../support/sip-peer';
import { bodyOf, headerOf, methodOf, randomToken, statusOf } from '../support/sip-text';

jest.setTimeout(60_000);

const CRLF = '\r\n';
/** No NUL: a drachtio-server cuts a body there. */
const isup = Buffer.from([0x01, 0x02, 0xff, 0x0d, 0x0a, 0x80, 0x2d, 0x2d]);

/** SDP and ISUP (RFC 3372). */
function mixed(sdp: string, handling: string): Buffer {
  const parts = [
    `--b 1${CRLF}Content-Type: application/isup;version=itu-t92+${CRLF}Content-Disposition: signal;handling=${handling}${CRLF}${CRLF}`,
    isup,
    `${CRLF}--b 1${CRLF}Content-Type: application/sdp${CRLF}${CRLF}${sdp}${CRLF}--b 1--${CRLF}`,
  ];
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

const MIXED = 'multipart/mixed;boundary="b 1"';

describe('calls of a gateway with bodies of several parts', () => {
  let cluster: Cluster;
  let gateway: SipPeer;
  let alice: SipParty;

  beforeAll(async () => {
    const port = await freePort();
    cluster = await Cluster.start({
      nodes: 1,
      engines: [],
      change: (file) => file.gateways.push({ name: 'gw', uri: `sip:127.0.0.1:${port}`, site: 'dallas', nodes: [1] }),
    });
    gateway = await SipPeer.udp(cluster.scope, '127.0.0.1', cluster.node(1).place.sipPort, '127.0.0.1', port);
    gateway.onRequest = (request) => {
      if (methodOf(request) !== 'ACK') gateway.answer(request, '200 OK');
    };
    alice = await cluster.party('alice');
    await gateway.message('a poll', (message) => methodOf(message) === 'OPTIONS');
  });
  afterAll(() => cluster.close());

  const sdp = (): string => alice.rtp.sdp('sendrecv', 1, ['PCMA', 'PCMU']);

  /** Sends an INVITE with this body; its final response, acknowledged. */
  async function invite(
    callId: string,
    cseq: number,
    { type, body, to }: { readonly type: string; readonly body: Buffer | string; readonly to?: string },
  ): Promise<string> {
    const bytes = Buffer.from(body);
    const uri = `sip:1000@${domain}`;
    const from = `<sip:2145551234@${domain}>;tag=gw`;
    const request = { uri, from, callId, cseq, ...(to === undefined ? {} : { to }) };
    const head = gateway
      .request({ ...request, method: 'INVITE', headers: [`Content-Type: ${type}`] })
      .replace('Content-Length: 0', `Content-Length: ${bytes.length}`);
    gateway.send(Buffer.concat([Buffer.from(head), bytes]));
    const response = await gateway.message(
      `response to INVITE ${cseq}`,
      (text) =>
        statusOf(text) > 199 && headerOf(text, 'Call-ID') === callId && headerOf(text, 'CSeq') === `${cseq} INVITE`,
    );
    gateway.send(gateway.request({ ...request, method: 'ACK', to: headerOf(response, 'To') ?? '' }));
    return response;
  }

  it('INVITE and re-INVITE: the phone gets the description alone, and its answer comes back', async () => {
    const callId = randomToken();
    const ok = await invite(callId, 1, { type: MIXED, body: mixed(sdp(), 'optional') });
    expect(statusOf(ok)).toBe(200);
    expect(headerOf(ok, 'Content-Type')).toBe('application/sdp');
    const to = headerOf(ok, 'To') ?? '';
    const again = await invite(callId, 2, { type: MIXED, body: mixed(sdp().replace('PCMU', 'pcmu'), 'optional'), to });
    expect(statusOf(again)).toBe(200);
    expect(bodyOf(again)).toMatch(/^m=audio \d+ RTP\/AVP/m);
    const offers = alice.peer.requests('INVITE');
    expect(offers.map((text) => headerOf(text, 'Content-Type'))).toEqual(offers.map(() => 'application/sdp'));
    // What cannot be read changes nothing in the call.
    const required = await invite(callId, 3, { type: MIXED, body: mixed(sdp(), 'required'), to });
    expect([statusOf(required), headerOf(required, 'Accept')]).toEqual([
      415,
      expect.stringContaining('application/sdp'),
    ]);
    expect(await cluster.node(1).calls()).toHaveLength(1);
    await alice.hangUp();
    await cluster.nothingIsLeft();
  });

  it.each([
    ['a required part that nobody knows', MIXED, (): Buffer => mixed(sdp(), 'required'), 415],
    ['no delimiter', 'multipart/mixed;boundary=x', (): string => sdp(), 400],
    ['no c= line', 'application/sdp', (): string => sdp().replace(/^c=.*\r\n/m, ''), 488],
    ['no description', 'application/sdp', (): string => 'hello', 488],
  ])('%s is refused, and nobody rings', async (_, type, body, status) => {
    alice.peer.received.splice(0);
    expect(statusOf(await invite(randomToken(), 1, { type, body: body() }))).toBe(status);
    expect(alice.peer.requests('INVITE')).toEqual([]);
    await cluster.nothingIsLeft();
  });
});
