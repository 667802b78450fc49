import type { Phone } from '../support/baresip';
import { type BrowserPhone, TestBrowser } from '../support/browser';
import { CertificateAuthority } from '../support/certificates';
import { Cluster } from '../support/cluster';
import { domain, passwordOf, people, type PhoneName } from '../support/cluster-config';
import { describeUnless } from '../support/drachtio-limits';
import { freePort } from '../support/ports';
import { Scope } from '../support/scope';
import { statusOf } from '../support/sip-text';
import { endCalls, hangUp, hearEachOther, hearsMusic, talk, type TestPhone } from '../support/talk';

jest.setTimeout(150_000);

/** Why media termination points were asked for in the one call of a node, and who granted. */
async function terminationsAt(cluster: Cluster, node: number): Promise<readonly unknown[]> {
  const [call] = (await cluster.node(node).calls()) as readonly { readonly id: string }[];
  const detail = (await cluster.node(node).api(`/api/calls/${call?.id ?? ''}`)) as {
    readonly allocations: readonly { readonly type: string; readonly why: string; readonly winner?: string }[];
  };
  return detail.allocations.filter(({ type }) => type === 'mtp').map(({ why, winner }) => ({ why, winner }));
}

/** Both hold once; the other hears music then, and the holder again afterwards. */
async function holdInTurn(
  one: TestPhone & Record<'hold' | 'resume', () => Promise<void>>,
  other: TestPhone & Record<'hold' | 'resume', () => Promise<void>>,
): Promise<void> {
  for (const [holder, held] of [
    [one, other],
    [other, one],
  ] as const) {
    await holder.hold();
    await hearsMusic(held, holder);
    await holder.resume();
    await hearEachOther(one, other);
  }
}

describeUnless('listeners')(
  'RFC 7118, RFC 8827: sip.js in Chromium, over WebSocket in Dallas and secure WebSocket in San Jose',
  () => {
    const scope = new Scope();
    let cluster: Cluster;
    let browser: TestBrowser;
    let alice: BrowserPhone;
    let bob: Phone;
    let dave: BrowserPhone;

    const browserPhone = async (name: PhoneName, server: string): Promise<BrowserPhone> => {
      const { tone, dn } = people[name];
      const phone = await browser.phone({ server, username: name, password: passwordOf(name), domain, tone });
      await cluster.everybodyKnows(dn);
      return phone;
    };

    beforeAll(async () => {
      const tls = new CertificateAuthority(scope.directory('certificates')).issue('node', ['IP:127.0.0.1']);
      const [plain, secure] = [await freePort(), await freePort()];
      cluster = await Cluster.start({
        bridges: [1],
        change: (file) => {
          Object.assign(file, { tls: { key: tls.key, cert: tls.cert } });
          file.conferences = [{ number: '8000', name: 'all', nodes: [1, 2] }];
          file.nodes[0]?.listen.push(`ws:127.0.0.1:${plain}`);
          file.nodes[1]?.listen.push(`wss:127.0.0.1:${secure}`);
        },
      });
      browser = await TestBrowser.start(scope);
      alice = await browserPhone('alice', `ws://127.0.0.1:${plain}`);
      dave = await browserPhone('dave', `wss://127.0.0.1:${secure}`);
      bob = await cluster.phone('bob');
    });
    afterAll(async () => {
      await scope.close();
      await cluster.close();
    });
    afterEach(async () => {
      await endCalls(alice, bob, dave);
      await cluster.nothingIsLeft();
      await cluster.nothingIsLeased();
    });

    it('claims M1, M4: the phone calls the browser; whoever holds, the other one hears music', async () => {
      // Nothing is known of the browser but that it is on a WebSocket.
      await talk(bob, alice, people.alice.dn);
      expect(await terminationsAt(cluster, 1)).toEqual([{ why: 'SEP-alice speaks DTLS-SRTP', winner: 'mtp-dallas' }]);
      await holdInTurn(alice, bob);
      await hangUp(bob, alice);
    });

    it('claims M1, M4: the browser calls a phone at the other node; whoever holds, the other one hears music', async () => {
      await talk(alice, bob, people.bob.dn);
      expect(await alice.media()).toMatchObject({ ice: 'connected', dtls: 'connected', codec: 'audio/PCMU' });
      const why = 'SEP-alice speaks DTLS-SRTP';
      expect(await terminationsAt(cluster, 1)).toEqual([{ why, winner: 'mtp-dallas' }]);
      expect(await terminationsAt(cluster, 2)).toEqual([]);
      await holdInTurn(bob, alice);
      await hangUp(alice, bob);
    });

    it('RFC 3261 §12.1.1: the browser hears of the ringing', async () => {
      bob.now();
      await alice.dial(people.bob.dn);
      await bob.incoming();
      await alice.ringing();
      await hangUp(alice, bob);
    });

    it('claims M1, M4: two browsers talk, each through a media termination point of its own; so they do after holds', async () => {
      await talk(alice, dave, people.dave.dn);
      expect(await terminationsAt(cluster, 1)).toEqual([{ why: 'SEP-alice speaks DTLS-SRTP', winner: 'mtp-dallas' }]);
      expect(await terminationsAt(cluster, 2)).toEqual([{ why: 'SEP-dave speaks DTLS-SRTP', winner: 'mtp-san-jose' }]);
      await holdInTurn(alice, dave);
      await hangUp(dave, alice);
    });

    it('claim M1: who hangs up while the other one is held leaves nothing behind', async () => {
      await talk(bob, alice, people.alice.dn);
      await bob.hold();
      await hearsMusic(alice, bob);
      await hangUp(alice, bob);
    });

    it('claim M4: a phone of SRTP and the browser call each other', async () => {
      const srtp = { account: 'mediaenc=srtp-mand', config: ['module srtp.so'] };
      const leo = await cluster.phone('leo', srtp);
      await talk(leo, alice, people.alice.dn);
      await hangUp(alice, leo);
      await talk(alice, leo, people.leo.dn);
      await hangUp(alice, leo);
    });

    it('claim M3: two browsers are in a conference', async () => {
      for (const phone of [alice, dave]) {
        await phone.dial('8000');
        await phone.established();
      }
      await hearEachOther(alice, dave);
      for (const phone of [alice, dave]) await phone.hangup();
    });

    it.each([
      ['its own call', 'calls'],
      ['the call of the phone', 'is called'],
    ])(
      'RFC 5359 §2.4: the browser transfers %s: music until the target answers, then the two talk',
      async (_whose, role) => {
        const carol = await cluster.phone('carol');
        await (role === 'calls' ? talk(alice, bob, people.bob.dn) : talk(bob, alice, people.alice.dn));
        carol.now();
        await alice.now();
        await alice.transfer(people.carol.dn);
        await carol.incoming();
        await hearsMusic(bob, alice, carol);
        await carol.accept();
        await hearEachOther(bob, carol);
        for (const line of ['100 Trying', '180 Ringing', '200 OK']) await alice.notified(`SIP/2.0 ${line}`);
        await alice.closed();
        await holdInTurn(carol, bob);
        await hangUp(bob, carol);
        await carol.stop();
      },
    );

    it('RFC 5359 §2.4: the target refuses, and the browser has its call again', async () => {
      const carol = await cluster.phone('carol');
      await talk(alice, bob, people.bob.dn);
      carol.now();
      await alice.transfer(people.carol.dn);
      await carol.incoming();
      await carol.hangup();
      await alice.notified('SIP/2.0 486 Busy Here');
      await hearEachOther(alice, bob);
      await hangUp(alice, bob);
      await carol.stop();
    });

    it('RFC 5359 §2.5: the browser connects its two calls, one of them with another browser', async () => {
      await talk(bob, alice, people.alice.dn);
      await alice.hold();
      await hearsMusic(bob, alice);
      await talk(alice, dave, people.dave.dn);
      await alice.now();
      await alice.connect();
      await hearEachOther(bob, dave);
      await alice.closed();
      await alice.notified('SIP/2.0 200 OK');
      await holdInTurn(dave, bob);
      await hangUp(dave, bob);
    });

    it('RFC 5359 §2.4: the browser is transferred, and is the target', async () => {
      const carol = await cluster.phone('carol');
      await talk(alice, bob, people.bob.dn);
      carol.now();
      await bob.transfer(people.carol.dn);
      await carol.incoming();
      await hearsMusic(alice, bob, carol);
      await carol.accept();
      await hearEachOther(alice, carol);
      await hangUp(carol, alice);

      await talk(bob, carol, people.carol.dn);
      await alice.now();
      await carol.transfer(people.alice.dn);
      await alice.incoming();
      await hearsMusic(bob, alice, carol);
      await alice.accept();
      await hearEachOther(alice, bob);
      await hangUp(alice, bob);
      await carol.stop();
    });

    // She stays registered: after this there are two of her.
    it('claim M4: a phone that makes delayed offers calls the browser', async () => {
      const carol = await cluster.party('carol', { delayed: true });
      await alice.now();
      const called = carol.call(people.alice.dn);
      await alice.incoming();
      await alice.accept();
      expect(statusOf(await called)).toBe(200);
      await Promise.all([alice.hearsTones(carol.tone), carol.hears(people.alice.tone)]);
      await carol.hangUp();
    });

    it('claim M4: when its media server dies, the browser is moved to another one and talks on', async () => {
      await talk(alice, bob, people.bob.dn);
      await cluster.engines.get(1)?.kill();
      await hearEachOther(alice, bob);
      await cluster.engines.get(1)?.start();
      await hangUp(alice, bob);
    });
  },
);
