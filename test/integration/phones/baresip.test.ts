import { Phone } from '../../support/baresip';
import { Scope } from '../../support/scope';

jest.setTimeout(120_000);

describe('the baresip launcher', () => {
  const scope = new Scope();
  let ann: Phone;
  let ben: Phone;

  beforeAll(async () => {
    ann = await Phone.start(scope, { name: 'ann', tone: 440 });
    ben = await Phone.start(scope, { name: 'ben', tone: 1000 });
  });
  afterAll(() => scope.close());

  it('lets two phones call each other, each hearing the tone of the other', async () => {
    ben.now();
    await ann.dial(ben.uri);
    await ben.incoming();
    await ben.accept();
    await Promise.all([ann.established(), ben.established()]);
    await Promise.all([ann.hearsTones(1000), ben.hearsTones(440)]);
    await ann.doesNotHear([440]);
  });

  it('hears silence on hold, and the tone again after it', async () => {
    await ben.hold();
    await ann.hearsNothing();
    await ben.resume();
    await Promise.all([ann.hearsTones(1000), ben.hearsTones(440)]);
  });

  it('reports digits and the end of the call, and shows the messages', async () => {
    ann.now();
    ben.now();
    await ann.dtmf('5');
    expect((await ben.event('CALL_DTMF_START')).param).toBe('5');
    await ben.hangup();
    await ann.closed();
    expect(ann.trace().map((message) => message.text.split(' ')[0])).toEqual(
      expect.arrayContaining(['INVITE', 'ACK', 'BYE']),
    );
  });
});
