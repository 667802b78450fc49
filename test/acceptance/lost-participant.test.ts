import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { FleetSocket } from '../support/fleet/fleet-socket';
import { addParty, MediaParty } from '../support/media-party';

jest.setTimeout(120_000);

it('a node is started again: its participants leave the conference at another node, the others stay', async () => {
  const cluster = await Cluster.start({
    bridges: [1, 2],
    change: (file) => {
      file.conferences = [{ number: '8000', name: 'room' }];
      for (const [dn, node] of [
        ['70001', 1],
        ['70002', 2],
        ['70003', 2],
      ] as const)
        addParty(file, dn, node);
    },
  });
  try {
    const socket = await FleetSocket.open();
    cluster.scope.defer(() => socket.close());
    const party = (dn: string, node: number): MediaParty => {
      const nodePort = cluster.node(node).place.sipPort;
      return new MediaParty({ dn, tone: 1000, codecs: ['PCMU', 'PCMA'], nodePort, socket });
    };
    const [stays, talks, holds] = [party('70001', 1), party('70002', 2), party('70003', 2)];
    for (const each of [stays, talks, holds]) {
      cluster.scope.defer(() => each.close());
      await each.register();
      await cluster.everybodyKnows(each.dn);
    }
    // Whoever comes first opens it; nobody may own the number yet.
    const join = async (who: MediaParty): Promise<(typeof who)['latest']> => {
      await eventually(
        `${who.dn} is in the conference`,
        async () => (await who.call('8000')).answered,
        (status) => status === 200,
        { every: 300 },
      );
      return who.open[0];
    };
    const stayed = await join(stays);
    await join(talks);
    const held = await join(holds);
    expect(await held?.change({ hold: 'sendonly' })).toBe(200);
    expect(await cluster.node(1).calls()).toHaveLength(3);
    await cluster.node(2).kill9();
    for (const lost of [talks, holds]) lost.nodeLost();
    await cluster.node(2).start();
    const left = await eventually(
      'only the participant of the node that lives is there',
      () => cluster.node(1).calls(),
      (calls) => calls.length === 1,
    );
    expect(left).toMatchObject([{ caller: '70001', to: 'room' }]);
    expect(stayed?.up).toBe(true);
    await stayed?.hangUp();
    await eventually(
      'nothing is left',
      () => cluster.node(1).calls(),
      (calls) => calls.length === 0,
    );
  } finally {
    await cluster.close();
  }
});
