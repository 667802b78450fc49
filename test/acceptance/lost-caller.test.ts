import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { FleetSocket } from '../support/fleet/fleet-socket';
import { addParty, MediaParty } from '../support/media-party';
import type { PartyCall } from '../support/party-call';

jest.setTimeout(120_000);

describe('phones whose own node dies while another node has their calls', () => {
  let cluster: Cluster;
  /** At the node that lives. */
  let stays: MediaParty;
  let lost: readonly [MediaParty, MediaParty];

  beforeEach(async () => {
    const places = { '70001': 1, '70002': 2, '70003': 2 };
    cluster = await Cluster.start({
      bridges: [1, 2],
      change: (file) => {
        file.conferences = [{ number: '8000', name: 'room' }];
        for (const [dn, node] of Object.entries(places)) addParty(file, dn, node);
      },
    });
    const socket = await FleetSocket.open();
    cluster.scope.defer(() => socket.close());
    const start = async (dn: keyof typeof places): Promise<MediaParty> => {
      const nodePort = cluster.node(places[dn]).place.sipPort;
      const party = new MediaParty({ dn, tone: 1000, codecs: ['PCMU', 'PCMA'], nodePort, socket });
      cluster.scope.defer(() => party.close());
      await party.register();
      await cluster.everybodyKnows(dn);
      return party;
    };
    stays = await start('70001');
    lost = [await start('70002'), await start('70003')];
  });
  afterEach(() => cluster.close());

  async function join(who: MediaParty): Promise<PartyCall | undefined> {
    await eventually(
      `${who.dn} is in the conference, which nobody may own yet`,
      async () => (await who.call('8000')).answered,
      (status) => status === 200,
      { every: 300 },
    );
    return who.open[0];
  }

  async function callsLeft(count: number): Promise<unknown[]> {
    return eventually(
      `node 1 has ${count} calls`,
      () => cluster.node(1).calls(),
      (calls) => calls.length === count,
    );
  }

  async function killNode2(): Promise<void> {
    await cluster.node(2).kill9();
    for (const party of lost) party.nodeLost();
  }

  it('it is started again: its participants leave the conference, the others stay', async () => {
    const stayed = await join(stays);
    await join(lost[0]);
    const held = await join(lost[1]);
    expect(await held?.change({ hold: 'sendonly' })).toBe(200);
    expect(await cluster.node(1).calls()).toHaveLength(3);
    await killNode2();
    await cluster.node(2).start();
    expect(await callsLeft(1)).toMatchObject([{ caller: '70001', to: 'room' }]);
    expect(stayed?.up).toBe(true);
    await stayed?.hangUp();
    await callsLeft(0);
  });

  it('nobody goes on ringing for a caller whose node is dead', async () => {
    stays.policy = { type: 'ring' };
    await lost[0].call(stays.dn);
    await eventually(
      '70001 rings',
      () => stays.open.map(({ state }) => state),
      (states) => states[0] === 'ringing',
    );
    await killNode2();
    await callsLeft(0);
    await eventually(
      '70001 rings no more',
      () => stays.open.length,
      (open) => open === 0,
    );
  });
});
