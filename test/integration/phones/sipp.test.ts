import { Phone } from '../../support/baresip';
import { RtpListener } from '../../support/rtp-listener';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { statusOf } from '../../support/sip-text';
import { Sipp } from '../../support/sipp';
import { hearsTones } from '../../support/sound';

jest.setTimeout(120_000);

describe('the sipp launcher', () => {
  const scope = new Scope();
  afterAll(() => scope.close());

  it('answers a phone with its tone, and answers OPTIONS without disturbing the call', async () => {
    const gateway = await Sipp.start(scope, { scenario: 'answer', tone: 1300 });
    const options = await SipPeer.udp(scope, gateway.address, gateway.port);
    const uri = `sip:${gateway.address}:${gateway.port}`;
    expect(statusOf(await options.ask({ method: 'OPTIONS', uri, from: '<sip:test@127.0.0.1>' }))).toBe(200);
    const ann = await Phone.start(scope, { name: 'ann', tone: 440 });
    await ann.dial(`sip:5551234@${gateway.address}:${gateway.port}`);
    await ann.hearsTones(1300);
    await ann.hangup();
    await ann.closed();
  });

  it('calls as a gateway, with its tone, and counts the call and its response times', async () => {
    const ann = await Phone.start(scope, { name: 'ann', tone: 440, answerMode: 'auto' });
    const caller = await Sipp.start(scope, {
      scenario: 'gateway-call',
      server: `${ann.place.address}:${ann.place.sipPort}`,
      users: [{ username: '5551234', domain: '127.0.0.1', target: 'ann' }],
      calls: 1,
      pause: 2000,
      tone: 1300,
    });
    await ann.hearsTones(1300);
    const result = await caller.finished();
    expect(result).toMatchObject({ code: 0, successful: 1, failed: 0 });
    expect(result.responseTimes.get('setup')).toHaveLength(1);
  });
});

describe('the RTP listener', () => {
  const scope = new Scope();
  afterAll(() => scope.close());

  it('hears the tone of another one', async () => {
    const ear = await RtpListener.open(scope);
    const mouth = await RtpListener.open(scope);
    mouth.send(660, ear.address, ear.port);
    expect(hearsTones(await ear.hear(0.5), [660])).toBe(true);
  });
});
