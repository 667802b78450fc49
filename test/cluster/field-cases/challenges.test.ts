import { ChallengingGateway, type Challenge } from '../../support/challenging-gateway';
import { Cluster } from '../../support/cluster';
import type { ClusterFile } from '../../support/cluster-config';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { freePort } from '../../support/ports';
import { plainSdp, RawLine, type RawCall } from '../../support/raw-line';
import { headerOf, methodOf, statusOf } from '../../support/sip-text';

jest.setTimeout(60_000);

type Phone = 'alice' | 'bob';

const account = { username: 'tandem', password: 'se"cret' };
const DEMANDS: [string, readonly Challenge[]][] = [
  ['407, MD5', [{ status: 407, realm: 'carrier', algorithm: 'MD5', qop: 'auth' }]],
  ['401, SHA-256, auth-int', [{ status: 401, realm: 'carrier', algorithm: 'SHA-256', qop: 'auth-int' }]],
  [
    'a proxy before it, and nonces that expire',
    [
      { status: 407, realm: 'p', qop: 'auth', expires: true },
      { status: 401, realm: 'u', algorithm: 'MD5' },
    ],
  ],
];

let cluster: Cluster;
let carrier: ChallengingGateway;
/** One that has no account for us. */
let strict: ChallengingGateway;
let phones: Record<Phone, RawLine>;

beforeAll(async () => {
  const [port, strictPort] = [await freePort(), await freePort()];
  cluster = await Cluster.start({
    engines: [],
    change: (file: ClusterFile) => {
      const place = { site: 'dallas', nodes: [1] };
      file.gateways.push(
        { name: 'gw', uri: `sip:127.0.0.1:${port}`, ...place, ...account },
        { name: 'strict', uri: `sip:127.0.0.1:${strictPort}`, ...place },
      );
      file.routes.push({ pattern: '9.@', targets: ['gw'] }, { pattern: '8.@', targets: ['strict'] });
    },
  });
  const sip = (node: number): number => cluster.node(node).place.sipPort;
  carrier = await ChallengingGateway.start(cluster.scope, account, [], port);
  strict = await ChallengingGateway.start(cluster.scope, account, [], strictPort);
  phones = {
    alice: await RawLine.phone(cluster.scope, 'alice', sip(1)),
    bob: await RawLine.phone(cluster.scope, 'bob', sip(2)),
  };
  for (const number of ['1000', '2000']) await cluster.everybodyKnows(number);
});
afterAll(() => cluster.close());
beforeEach(() => {
  for (const gateway of [carrier, strict]) {
    gateway.demand();
    gateway.accepted.length = 0;
    gateway.wrong.length = 0;
    gateway.onProved = (request) => answer(gateway, request);
  }
});
afterEach(() => cluster.nothingIsLeft());

function answer({ peer }: ChallengingGateway, request: string): void {
  peer.answer(request, '200 OK', methodOf(request) === 'INVITE' ? { body: plainSdp() } : {});
}

/** What it has taken of calls; polls do not count. */
const taken = ({ accepted }: ChallengingGateway): string[] => accepted.filter((method) => method !== 'OPTIONS');

async function holdAndResume(call: RawCall): Promise<void> {
  for (const direction of ['sendonly', 'sendrecv'])
    expect(statusOf(await call.ask('INVITE', { body: plainSdp(40_000, direction) }))).toBe(200);
}

describe.each<Phone>(['alice', 'bob'])(
  'field case B12, %s talks with a gateway that challenges every request',
  (name) => {
    it.each(DEMANDS)('%s: she has called; hold, resume and BYE reach it proved', async (_, demands) => {
      carrier.demand(...demands);
      const call = await phones[name].call('95551234');
      expect(statusOf(await call.final())).toBe(200);
      await holdAndResume(call);
      const endedAt = Date.now();
      expect(statusOf(await call.ask('BYE'))).toBe(200);
      await eventuallyTrue('a BYE that is proved', () => taken(carrier).includes('BYE'), { cap: 5000 });
      expect(Date.now() - endedAt).toBeLessThan(2000);
      expect(carrier.wrong).toEqual([]);
      expect(taken(carrier)).toEqual(['INVITE', 'INVITE', 'INVITE', 'BYE']);
      const invites = carrier.peer.requests('INVITE');
      const callId = headerOf(invites.at(-1) ?? '', 'Call-ID');
      const own = carrier.peer.received.filter((one) => headerOf(one, 'Call-ID') === callId);
      const sequences = own.filter((one) => methodOf(one) !== 'ACK').map((one) => sequenceOf(one));
      expect(sequences).toEqual(sequences.map((_each, at) => (sequences[0] ?? 0) + at));
    });

    it.each(DEMANDS)('%s: it has called; hold, resume and BYE reach it proved', async (_, demands) => {
      // Its own calls come with our challenge answered; ours to it are challenged.
      carrier.demand(...demands);
      const number = name === 'alice' ? '1000' : '2000';
      const count = phones[name].invites.length;
      const ringing = callFrom(carrier, number);
      const call = await phones[name].called(count);
      call.answer('180 Ringing');
      call.answer('200 OK', { body: plainSdp() });
      await ringing;
      await call.got('ACK');
      await holdAndResume(call);
      expect(statusOf(await call.ask('BYE'))).toBe(200);
      await eventuallyTrue('a BYE that is proved', () => taken(carrier).includes('BYE'), { cap: 5000 });
      expect(carrier.wrong).toEqual([]);
      expect(taken(carrier)).toEqual(['INVITE', 'INVITE', 'BYE']);
    });

    it('a PRACK is proved, and so is the BYE after it', async () => {
      carrier.demand({ status: 407, realm: 'carrier', qop: 'auth' });
      const headers = ['Require: 100rel', 'RSeq: 7'];
      let invite = '';
      carrier.onProved = (request) => {
        const method = methodOf(request);
        if (method === 'INVITE') {
          invite = request;
          carrier.peer.answer(request, '183 Session Progress', { headers, body: plainSdp() });
        } else {
          answer(carrier, request);
          if (method === 'PRACK') answer(carrier, invite);
        }
      };
      const call = await phones[name].call('95551234');
      expect(statusOf(await call.final())).toBe(200);
      carrier.onProved = (request) => answer(carrier, request);
      expect(statusOf(await call.ask('BYE'))).toBe(200);
      await eventuallyTrue('a BYE that is proved', () => taken(carrier).includes('BYE'), { cap: 5000 });
      expect(taken(carrier)).toEqual(['INVITE', 'PRACK', 'BYE']);
      expect(carrier.wrong).toEqual([]);
    });

    it('one that has no account for us: hold fails and the call goes on, BYE ends it at our side', async () => {
      const call = await phones[name].call('85551234');
      expect(statusOf(await call.final())).toBe(200);
      strict.demand({ status: 407, realm: 'carrier', qop: 'auth' });
      await call.ask('INVITE', { body: plainSdp(40_000, 'sendonly') });
      strict.demand();
      await holdAndResume(call);
      strict.demand({ status: 407, realm: 'carrier', qop: 'auth' });
      expect(statusOf(await call.ask('BYE'))).toBe(200);
      await eventually(
        'its BYE',
        () => strict.peer.requests('BYE'),
        (byes) => byes.length > 0,
      );
      strict.peer.received.length = 0;
    });
  },
);

const sequenceOf = (message: string): number => Number.parseInt(headerOf(message, 'CSeq') ?? '', 10);

/** A call of the gateway, which proves who it is. */
async function callFrom(gateway: ChallengingGateway, number: string): Promise<void> {
  const to = gateway.peer.towards(cluster.node(1).place.sipPort);
  const invite = {
    method: 'INVITE',
    uri: `sip:${number}@tandem.test`,
    from: '<sip:2145550100@tandem.test>',
    body: plainSdp(),
  };
  const response = await to.askWithDigest(invite, account.username, account.password, 10_000);
  expect(statusOf(response)).toBe(200);
  const [from, remote, callId] = ['From', 'To', 'Call-ID'].map((name) => headerOf(response, name) ?? '');
  const uri = /<([^>]+)>/.exec(headerOf(response, 'Contact') ?? '')?.[1] ?? '';
  const cseq = sequenceOf(response);
  to.send(to.request({ method: 'ACK', uri, from: from ?? '', to: remote ?? '', callId: callId ?? '', cseq }));
}
