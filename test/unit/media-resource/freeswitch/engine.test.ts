import { createFreeswitch } from '../../../../src/media-resource/freeswitch/engine';
import type { MediaEngine } from '../../../../src/media-resource/ports';
import { eventually, eventuallyTrue } from '../../../support/eventually';
import { Scope } from '../../../support/scope';
import { ANSWER, FakeCaller, FakeEventSocket, OFFER } from './fakes';

const SESSION = 'acme-1-100-1';
const ROOM = { room: 'r' };

function memberEvent(action: string, session = SESSION): Record<string, string> {
  return {
    Action: action,
    'Conference-Name': 'acme-1-r',
    'Unique-ID': `channel-of-${session}`,
    'Member-ID': '7',
    'Caller-Caller-ID-Number': session,
  };
}

describe('FreeSWITCH as a media engine', () => {
  let scope: Scope;
  let socket: FakeEventSocket;
  let caller: FakeCaller;
  let engine: MediaEngine;
  let lost: string[];
  let trouble: string[];

  function create(password = 'hush'): MediaEngine {
    const created = createFreeswitch({
      name: 'bridge',
      sip: { transport: 'udp', address: '127.0.0.1', port: 5060 },
      eventSocket: { address: '127.0.0.1', port: socket.port, password },
      caller,
      owner: 'acme-1',
      localAddress: '127.0.0.1',
      onTrouble: (what) => trouble.push(what),
    });
    scope.defer(() => created.close());
    created.onSessionLost?.((session) => lost.push(session));
    return created;
  }

  const up = (): Promise<unknown> =>
    eventually(
      'it is up',
      () => engine.ping().then(() => true),
      (yes) => yes,
    );

  async function join(session = SESSION): Promise<string> {
    return engine.mixer!.accept(session, { ...ROOM, offer: OFFER });
  }

  beforeEach(async () => {
    scope = new Scope();
    lost = [];
    trouble = [];
    socket = await FakeEventSocket.start(scope, 'hush');
    caller = new FakeCaller();
    caller.answered = (call) => socket.event(memberEvent('add-member', call.request.from));
    engine = create();
    await up();
  });
  afterEach(() => scope.close());

  it('claim M12: the offer of a participant goes in an INVITE to the conference, its answer comes back', async () => {
    expect(await join()).toBe(ANSWER);
    expect(caller.last.request).toMatchObject({
      from: SESSION,
      target: { uri: 'sip:conference-acme-1-r@127.0.0.1:5060', nextHop: 'sip:127.0.0.1:5060;transport=udp' },
    });
    expect(caller.last.request.offer).toContain('m=audio 4000 RTP/AVP 8');
    expect(await engine.holds(SESSION)).toBe(true);
  });

  it('RFC 7587 §7.1: opus is offered without stereo, which FreeSWITCH would add up until it clips', async () => {
    const opus = 'a=rtpmap:96 opus/48000/2\r\na=fmtp:96 stereo=1;sprop-stereo=1;useinbandfec=1\r\n';
    await engine.mixer!.accept(SESSION, { ...ROOM, offer: OFFER.replace('AVP 8', 'AVP 96') + opus });
    expect(caller.last.request.offer).toContain('a=fmtp:96 stereo=0;sprop-stereo=0;useinbandfec=1\r\n');
  });

  it('a later offer is a re-INVITE with the next version of the session; the same one again is none', async () => {
    await join();
    await join();
    expect(caller.last.log).toEqual([]);
    await engine.mixer!.accept(SESSION, { ...ROOM, offer: OFFER.replace('4000', '4002') });
    await engine.mixer!.accept(SESSION, { ...ROOM, offer: OFFER });
    const versions = caller.last.log.map((line) => /re-INVITE o=- \d+ (\d+)/.exec(line)?.[1]);
    expect(versions).toEqual(['2', '3']);
    expect(caller.calls).toHaveLength(1);
  });

  it('an offer to a participant: FreeSWITCH is answered at once and silently, the device may take its time', async () => {
    const offer = await engine.mixer!.offer(SESSION, ROOM);
    expect(offer).toContain('m=audio 30000');
    expect(caller.last.request.offer).toBeUndefined();
    expect(caller.last.log).toEqual(['ACK inactive']);
    await engine.mixer!.connect(SESSION, { ...ROOM, answer: OFFER });
    expect(caller.last.log).toHaveLength(2);
    await expect(engine.mixer!.connect('acme-1-100-9', { ...ROOM, answer: OFFER })).rejects.toMatchObject({
      reason: 'bad-request',
    });
  });

  it.each([
    [503, 'full'],
    [486, 'full'],
    [408, 'down'],
    [488, 'unsupported'],
    [404, 'error'],
  ])('claim M13: %d to the INVITE is unavailable: %s', async (status, reason) => {
    caller.refusal = { status, reason: 'No' };
    await expect(join()).rejects.toMatchObject({ reason });
    expect(await engine.holds(SESSION)).toBe(false);
  });

  it('claim M13: a BYE that follows the 200 at once is a conference that is full or locked; nobody is told of a loss', async () => {
    caller.answered = (call) => call.endByPeer();
    await expect(join()).rejects.toMatchObject({ reason: 'full' });
    expect(lost).toEqual([]);
  });

  it('a call that is answered, but not in the conference in time, is ended', async () => {
    caller.answered = () => undefined;
    await expect(join()).rejects.toMatchObject({ reason: 'error' });
    expect(caller.last.log).toEqual(['BYE']);
  });

  it('a BYE in mid-session is a lost session, told at once', async () => {
    await join();
    caller.last.endByPeer();
    expect(lost).toEqual([SESSION]);
    expect(await engine.holds(SESSION)).toBe(false);
  });

  it('mutes and unmutes the member of the session, and says when FreeSWITCH does not', async () => {
    await expect(engine.mixer!.mute(SESSION, { ...ROOM, muted: true })).rejects.toMatchObject({
      reason: 'bad-request',
    });
    await join();
    socket.answers.set('conference acme-1-r mute 7', 'OK mute 7\n');
    socket.answers.set('conference acme-1-r unmute 7', 'Non-Existant ID 7\n');
    await engine.mixer!.mute(SESSION, { ...ROOM, muted: true });
    await expect(engine.mixer!.mute(SESSION, { ...ROOM, muted: false })).rejects.toMatchObject({ reason: 'error' });
    socket.answers.set('conference acme-1-r mute 7', '-ERR Conference acme-1-r not found\n');
    await expect(engine.mixer!.mute(SESSION, { ...ROOM, muted: true })).rejects.toThrow('not found');
    expect(socket.connections).toBe(1);
  });

  it('who talks is known from the events', async () => {
    await join();
    expect(engine.mixer!.talks?.(SESSION)).toBe(false);
    socket.event(memberEvent('start-talking'));
    await eventuallyTrue('it talks', () => engine.mixer!.talks?.(SESSION) === true);
    expect(engine.mixer!.talks?.('acme-1-100-9')).toBeUndefined();
  });

  it('release ends the call and waits until FreeSWITCH has let it go', async () => {
    await join();
    const released = engine.release(SESSION);
    expect(caller.last.log).toEqual(['BYE']);
    socket.event(memberEvent('del-member'));
    await released;
    expect(lost).toEqual([]);
    expect(socket.commands.some((command) => command.includes('uuid_kill'))).toBe(false);
    await expect(engine.release(SESSION)).resolves.toBeUndefined();
  });

  it('a session of an earlier incarnation is ended by its channel; one that goes by itself meanwhile is no error', async () => {
    socket.event(memberEvent('add-member', 'acme-1-99-5'));
    socket.event(memberEvent('add-member', 'acme-1-99-6'));
    socket.answers.set('uuid_kill channel-of-acme-1-99-5', '+OK');
    socket.answers.set('uuid_kill channel-of-acme-1-99-6', '-ERR No such channel!');
    // The answer to a command comes after the events before it.
    await engine.ping();
    const released = Promise.all([engine.release('acme-1-99-5'), engine.release('acme-1-99-6')]);
    await eventuallyTrue('it is killed', () => socket.commands.includes('api uuid_kill channel-of-acme-1-99-5'));
    socket.event(memberEvent('del-member', 'acme-1-99-5'));
    socket.event(memberEvent('del-member', 'acme-1-99-6'));
    await released;
  });

  it('the audit lists everybody, and ends our calls that are in no conference any more', async () => {
    await join();
    const members = [{ id: 1, uuid: 'x', caller_id_number: 'somebody', flags: {} }];
    socket.event(memberEvent('del-member'));
    socket.answers.set('conference json_list', JSON.stringify([{ conference_name: 'c', members }]));
    await engine.ping();
    expect(await engine.sessions()).toEqual({ ids: ['somebody'], complete: true });
    expect(caller.last.log).toEqual(['BYE']);
    socket.answers.set('conference json_list', 'what?');
    await expect(engine.sessions()).rejects.toMatchObject({ reason: 'error' });
  });

  it('it is up only while both answer; 503 to OPTIONS means that it takes nothing new', async () => {
    expect(engine.refusal?.()).toBeUndefined();
    caller.status = 503;
    await engine.ping();
    expect(engine.refusal?.()).toMatchObject({ reason: 'full' });
    caller.status = 408;
    await expect(engine.ping()).rejects.toMatchObject({ reason: 'down' });
    caller.status = 200;
    await engine.ping();
    expect(engine.refusal?.()).toBeUndefined();
    socket.disconnect();
    await eventuallyTrue('the loss is seen', () => trouble.length > 0);
    await expect(engine.holds(SESSION)).rejects.toMatchObject({ reason: 'down' });
    await up();
  });

  it('after a lost connection it subscribes again, and knows who came meanwhile', async () => {
    await join();
    const members = [
      { id: 7, uuid: `channel-of-${SESSION}`, caller_id_number: SESSION, flags: {} },
      { id: 8, uuid: 'y', caller_id_number: 'acme-1-100-2', flags: { talking: true } },
    ];
    socket.answers.set('conference json_list', JSON.stringify([{ conference_name: 'acme-1-r', members }]));
    socket.disconnect();
    await eventuallyTrue('the loss is seen', () => trouble.length > 0);
    await up();
    expect(socket.commands.filter((command) => command.startsWith('event json CUSTOM'))).toHaveLength(2);
    expect(engine.mixer!.talks?.('acme-1-100-2')).toBe(true);
    expect(await engine.holds(SESSION)).toBe(true);
  });

  it('another Core-UUID is another FreeSWITCH: it holds nothing of ours', async () => {
    await join();
    socket.answers.set('global_getvar core_uuid', 'core-2');
    socket.disconnect();
    await eventuallyTrue('the loss is seen', () => trouble.length > 0);
    await up();
    expect(await engine.holds(SESSION)).toBe(false);
    expect(lost).toEqual([]);
  });

  it('a command without an answer closes the connection, so that no answer goes to the next command', async () => {
    socket.answers.set('uptime ms', undefined);
    await expect(engine.ping()).rejects.toMatchObject({ reason: 'down' });
    expect(trouble).toHaveLength(1);
    socket.answers.set('uptime ms', '5000');
    await up();
    await expect(engine.uptimeMs?.()).resolves.toBe(5000);
    expect(socket.connections).toBe(2);
  });

  it('a wrong password: it stays down, and tries again', async () => {
    const connections = socket.connections;
    const other = create('wrong');
    await expect(other.ping()).rejects.toMatchObject({ reason: 'down' });
    await eventuallyTrue('it tries again', () => socket.connections > connections + 1);
    expect(JSON.stringify(trouble)).not.toContain('wrong');
  });

  it('rubbish on the event socket is no exception', async () => {
    for (const body of ['', '{', '[]', 'null', '"x"', '{"Event-Name":"CUSTOM"}', '{"Event-Name":5}']) socket.raw(body);
    socket.event({ Action: 5, 'Member-ID': {} });
    socket.bytes('Content-Type\n\nfoo: bar\n\nContent-Length: x\n\n\n\n');
    await up();
    expect(await join()).toBe(ANSWER);
  });

  it('it plays no music', async () => {
    const nothing = { file: '/music.wav', answer: OFFER };
    await expect(engine.musicOffer(SESSION, nothing)).rejects.toMatchObject({ reason: 'unsupported' });
    await expect(engine.musicConnect(SESSION, nothing)).rejects.toMatchObject({ reason: 'unsupported' });
  });
});
