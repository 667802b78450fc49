import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { FleetSocket } from '../support/fleet/fleet-socket';
import { addParty, MediaParty } from '../support/media-party';
import type { PartyCall } from '../support/party-call';

jest.setTimeout(60_000);

/** Lines of phones of node 1: without and with call waiting, and one that rings for a short time. */
const PLAIN = '71000';
const WAITING = '71100';
const IMPATIENT = '71200';
const NO_ANSWER_S = 2;

describe('lines with settings of their own, on one node and across two', () => {
  let cluster: Cluster;
  let socket: FleetSocket;
  const phones = new Map<string, MediaParty>();
  const phone = (dn: string): MediaParty => phones.get(dn)!;

  /** Number -> node. */
  const places: Readonly<Record<string, number>> = {
    71000: 1,
    71100: 1,
    71200: 1,
    72000: 1,
    72001: 1,
    72002: 2,
    72012: 2,
  };

  beforeAll(async () => {
    cluster = await Cluster.start({
      engines: [],
      change: (file) => {
        file.devices = [];
        for (const [dn, node] of Object.entries(places)) addParty(file, dn, node);
        file.numbers = [
          { number: PLAIN, displayName: 'Sales', busyTrigger: 1 },
          { number: WAITING, busyTrigger: 2, maxCalls: 2 },
          { number: IMPATIENT, noAnswerSeconds: NO_ANSWER_S },
        ];
      },
    });
    socket = await FleetSocket.open();
    cluster.scope.defer(() => socket.close());
    for (const [dn, node] of Object.entries(places)) {
      const nodePort = cluster.node(node).place.sipPort;
      phones.set(dn, new MediaParty({ dn, tone: 1000, codecs: ['PCMU'], nodePort, socket }));
    }
    cluster.scope.defer(() => phones.forEach((each) => each.close()));
    await Promise.all([...phones.values()].map((each) => each.register()));
    for (const dn of phones.keys()) await cluster.everybodyKnows(dn);
  });
  afterAll(() => cluster.close());

  async function call(from: string, to: string): Promise<{ status: number; call: PartyCall }> {
    const { call: made, answered } = await phone(from).call(to);
    return { status: await answered, call: made };
  }

  const isFree = (dn: string): Promise<unknown> =>
    eventually(
      `${dn} is free`,
      () => phone(dn).open,
      (open) => open.length === 0,
    );

  it('without call waiting: one call, 486 for the next from either node, and free again afterwards', async () => {
    for (const [first, second] of [
      ['72000', '72002'],
      ['72002', '72000'],
      ['72002', '72012'],
    ] as const) {
      const talking = await call(first, PLAIN);
      expect(talking.status).toBe(200);
      expect((await call(second, PLAIN)).status).toBe(486);
      expect(phone(PLAIN).open).toHaveLength(1);
      await talking.call.hangUp();
      await isFree(PLAIN);
    }
    // A call that it has made is one of its own, and its caller is told the name of the line.
    const made = await call(PLAIN, '72002');
    expect(phone('72002').latest?.peer).toMatch(/^"Sales" <sip:71000@/);
    expect((await call('72012', PLAIN)).status).toBe(486);
    await made.call.hangUp();
    await cluster.nothingIsLeft();
  });

  it('with call waiting: the second call rings, the third does not, and the line makes no call beyond its most', async () => {
    const talking = [await call('72000', WAITING), await call('72002', WAITING)];
    expect(talking.map(({ status }) => status)).toEqual([200, 200]);
    expect([(await call('72001', WAITING)).status, (await call('72012', WAITING)).status]).toEqual([486, 486]);
    expect((await call(WAITING, '72012')).status).toBe(403);
    await talking[0]?.call.hangUp();
    await eventually(
      'one call is left',
      () => phone(WAITING).open,
      (open) => open.length === 1,
    );
    const made = await call(WAITING, '72012');
    expect(made.status).toBe(200);
    await made.call.hangUp();
    await talking[1]?.call.hangUp();
    await cluster.nothingIsLeft();
  });

  it('rings for its own time, called from its own node and from the other', async () => {
    phone(IMPATIENT).policy = { type: 'ring' };
    for (const from of ['72001', '72012']) {
      const began = Date.now();
      expect((await call(from, IMPATIENT)).status).toBe(480);
      const waited = Date.now() - began;
      expect(waited).toBeGreaterThanOrEqual(NO_ANSWER_S * 1000 - 50);
      expect(waited).toBeLessThan(NO_ANSWER_S * 1000 + 2000);
      await isFree(IMPATIENT);
    }
    await cluster.nothingIsLeft();
  });
});
