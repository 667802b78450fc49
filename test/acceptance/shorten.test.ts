import { eventually } from '../support/eventually';
import type { MediaParty } from '../support/media-party';
import { replacesOf } from '../support/party-messages';
import {
  hearEachOther,
  hold,
  latest,
  over,
  referTo,
  resume,
  type Side,
  talk,
  TransferStage,
} from '../support/transfer-stage';

jest.setTimeout(120_000);

interface CallRow {
  readonly id: string;
}

interface Leg {
  readonly kind: string;
  readonly device: string;
}

describe('however a call was transferred, only the nodes of its two phones have a part of it', () => {
  let stage: TransferStage;
  beforeAll(async () => {
    stage = await TransferStage.start();
  });
  afterAll(() => stage.close());
  afterEach(() => stage.clear());

  /** Of each node: the kinds of the legs of each of its calls. */
  async function parts(): Promise<Readonly<Record<number, readonly string[]>>> {
    const entries = stage.cluster.nodes.map(async (node) => {
      const rows = (await node.calls()) as readonly CallRow[];
      const legs = rows.map(async ({ id }) => ((await node.api(`/api/calls/${id}`)) as { legs: readonly Leg[] }).legs);
      const kinds = (await Promise.all(legs)).map((each) =>
        each
          .map(({ kind }) => kind)
          .sort()
          .join('-'),
      );
      return [node.id, kinds] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  async function expectParts(wanted: Readonly<Record<number, readonly string[]>>): Promise<void> {
    await eventually(
      'only the nodes of the two phones have the call',
      async () => JSON.stringify(await parts()),
      (seen) => seen === JSON.stringify(wanted),
      { cap: 30_000 },
    );
  }

  /** Nothing is missing in the call after that. */
  async function expectWhole(one: Side, other: Side): Promise<void> {
    await hearEachOther(one, other);
    await hold(one, other);
    await resume(one, other);
    await hold(other, one);
    await resume(other, one);
    expect(await one.call.hangUp()).toBe(200);
    await over(other);
  }

  /** Whoever was called last transfers to the next one. */
  async function passOn(first: MediaParty, others: readonly MediaParty[]): Promise<readonly [Side, Side]> {
    const [second, ...more] = others;
    const [one, called] = await talk(first, second!);
    let at = called;
    for (const next of more) {
      expect(await at.call.refer(referTo(next.dn))).toBe(202);
      await over(at);
      at = { party: next, call: await latest(next) };
      await hearEachOther(one, at);
    }
    return [one, at];
  }

  test('one transfer by who is alone at its node', async () => {
    const ends = await passOn(stage.party(1, 0), [stage.party(2, 0), stage.party(3, 0)]);
    await expectParts({ 1: ['node-station'], 2: [], 3: ['node-station'] });
    await expectWhole(...ends);
  });

  test('back to the node where it began: one call there, and none anywhere else', async () => {
    const ends = await passOn(stage.party(1, 0), [stage.party(2, 0), stage.party(1, 1)]);
    await expectParts({ 1: ['station-station'], 2: [], 3: [] });
    await expectWhole(...ends);
  });

  test('six transfers one after the other, to and fro', async () => {
    const others = [stage.party(2, 0), stage.party(3, 0), stage.party(2, 1), stage.party(1, 1), stage.party(3, 1)];
    const ends = await passOn(stage.party(1, 0), [...others, stage.party(1, 2), stage.party(2, 2)]);
    await expectParts({ 1: ['node-station'], 2: ['node-station'], 3: [] });
    await expectWhole(...ends);
  });

  test('with consultation, by who is alone at its node', async () => {
    const [alice, bob, carol] = [stage.party(2, 0), stage.party(1, 0), stage.party(3, 0)];
    const [b, a] = await talk(bob, alice);
    await hold(a, b);
    const [a2, c] = await talk(alice, carol);
    expect(await a.call.refer(referTo(carol.dn, replacesOf(a2.call.dialog)))).toBe(202);
    await Promise.all([over(a), over(a2)]);
    await expectParts({ 1: ['node-station'], 2: [], 3: ['node-station'] });
    await expectWhole(b, c);
  });

  test('who holds is left where it is, and the way is short when nobody holds any more', async () => {
    const [one, other] = await passOn(stage.party(1, 0), [stage.party(2, 0), stage.party(3, 0)]);
    await hold(one, other);
    await resume(one, other);
    await expectParts({ 1: ['node-station'], 2: [], 3: ['node-station'] });
    await expectWhole(one, other);
  });
});
