import { SimulatedClock } from '../../../src/process/clock';
import { Scope } from '../../support/scope';
import { statusOf } from '../../support/sip-text';
import { encodeFrame } from '../../../src/sip-server/control/frame';
import { eventually } from '../../support/eventually';
import { OFFER, RawApplication, SECRET, startServer, udpPeer } from './harness';

let scope: Scope;
beforeEach(() => {
  scope = new Scope();
});
afterEach(() => scope.close());

/** Repeatable noise. */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const METHODS = [
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'REGISTER',
  'PRACK',
  'UPDATE',
  'SUBSCRIBE',
  'NOTIFY',
  'REFER',
  'INFO',
];
const NOISE = [
  '',
  ';',
  '|',
  '<',
  '>',
  '"',
  '\r\n',
  ',',
  ':',
  '@',
  '\0',
  'tag=',
  '%zz',
  '99999999999',
  'sip:',
  '*',
  ' ',
];

function mutate(text: string, random: (limit: number) => number): string {
  let result = text;
  for (let count = random(3); count >= 0; count -= 1) {
    const at = random(result.length);
    const end = random(4) === 0 ? at + random(40) : at;
    result = result.slice(0, at) + (NOISE[random(NOISE.length)] ?? '') + result.slice(end);
  }
  return result;
}

describe('hostile input', () => {
  test('messages and commands with anything in them raise no internal error, and the server goes on', async () => {
    const errors: string[] = [];
    const clock = new SimulatedClock();
    const running = await startServer(scope, {
      clock,
      locate: () => Promise.reject(new Error('no names here')),
      log: (event, fields) => {
        if (event.includes('error')) errors.push(`${event} ${JSON.stringify(fields)}`);
      },
    });
    const raw = await RawApplication.connect(scope, running, SECRET);
    for (const method of METHODS) await raw.ask(`route|${method.toLowerCase()}`);
    const peer = await udpPeer(scope, running);
    const random = generator(20_261_120);
    const pick = <Item>(list: readonly Item[]): Item | undefined => list[random(list.length)];
    for (let round = 0; round < 1500; round += 1) {
      const method = pick(METHODS) ?? 'INVITE';
      const call = {
        method,
        uri: 'sip:x@127.0.0.1',
        from: `<sip:a@127.0.0.1>;tag=${random(4)}`,
        callId: `c${random(6)}`,
        cseq: 1 + random(4),
        headers: ['Supported: 100rel', 'Session-Expires: 100;refresher=uac', 'Record-Route: <sip:127.0.0.1:9;lr>'],
        body: OFFER,
      };
      const last = pick(peer.received.slice(-20));
      const to = /\r\nTo: (.*)\r\n/.exec(last ?? '')?.[1];
      const text = peer.request(to === undefined || random(2) === 0 ? call : { ...call, to });
      peer.send(random(3) === 0 ? text : mutate(text, random));
      const sip = pick(raw.frames.filter((frame) => frame.split('|')[1] === 'sip').slice(-10));
      const tokens = sip?.split('\r\n')[0]?.split('|') ?? [];
      const commands = [
        `sip|${tokens[8] ?? ''}|\r\nSIP/2.0 ${pick([100, 180, 183, 200, 202, 302, 404, 999])} X\r\n${pick(['Require: 100rel\r\n', '', 'Contact: sip:a@localhost\r\n'])}\r\n${pick([OFFER, ''])}`,
        `sip||${tokens[9] ?? ''}\r\n${pick(METHODS)} sip:placeholder SIP/2.0\r\nContact: <sip:a@localhost>\r\n\r\n`,
        `sip|||sip:127.0.0.1:${peer.port}\r\n${pick(METHODS)} sip:y@example.com SIP/2.0\r\n\r\n${OFFER}`,
        `sip|${tokens[8] ?? ''}|\r\nCANCEL sip:y@127.0.0.1 SIP/2.0\r\n\r\n`,
        `proxy|${tokens[8] ?? ''}|${pick(['remainInDialog', ''])}|${pick(['fullResponse', ''])}|${pick(['followRedirects', ''])}|${pick(['simultaneous', 'serial'])}|${pick(['1s', ''])}|${pick(['2s', ''])}|sip:a@127.0.0.1:${peer.port}|sip:b@127.0.0.1:${peer.port}\r\nINVITE sip:x SIP/2.0\r\nSubject: x\r\n\r\n`,
      ];
      const command = pick(commands) ?? '';
      // A breach of the protocol would close the connection: the tokens in front stay whole.
      const cut = command.indexOf('\r\n');
      const changed = random(2) === 0 ? command : command.slice(0, cut + 2) + mutate(command.slice(cut + 2), random);
      if (!changed.includes('||\r\nSIP/') && tokens.length > 0) raw.write(encodeFrame(`i|${changed}`));
      const request = pick(peer.received.slice(-5).filter((one) => statusOf(one) === 0));
      if (request !== undefined) {
        peer.answer(request, pick(['100 Trying', '180 Ringing', '183 P', '200 OK', '486 Busy', '491 P']) ?? '', {
          headers: [pick(['RSeq: 5', 'Session-Expires: 90', 'Contact: <sip:z>']) ?? ''],
          tag: `t${random(3)}`,
          body: pick([OFFER, '']) ?? '',
        });
      }
      if (round % 50 === 49) clock.advance(random(4000));
      if (round % 25 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const before = raw.frames.length;
    const fresh = await RawApplication.connect(scope, running, SECRET);
    expect((await fresh.ask('ping')).tokens).toEqual(['OK', 'pong']);
    expect(before).toBeGreaterThan(50);
    // Nothing is left of an application that is gone, 64 * T1 after the last CANCEL at the latest.
    raw.close();
    await eventually(
      'nothing goes on',
      () => {
        clock.advance(10_000);
        return running.server.size;
      },
      (size) => size.dialogs + size.incoming + size.outgoing === 0,
    );
    expect(errors).toEqual([]);
  });
});
