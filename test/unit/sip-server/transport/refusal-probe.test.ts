import { createSocket } from 'node:dgram';
import { SimulatedClock } from '../../../../src/process/clock';
import { RefusalProbe } from '../../../../src/sip-server/transport/refusal-probe';
import { Inbox } from './fixtures';

// The machine's own addresses are looked up in the kernel's tables; here they stand for another machine's.
jest.mock('../../../../src/sip-server/transport/local-sockets', () => ({ isOwnMachine: () => false }));

async function boundSocket(): Promise<{ port: number; inbox: Inbox<string>; close: () => Promise<void> }> {
  const socket = createSocket('udp4');
  const inbox = new Inbox<string>();
  socket.on('message', (bytes) => inbox.push(bytes.toString()));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.3', resolve));
  return {
    port: socket.address().port,
    inbox,
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}

describe('RefusalProbe towards another machine', () => {
  test('the ICMP refusal of the probe is reported', async () => {
    const clock = new SimulatedClock();
    const refused = new Inbox<string>();
    const probe = new RefusalProbe(clock, (address, port) => refused.push(`${address}:${port}`));
    const { port, close } = await boundSocket();
    await close();
    probe.sent('127.0.0.3', port);
    clock.advance(100);
    expect(await refused.next()).toBe(`127.0.0.3:${port}`);
    expect(clock.pending).toBe(0);
  });

  test('RFC 5626 §4.4.1: the probe is a keep-alive; one who takes it is not reported', async () => {
    const clock = new SimulatedClock();
    const refused = jest.fn();
    const probe = new RefusalProbe(clock, refused);
    const { port, inbox, close } = await boundSocket();
    probe.sent('127.0.0.3', port);
    clock.advance(100);
    expect(await inbox.next()).toBe('\r\n\r\n');
    clock.advance(400);
    expect(refused).not.toHaveBeenCalled();
    expect(clock.pending).toBe(0);
    await close();
  });

  test('a destination that was heard, or one beyond a possible address translator, is not probed', () => {
    const clock = new SimulatedClock();
    const probe = new RefusalProbe(clock, jest.fn());
    probe.sent('127.0.0.3', 5999);
    probe.heard('127.0.0.3', 5999);
    probe.sent('8.8.8.8', 5060);
    expect(clock.pending).toBe(0);
    probe.sent('127.0.0.3', 5999);
    probe.close();
    expect(clock.pending).toBe(0);
  });
});
