import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { figure } from '../support/figures';
import { musicTones } from '../support/music';
import { endCalls } from '../support/talk';

jest.setTimeout(150_000);

const number = '8000';

/** Calls a number whose owner answers at once. */
async function dial(phone: Phone, target = number): Promise<void> {
  await phone.dial(target);
  await phone.established();
}

/** Each hears the tones of all others, and neither its own nor anything else. */
async function hearAllOthers(...phones: readonly Phone[]): Promise<void> {
  await Promise.all(
    phones.map((phone) =>
      phone.hearsTones(...phones.filter((other) => other !== phone).map(({ options }) => options.tone)),
    ),
  );
}

/** Calls a number that refuses; what the phone says of it, and the Reason that came with it. */
async function dialInVain(phone: Phone, target = number): Promise<{ readonly why: string; readonly reason: string }> {
  await phone.dial(target);
  const { param } = await phone.closed();
  const answers = phone.trace().filter(({ text }) => /^SIP\/2\.0 [4-6]/.test(text) && /^CSeq: \d+ INVITE$/m.test(text));
  return { why: param, reason: /^Reason: (.*)$/m.exec(answers.at(-1)?.text ?? '')?.[1] ?? '' };
}

interface ConferenceRow {
  readonly number: string;
  readonly bridge?: string;
  readonly initiator?: string;
  readonly members: readonly { readonly number: string; readonly held: boolean; readonly bridge?: string }[];
}

async function conferenceAt(cluster: Cluster, node: number, of = number): Promise<ConferenceRow | undefined> {
  const rows = (await cluster.node(node).api('/api/conferences')) as ConferenceRow[];
  return rows.find((row) => row.number === of);
}

interface Explanation {
  readonly type: string;
  readonly winner?: string;
  readonly trials: readonly { readonly device: string; readonly outcome: string; readonly reason?: string }[];
}

/** What the last call of a node asked for: the last in progress, else the last that is over. */
async function lastAllocations(cluster: Cluster, node: number): Promise<readonly Explanation[]> {
  const open = (await cluster.node(node).calls()) as { id: string }[];
  const over = [
    ...cluster
      .node(node)
      .log()
      .matchAll(/"call":"(\d+\.cp\.\d+-\d+)"/g),
  ];
  const id = open.at(-1)?.id ?? over.at(-1)?.[1] ?? '';
  return ((await cluster.node(node).api(`/api/calls/${id}`)) as { allocations: Explanation[] }).allocations;
}

describe('a conference of phones at two nodes', () => {
  let cluster: Cluster;
  let alice: Phone;
  let carol: Phone;
  let bob: Phone;
  let dave: Phone;
  let leo: Phone;

  beforeAll(async () => {
    cluster = await Cluster.start({
      bridges: [1, 2],
      change: (file) => {
        file.conferences = [
          { number, name: 'team' },
          { number: '8001', name: 'pair', maxMembers: 2 },
          { number: '8002', name: 'lecture', endPolicy: 'initiator-leaves', nodes: [2, 1] },
          { number: '8999', name: 'ad-hoc', type: 'factory' },
        ];
      },
    });
    for (const each of [number, '8001', '8002', '8999']) await cluster.everybodyKnows(each);
    [alice, carol, bob, dave, leo] = await Promise.all([
      cluster.phone('alice'),
      cluster.phone('carol'),
      cluster.phone('bob'),
      cluster.phone('dave', { codecs: 'G722/16000/1' }),
      cluster.phone('leo', { codecs: 'opus/48000/2' }),
    ]);
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await endCalls(alice, carol, bob, dave, leo);
    await cluster.nothingIsLeft();
    for (const node of cluster.nodes)
      await eventually(
        `nobody is in a conference at node ${node.id}`,
        () => conferenceAt(cluster, node.id),
        (row) => (row?.members.length ?? 0) === 0,
      );
  });

  it('claims M3, M12: three phones hear each other and not themselves; one that leaves is heard no more', async () => {
    for (const phone of [alice, carol, bob]) await dial(phone);
    await hearAllOthers(alice, carol, bob);
    await carol.hangup();
    await hearAllOthers(alice, bob);
    expect(await conferenceAt(cluster, 1)).toMatchObject({ bridge: 'bridge-dallas', initiator: 'SEP-alice' });
  });

  it('claim M3: the bridge is out of the list of the initiator, also when another node owns the number', async () => {
    await dial(bob);
    await dial(alice);
    await hearAllOthers(alice, bob);
    expect(await conferenceAt(cluster, 1)).toMatchObject({ bridge: 'bridge-san-jose', initiator: 'SEP-bob' });
    const [asked] = await lastAllocations(cluster, 1);
    expect(asked).toMatchObject({ type: 'conference', winner: 'bridge-san-jose' });
  });

  it('RFC 4579 §4.2: the answer says isfocus, also to callers of another node', async () => {
    await dial(alice);
    await dial(bob);
    for (const phone of [alice, bob])
      expect(phone.trace().map(({ text }) => text)).toContainEqual(
        expect.stringMatching(/^Contact: <sip:8000@.*>;isfocus$/m),
      );
  });

  it('phones with PCMA, G.722 and opus hear each other', async () => {
    for (const phone of [alice, dave, leo]) await dial(phone);
    await hearAllOthers(alice, dave, leo);
  });

  it('who holds is not heard and hears nothing, there is no music in the room; then all hear each other again', async () => {
    for (const phone of [alice, carol, bob]) await dial(phone);
    await hearAllOthers(alice, carol, bob);
    for (const holder of [alice, bob]) {
      const others = [alice, carol, bob].filter((phone) => phone !== holder);
      await holder.hold();
      await hearAllOthers(...others);
      await holder.hearsNothing();
      await Promise.all(others.map((phone) => phone.doesNotHear([...musicTones, holder.options.tone])));
      expect((await conferenceAt(cluster, 1))?.members.filter(({ held }) => held)).toHaveLength(1);
      await holder.resume();
      await hearAllOthers(alice, carol, bob);
    }
  });

  it('one more than maxMembers gets 486 with a Reason', async () => {
    await dial(alice, '8001');
    await dial(bob, '8001');
    const { why, reason } = await dialInVain(carol, '8001');
    expect(why).toContain('486');
    expect(reason).toContain('The conference is full');
    await hearAllOthers(alice, bob);
  });

  it('RFC 4579 §5.4: the factory makes a conference; others of any node call its number', async () => {
    await dial(alice, '8999');
    const contact = alice.trace().map(({ text }) => /^Contact: <sip:(8999\*\d+)@.*>;isfocus$/m.exec(text)?.[1]);
    const fresh = contact.findLast((found) => found !== undefined) ?? '';
    expect(fresh).toMatch(/^8999\*\d{9}$/);
    await cluster.everybodyKnows(fresh);
    await dial(bob, fresh);
    await dial(carol, fresh);
    await hearAllOthers(alice, bob, carol);
    await endCalls(alice, bob, carol);
    await eventually(
      'the number is gone',
      () => cluster.node(2).registrations(fresh),
      (rows) => rows.length === 0,
    );
  });

  it('initiator-leaves: the others get a BYE with a Reason', async () => {
    for (const phone of [bob, alice, carol]) await dial(phone, '8002');
    await hearAllOthers(alice, carol, bob);
    alice.now();
    carol.now();
    await bob.hangup();
    await Promise.all([alice.closed(), carol.closed()]);
    const byes = alice.trace().filter(({ text }) => text.startsWith('BYE '));
    expect(byes.at(-1)?.text).toMatch(/^Reason: SIP;.*text="The conference is over"$/m);
  });
});

describe('conferences on bridges that fill up', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start({
      bridges: [1, 2],
      change: (file) => {
        file.conferences = ['8000', '8001', '8002'].map((each) => ({ number: each, name: `room-${each}` }));
        for (const resource of file.mediaResources) {
          if (resource.name === 'bridge-dallas') resource.capacity = 2;
          if (resource.name === 'bridge-san-jose') resource.capacity = 1;
        }
      },
    });
    for (const each of ['8000', '8001', '8002']) await cluster.everybodyKnows(each);
  });
  afterAll(() => cluster.close());

  it('claim M13: a full bridge is passed by; with none left 503 with a Reason, and the explanation says who was asked', async () => {
    const [alice, bob, dave, leo] = await Promise.all([
      cluster.phone('alice'),
      cluster.phone('bob'),
      cluster.phone('dave'),
      cluster.phone('leo'),
    ]);
    await dial(bob, '8001');
    await dial(dave, '8002');
    await dial(leo, '8002');
    await hearAllOthers(dave, leo);
    expect(await conferenceAt(cluster, 1, '8001')).toMatchObject({ bridge: 'bridge-san-jose' });
    expect(await conferenceAt(cluster, 1, '8002')).toMatchObject({ bridge: 'bridge-dallas' });
    for (const full of ['8000', '8002']) {
      const { why, reason } = await dialInVain(alice, full);
      expect(why).toContain('503');
      expect(reason).toContain('No conference bridge is available');
    }
    await endCalls(bob, dave, leo);
    await cluster.nothingIsLeft();
    const refused = cluster.node(1).log().split('\n');
    expect(refused.filter((line) => line.includes('no media resource available'))).toHaveLength(2);
    const metrics = await (await cluster.node(1).fetch('/metrics')).text();
    expect(metrics).toMatch(/tandem_media_allocations_total\{.*type="conference".*outcome="refused".*\} 2/);
    await dial(alice, '8000');
    await alice.hangup();
    await cluster.nothingIsLeft();
  });
});

/** Rounds of half a second until all hear each other again; seconds since `from`. */
async function secondsUntilTogether(from: number, ...phones: readonly Phone[]): Promise<number> {
  await hearAllOthers(...phones);
  return (Date.now() - from) / 1000;
}

describe('a conference whose bridge or node dies', () => {
  let cluster: Cluster;
  let alice: Phone;
  let carol: Phone;
  let bob: Phone;

  beforeEach(async () => {
    cluster = await Cluster.start({
      bridges: [1, 2],
      change: (file) => {
        file.conferences = [{ number, name: 'team' }];
      },
    });
    await cluster.everybodyKnows(number);
    [alice, carol, bob] = await Promise.all([cluster.phone('alice'), cluster.phone('carol'), cluster.phone('bob')]);
    for (const phone of [alice, carol, bob]) await dial(phone);
    await hearAllOthers(alice, carol, bob);
  });
  afterEach(() => cluster.close());

  it('the bridge is killed: all are moved to the next one of the list', async () => {
    const killed = Date.now();
    await cluster.bridge(1).kill();
    const seconds = await secondsUntilTogether(killed, alice, carol, bob);
    figure('conference: seconds from the death of the bridge until all hear each other', seconds, 's');
    expect(await conferenceAt(cluster, 1)).toMatchObject({ bridge: 'bridge-san-jose' });
    await endCalls(alice, carol, bob);
    await cluster.nothingIsLeft();
  });

  it('the media server before the bridge is killed: all are moved to the next bridge', async () => {
    const killed = Date.now();
    await cluster.engines.get(1)?.kill();
    const seconds = await secondsUntilTogether(killed, alice, carol, bob);
    figure('conference: seconds from the death of rtpengine until all hear each other', seconds, 's');
    await endCalls(alice, carol, bob);
    await cluster.nothingIsLeft();
  });

  it('one holds while the bridge is killed: the others hear each other at the next one, and who held comes back to it', async () => {
    await bob.hold();
    await cluster.bridge(1).kill();
    await hearAllOthers(alice, carol);
    await bob.resume();
    await hearAllOthers(alice, carol, bob);
    await endCalls(alice, carol, bob);
    await cluster.nothingIsLeft();
  });

  it('claims M11, M13: the node that controls the bridge is killed: participants of other nodes are moved to the next bridge, and their places at the old one end', async () => {
    await endCalls(alice, carol, bob);
    await cluster.nothingIsLeft();
    for (const phone of [bob, alice, carol]) await dial(phone);
    await hearAllOthers(alice, carol, bob);
    expect(await conferenceAt(cluster, 1)).toMatchObject({ bridge: 'bridge-san-jose' });
    const killed = Date.now();
    await cluster.node(2).kill9();
    await bob.stop();
    // Until then they hear each other where they were: the bridge itself lives.
    await eventually(
      'all who are left are at the bridge of node 1',
      () => conferenceAt(cluster, 1),
      (row) => row?.bridge === 'bridge-dallas',
    );
    const seconds = await secondsUntilTogether(killed, alice, carol);
    figure('conference: seconds from the death of the node of the bridge until all are at the next', seconds, 's');
    await eventually(
      'nobody is left at the bridge whose node is dead',
      () => cluster.bridge(2).participants(),
      (participants) => participants.length === 0,
    );
    expect(cluster.node(1).log()).toContain('media sessions of a lost node ended at their engine');
    await endCalls(alice, carol);
    // What was left of the participant of the dead node is ended when its re-INVITE cannot be delivered.
    const left = async (): Promise<number> =>
      (await cluster.node(1).calls()).length + (await cluster.bridge(1).participants()).length;
    await eventually('nothing is left at node 1', left, (count) => count === 0, { cap: 60_000, every: 100 });
  });

  it('the node that controls the bridge is killed and started again at once: it ends what it had there before', async () => {
    await endCalls(alice, carol, bob);
    await cluster.nothingIsLeft();
    for (const phone of [bob, alice, carol]) await dial(phone);
    await hearAllOthers(alice, carol, bob);
    expect(await conferenceAt(cluster, 1)).toMatchObject({ bridge: 'bridge-san-jose' });
    const before = await cluster.bridge(2).participants();
    expect(before).toHaveLength(3);
    const killed = Date.now();
    await cluster.node(2).kill9();
    await bob.stop();
    await cluster.node(2).start();
    await eventually(
      'none of those from before is at its bridge',
      () => cluster.bridge(2).participants(),
      (participants) => !participants.some((participant) => before.includes(participant)),
    );
    const seconds = await secondsUntilTogether(killed, alice, carol);
    figure('conference: seconds from the death of a node that starts again until all hear each other', seconds, 's');
    await endCalls(alice, carol);
  });

  it('the node that controls the bridge hangs and comes back: all are together at the next bridge, and the bridge serves again', async () => {
    await endCalls(alice, carol, bob);
    await cluster.nothingIsLeft();
    for (const phone of [bob, alice, carol]) await dial(phone);
    await hearAllOthers(alice, carol, bob);
    const frozen = Date.now();
    cluster.node(2).freeze();
    await eventually(
      'those of node 1 are at its bridge',
      () => conferenceAt(cluster, 1),
      (row) => row?.bridge === 'bridge-dallas',
    );
    const seconds = await secondsUntilTogether(frozen, alice, carol);
    figure('conference: seconds from when the node of the bridge hangs until all are at the next', seconds, 's');
    cluster.node(2).thaw();
    await eventually(
      'nobody is left at the bridge of node 2',
      () => cluster.bridge(2).participants(),
      (participants) => participants.length === 0,
    );
    // What its own phone was told meanwhile gets through.
    await hearAllOthers(alice, carol, bob);
    expect(await conferenceAt(cluster, 1)).toMatchObject({ bridge: 'bridge-dallas' });
    await endCalls(alice, carol, bob);
    await cluster.nothingIsLeft();
    await eventually(
      'the bridge of node 2 is known again',
      () => cluster.node(1).api('/api/media-resources') as Promise<{ name: string; state: string }[]>,
      (rows) => rows.find(({ name }) => name === 'bridge-san-jose')?.state === 'up',
    );
    await cluster.everybodyKnows(number);
    for (const phone of [bob, alice]) await dial(phone);
    await hearAllOthers(alice, bob);
    expect(await conferenceAt(cluster, 1)).toMatchObject({ bridge: 'bridge-san-jose' });
    await endCalls(alice, bob);
    await cluster.nothingIsLeft();
  });

  it('no other bridge: the call is ended with a Reason', async () => {
    await cluster.bridge(2).kill();
    await eventually(
      'the second bridge is known to be down',
      () => cluster.node(1).api('/api/media-resources') as Promise<{ name: string; state: string }[]>,
      (rows) => rows.find(({ name }) => name === 'bridge-san-jose')?.state === 'down',
    );
    for (const phone of [alice, carol, bob]) phone.now();
    await cluster.bridge(1).kill();
    await Promise.all([alice, carol, bob].map((phone) => phone.closed()));
    const byes = alice.trace().filter(({ text }) => text.startsWith('BYE '));
    expect(byes.at(-1)?.text).toContain('No conference bridge is available');
    const { why, reason } = await dialInVain(alice);
    expect(why).toContain('503');
    expect(reason).toContain('No conference bridge is available');
    const [asked] = await lastAllocations(cluster, 1);
    expect(asked?.winner).toBeUndefined();
    expect(asked?.trials.filter(({ outcome }) => outcome === 'not-registered').map(({ device }) => device)).toEqual([
      'bridge-dallas',
      'bridge-san-jose',
    ]);
  });

  it('the node that owns the conference is killed: phones of other nodes are told, and meet again at the next node', async () => {
    const killed = Date.now();
    bob.now();
    await cluster.node(1).kill9();
    await bob.closed();
    figure(
      'conference: seconds from the death of the owner until a participant of another node is told',
      (Date.now() - killed) / 1000,
      's',
    );
    const dave = await cluster.phoneAlone('dave');
    await eventually(
      'node 2 owns the number',
      () => cluster.node(2).registrations(number),
      (rows) => rows.some(({ local }) => local),
    );
    await dial(bob);
    await dial(dave);
    await hearAllOthers(bob, dave);
  });
});
