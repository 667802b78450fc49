import { speaksDtls, terminated } from '../../../src/call-control/session/dtls-device';
import { DtlsSession } from '../../../src/call-control/session/dtls-session';
import { SimulatedClock } from '../../../src/process/clock';
import type { SessionSignal } from '../../../src/sip/user-agent';
import { FakeResources, FakeSession, profile, sdp, settled } from './kit';

const WEB = 'UDP/TLS/RTP/SAVPF';
const web = (version = 1, direction = 'sendrecv'): string => sdp('alice', { protocol: WEB, version, direction });
const plain = (version = 1, direction = 'sendrecv'): string => sdp('bob', { version, direction });

function open(resources = new FakeResources()) {
  const clock = new SimulatedClock();
  const signals: SessionSignal[] = [];
  const session = new DtlsSession({
    names: { call: '1.cp.1-1', process: '1.cp.1' },
    id: 'd1',
    family: 4,
    clock,
    log: { info: () => undefined, warn: () => undefined },
    allocate: (exclude, again) =>
      resources.allocate({ type: 'mtp', device: 'SEP-alice', site: undefined, exclude }, again ? 'again' : 'first'),
  });
  const device = new FakeSession('alice');
  session.listen((signal) => signals.push(signal));
  return { session, device, signals, resources, clock };
}

/** The device is called, and has answered. */
async function called() {
  const world = open();
  world.session.begin(
    () => world.device,
    plain(),
    () => undefined,
  );
  await settled();
  world.device.answers(web());
  await settled();
  return world;
}

/** The protocol of a description, and who is heard under it. */
function seen(description: string | undefined): readonly (string | undefined)[] {
  return [/^m=audio \d+ (\S+)/m.exec(description ?? '')?.[1], /^c=IN IP4 (\S+)/m.exec(description ?? '')?.[1]];
}

const FOR_DEVICE = [WEB, '10.0.8.1'];
const FOR_CALL = ['RTP/AVP', '10.0.8.2'];

describe('RFC 8827: a device that speaks DTLS-SRTP', () => {
  it('is known by its last offer, by configuration, or by its WebSocket, in this order', () => {
    const phone = profile('alice');
    expect(speaksDtls(phone, undefined)).toBe(false);
    expect(speaksDtls({ ...phone, presumedSecurity: 'dtls' }, undefined)).toBe(true);
    expect(speaksDtls({ ...phone, presumedSecurity: 'dtls', security: 'none' }, undefined)).toBe(false);
    expect(speaksDtls({ ...phone, presumedSecurity: 'dtls' }, plain())).toBe(false);
    expect(speaksDtls(phone, web())).toBe(true);
    expect(speaksDtls(profile('node-2', 'node'), web())).toBe(false);
  });

  it('needs nothing else once a media termination point speaks for it', () => {
    expect(terminated({ ...profile('alice'), presumedSecurity: 'dtls', mtpRequired: true })).toEqual({
      ...profile('alice'),
      mtpRequired: false,
    });
  });
});

describe('claim M4: the media termination point of a device that is called', () => {
  it('makes the offer of the INVITE, and the answer for the call', async () => {
    const { session, device, signals, resources } = open();
    const offers: (string | undefined)[] = [];
    session.begin(
      (offer) => {
        offers.push(offer);
        return device;
      },
      plain(),
      () => undefined,
    );
    expect(offers).toEqual([]);
    await settled();
    expect(offers.map(seen)).toEqual([FOR_DEVICE]);
    // Under the o= line that the call has given it.
    expect(offers[0]).toContain('o=bob 1 1 ');
    device.rings(183, web());
    device.answers(web());
    await settled();
    expect(signals.map(({ type }) => type)).toEqual(['provisional', 'answered']);
    for (const signal of signals) expect('sdp' in signal && seen(signal.sdp)).toEqual(FOR_CALL);
    session.bye();
    await settled();
    expect([device.over, resources.open]).toEqual([true, 0]);
  });

  it('RFC 3261 §13.2.1: makes one answer; what the device answers in the end is an offer for the call', async () => {
    const { session, device, signals, resources } = open();
    session.begin(
      () => device,
      plain(),
      () => undefined,
    );
    await settled();
    device.rings(183, web());
    device.answers(web(2).replace('4000', '4100'));
    await settled();
    expect(signals.map(({ type }) => type)).toEqual(['provisional', 'answered', 'reinvited']);
    for (const signal of signals) expect('sdp' in signal && seen(signal.sdp)).toEqual(FOR_CALL);
    const [allocation] = resources.granted;
    expect(allocation?.connects).toHaveLength(1);
    expect(allocation?.relays.at(-1)?.sdp).toContain('m=audio 4100');
    const reinvited = signals.at(-1);
    if (reinvited?.type === 'reinvited') session.respond(reinvited.id, 200, { sdp: plain() });
    await settled();
    // The device is told nothing: what it was offered stands.
    expect(device.all('reinvite')).toEqual([]);
    session.bye();
  });

  it('is asked for the offer that the device makes when the INVITE had none, and for the answer in the ACK', async () => {
    const { session, device, signals } = open();
    session.begin(
      () => device,
      undefined,
      () => undefined,
    );
    await settled();
    device.answers(web());
    await settled();
    expect(signals.map((signal) => 'sdp' in signal && seen(signal.sdp))).toEqual([FOR_CALL]);
    session.acknowledge(plain());
    await settled();
    expect(device.last('acknowledge').sdp).toContain('10.0.8.1');
  });

  it('is given back when the call is cancelled before the INVITE was sent', async () => {
    const { session, device, signals, resources, clock } = open();
    resources.slow = true;
    session.begin(
      () => device,
      plain(),
      () => undefined,
    );
    await settled();
    session.cancel();
    resources.answer();
    await settled();
    expect(signals).toMatchObject([{ type: 'rejected', status: 487 }]);
    expect([device.commands.length, resources.open, clock.pending]).toEqual([0, 0, 0]);
  });

  it('is given back when the device refuses', async () => {
    const { session, device, signals, resources } = open();
    session.begin(
      () => device,
      plain(),
      () => undefined,
    );
    await settled();
    device.rejects(486);
    await settled();
    expect(signals).toMatchObject([{ type: 'rejected', status: 486 }]);
    expect(resources.open).toBe(0);
  });

  it('translates re-INVITEs of the call, delayed ones too', async () => {
    const { session, device, signals, resources } = await called();
    session.reinvite('r1', { sdp: plain(2, 'sendonly') });
    await settled();
    expect(seen(device.last('reinvite').sdp)).toEqual(FOR_DEVICE);
    device.answersReinvite(web(2, 'recvonly'));
    await settled();
    expect(signals.at(-1)).toMatchObject({ type: 'reinvite-answered', id: 'r1' });
    expect(resources.granted[0]?.connects.at(-1)).toMatchObject({ from: 'a' });
    session.reinvite('r2', {});
    await settled();
    expect(device.last('reinvite').sdp).toBeUndefined();
    device.answersReinvite(web(3));
    await settled();
    const last = signals.at(-1);
    expect(last?.type === 'reinvite-answered' && seen(last.sdp)).toEqual(FOR_CALL);
    session.acknowledge(plain(3));
    await settled();
    expect(seen(device.last('acknowledge').sdp)[1]).toBe('10.0.8.1');
  });

  it('refuses a re-INVITE that it cannot translate', async () => {
    const { session, device, signals, resources } = await called();
    const [allocation] = resources.granted;
    resources.servers = 0;
    if (allocation !== undefined) allocation.failing = 'offer';
    session.reinvite('r1', { sdp: plain(2) });
    await settled();
    expect(signals[1]).toMatchObject({ type: 'reinvite-rejected', id: 'r1', status: 500 });
    // It has failed, and there is no other one.
    expect(signals.at(-1)).toMatchObject({ type: 'ended', by: 'server' });
    expect(device.all('bye')).toHaveLength(1);
    expect(resources.open).toBe(0);
  });
});

describe('claim M4: the media termination point of a device that calls', () => {
  it('shows the call a plain offer and answers the device in its own way', async () => {
    const { session, device } = open();
    expect(seen(await session.receive(device, web()))).toEqual(FOR_CALL);
    session.listen(() => undefined);
    session.progress(183, { sdp: plain() });
    session.answer({ sdp: plain(), headers: {} });
    await settled();
    for (const name of ['progress', 'answer'] as const) expect(seen(device.last(name).sdp)[1]).toBe('10.0.8.1');
  });

  it('translates the re-INVITEs and UPDATEs of the device, and those without an offer', async () => {
    const { session, device, signals } = open();
    await session.receive(device, web());
    session.listen((signal) => signals.push(signal));
    session.answer({ sdp: plain(), headers: {} });
    const hold = device.reinvites(web(2, 'sendonly'));
    const update = device.requestsThat('UPDATE', web(3), 'application/sdp');
    const wish = device.reinvites();
    await settled();
    const [first, second, third] = signals;
    expect(first?.type === 'reinvited' && seen(first.sdp)).toEqual(FOR_CALL);
    expect(second?.type === 'requested' && seen(second.body)).toEqual(FOR_CALL);
    expect(third).toMatchObject({ type: 'reinvited', sdp: undefined });
    session.respond(update, 200, { sdp: plain(2) });
    session.respond(wish, 200, { sdp: plain(3) });
    session.respond(hold, 491);
    await settled();
    expect(seen(device.responseTo(wish)?.sdp)).toEqual(FOR_DEVICE);
    expect(device.responseTo(hold)).toMatchObject({ status: 491 });
    device.acks(web(4));
    await settled();
    const last = signals.at(-1);
    expect(last?.type === 'acknowledged' && seen(last.sdp)).toEqual(FOR_CALL);
  });

  it('is done without when there is none: what is said goes on as it is', async () => {
    const resources = new FakeResources();
    resources.none.add('mtp');
    const { session, device } = open(resources);
    expect(await session.receive(device, web())).toBe(web());
    session.answer({ sdp: web(), headers: {} });
    await settled();
    expect(device.last('answer').sdp).toBe(web());
  });

  it('fails: the call is refused, and nothing is kept', async () => {
    const { session, device, resources, clock } = open();
    const receiving = session.receive(device, web());
    for (const allocation of resources.granted) allocation.failing = 'offer';
    await expect(receiving).rejects.toThrow('down');
    expect([resources.open, clock.pending]).toEqual([0, 0]);
  });
});

describe('a media termination point that is lost', () => {
  it('is replaced: first the device is offered the next one, then the call is told where the device is', async () => {
    const { session, device, signals, resources } = await called();
    resources.joining = 2;
    resources.granted[0]?.lost();
    await settled();
    expect(seen(device.last('reinvite').sdp)).toEqual(FOR_DEVICE);
    session.reinvite('r1', { sdp: plain(2) });
    await settled();
    expect(signals.at(-1)).toMatchObject({ type: 'reinvite-rejected', id: 'r1', status: 491 });
    device.answersReinvite(web(2));
    await settled();
    const moved = signals.at(-1);
    if (moved?.type !== 'reinvited') throw new Error(`expected an offer, not ${moved?.type}`);
    expect(seen(moved.sdp)).toEqual(FOR_CALL);
    session.respond(moved.id, 200, { sdp: plain() });
    await settled();
    expect(signals.at(-1)).toMatchObject({ type: 'acknowledged' });
    expect(device.all('reinvite')).toHaveLength(1);
    expect(resources.granted.map(({ device: name, released }) => [name, released])).toEqual([
      ['mtp-1', 1],
      ['mtp-2', 0],
    ]);
  });

  it('RFC 3261 §14.1: after 491 of either end it is tried again', async () => {
    const { session, device, signals, resources, clock } = await called();
    resources.joining = 2;
    resources.granted[0]?.lost();
    await settled();
    device.rejectsReinvite(491);
    await settled();
    clock.advance(2500);
    await settled();
    device.answersReinvite(web(2));
    await settled();
    const moved = signals.at(-1);
    if (moved?.type !== 'reinvited') throw new Error(`expected an offer, not ${moved?.type}`);
    session.respond(moved.id, 491);
    await settled();
    clock.advance(2500);
    await settled();
    expect(device.all('reinvite')).toHaveLength(3);
    expect(device.over).toBe(false);
  });

  it('ends the call when there is no other one', async () => {
    const { device, signals, resources, clock } = await called();
    resources.servers = 0;
    resources.granted[0]?.lost();
    await settled();
    expect(signals.at(-1)).toMatchObject({ type: 'ended', by: 'server' });
    expect(device.last('bye').reason).toContain('503');
    expect([resources.open, clock.pending]).toEqual([0, 0]);
  });

  it('is noticed when its lease is refused', async () => {
    const { device, resources } = await called();
    const [allocation] = resources.granted;
    resources.joining = 2;
    allocation?.lost('unknown-allocation');
    await settled();
    expect(device.all('reinvite')).toHaveLength(1);
  });
});
