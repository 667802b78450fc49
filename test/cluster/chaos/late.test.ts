import { Cluster } from '../../support/cluster';
import { domain, passwordOf, people, type PhoneName } from '../../support/cluster-config';
import { usesDrachtio } from '../../support/drachtio';
import { eventually } from '../../support/eventually';
import { SipPeer } from '../../support/sip-peer';
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

  async moveTo(node: number): Promise<void> {
    this.peer?.close();
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

describe('an old request acts late', () => {
  let cluster: Cluster;
  afterEach(() => cluster.close());

  it.each(['the node and its SIP server stand still', 'its SIP server hangs'])(
    '%s, its phones refresh in vain and move: every one is in every table when it goes on',
    async (what) => {
      if (usesDrachtio && what.includes('SIP server')) return;
      cluster = await Cluster.start({ engines: [] });
      const [one, two] = [cluster.node(1), cluster.node(2)];
      const phones = names.map((name) => new TcpPhone(cluster, name));
      for (const phone of phones) await phone.register(1);
      await two.knows(numbers);

      const server = one.sipServerPid;
      if (what.includes('hangs')) process.kill(server, 'SIGSTOP');
      else one.freezeAll();
      for (const phone of phones) phone.refresh();
      for (const phone of phones) await phone.moveTo(2);
      if (what.includes('hangs')) process.kill(server, 'SIGCONT');
      else one.thawAll();

      for (const node of [one, two])
        await eventually(
          `node ${node.id} has every phone at node 2, once`,
          () => node.registrations(),
          (rows) => rows.length === numbers.length && rows.every((row) => row.node === 2 && numbers.includes(row.dn)),
        );
    },
  );
});
