import { eventuallyTrue } from '../../support/eventually';
import { freePort } from '../../support/ports';
import { ANSWER, End, Heard, OFFER } from './kit';

describe('the user agent port on drachtio-srf', () => {
  let alice: End;
  let bob: End;

  beforeEach(async () => {
    [alice, bob] = await Promise.all([End.start(1), End.start(2)]);
  });
  afterEach(() => Promise.all([alice.stop(), bob.stop()]));

  function call(options: { sdp?: string } = { sdp: OFFER }): Heard {
    const headers = { From: '<sip:1000@localhost>', Contact: '<sip:1000@localhost>' };
    return new Heard(alice.agent.invite({ uri: `sip:2000@127.0.0.1:${bob.sipPort}`, headers, ...options }));
  }

  /** A call that is up. */
  async function established(): Promise<{ caller: Heard; callee: Heard }> {
    const caller = call();
    const { heard: callee } = await bob.invited();
    callee.session.answer({ sdp: ANSWER });
    await Promise.all([caller.next('answered'), callee.next('acknowledged')]);
    return { caller, callee };
  }

  it('an early offer: 180, answer and ACK by themselves; BYE is the last signal', async () => {
    const caller = call();
    const { invite, heard: callee } = await bob.invited();
    expect(invite.request).toMatchObject({ method: 'INVITE', body: OFFER, callId: caller.session.callId });
    callee.session.progress(180);
    expect(await caller.next('provisional')).toMatchObject({ status: 180, sdp: undefined });
    callee.session.answer({ sdp: ANSWER });
    expect(await caller.next('answered')).toMatchObject({ sdp: ANSWER });
    expect(await callee.next('acknowledged')).toMatchObject({ sdp: undefined });
    caller.session.bye({ reason: 'SIP;cause=200;text="bye"' });
    expect(await callee.next('ended')).toMatchObject({ by: 'peer', reason: 'bye' });
  });

  it('a delayed offer: the callee offers in its 200, the answer goes with the ACK', async () => {
    const caller = call({});
    const { invite, heard: callee } = await bob.invited();
    expect(invite.request.body).toBe('');
    callee.session.answer({ sdp: OFFER });
    expect(await caller.next('answered')).toMatchObject({ sdp: OFFER });
    caller.session.acknowledge(ANSWER);
    expect(await callee.next('acknowledged')).toMatchObject({ sdp: ANSWER });
    callee.session.bye();
    expect(await caller.next('ended')).toMatchObject({ by: 'peer' });
  });

  it('RFC 3261 §12: both ends name the dialog alike, the early one and the confirmed one, and nothing before there is one', async () => {
    const caller = call();
    const { heard: callee, invite } = await bob.invited();
    expect([caller.session.dialog, callee.session.dialog]).toEqual([undefined, undefined]);
    callee.session.progress(180);
    const { header } = await caller.next('provisional');
    const tag = (value: string | undefined): string => /;tag=([^;]+)/.exec(value ?? '')?.[1] ?? '';
    const named = { localTag: tag(invite.request.header('From')), remoteTag: tag(header('To')) };
    expect(caller.session.dialog).toEqual({ callId: caller.session.callId, ...named });
    expect(named.localTag).not.toBe('');
    expect(named.remoteTag).not.toBe('');
    const mirrored = { callId: callee.session.callId, localTag: named.remoteTag, remoteTag: named.localTag };
    await eventuallyTrue('the callee knows it', () => callee.session.dialog !== undefined);
    expect(callee.session.dialog).toEqual(mirrored);
    callee.session.answer({ sdp: ANSWER });
    await Promise.all([caller.next('answered'), callee.next('acknowledged')]);
    expect(caller.session.dialog).toEqual({ callId: caller.session.callId, ...named });
    expect(callee.session.dialog).toEqual(mirrored);
    caller.session.bye();
    await callee.next('ended');
    expect(callee.session.dialog).toEqual(mirrored);
  });

  it('a call that is answered at once names its dialog, too; one that is refused has none', async () => {
    const { caller, callee } = await established();
    const { callId, localTag, remoteTag } = caller.session.dialog ?? {};
    expect(callee.session.dialog).toEqual({ callId, localTag: remoteTag, remoteTag: localTag });
    expect(remoteTag).toMatch(/./);
    const busy = call();
    (await bob.invited()).heard.session.reject(486);
    await busy.next('rejected');
    expect(busy.session.dialog).toBeUndefined();
  });

  it('CANCEL: both sides are told once, with the reason', async () => {
    const caller = call();
    const { heard: callee } = await bob.invited();
    callee.session.progress(180);
    await caller.next('provisional');
    caller.session.cancel('SIP;cause=200;text="Call completed elsewhere"');
    expect(await callee.next('cancelled')).toMatchObject({ reason: 'Call completed elsewhere' });
    expect(await caller.next('rejected')).toMatchObject({ status: 487 });
  });

  it('a 200 that crosses CANCEL is ended; the caller sees 487', async () => {
    const caller = call();
    const { heard: callee } = await bob.invited();
    callee.session.answer({ sdp: ANSWER });
    caller.session.cancel();
    expect(await caller.next('rejected')).toMatchObject({ status: 487 });
    await eventuallyTrue('the callee is told', () =>
      callee.signals.some((signal) => signal.type === 'ended' || signal.type === 'cancelled'),
    );
  });

  it('a refusal comes with its status; one that drachtio-srf cannot send as the x00 of its class', async () => {
    const busy = call();
    (await bob.invited()).heard.session.reject(486);
    expect(await busy.next('rejected')).toMatchObject({ status: 486 });
    const odd = call();
    (await bob.invited()).heard.session.reject(499);
    expect(await odd.next('rejected')).toMatchObject({ status: 400 });
  });

  it('a peer that is not there is 503, at once', async () => {
    const headers = { From: '<sip:1000@localhost>', Contact: '<sip:1000@localhost>' };
    const uri = `sip:2000@127.0.0.1:${await freePort()};transport=tcp`;
    const nobody = new Heard(alice.agent.invite({ uri, headers, sdp: OFFER }));
    expect(await nobody.next('rejected')).toMatchObject({ status: 503 });
  });

  it('re-INVITEs both ways, with and without an offer; a refused one does not block the next', async () => {
    const { caller, callee } = await established();
    caller.session.reinvite('one', { sdp: OFFER });
    const first = await callee.next('reinvited');
    callee.session.respond(first.id, 488);
    expect(await caller.next('reinvite-rejected')).toMatchObject({ id: 'one', status: 488 });

    caller.session.reinvite('two', { sdp: OFFER });
    const second = await callee.next('reinvited');
    expect(second.sdp).toBe(OFFER);
    callee.session.respond(second.id, 200, { sdp: ANSWER });
    expect(await caller.next('reinvite-answered')).toMatchObject({ id: 'two', sdp: ANSWER });
    await callee.next('acknowledged');

    callee.session.reinvite('three', {});
    const third = await caller.next('reinvited');
    expect(third.sdp).toBeUndefined();
    caller.session.respond(third.id, 200, { sdp: OFFER });
    expect(await callee.next('reinvite-answered')).toMatchObject({ id: 'three', sdp: OFFER });
    callee.session.acknowledge(ANSWER);
    expect(await caller.next('acknowledged')).toMatchObject({ sdp: ANSWER });
    caller.session.bye();
    await callee.next('ended');
  });

  it('other requests in the dialog wait for our answer, whatever they are', async () => {
    const { caller, callee } = await established();
    for (const method of ['INFO', 'UPDATE', 'MESSAGE', 'REFER', 'OPTIONS']) {
      const [body, contentType] = method === 'UPDATE' ? [OFFER, 'application/sdp'] : ['x', 'text/plain'];
      const headers = { 'Refer-To': '<sip:3000@acme.example>' };
      caller.session.request(method, { method, headers, body, contentType });
      const request = await callee.next('requested');
      expect(request).toMatchObject({ method, body, contentType });
      callee.session.respond(request.id, 603);
      expect(await caller.next('request-answered')).toMatchObject({ id: method, status: 603 });
    }
    callee.session.bye();
    await caller.next('ended');
  });

  it('BYE before the callee has the 200 out ends the call all the same', async () => {
    const caller = call();
    const { heard: callee } = await bob.invited();
    callee.session.answer({ sdp: ANSWER });
    callee.session.bye();
    await caller.next('answered');
    expect(await caller.next('ended')).toMatchObject({ by: 'peer' });
  });

  it('requests outside dialogs: answered once, a deadline, a closed port', async () => {
    const uri = `sip:127.0.0.1:${bob.sipPort}`;
    const answer = alice.agent.request({ method: 'OPTIONS', uri, deadlineMs: 5000 });
    await eventuallyTrue('the request', () => bob.transactions.length > 0);
    bob.transactions[0]?.respond(200, { headers: { Allow: 'INVITE' } });
    bob.transactions[0]?.respond(500);
    expect(await answer).toMatchObject({ status: 200 });
    expect((await answer).header('Allow')).toBe('INVITE');
    expect(await alice.agent.request({ method: 'OPTIONS', uri, deadlineMs: 100 })).toMatchObject({ status: 408 });
    const closed = `sip:127.0.0.1:${await freePort()};transport=tcp`;
    expect(await alice.agent.request({ method: 'OPTIONS', uri: closed, deadlineMs: 5000 })).toMatchObject({
      status: 503,
    });
  });

  it('a lost SIP server ends everything; the agent finds the new one, at another control port', async () => {
    const { caller } = await established();
    const ringing = call();
    const { heard: other } = await bob.invited();
    await alice.stopServer();
    expect(await caller.next('ended')).toMatchObject({ by: 'server' });
    expect(await ringing.next('rejected')).toMatchObject({ status: 503 });
    await eventuallyTrue('the loss is told', () => alice.listens.at(-1)?.length === 0);
    expect(await call().next('rejected')).toMatchObject({ status: 503 });
    expect(await alice.agent.request({ method: 'OPTIONS', uri: 'sip:127.0.0.1', deadlineMs: 100 })).toMatchObject({
      status: 503,
    });

    await alice.startServer();
    await eventuallyTrue('the new server is found', () => (alice.listens.at(-1)?.length ?? 0) > 0);
    const again = await established();
    again.caller.session.bye();
    await again.callee.next('ended');
    other.session.bye();
  });
});
