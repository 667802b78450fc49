import { Phone } from '../../support/baresip';
import { LinphonePhone } from '../../support/linphone';
import { Scope } from '../../support/scope';

jest.setTimeout(120_000);

describe('the linphone launcher', () => {
  const scope = new Scope();
  afterAll(() => scope.close());

  it('is called, heard, holds while it goes on sending, resumes and ends', async () => {
    const leo = await LinphonePhone.start(scope, { name: 'leo', tone: 660 });
    const ann = await Phone.start(scope, { name: 'ann', tone: 440 });
    await ann.dial(leo.uri);
    await leo.incoming();
    await leo.accept();
    await ann.established();
    await Promise.all([ann.hearsTones(660), leo.hearsTones(440)]);
    await leo.hold();
    await leo.hearsNothing();
    await ann.hearsTones(660);
    await leo.resume();
    await leo.hearsTones(440);
    await leo.hangup();
    await ann.closed();
  });
});
