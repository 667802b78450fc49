import { logInto, passOn, SERVER_EVENTS } from '../../../src/sip-server/log';
import { createLogger } from '../../../src/telemetry/logger';

/** A log, and what stands in it. */
function capture(name: string) {
  const lines: string[] = [];
  const logger = createLogger({ name, destination: { write: (line) => void lines.push(line) } });
  return { logger, lines, read: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

/** From the log of the server's process into that of its owner. */
function throughBoth() {
  const own = capture('sip-server');
  const owner = capture('node-1');
  const log = logInto(own.logger);
  const pass = (): void => {
    for (const line of own.lines.splice(0)) passOn(line.trimEnd(), owner.logger);
  };
  return { log, pass, owner };
}

const HOSTILE = 'a\u202eb\u009bc\u200bd\r\nAuthorization: Digest response="hush"';

describe('what the SIP server tells of itself', () => {
  test.each(SERVER_EVENTS)('%s: bounded, however often and long; nothing invisible, nothing secret', (event) => {
    const { log, pass, owner } = throughBoth();
    for (let count = 0; count < 2000; count += 1) {
      log(event, { address: `192.0.2.${count % 256}`, detail: HOSTILE.repeat(1 + (count % 40)), reason: HOSTILE });
      if (count % 100 === 0) pass();
    }
    pass();
    const text = owner.lines.join('');
    expect(owner.lines.length).toBeGreaterThan(10);
    expect(text.length).toBeLessThan(300_000);
    expect(text).not.toMatch(/[\p{Cf}\u007f-\u009f]|hush/u);
    expect(owner.read()[0]).toMatchObject({ event, name: 'node-1', address: '192.0.2.0' });
  });

  test('a flood of one kind takes nothing from another', () => {
    const { log, pass, owner } = throughBoth();
    for (let count = 0; count < 2000; count += 1) log('sip.message.malformed', { address: '192.0.2.1' });
    log('sip.client.origin', { detail: 'https://evil.example' });
    pass();
    expect(owner.read().at(-1)).toMatchObject({
      level: 30,
      event: 'sip.client.origin',
      detail: 'https://evil.example',
    });
  });

  test('its lines keep what they are, and what is no such line is told as it stands', () => {
    const { log, pass, owner } = throughBoth();
    log('sip.tls.not-renewed', { error: 'ENOENT' });
    pass();
    for (const line of ['Error: at x', '{"msg', '[1]', '{}', 'null', '']) passOn(line, owner.logger);
    const [first, ...others] = owner.read();
    expect(first).toMatchObject({
      level: 50,
      error: 'ENOENT',
      msg: expect.stringMatching(/^SIP server: .*TLS/) as string,
    });
    expect(others.map(({ level, line }) => [level, line])).toEqual(
      ['Error: at x', '{"msg', '[1]', '{}', 'null', ''].map((line) => [40, line]),
    );
  });
});
