import { usesDrachtio } from '../../support/drachtio';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, methodOf, statusOf } from '../../support/sip-text';
import { ANSWER, End, Heard, OFFER } from './kit';

const CRLF = '\r\n';
/** ISUP (RFC 3372): bytes that are no UTF-8, and line ends and dashes among them. A drachtio-server cuts a body at a NUL. */
const isup = Buffer.from([
  0x01,
  usesDrachtio ? 0x10 : 0x00,
  0xff,
  0xfe,
  0x0d,
  0x0a,
  0x0d,
  0x0a,
  0x2d,
  0x2d,
  0x80,
  0x0d,
  0x0a,
]);

function mixed(sdp: string, handling = 'optional'): { headers: string[]; body: Buffer } {
  const parts = [
    `an old agent reads this${CRLF}--b 1${CRLF}Content-Type: application/isup;version=itu-t92+${CRLF}`,
    `Content-Disposition: signal;handling=${handling}${CRLF}${CRLF}`,
    isup,
    `${CRLF}--b 1${CRLF}Content-Type: application/sdp${CRLF}${CRLF}${sdp}${CRLF}--b 1--${CRLF}and this${CRLF}`,
  ];
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return { headers: ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary="b 1"'], body };
}

/** A message with another body: these very bytes. */
function withBody(message: string, { headers, body }: { headers: readonly string[]; body: Buffer }): Buffer {
  const [head = ''] = message.split(`${CRLF}${CRLF}`);
  const kept = head.split(CRLF).filter((line) => !/^Content-(Type|Length):/i.test(line));
  const text = [...kept, ...headers, `Content-Length: ${body.length}`, '', ''].join(CRLF);
  return Buffer.concat([Buffer.from(text), body]);
}

describe('bodies of several parts, and such as cannot be read', () => {
  const scope = new Scope();
  let end: End;
  let peer: SipPeer;
  let from: string;
  let sent = 0;

  beforeAll(async () => {
    end = await End.start();
    scope.defer(() => end.stop());
    peer = await SipPeer.udp(scope, '127.0.0.1', end.sipPort);
    from = '<sip:gateway@127.0.0.1>;tag=gw';
  });
  afterAll(() => scope.close());
  beforeEach(() => peer.received.splice(0));

  const request = (method: string, cseq: number, callId: string, to?: string): string =>
    peer.request({ method, uri: `sip:2000@127.0.0.1:${end.sipPort}`, from, callId, cseq, ...(to ? { to } : {}) });

  const newCallId = (): string => `bodies-${++sent}`;

  /** A call of the peer that is up. */
  async function called(): Promise<{ heard: Heard; callId: string; to: string }> {
    const callId = newCallId();
    peer.send(withBody(request('INVITE', 1, callId), mixed(OFFER)));
    const { invite, heard } = await end.invited();
    expect(invite.request.header('Content-Type')).toMatch(/multipart\/mixed/i);
    invite.session.answer({ sdp: ANSWER });
    const ok = await peer.message(
      '200',
      (message) => statusOf(message) === 200 && headerOf(message, 'Call-ID') === callId,
    );
    const to = headerOf(ok, 'To') ?? '';
    peer.send(request('ACK', 1, callId, to));
    await heard.next('acknowledged');
    return { heard, callId, to };
  }

  it('in a re-INVITE and an UPDATE: the description is read, and the rest does no harm', async () => {
    const { heard, callId, to } = await called();
    peer.send(withBody(request('INVITE', 2, callId, to), mixed(OFFER)));
    const reinvite = await heard.next('reinvited');
    expect(reinvite).toMatchObject({ sdp: OFFER });
    heard.session.respond(reinvite.id, 200, { sdp: ANSWER });
    peer.send(request('ACK', 2, callId, to));
    await heard.next('acknowledged');
    peer.send(withBody(request('UPDATE', 3, callId, to), mixed(OFFER)));
    const update = await heard.next('requested');
    expect(update).toMatchObject({ method: 'UPDATE', body: OFFER, contentType: 'application/sdp' });
    heard.session.respond(update.id, 200, { sdp: ANSWER });
    heard.session.bye();
  });

  it.each([
    ['multipart with a required part', 415, 'Accept', mixed(OFFER, 'required')],
    ['an encoding', 415, 'Accept-Encoding', { headers: ['Content-Type: application/sdp', 'e: gzip'], body: isup }],
    ['another type', 415, 'Accept', { headers: ['c: text/plain'], body: Buffer.from(OFFER) }],
    [
      'no delimiter',
      400,
      undefined,
      { headers: ['Content-Type: multipart/mixed;boundary=x'], body: Buffer.from(OFFER) },
    ],
    [
      'no c= line',
      488,
      'Warning',
      { headers: ['Content-Type: application/sdp'], body: Buffer.from(OFFER.replace(/c=.*\r\n/, '')) },
    ],
  ])('a re-INVITE or UPDATE with %s is refused, and nobody is told of an offer', async (_, status, header, body) => {
    const { heard, callId, to } = await called();
    for (const [method, cseq] of [
      ['INVITE', 2],
      ['UPDATE', 3],
    ] as const) {
      const sent = request(method, cseq, callId, to);
      peer.send(withBody(sent, body));
      const refusal = await peer.message(
        `refusal of ${method}`,
        (message) =>
          headerOf(message, 'Call-ID') === callId &&
          headerOf(message, 'CSeq') === `${cseq} ${method}` &&
          statusOf(message) > 199,
      );
      expect(statusOf(refusal)).toBe(status);
      if (header !== undefined) expect(headerOf(refusal, header)).toBeDefined();
      if (method === 'INVITE') peer.acknowledge(sent, refusal);
    }
    expect(heard.signals).toEqual([]);
    heard.session.bye();
  });

  const calls = (sdp?: string): Heard =>
    new Heard(
      end.agent.invite({
        uri: `sip:3000@127.0.0.1:${peer.port}`,
        headers: { From: '<sip:1000@localhost>', Contact: '<sip:1000@localhost>' },
        ...(sdp === undefined ? {} : { sdp }),
      }),
    );
  const next = (method: string, { session }: Heard): Promise<string> =>
    peer.message(method, (text) => methodOf(text) === method && headerOf(text, 'Call-ID') === session.callId);

  function answer(invite: string, status: string, body: { headers: readonly string[]; body: Buffer }): void {
    const copied = invite.split(CRLF).filter((line) => /^(Via|From|Call-ID|CSeq):/i.test(line));
    const to = `To: ${headerOf(invite, 'To')};tag=gw`;
    const contact = `Contact: ${peer.contact('gw')}`;
    peer.send(withBody([`SIP/2.0 ${status}`, ...copied, to, contact, '', ''].join(CRLF), body));
  }

  it('in 183 and 200: the description is read', async () => {
    const heard = calls(OFFER);
    const invite = await next('INVITE', heard);
    answer(invite, '183 Session Progress', mixed(ANSWER));
    expect(await heard.next('provisional')).toMatchObject({ status: 183, sdp: ANSWER });
    answer(invite, '200 OK', mixed(ANSWER, 'required'));
    expect(await heard.next('answered')).toMatchObject({ sdp: ANSWER });
    await next('ACK', heard);
    heard.session.bye();
  });

  it('a 200 that cannot be read is the end of this leg: ACK, BYE, and no answer', async () => {
    const heard = calls(OFFER);
    const invite = await next('INVITE', heard);
    answer(invite, '183 Session Progress', mixed(ANSWER));
    answer(invite, '200 OK', { headers: ['Content-Type: application/sdp', 'Content-Encoding: gzip'], body: isup });
    expect(await heard.next('rejected')).toMatchObject({ status: 500 });
    await next('ACK', heard);
    expect(headerOf(await next('BYE', heard), 'Reason')).toContain('cause=488');
    expect(heard.signals.map(({ type }) => type)).not.toContain('answered');
  });
});
