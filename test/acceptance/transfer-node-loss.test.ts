import { eventuallyTrue } from '../support/eventually';
import type { MediaParty } from '../support/media-party';
import {
  hearEachOther,
  hears,
  latest,
  outcome,
  over,
  referTo,
  type Side,
  talk,
  TransferStage,
} from '../support/transfer-stage';

jest.setTimeout(150_000);

describe('a node dies during a transfer: who is left is told, nobody rings on, and nothing is left', () => {
  let stage: TransferStage;
  let alice: MediaParty;
  let bob: MediaParty;
  let carol: MediaParty;
  beforeAll(async () => {
    stage = await TransferStage.start();
    [alice, bob, carol] = [stage.party(1, 0), stage.party(2, 0), stage.party(3, 0)];
  });
  afterAll(() => stage.close());
  afterEach(() => stage.clear());

  /** Its phones have noticed that it is gone, and what they had there is over. */
  async function kill(node: number): Promise<void> {
    await stage.cluster.node(node).kill9();
    stage.nodeLost(node);
  }

  async function rings(): Promise<{ readonly a: Side; readonly b: Side; readonly c: Side }> {
    const [b, a] = await talk(bob, alice);
    carol.policy = { type: 'ring' };
    expect(await a.call.refer(referTo(carol.dn))).toBe(202);
    const c = { party: carol, call: await latest(carol) };
    await eventuallyTrue('the target rings', () => c.call.state === 'ringing');
    return { a, b, c };
  }

  it("the target's node, while the target rings: the transferor is told, and has its call again", async () => {
    const { a, b } = await rings();
    await hears(b, 'music');
    await kill(3);
    expect((await outcome(a)).at(-1)).toBeGreaterThanOrEqual(400);
    await hearEachOther(a, b);
    await stage.restart(3);
  });

  it("the target's node, before: the same", async () => {
    const [b, a] = await talk(bob, alice);
    await kill(3);
    expect(await a.call.refer(referTo(carol.dn))).toBe(202);
    expect((await outcome(a)).at(-1)).toBeGreaterThanOrEqual(400);
    await hearEachOther(a, b);
    await stage.restart(3);
  });

  it("the target's node, when the transferor has left: it is called back", async () => {
    const { a, b } = await rings();
    expect(await a.call.hangUp()).toBe(200);
    await kill(3);
    await eventuallyTrue('the transferor is called back', () => alice.open.length === 1, { cap: 20_000 });
    await hearEachOther({ party: alice, call: await latest(alice) }, b);
    await stage.restart(3);
  });

  it("the transferor's node: the target rings no more", async () => {
    const { b, c } = await rings();
    await kill(1);
    await over(c);
    await b.call.hangUp();
    await stage.restart(1);
  });

  it("the transferee's node: the target rings no more, and the transferor can hang up", async () => {
    const { a, c } = await rings();
    await kill(2);
    // The transferor's half waits for the other phone to come back, or ends; the transferor is there.
    await a.call.hangUp();
    c.call.refuse('486 Busy Here');
    await eventuallyTrue('nobody rings', () => [alice, carol].every(({ open }) => open.length === 0), { cap: 20_000 });
    await stage.restart(2);
  });
});
