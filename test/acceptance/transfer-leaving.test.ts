import type { MediaParty } from '../support/media-party';
import { replacesOf } from '../support/party-messages';
import { eventuallyTrue } from '../support/eventually';
import {
  type At,
  latest,
  nobodyIsAlone,
  outcome,
  referTo,
  type Side,
  talk,
  TransferStage,
} from '../support/transfer-stage';

jest.setTimeout(120_000);

/** Alice transfers Bob to Carol. */
interface People {
  readonly alice: MediaParty;
  readonly bob: MediaParty;
  readonly carol: MediaParty;
}

const PLACES: readonly (readonly [string, readonly [At, At, At]])[] = [
  [
    'on one node',
    [
      [1, 0],
      [1, 1],
      [1, 2],
    ],
  ],
  [
    'on three nodes',
    [
      [1, 0],
      [2, 0],
      [3, 0],
    ],
  ],
];

/** What a transfer has come to: the sides that there are. */
interface Scene {
  readonly a: Side;
  readonly b: Side;
  /** The transferor in its second call. */
  readonly a2?: Side;
  readonly c?: Side;
}

async function begin({ alice, bob }: People): Promise<Scene> {
  const [b, a] = await talk(bob, alice);
  return { a, b };
}

async function refer(a: Side, carol: MediaParty, replaces?: string): Promise<void> {
  expect(await a.call.refer(referTo(carol.dn, replaces))).toBe(202);
}

async function rings(people: People): Promise<Scene & { readonly c: Side }> {
  const scene = await begin(people);
  people.carol.policy = { type: 'ring' };
  await refer(scene.a, people.carol);
  const c = { party: people.carol, call: await latest(people.carol) };
  await eventuallyTrue('the target rings', () => c.call.state === 'ringing');
  return { ...scene, c };
}

/** The states of a transfer, each as far as it has come when somebody leaves. */
const STATES: Readonly<Record<string, (people: People) => Promise<Scene>>> = {
  'just asked for': async (people) => {
    people.carol.policy = { type: 'answer', afterMs: 300 };
    const scene = await begin(people);
    await refer(scene.a, people.carol);
    return scene;
  },
  'the target rings': rings,
  'the target answers at this moment': async (people) => {
    const scene = await rings(people);
    scene.c.call.accept();
    return scene;
  },
  'the target refuses at this moment': async (people) => {
    const scene = await rings(people);
    scene.c.call.refuse('486 Busy Here');
    return scene;
  },
  'refused, and the transferor, who has left, is rung': async (people) => {
    const scene = await rings(people);
    await scene.a.call.hangUp();
    people.alice.tidy();
    people.alice.policy = { type: 'ring' };
    scene.c.call.refuse('486 Busy Here');
    const a = { party: people.alice, call: await latest(people.alice) };
    await eventuallyTrue('the transferor rings', () => a.call.state === 'ringing');
    return { ...scene, a };
  },
  'attended, just asked for': async (people) => {
    const scene = await begin(people);
    expect(await scene.a.call.change({ hold: 'sendonly' })).toBe(200);
    const [a2, c] = await talk(people.alice, people.carol);
    void scene.a.call.refer(referTo(people.carol.dn, replacesOf(a2.call.dialog)));
    return { ...scene, a2, c };
  },
  'semi-attended, just asked for': async (people) => {
    const scene = await begin(people);
    people.carol.policy = { type: 'ring' };
    const { call } = await people.alice.call(people.carol.dn);
    const a2 = { party: people.alice, call };
    const c = { party: people.carol, call: await latest(people.carol) };
    await eventuallyTrue('the transferor has heard that it rings', () => call.dialog.remoteTag !== '');
    void scene.a.call.refer(referTo(people.carol.dn, replacesOf(call.dialog)));
    return { ...scene, a2, c };
  },
};

const LEAVERS: Readonly<Record<string, (scene: Scene) => Side | undefined>> = {
  'the transferor leaves its first call': ({ a }) => a,
  'the transferor leaves its second call': ({ a2 }) => a2,
  'the transferee leaves': ({ b }) => b,
  'the target leaves': ({ c }) => c,
};

/** Who has a call with whom in the end, where only one thing may come of it. */
const OUTCOMES: Readonly<Record<string, readonly (keyof People)[]>> = {
  'just asked for: the transferor leaves its first call': ['bob', 'carol'],
  'just asked for: the transferee leaves': [],
  'the target rings: the transferor leaves its first call': ['bob', 'carol'],
  'the target rings: the transferee leaves': [],
  'the target rings: the target leaves': ['alice', 'bob'],
  'the target answers at this moment: the transferor leaves its first call': ['bob', 'carol'],
  'the target answers at this moment: the transferee leaves': [],
  'the target answers at this moment: the target leaves': [],
  'the target refuses at this moment: the transferee leaves': [],
  'refused, and the transferor, who has left, is rung: the transferor leaves its first call': [],
  'refused, and the transferor, who has left, is rung: the transferee leaves': [],
  'attended, just asked for: the target leaves': [],
};

/** Who is not there in a state. */
const ABSENT: readonly string[] = [
  'just asked for: the target leaves',
  'refused, and the transferor, who has left, is rung: the target leaves',
  'the target refuses at this moment: the target leaves',
];
const cases = Object.keys(STATES).flatMap((state) =>
  Object.keys(LEAVERS)
    .filter((leaver) => state.includes('attended') || leaver !== 'the transferor leaves its second call')
    .filter((leaver) => !ABSENT.includes(`${state}: ${leaver}`))
    .map((leaver) => [state, leaver] as const),
);

describe('RFC 5589: somebody leaves during a transfer: nobody is left alone, and nothing is left anywhere', () => {
  let stage: TransferStage;
  beforeAll(async () => {
    stage = await TransferStage.start();
  });
  afterAll(() => stage.close());
  afterEach(() => stage.clear());

  describe.each(PLACES)('%s', (_where, places) => {
    let people: People;
    beforeAll(() => {
      const [alice, bob, carol] = places.map((at) => stage.party(...at));
      if (alice === undefined || bob === undefined || carol === undefined) throw new Error('three parties');
      people = { alice, bob, carol };
    });

    it.each(cases)('%s: %s', async (state, leaver) => {
      const scene = await STATES[state]?.(people);
      const who = scene && LEAVERS[leaver]?.(scene);
      if (scene === undefined || who === undefined) throw new Error(`there is no ${leaver}`);
      await who.call.hangUp();
      // Who is rung answers, if somebody waits.
      if (scene.c?.call.state === 'ringing') scene.c.call.accept();
      const wanted = OUTCOMES[`${state}: ${leaver}`];
      if (wanted?.includes('alice') === true) await outcome(scene.a);
      const left = await nobodyIsAlone(people.alice, people.bob, people.carol);
      if (wanted !== undefined) expect(left).toEqual(wanted.map((name) => people[name].dn));
    });
  });
});
