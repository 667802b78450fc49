import { type Equipment, OfficeModel } from './office';

const PHONE: Equipment = { node: 0, codecs: ['PCMU'], configured: false, polite: false };

/** Alice at the first node has called Bob at the second. */
async function talking(): Promise<OfficeModel> {
  const office = new OfficeModel(2, [PHONE, { ...PHONE, node: 1 }, PHONE]);
  const [alice, bob] = office.stations;
  office.dial(alice!, bob!.number);
  await office.rest();
  office.pickUp(office.ringing[0]!);
  await office.rest();
  return office;
}

describe('a call between two nodes', () => {
  it('whose ends park each other at once is over: nobody is there', async () => {
    const office = await talking();
    for (const { phone } of office.up) phone.refer('*68');
    await office.rest();
    expect(office.worlds.map(({ control }) => control.calls())).toEqual([[], []]);
    await office.close();
  });

  it.each([0, 1])('that one end parks waits for a phone of any node: %i', async (which) => {
    const office = await talking();
    office.up[which]!.phone.refer('*68701');
    // Before it comes back to who has parked it.
    for (let turn = 0; turn < 20; turn += 1) {
      await office.calm();
      office.wait(500);
    }
    office.expectSound();
    office.dial(office.stations[2]!, '701');
    await office.rest();
    office.expectLegs();
    office.expectSound();
    expect(office.up).toHaveLength(2);
    await office.close();
  });
});
