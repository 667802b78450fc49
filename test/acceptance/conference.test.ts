import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
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

describe('a conference of phones at two nodes', () => {
  let cluster: Cluster;
  let alice: Phone;
  let carol: Phone;
  let bob: Phone;

  beforeAll(async () => {
    cluster = await Cluster.start({
      bridges: [1, 2],
      change: (file) => {
        file.conferences = [{ number, name: 'team' }];
      },
    });
    await cluster.everybodyKnows(number);
    [alice, carol, bob] = await Promise.all([cluster.phone('alice'), cluster.phone('carol'), cluster.phone('bob')]);
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await endCalls(alice, carol, bob);
    await cluster.nothingIsLeft();
  });

  it('claims M3, M12: three phones hear each other and not themselves; one that leaves is heard no more', async () => {
    for (const phone of [alice, carol, bob]) await dial(phone);
    await hearAllOthers(alice, carol, bob);
    await carol.hangup();
    await hearAllOthers(alice, bob);
  });
});
