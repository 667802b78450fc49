import type { Phone } from '../../support/baresip';
import { Cluster } from '../../support/cluster';
import { domain, passwordOf, people } from '../../support/cluster-config';
import { describeUnless } from '../../support/drachtio-limits';
import { eventually } from '../../support/eventually';
import { SipPeer } from '../../support/sip-peer';
import { methodOf, statusOf } from '../../support/sip-text';
import { hangUp, talk } from '../../support/talk';
import { carriedBy, tortureMessages } from '../../fuzz/rfc4475';
import { Credentials, forgedHeaders, type Odd, oddAddresses, oddBodies, oddRequest, oddUris } from './hostile-requests';

jest.setTimeout(180_000);

const alice = `<sip:alice@${domain}>`;
const carolNumber = `sip:${people.carol.dn}@${domain}`;
const OFFER = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

describeUnless('hostileInput')('a node that gets hostile input', () => {
  let cluster: Cluster;
  let pids: number[];
  /** Carol's phone, as a text peer: it rings, or answers with whatever body comes next. */
  let carol: SipPeer;
  let answered = 0;
  const bodies = oddBodies();

  beforeAll(async () => {
    cluster = await Cluster.start({ nodes: 1, redis: false, engines: [] });
    pids = [cluster.node(1).pid, cluster.node(1).sipServerPid];
    carol = await cluster.peer(1);
    await registerCarol();
  });
  afterAll(() => cluster.close());

  const tcp = (): Promise<SipPeer> => SipPeer.tcp(cluster.scope, '127.0.0.1', cluster.node(1).place.sipPort);

  async function registerCarol(): Promise<void> {
    const from = `<sip:carol@${domain}>`;
    const options = { method: 'REGISTER', uri: `sip:${domain}`, from, to: from };
    const response = await carol.askWithDigest(options, 'carol', passwordOf('carol'));
    expect(statusOf(response)).toBe(200);
  }

  /** Answers what has come to carol's phone since the last time. */
  function answerAsCarol(): void {
    for (const request of carol.received.slice(answered).filter((message) => methodOf(message) !== undefined)) {
      const method = methodOf(request);
      const odd = bodies[answered % bodies.length];
      if (method === 'INVITE' && answered % 3 === 0) carol.answer(request, '486 Busy Here');
      else if (method === 'INVITE') carol.answer(request, '200 OK', { body: odd?.body?.toString('latin1') ?? '' });
      else if (method !== 'ACK') carol.answer(request, '200 OK');
      answered += 1;
    }
    answered = carol.received.length;
  }

  /** Everything that was sent before on this wire has been looked at. */
  async function settled(peer: SipPeer): Promise<void> {
    const response = await peer.ask({ method: 'OPTIONS', uri: `sip:${cluster.node(1).sip}`, from: alice });
    expect([200, 401, 403, 404, 407]).toContain(statusOf(response));
    answerAsCarol();
  }

  async function unharmed(): Promise<void> {
    const node = cluster.node(1);
    expect([node.pid, node.sipServerPid]).toEqual(pids);
    expect((await node.fetch('/healthz')).status).toBe(200);
    const metrics = await (await node.fetch('/metrics')).text();
    const errors = metrics.split('\n').filter((line) => /^tandem_errors_total\b.* [1-9]/.test(line));
    const log = node
      .log()
      .split('\n')
      .filter((line) => /nobody has caught|handler-error|internal-error|"level":"?(50|60|error|fatal)/.test(line));
    expect({ errors, log: log.slice(0, 5) }).toEqual({ errors: [], log: [] });
  }

  /** Each over UDP and TCP from a stranger, then with alice's credentials. */
  async function sendAll(requests: readonly Odd[]): Promise<void> {
    const udp = await cluster.peer(1);
    let stream = await tcp();
    const credentials = new Credentials(udp, 'alice', passwordOf('alice'));
    let count = 0;
    for (const odd of requests) {
      udp.send(oddRequest(udp, odd));
      if (stream.isClosed) stream = await tcp();
      stream.send(oddRequest(stream, odd));
      udp.send(oddRequest(udp, odd, await credentials.for(odd.method, odd.uri)));
      if (++count % 10 === 0) await settled(udp);
    }
    await settled(udp);
    await settled(await tcp());
    await unharmed();
  }

  test('RFC 4475: the torture messages, over UDP and TCP', async () => {
    const udp = await cluster.peer(1);
    for (const message of tortureMessages().values()) {
      for (const bytes of [message, carriedBy(message, 'UDP')]) udp.send(bytes);
      (await tcp()).send(carriedBy(message, 'TCP'));
      await settled(udp);
    }
    await unharmed();
  });

  test('session descriptions that are none, or monsters', async () => {
    await sendAll(oddBodies().map((odd) => ({ method: 'INVITE', uri: carolNumber, ...odd })));
  });

  test('odd From, To and Contact', async () => {
    const methods = ['INVITE', 'REGISTER', 'OPTIONS', 'MESSAGE'];
    const requests = methods.flatMap((method) => {
      const uri = method === 'REGISTER' ? `sip:${domain}` : carolNumber;
      return oddAddresses.flatMap((odd): Odd[] => [
        { method, uri, from: odd },
        { method, uri, to: odd },
        { method, uri, contact: odd },
      ]);
    });
    await sendAll(requests);
    await registerCarol();
  });

  test('REGISTER with a thousand Contacts, and with every kind of asterisk', async () => {
    const uri = `sip:${domain}`;
    const many = Array.from({ length: 1000 }, (_, i) => `<sip:a@127.0.0.1:${i + 1}>`);
    const register = (odd: Partial<Odd>): Odd => ({ method: 'REGISTER', uri, to: alice, ...odd });
    const asterisks = ['*', '*;expires=0', '*, *', '*, <sip:a@127.0.0.1:1>', '"*"', '<*>', 'sip:*'].flatMap((contact) =>
      [[], ['Expires: 0'], ['Expires: 10'], ['Expires: -1']].map((headers) => register({ contact, headers })),
    );
    await sendAll([
      register({ contact: many.join(', ') }),
      register({ contact: '', headers: many.map((one) => `Contact: ${one}`) }),
      register({ contact: many.slice(0, 200).join(',') }),
      register({ contact: '', headers: many.slice(0, 200).map((one) => `m: ${one}`) }),
      ...asterisks,
    ]);
  });

  test('requests that belong to nothing, and sequence numbers that are none', async () => {
    const methods = ['ACK', 'BYE', 'CANCEL', 'PRACK', 'UPDATE', 'INFO', 'NOTIFY', 'REFER', 'SUBSCRIBE', 'PUBLISH', 'X'];
    const to = `<${carolNumber}>;tag=unknown`;
    await sendAll(
      [...methods, 'INVITE', 'REGISTER', 'OPTIONS', 'MESSAGE'].flatMap((method): Odd[] => [
        { method, uri: carolNumber },
        { method, uri: carolNumber, to },
        { method, uri: carolNumber, cseq: '7 INVITE' },
        { method, uri: carolNumber, cseq: `2147483648 ${method}` },
        { method, uri: carolNumber, cseq: `-1 ${method}` },
        { method, uri: carolNumber, cseq: '' },
      ]),
    );
  });

  test('headers of other nodes, forged, and routes without end', async () => {
    await sendAll(
      ['INVITE', 'REGISTER', 'OPTIONS', 'NOTIFY'].flatMap((method) =>
        forgedHeaders.map((headers): Odd => ({ method, uri: carolNumber, headers, body: OFFER })),
      ),
    );
  });

  test('odd Request-URIs, with the PIDs of other processes', async () => {
    await sendAll(
      ['INVITE', 'REGISTER', 'OPTIONS'].flatMap((method) => oddUris.map((uri): Odd => ({ method, uri, body: OFFER }))),
    );
  });

  test('500 calls that nobody completes', async () => {
    const udp = await cluster.peer(1);
    const credentials = new Credentials(udp, 'alice', passwordOf('alice'));
    for (let i = 0; i < 500; i++) {
      const credential = await credentials.for('INVITE', carolNumber);
      udp.send(oddRequest(udp, { method: 'INVITE', uri: carolNumber, body: OFFER }, credential));
      if (i % 25 === 24) {
        const response = await udp.ask({ method: 'OPTIONS', uri: `sip:${cluster.node(1).sip}`, from: alice });
        expect(statusOf(response)).toBeGreaterThan(0);
      }
    }
    await unharmed();
    // Carol is busy now, and so all of them end.
    await eventually(
      'no call is left',
      () => {
        for (const invite of carol.received.slice(answered)) {
          const method = methodOf(invite);
          if (method === 'INVITE') carol.answer(invite, '486 Busy Here');
          else if (method !== undefined && method !== 'ACK') carol.answer(invite, '200 OK');
        }
        answered = carol.received.length;
        return cluster.node(1).calls();
      },
      (calls) => calls.length === 0,
      { cap: 90_000, every: 200 },
    );
    await unharmed();
  });

  test('after all that, two phones talk', async () => {
    const one: Phone = await cluster.phone('alice', { at: 1 });
    const other: Phone = await cluster.phone('bob', { at: 1 });
    await talk(one, other, people.bob.dn);
    await hangUp(one, other);
    await cluster.nothingIsLeft();
    await unharmed();
  });
});
