import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../../support/cluster';
import { domain, passwordOf, people, type PhoneName } from '../../support/cluster-config';
import { itUnless } from '../../support/drachtio-limits';
import { eventually } from '../../support/eventually';
import type { NodeProcess } from '../../support/node-process';
import { SipEndpoint } from '../../support/sip-endpoint';
import type { SipPeer } from '../../support/sip-peer';
import { digestAnswer, headerOf, randomToken, statusOf } from '../../support/sip-text';

jest.setTimeout(120_000);

const names: readonly PhoneName[] = ['alice', 'carol', 'bob', 'dave', 'leo'];
const numbers = names.map((name) => people[name].dn);

/** A phone on a connection that has a server it prefers, and another one. */
class TcpPhone {
  private peer: SipPeer | undefined;
  private challenge = '';
  private cseq = 0;
  private readonly callId = randomToken();

  constructor(
    private readonly cluster: Cluster,
    private readonly name: PhoneName,
  ) {}

  async register(node: number): Promise<void> {
    this.peer = await this.cluster.connection(node);
    this.peer.onRequest = (request) => this.peer?.answer(request, '200 OK');
    const response = await this.peer.ask(this.request());
    this.challenge = headerOf(response, 'WWW-Authenticate') ?? '';
    expect(statusOf(await this.peer.ask(this.request(), 5_000))).toBe(200);
  }

  /** Sends a refresh with the credentials of before, and waits for nothing. */
  refresh(): void {
    this.peer?.send(this.peer.request({ ...this.request(), callId: this.callId }));
  }

  /** Calls a number, with the credentials of before, waits for nothing, and is gone soon. */
  call(challenge: string, number: string): void {
    const { name, peer } = this;
    const uri = `sip:${number}@${domain}`;
    const answer = digestAnswer(challenge, 'INVITE', uri, name, passwordOf(name), 2);
    const headers = [`Proxy-Authorization: ${answer}`];
    peer?.send(peer.request({ method: 'INVITE', uri, from: `<sip:${name}@${domain}>`, headers, body: description }));
  }

  /** What a call is challenged with. */
  async challengeOfCall(): Promise<string> {
    const { name, peer } = this;
    const uri = `sip:0@${domain}`;
    const invite = { method: 'INVITE', uri, from: `<sip:${name}@${domain}>`, body: description };
    return headerOf((await peer?.ask(invite)) ?? '', 'Proxy-Authenticate') ?? '';
  }

  leave(): void {
    this.peer?.close();
  }

  async moveTo(node: number): Promise<void> {
    this.leave();
    this.challenge = '';
    await this.register(node);
  }

  private request() {
    const { name, peer, callId } = this;
    this.cseq += 1;
    const uri = `sip:${domain}`;
    const to = `<sip:${name}@${domain}>`;
    const answer = digestAnswer(this.challenge, 'REGISTER', uri, name, passwordOf(name));
    const headers = ['Expires: 3600', ...(this.challenge === '' ? [] : [`Authorization: ${answer}`])];
    const contact = `${peer?.contact(name) ?? ''};+sip.instance="<urn:tandem-test:${name}>"`;
    return { method: 'REGISTER', uri, from: to, to, contact, callId, cseq: this.cseq, headers };
  }
}

const description = [
  'v=0',
  'o=late 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 40000 RTP/AVP 0',
  '',
].join('\r\n');

/** What stands still, and goes on. */
const halves = {
  'the node and its SIP server stand still': { stop: (one) => one.freezeAll(), go: (one) => one.thawAll() },
  'its SIP server hangs': {
    stop: (one) => process.kill(one.sipServerPid, 'SIGSTOP'),
    go: (one) => process.kill(one.sipServerPid, 'SIGCONT'),
  },
  'its call manager stands still': { stop: (one) => one.freeze(), go: (one) => one.thaw() },
} satisfies Record<string, { readonly stop: (one: NodeProcess) => void; readonly go: (one: NodeProcess) => void }>;

describe('an old request acts late', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({ engines: [] });
  });
  afterAll(() => cluster.close());

  itUnless('ending').each(Object.entries(halves))(
    '%s, its phones refresh in vain and move: every one is in every table when it goes on',
    async (_, { stop, go }) => {
      const [one, two] = [cluster.node(1), cluster.node(2)];
      const phones = names.map((name) => new TcpPhone(cluster, name));
      for (const phone of phones) await phone.register(1);
      await two.knows(numbers);

      // The SIP server that hung is another one afterwards.
      const server = one.sipServerPid;
      stop(one);
      for (const phone of phones) phone.refresh();
      for (const phone of phones) await phone.moveTo(2);
      if (server === one.sipServerPid) go(one);

      for (const node of [one, two])
        await eventually(
          `node ${node.id} has every phone at node 2, once`,
          () => node.registrations(),
          (rows) => rows.length === numbers.length && rows.every((row) => row.node === 2 && numbers.includes(row.dn)),
        );
      for (const phone of phones) phone.leave();
      for (const node of [one, two]) await node.knows([]);
    },
  );

  itUnless('flows')(
    'a phone calls a call manager that stands still, and is gone: nobody is rung when it goes on',
    async () => {
      const one = cluster.node(1);
      const carol = await SipEndpoint.start(cluster.scope, { username: 'carol', password: passwordOf('carol') });
      await carol.register(one.sipPlace);
      const bob = await SipEndpoint.start(cluster.scope, { username: 'bob', password: passwordOf('bob') });
      await bob.register(cluster.node(2).sipPlace);
      await cluster.everybodyKnows(people.bob.dn);
      const alice = new TcpPhone(cluster, 'alice');
      await alice.register(1);
      const challenge = await alice.challengeOfCall();

      one.freeze();
      for (const name of ['carol', 'bob'] as const) alice.call(challenge, people[name].dn);
      await pause(1_500);
      alice.leave();
      one.thaw();
      await eventually(
        'the calls are dropped',
        () => one.log(),
        (log) => log.split('INVITE dropped').length > 2,
      );
      expect([...carol.invites, ...bob.invites]).toEqual([]);
      expect(await one.calls()).toEqual([]);
      expect((await bob.call(cluster.node(2).sipPlace, people.carol.dn)).status).toBe(200);
    },
  );
});
