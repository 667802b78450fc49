import { Scope } from '../../support/scope';
import { headerOf } from '../../support/sip-text';
import { ANSWER, inCall, is, OFFER, RawApplication, SECRET, startServer, tcpPeer, toTag, udpPeer } from './harness';
import type { Running } from './harness';
import type { SipPeer } from '../../support/sip-peer';

let scope: Scope;
let running: Running;
let raw: RawApplication;
let peer: SipPeer;
beforeEach(async () => {
  scope = new Scope();
  running = await startServer(scope);
  raw = await RawApplication.connect(scope, running, SECRET);
  await raw.ask('route|invite');
  await raw.ask('route|register');
  peer = await udpPeer(scope, running);
});
afterEach(() => scope.close());

const from = '<sip:a@127.0.0.1>;tag=a';

/** The tokens of the `sip` frame that brings such a message. */
async function frameOf(start: string): Promise<string[]> {
  const frame = await raw.frame(start, (one) => one.split('|')[1] === 'sip' && one.includes(`\r\n${start}`));
  return frame.slice(0, frame.indexOf('\r\n')).split('|');
}

async function call(callId: string, headers: string[] = []): Promise<{ invite: string; txn: string }> {
  const invite = peer.request({ method: 'INVITE', uri: 'sip:x@127.0.0.1', from, callId, headers, body: OFFER });
  peer.send(invite);
  return { invite, txn: (await frameOf('INVITE'))[8] ?? '' };
}

function cancelOf(invite: string): string {
  const head = (invite.split('\r\n\r\n')[0] ?? '').replaceAll('INVITE', 'CANCEL').split('\r\n');
  return `${head.filter((line) => !line.startsWith('Content-')).join('\r\n')}\r\nContent-Length: 0\r\n\r\n`;
}

/** Answers with 200 and acknowledges; gives the dialog id and what a request inside needs. */
async function establish(callId: string) {
  const { txn } = await call(callId);
  const { tokens, message } = await raw.ask(`sip|${txn}|`, `SIP/2.0 200 OK\r\n\r\n${ANSWER}`);
  const to = headerOf(message, 'To') ?? '';
  const dialog = { callId, from, to, target: `sip:127.0.0.1:${running.udp}` };
  peer.send(inCall(peer, dialog, 'ACK', 1));
  await frameOf('ACK');
  return { id: tokens[8] ?? '', txn, dialog };
}

describe('frames of calls', () => {
  test('a new INVITE names its listener; the echo of 200 has tag, Contact and dialog id; its ACK has the same ids', async () => {
    const { id, txn } = await establish('one');
    const invite = await frameOf('INVITE');
    expect(invite.slice(2, 3)).toEqual(['network']);
    expect(invite.slice(4, 7)).toEqual(['udp', '127.0.0.1', String(peer.port)]);
    expect(invite.slice(8)).toEqual([txn, '', '127.0.0.1', String(running.udp), '']);
    expect(id).toBe('one;from-tag=a');
    expect((await frameOf('ACK')).slice(8)).toEqual([txn, id, '']);
  });

  test('CANCEL before any answer: empty dialog id, later responses are refused', async () => {
    const { invite, txn } = await call('early');
    peer.send(cancelOf(invite));
    await peer.message('487', is.response(487, 'INVITE'));
    expect((await frameOf('CANCEL')).slice(8)).toEqual([txn, '', '']);
    const late = await raw.ask(`sip|${txn}|`, `SIP/2.0 200 OK\r\n\r\n${ANSWER}`);
    expect(late.tokens).toEqual(['NOK', 'Response not sent due to unknown transaction']);
  });

  test('a second final response changes nothing, and is answered with the first', async () => {
    const { txn } = await call('twice');
    await raw.ask(`sip|${txn}|`, 'SIP/2.0 486 Busy Here\r\n\r\n');
    const second = await raw.ask(`sip|${txn}|`, 'SIP/2.0 200 OK\r\n\r\n');
    expect(second.tokens[0]).toBe('OK');
    expect(second.message).toMatch(/^SIP\/2\.0 486/);
    expect(peer.received.filter(is.response(200, 'INVITE'))).toHaveLength(0);
  });

  test('the first response may choose the To tag; CSeq, From and Call-ID of the application are not taken', async () => {
    const { txn } = await call('tag');
    const { message } = await raw.ask(
      `sip|${txn}|`,
      'SIP/2.0 180 Ringing\r\nTo: <sip:q@q>;tag=mine\r\nFrom: <sip:evil>\r\nCall-ID: evil\r\nCSeq: 9 BYE\r\n\r\n',
    );
    expect(headerOf(message, 'To')).toBe('<sip:x@127.0.0.1>;tag=mine');
    expect(message).not.toContain('evil');
    expect(headerOf(message, 'CSeq')).toBe('1 INVITE');
    await raw.ask(`sip|${txn}|`, 'SIP/2.0 486 Busy\r\nTo: <sip:q@q>;tag=other\r\n\r\n');
    expect(toTag(await peer.message('486', is.response(486, 'INVITE')))).toBe('mine');
  });

  test('a reliable response to a caller without 100rel is refused, and nothing is sent', async () => {
    const { txn } = await call('no100rel');
    const { tokens } = await raw.ask(`sip|${txn}|`, 'SIP/2.0 183 P\r\nRequire: 100rel\r\n\r\n');
    expect(tokens).toEqual(['NOK', 'Remote endpoint does not support 100rel']);
    expect(peer.received.filter(is.response(183, 'INVITE'))).toHaveLength(0);
  });

  test('a second INVITE of the same Call-ID and tag cannot be answered as well: 480', async () => {
    await establish('fork');
    peer.send(peer.request({ method: 'INVITE', uri: 'sip:x@127.0.0.1', from, callId: 'fork', cseq: 5, body: OFFER }));
    const frame = await raw.frame('second', (one) => one.includes('CSeq: 5 INVITE'));
    const { tokens } = await raw.ask(`sip|${frame.split('|')[8] ?? ''}|`, `SIP/2.0 200 OK\r\n\r\n${ANSWER}`);
    expect(tokens).toEqual(['NOK', 'dialog already exists, rejecting this request']);
    await peer.message('480', is.response(480, 'INVITE'));
  });

  test('in a dialog: CSeq out of order is answered 500, a request without content type refused', async () => {
    const { id, dialog } = await establish('order');
    peer.send(inCall(peer, dialog, 'INFO', 0));
    await peer.message('500', is.response(500, 'INFO'));
    const info = await raw.ask(`sip||${id}`, 'INFO sip:placeholder SIP/2.0\r\n\r\nabc');
    expect(info.tokens).toEqual(['NOK', 'Server error: missing content-type']);
    const bad = await raw.ask(`sip||${id}`, 'FROB sip:placeholder SIP/2.0\r\n\r\n');
    expect(bad.tokens).toEqual([
      'NOK',
      'Server error: invalid or missing method supplied on start line: FROB sip:placeholder SIP/2.0',
    ]);
    const ack = await raw.ask(`sip||${id}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n');
    expect(ack.tokens[0]).toBe('NOK');
  });

  test("a request of ours in a dialog: the uri, the tag and the sequence are the dialog's", async () => {
    const { id, dialog } = await establish('ours');
    const { message } = await raw.ask(
      `sip||${id}`,
      'INFO sip:placeholder SIP/2.0\r\nContent-Type: text/plain\r\nCSeq: 99 INFO\r\nTo: <sip:evil>\r\nFrom: "N" <sip:n@n>\r\n\r\nx',
    );
    expect(message).toMatch(new RegExp(`^INFO sip:peer@127.0.0.1:${peer.port}`));
    expect(headerOf(message, 'CSeq')).toBe('2 INFO');
    expect(headerOf(message, 'To')).toBe(dialog.from);
    expect(headerOf(message, 'From')).toMatch(/^"?N"? <sip:n@n>;tag=\w+$/);
    peer.answer(await peer.message('INFO', is.request('INFO')), '200 OK');
    expect((await frameOf('SIP/2.0 200')).at(9)).toBe(id);
  });

  test('an UPDATE in a plain early dialog goes by the id of the INVITE, and is answered by it', async () => {
    const { txn } = await call('update');
    const { message } = await raw.ask(`sip|${txn}|`, 'SIP/2.0 183 Session Progress\r\n\r\n');
    const dialog = { callId: 'update', from, to: headerOf(message, 'To') ?? '', target: 'sip:x@127.0.0.1' };
    peer.send(inCall(peer, dialog, 'UPDATE', 2, { body: OFFER }));
    expect((await frameOf('UPDATE')).slice(8)).toEqual([txn, 'update;from-tag=a', '']);
    await raw.ask(`sip|${txn}|`, `SIP/2.0 200 OK\r\nCSeq: 2 UPDATE\r\n\r\n${ANSWER}`);
    await peer.message('200 to UPDATE', is.response(200, 'UPDATE'));
    expect(peer.received.filter(is.response(200, 'INVITE'))).toHaveLength(0);
  });

  test('a flow whose connection is closed is gone: 410', async () => {
    const connection = new Scope();
    const tcp = await tcpPeer(connection, running);
    tcp.send(
      tcp
        .request({ method: 'REGISTER', uri: 'sip:127.0.0.1', from: '<sip:tim@127.0.0.1>' })
        .replace(/Contact: .*/, 'Contact: <sip:tim@abc.invalid;transport=tcp>'),
    );
    const register = await frameOf('REGISTER');
    const flow = headerOf(raw.frames.find((one) => one.includes('REGISTER sip:')) ?? '', 'X-Tandem-Flow') ?? '';
    await raw.ask(`sip|${register[8] ?? ''}|`, 'SIP/2.0 200 OK\r\nContact: <sip:tim@abc.invalid>;expires=60\r\n\r\n');
    await tcp.message('200', is.response(200, 'REGISTER'));
    const to = 'INVITE sip:tim@abc.invalid;transport=tcp SIP/2.0\r\n\r\n';
    const reached = await raw.ask(`sip|||${flow}`, `${to}${OFFER}`);
    expect(reached.tokens.slice(3, 6)).toEqual(['tcp', '127.0.0.1', String(tcp.port)]);
    await tcp.message('INVITE', is.request('INVITE'));
    await connection.close();
    await raw.frame('410 for the first', (one) => one.includes('\r\nSIP/2.0 410'));
    raw.frames.length = 0;
    await raw.ask(`sip|||${flow}`, `${to}${OFFER}`);
    const gone = await frameOf('SIP/2.0 410 Gone');
    expect(gone.slice(3, 7)).toEqual(['0', 'tcp', '', '0']);
  });
});
