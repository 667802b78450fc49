import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { domain, passwordOf, people } from '../support/cluster-config';
import { RtpListener } from '../support/rtp-listener';
import type { SipPeer } from '../support/sip-peer';
import { statusOf } from '../support/sip-text';
import { hangUp, talk } from '../support/talk';

jest.setTimeout(120_000);

describe('who may call', () => {
  let cluster: Cluster;
  let alice: Phone;
  let bob: Phone;
  let stranger: SipPeer;
  let sdp: string;

  beforeAll(async () => {
    cluster = await Cluster.start();
    alice = await cluster.phone('alice');
    bob = await cluster.phone('bob');
    stranger = await cluster.peer(1);
    sdp = (await RtpListener.open(cluster.scope)).sdp();
  });
  afterAll(() => cluster.close());

  const bobsUri = `sip:${people.bob.dn}@${domain}`;
  const call = (from: string, uri = bobsUri, headers: readonly string[] = []) => ({
    method: 'INVITE',
    uri,
    from,
    body: sdp,
    headers,
  });

  /** Bob's phone has been asked nothing: no INVITE is in its own trace. */
  function expectNothingRang(): void {
    expect(bob.trace().filter((message) => message.text.startsWith('INVITE'))).toEqual([]);
  }

  it('RFC 3261 §22: a call without credentials is challenged, and nothing rings', async () => {
    const response = await stranger.ask(call(`<sip:alice@${domain}>`));
    expect([401, 407]).toContain(statusOf(response));
    expectNothingRang();
  });

  it('a wrong password is challenged again or refused', async () => {
    const response = await stranger.askWithDigest(call(`<sip:alice@${domain}>`), 'alice', 'wrong');
    expect([401, 403, 407]).toContain(statusOf(response));
    expectNothingRang();
  });

  it('an unknown user and a wrong password look the same', async () => {
    const wrong = await stranger.askWithDigest(call(`<sip:alice@${domain}>`), 'alice', 'wrong');
    const unknown = await stranger.askWithDigest(call(`<sip:nobody@${domain}>`), 'nobody', 'wrong');
    expect(statusOf(unknown)).toBe(statusOf(wrong));
  });

  it("alice with her own password but bob's number, or a foreign domain, in From gets 403", async () => {
    for (const from of [`<sip:${people.carol.dn}@${domain}>`, '<sip:alice@elsewhere.example>']) {
      const response = await stranger.askWithDigest(call(from), 'alice', passwordOf('alice'));
      expect(statusOf(response)).toBe(403);
    }
    expectNothingRang();
  });

  it('a forged PID in the request URI gets 403, with and without credentials', async () => {
    const row = (await cluster.node(2).registrations()).find(({ dn }) => dn === people.bob.dn);
    const forged = `${bobsUri};pid=${row?.pid ?? '2.dp.1'};boot=${String(row?.boot ?? 1)}`;
    const atBob = await cluster.peer(2);
    expect(statusOf(await atBob.ask(call(`<sip:alice@${domain}>`, forged)))).toBe(403);
    const response = await atBob.askWithDigest(call(`<sip:alice@${domain}>`, forged), 'alice', passwordOf('alice'));
    expect(statusOf(response)).toBe(403);
    expectNothingRang();
  });

  it('a forged identity of a node does not help a stranger', async () => {
    const headers = ['P-Asserted-Identity: <sip:1000@tandem.test>', 'X-Tandem-Node: 1', 'X-Tandem-Signature: 00'];
    const atBob = await cluster.peer(2);
    const response = await atBob.ask(call(`<sip:alice@${domain}>`, bobsUri, headers));
    expect([401, 403, 407]).toContain(statusOf(response));
    expectNothingRang();
  });

  it('other requests of a stranger are refused too', async () => {
    for (const method of ['MESSAGE', 'SUBSCRIBE', 'REGISTER']) {
      const uri = method === 'REGISTER' ? `sip:${domain}` : bobsUri;
      const from = `<sip:alice@${domain}>`;
      const headers = method === 'SUBSCRIBE' ? ['Event: dialog'] : [];
      const response = await stranger.ask({ method, uri, from, to: from, headers });
      expect([401, 403, 405, 407, 489]).toContain(statusOf(response));
    }
    expectNothingRang();
  });

  it('after all that, who may call is served', async () => {
    await talk(alice, bob, people.bob.dn);
    await hangUp(alice, bob);
    await cluster.nothingIsLeft();
  });
});
