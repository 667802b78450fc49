import { callOf, outward, sessionOf } from '../../../src/call-control/session/device-session';
import { isSourceLearned, withSourceLearned } from '../../../src/sdp';
import type { SessionSignal } from '../../../src/sip/user-agent';
import { FakeSession, profile, sdp } from './kit';

const header = (): undefined => undefined;
/** As a phone behind a NAT describes itself: a private address. */
const hidden = sdp('alice');
const away = { ...profile('alice'), signallingAddress: '198.51.100.7' };
const near = { ...profile('alice'), signallingAddress: '10.0.0.1' };

/** What the call hears of a signal of this device. */
function heard(from: typeof away, signal: SessionSignal): SessionSignal | undefined {
  const device = new FakeSession('alice');
  const signals: SessionSignal[] = [];
  sessionOf(from, device).listen((one) => signals.push(one));
  device.emit(signal);
  return signals[0];
}

function described(signal: SessionSignal | undefined): string {
  if (signal?.type === 'requested') return signal.body;
  return signal !== undefined && 'sdp' in signal ? (signal.sdp ?? '') : '';
}

const signals: readonly SessionSignal[] = [
  { type: 'provisional', status: 183, reason: '', sdp: hidden, header },
  { type: 'answered', sdp: hidden, header },
  { type: 'acknowledged', sdp: hidden },
  { type: 'reinvited', id: '1', sdp: hidden, header },
  { type: 'reinvite-answered', id: '1', sdp: hidden },
  { type: 'requested', id: '1', method: 'UPDATE', body: hidden, contentType: 'application/sdp', header },
];

describe('descriptions of a device that is behind a NAT', () => {
  it.each(signals.map((signal) => [signal.type, signal] as const))('are marked when they come with %s', (_, signal) => {
    expect(isSourceLearned(described(heard(away, signal)))).toBe(true);
    expect(described(heard(near, signal))).toBe(hidden);
  });

  it('are marked in its INVITE; those of nodes are taken as they come, and of gateways nothing is believed', () => {
    const call = (from: typeof away, offer: string): string | undefined =>
      callOf({
        session: new FakeSession('alice'),
        from,
        pid: undefined,
        caller: { number: '1000', displayName: undefined },
        dialled: '2000',
        sdp: offer,
        maxForwards: 70,
        target: undefined,
        header,
      }).sdp;
    expect(isSourceLearned(call(away, hidden) ?? '')).toBe(true);
    expect(call(near, withSourceLearned(hidden))).toBe(hidden);
    const marked = withSourceLearned(hidden);
    expect(call({ ...profile('node-2', 'node'), signallingAddress: '198.51.100.7' }, marked)).toBe(marked);
    expect(call({ ...profile('gw', 'gateway'), signallingAddress: '198.51.100.7' }, marked)).toBe(hidden);
  });

  it('reach other nodes with the mark, and devices without', () => {
    const marked = withSourceLearned(hidden);
    expect(outward(profile('node-2', 'node'), marked)).toBe(marked);
    expect(outward(profile('bob'), marked)).toBe(hidden);
    const device = new FakeSession('bob');
    const session = sessionOf(profile('bob'), device);
    session.progress(183, { sdp: marked });
    session.answer({ sdp: marked });
    session.acknowledge(marked);
    session.reinvite('1', { sdp: marked });
    session.respond('2', 200, { sdp: marked });
    session.progress(180);
    session.respond('3', 200);
    expect(device.commands.map((command) => command.sdp)).toEqual([
      ...Array<string>(5).fill(hidden),
      undefined,
      undefined,
    ]);
  });
});
