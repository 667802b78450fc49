import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../support/cluster';
import { domain, type PhoneName } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import { freePort } from '../support/ports';
import { RtpListener } from '../support/rtp-listener';
import type { SipParty } from '../support/sip-party';
import { SipPeer } from '../support/sip-peer';
import { bodyOf, headerOf, methodOf, statusOf } from '../support/sip-text';
import { hearsTones } from '../support/sound';

jest.setTimeout(120_000);

const TONE = { x: 1500, y: 1800 } as const;

/** One of the phones behind the gateway: it has its own To tag, port and codec. */
class Branch {
  constructor(
    readonly tag: 'x' | 'y',
    readonly rtp: RtpListener,
  ) {}

  sdp(codec: 'PCMU' | 'PCMA'): string {
    return this.rtp.sdp('sendrecv', 1, [codec]);
  }

  /** Talks to whoever made the offer of this INVITE. */
  talk(invite: string, codec: 'PCMU' | 'PCMA'): void {
    const port = Number(/^m=audio (\d+)/m.exec(bodyOf(invite))?.[1]);
    const address = /^c=IN IP4 (\S+)/m.exec(bodyOf(invite))?.[1] ?? '';
    this.rtp.send(TONE[this.tag], address, port, codec === 'PCMU' ? 0 : 8);
  }

  async hears(hz: number): Promise<void> {
    await eventually(
      `${this.tag} hears ${hz} Hz`,
      () => this.rtp.hear(0.3),
      (heard) => hearsTones(heard, [hz]),
      { every: 0 },
    );
  }
}

describe('what a gateway says of the session before and in its answer', () => {
  let cluster: Cluster;
  let gateway: SipPeer;
  let x: Branch;
  let y: Branch;
  const callers = new Map<PhoneName, SipParty>();

  beforeAll(async () => {
    const port = await freePort();
    cluster = await Cluster.start({
      change: (file) => {
        file.gateways.push({ name: 'gw', uri: `sip:127.0.0.1:${port}`, site: 'dallas', nodes: [1] });
        file.routes.push({ pattern: '9.@', targets: ['gw'] });
        for (const device of file.devices) if (device.username === 'carol') device.mtpRequired = true;
      },
    });
    gateway = await SipPeer.udp(cluster.scope, '127.0.0.1', cluster.node(1).place.sipPort, '127.0.0.1', port);
    gateway.onRequest = (request) => {
      if (['OPTIONS', 'PRACK', 'BYE', 'CANCEL'].includes(methodOf(request) ?? '')) gateway.answer(request, '200 OK');
    };
    for (const node of cluster.nodes)
      await eventually(
        `node ${node.id} knows the gateway`,
        () => node.registrations(),
        (rows) => rows.some(({ device }) => device === 'gw'),
      );
    x = new Branch('x', await RtpListener.open(cluster.scope));
    y = new Branch('y', await RtpListener.open(cluster.scope));
    for (const name of ['alice', 'bob', 'carol'] as const)
      callers.set(name, await cluster.party(name, { strict: true, payloadTypes: [0, 8] }));
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    for (const { rtp } of [x, y]) rtp.stopSending();
    for (const party of callers.values()) await party.hangUp();
    await cluster.nothingIsLeft();
    for (const peer of [gateway, ...[...callers.values()].map((party) => party.peer)]) peer.received.splice(0);
  });

  interface Answer {
    readonly branch: 'x' | 'y';
    readonly codec?: 'PCMU' | 'PCMA';
    readonly headers?: readonly string[];
  }

  const branchOf = ({ branch }: Answer): Branch => (branch === 'x' ? x : y);

  function respond(invite: string, status: string, answer: Answer): void {
    const { codec, headers = [] } = answer;
    const body = codec === undefined ? {} : { body: branchOf(answer).sdp(codec) };
    gateway.answer(invite, status, { tag: answer.branch, headers, ...body });
  }

  const invited = (): Promise<string> => gateway.message('INVITE', (message) => methodOf(message) === 'INVITE');

  /** Both hear each other, and the gateway has its ACK in this dialog and no BYE. */
  async function talking(party: SipParty, invite: string, tag: string, branch: Branch, codec: 'PCMU' | 'PCMA') {
    const ack = await gateway.message('ACK', (message) => methodOf(message) === 'ACK', 2000);
    expect(headerOf(ack, 'To')).toContain(`tag=${tag}`);
    branch.talk(invite, codec);
    await Promise.all([party.hears(TONE[branch.tag]), branch.hears(party.tone)]);
    // What it hears comes in a codec that it has named.
    const last = branch.rtp.packets.slice(-10);
    expect(last.filter(({ payloadType }) => payloadType !== (codec === 'PCMU' ? 0 : 8))).toEqual([]);
    expect(gateway.requests('BYE')).toEqual([]);
  }

  const everybody: readonly (readonly [PhoneName, string])[] = [
    ['alice', 'a phone at its node'],
    ['bob', 'a phone at another node'],
    ['carol', 'a phone through a media termination point'],
  ];

  describe.each(everybody)('%s, %s', (name) => {
    const party = (): SipParty => callers.get(name)!;
    const call = (): Promise<string> => party().call('92145551234');
    /** Descriptions in responses, and what the caller was offered afterwards. */
    const told = (): string[] => party().peer.received.filter((message) => /^m=audio/m.test(bodyOf(message)));

    it.each([
      ['reliable', ['Require: 100rel', 'RSeq: 1']],
      ['unreliable', []],
    ])('%s 183 with a description, 200 without: the 183 was the answer (RFC 3262 §5)', async (kind, headers) => {
      const answered = call();
      const invite = await invited();
      respond(invite, '183 Session Progress', { branch: 'x', codec: 'PCMU', headers });
      if (kind === 'reliable') await gateway.message('PRACK', (message) => methodOf(message) === 'PRACK');
      respond(invite, '180 Ringing', { branch: 'x' });
      respond(invite, '200 OK', { branch: 'x' });
      expect(bodyOf(await answered)).toMatch(/^m=audio \d+ RTP\/AVP 0/m);
      await talking(party(), invite, 'x', x, 'PCMU');
    });

    it('183 with a description, 200 of another dialog without: there is no answer', async () => {
      const answered = call();
      const invite = await invited();
      respond(invite, '183 Session Progress', { branch: 'x', codec: 'PCMU' });
      respond(invite, '200 OK', { branch: 'y' });
      expect(statusOf(await answered)).toBeGreaterThanOrEqual(400);
      const bye = await gateway.message('BYE', (message) => methodOf(message) === 'BYE');
      expect(headerOf(bye, 'To')).toContain('tag=y');
    });

    it('a reliable 183 stands, whatever its 200 says', async () => {
      const answered = call();
      const invite = await invited();
      const headers = ['Require: 100rel', 'RSeq: 7'];
      respond(invite, '183 Session Progress', { branch: 'x', codec: 'PCMU', headers });
      await gateway.message('PRACK', (message) => methodOf(message) === 'PRACK');
      gateway.answer(invite, '200 OK', { tag: 'x', body: y.sdp('PCMU') });
      await answered;
      await talking(party(), invite, 'x', x, 'PCMU');
    });

    it.each([
      ['the same dialog, another place and codec', 'x'],
      ['another dialog: a fork behind the gateway', 'y'],
    ] as const)('183 and 200 differ, %s: the caller is offered what was answered', async (_, tag) => {
      const answered = call();
      const invite = await invited();
      gateway.answer(invite, '183 Session Progress', { tag: 'x', body: x.sdp('PCMA') });
      x.talk(invite, 'PCMA');
      gateway.answer(invite, '183 Session Progress', { tag, body: y.sdp('PCMU') });
      await party().peer.message('183', (message) => statusOf(message) === 183 && bodyOf(message) !== '');
      gateway.answer(invite, '200 OK', { tag, body: y.sdp('PCMU') });
      const ok = await answered;
      expect(bodyOf(ok)).toMatch(/^m=audio \d+ RTP\/AVP 8/m);
      await party().peer.message(
        'the offer of the final description',
        (message) => methodOf(message) === 'INVITE',
        1000,
      );
      x.rtp.stopSending();
      await talking(party(), invite, tag, y, 'PCMU');
      // Of a hundred packets in each direction ninety arrive at least, as the receiver has named them.
      const ears = [party().rtp, y.rtp];
      const before = ears.map(({ packets }) => packets.length);
      await pause(2000);
      for (const [at, { packets }] of ears.entries()) {
        const arrived = packets.slice(before[at]);
        expect(arrived.length).toBeGreaterThanOrEqual(90);
        expect(arrived.filter(({ payloadType }) => payloadType !== 0)).toEqual([]);
      }
      // In its dialog the caller was told one thing before it was offered the other.
      const [first, ...later] = told();
      for (const response of later.filter((message) => statusOf(message) > 0))
        expect(bodyOf(response)).toBe(bodyOf(first ?? ''));
    });
  });

  it('two phones of the same number: the second answers with another description than was heard of the first', async () => {
    // Behind Tandem's own fork nothing is told of either until one is left.
    const alice = callers.get('alice')!;
    const bob = callers.get('bob')!;
    const other = await SipPeer.udp(cluster.scope, '127.0.0.1', cluster.node(2).place.sipPort);
    const from = `<sip:dave@${domain}>`;
    const contact = other.contact('dave');
    const register = { method: 'REGISTER', uri: `sip:${domain}`, from, to: from, contact, headers: ['Expires: 300'] };
    expect(statusOf(await other.askWithDigest(register, 'dave', 'secret-of-dave'))).toBe(200);
    await cluster.everybodyKnows('2001');
    const answered = alice.call('2001');
    const invite = await other.message('INVITE', (message) => methodOf(message) === 'INVITE');
    other.onRequest = (request) => {
      if (methodOf(request) === 'BYE') other.answer(request, '200 OK');
    };
    other.answer(invite, '183 Session Progress', { tag: 'x', body: x.sdp('PCMA') });
    other.answer(invite, '200 OK', { tag: 'y', body: y.sdp('PCMU') });
    await answered;
    await alice.peer.message('the offer of the final description', (message) => methodOf(message) === 'INVITE', 1500);
    y.talk(invite, 'PCMU');
    await Promise.all([alice.hears(TONE.y), y.hears(alice.tone)]);
    expect(bob.talking).toBe(false);
  });
});
