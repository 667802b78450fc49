import { eventually } from '../../support/eventually';
import { Scope } from '../../support/scope';
import {
  ANSWER,
  connectApp,
  inCall,
  is,
  OFFER,
  placeCall,
  RawApplication,
  SECRET,
  startServer,
  udpPeer,
  type AppRequest,
  type AppResponse,
  type App,
} from './harness';

let scope: Scope;
beforeEach(() => {
  scope = new Scope();
});
afterEach(() => scope.close());

/** A server with an application, and the call detail events as a list of words. */
async function watched(handler: (app: App, req: AppRequest, res: AppResponse) => void) {
  const running = await startServer(scope);
  const raw = await RawApplication.connect(scope, running, SECRET);
  for (const event of ['attempt', 'start', 'stop']) await raw.ask(`route|cdr:${event}`);
  await connectApp(scope, running, (app) => app.use('invite', (req, res) => handler(app, req, res)));
  const events = (): string[] =>
    raw.frames
      .filter((frame) => frame.includes('|cdr:'))
      .map((frame) => {
        const [, event = '', source = '', , more = ''] = (frame.split('\r\n')[0] ?? '').split('|');
        const first = frame.split('\r\n')[1] ?? '';
        return [event, source, more, first.split(' ')[first.startsWith('SIP/') ? 1 : 0]].filter(Boolean).join(' ');
      });
  const until = (count: number): Promise<string[]> => eventually('events', events, (seen) => seen.length >= count);
  return { running, until };
}

describe('call detail events', () => {
  test('a call through a B2BUA has two attempts, two starts and two stops', async () => {
    let target = '';
    const { running, until } = await watched((app, req, res) => {
      void app.createB2BUA(req, res, target).then(({ uas, uac }) => {
        uas.on('destroy', () => void uac.destroy());
        uac.on('destroy', () => void uas.destroy());
      });
    });
    const [alice, bob] = [await udpPeer(scope, running), await udpPeer(scope, running)];
    target = `sip:bob@127.0.0.1:${bob.port}`;
    const placed = placeCall(alice, 'sip:bob@127.0.0.1', 'through');
    bob.answer(await bob.message('INVITE', is.request('INVITE')), '200 OK', { body: ANSWER });
    const call = await placed;
    alice.send(inCall(alice, call, 'ACK', 1));
    alice.send(inCall(alice, call, 'BYE', 2));
    bob.answer(await bob.message('BYE', is.request('BYE')), '200 OK');
    expect(await until(6)).toEqual([
      'cdr:attempt network INVITE',
      'cdr:attempt application INVITE',
      'cdr:start network uac 200',
      'cdr:start application uas 200',
      'cdr:stop network normal-release BYE',
      'cdr:stop application normal-release BYE',
    ]);
  });

  test('a refused call', async () => {
    const { running, until } = await watched((_app, _req, res) => res.send(486));
    const alice = await udpPeer(scope, running);
    await alice.ask({ method: 'INVITE', uri: 'sip:b@127.0.0.1', from: '<sip:a@127.0.0.1>', body: OFFER });
    expect(await until(2)).toEqual(['cdr:attempt network INVITE', 'cdr:stop application call-rejected 486']);
  });

  test('a call that the caller gives up while it rings', async () => {
    const { running, until } = await watched((_app, _req, res) => res.send(180));
    const alice = await udpPeer(scope, running);
    const invite = alice.request({ method: 'INVITE', uri: 'sip:b@127.0.0.1', from: '<sip:a@127.0.0.1>;tag=a' });
    alice.send(invite);
    await alice.message('180', is.response(180, 'INVITE'));
    alice.send(invite.replace(/^INVITE/, 'CANCEL').replace('CSeq: 1 INVITE', 'CSeq: 1 CANCEL'));
    expect(await until(2)).toEqual(['cdr:attempt network INVITE', 'cdr:stop network call-canceled INVITE']);
  });

  test('an application that did not ask for them gets none', async () => {
    const running = await startServer(scope);
    const raw = await RawApplication.connect(scope, running, SECRET);
    await raw.ask('route|invite');
    const alice = await udpPeer(scope, running);
    alice.send(alice.request({ method: 'INVITE', uri: 'sip:b@127.0.0.1', from: '<sip:a@127.0.0.1>' }));
    await raw.frame('INVITE', (frame) => frame.includes('|sip|network|'));
    await raw.ask('ping');
    expect(raw.frames.filter((frame) => frame.includes('|cdr:'))).toEqual([]);
  });
});
