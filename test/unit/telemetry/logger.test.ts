import { createLogger, silentLogger, type LogFields, type LogLevel } from '../../../src/telemetry/logger';

function capture(level?: LogLevel) {
  const lines: string[] = [];
  const logger = createLogger({ name: 'node-1', level, destination: { write: (line) => void lines.push(line) } });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> };
}

describe('the logger', () => {
  it('writes one JSON object per line with name, time, fields and message', () => {
    const { logger, last, lines } = capture();
    logger.info({ device: 'SEP-alice', pid: '1.dp.3' }, 'registered');
    expect(last()).toMatchObject({ name: 'node-1', level: 30, device: 'SEP-alice', pid: '1.dp.3', msg: 'registered' });
    expect(lines[0]).toMatch(/^\{.*\}\n$/);
  });

  it('keeps the fields of its parents', () => {
    const { logger, last } = capture();
    logger.child({ call: 'c1', password: 'p' }).child({ leg: 'a' }).warn({ status: 486 }, 'busy');
    expect(last()).toMatchObject({ call: 'c1', leg: 'a', status: 486, password: '[hidden]' });
  });

  it('is quiet below its level', () => {
    const { logger, lines } = capture('warn');
    logger.info({}, 'no');
    logger.debug({}, 'no');
    logger.error({}, 'yes');
    expect(lines).toHaveLength(1);
  });

  const secrets: [string, LogFields][] = [
    ['a password', { password: 'hush' }],
    ['a secret further down', { node: { drachtio: { secret: 'hush' } } }],
    ['an authorization header in any spelling', { headers: { 'Proxy-Authorization': 'hush', authorization: 'hush' } }],
    [
      'a header line in a SIP message',
      { text: 'REGISTER sip:a SIP/2.0\r\nAuthorization: Digest response="hush"\r\n\r\n' },
    ],
    ['the password of a URL', { redis: 'redis://tandem:hush@127.0.0.1:6379' }],
    ['a list of devices', { devices: [{ name: 'a', password: 'hush' }] }],
    ['an error that tells a URL', { error: new Error('connect redis://:hush@h failed') }],
    ['a map', { headers: new Map([['x', { token: 'hush' }]]) }],
  ];
  it.each(secrets)('hides %s', (_what, fields) => {
    const { logger, lines } = capture();
    logger.error(fields, 'something');
    expect(lines[0]).not.toContain('hush');
    expect(lines[0]).toContain('[hidden]');
  });

  it('hides secrets in the message too', () => {
    const { logger, lines } = capture();
    logger.info({}, 'connecting to redis://:hush@127.0.0.1:6379');
    expect(lines[0]).not.toContain('hush');
  });

  it('says what an error is, with its code and cause, and survives cycles, buffers and big numbers', () => {
    const { logger, last } = capture();
    const cycle: Record<string, unknown> = { big: 12n, bytes: Buffer.alloc(10) };
    cycle.self = cycle;
    const error = Object.assign(new Error('refused', { cause: new Error('inner') }), { code: 'ECONNREFUSED' });
    logger.error({ error, cycle }, 'failed');
    expect(last()).toMatchObject({
      error: { type: 'Error', message: 'refused', code: 'ECONNREFUSED', cause: { message: 'inner' } },
      cycle: { big: '12', bytes: '[10 bytes]' },
    });
  });

  it('has a silent brother', () => {
    expect(silentLogger.child({ a: 1 })).toBe(silentLogger);
    silentLogger.error({}, 'nothing');
  });
});

describe('what outsiders decide', () => {
  it('takes no record away', () => {
    const { logger, lines } = capture();
    for (let count = 0; count < 2000; count++) logger.record({ call: `1.cp.${count}` }, 'call: over');
    expect(lines).toHaveLength(2000);
  });

  it('no key stands twice in a line, whatever is logged', () => {
    const { logger, lines } = capture();
    logger.child({ pid: '1.cp.1' }).info({ device: 'a' }, 'call');
    const keys = [...lines[0]!.matchAll(/"([a-z]+)":/g)].map(([, key]) => key);
    expect(new Set(keys).size).toBe(keys.length);
    expect(JSON.parse(lines[0]!)).toMatchObject({ pid: '1.cp.1', process: process.pid });
  });

  it('invisible characters and those that turn the order never come raw, wherever they stand', () => {
    const { logger, lines } = capture();
    const odd = [
      '\u0085',
      '\u009b',
      '\u007f',
      '\u202e',
      '\u2066',
      '\u200b',
      '\u00ad',
      '\u2028',
      '\ufeff',
      '\ud800',
      '\u{e0041}',
      '\u3164',
    ];
    for (const character of odd) {
      const text = `a${character}b`;
      logger.info({ text, deep: { list: [text] }, [text]: 1, error: new Error(text) }, `told ${text}`);
      expect(lines.at(-1)).not.toContain(character);
      expect(lines.at(-1)).toContain('\\\\u{');
    }
    logger.info({ name: 'Zoë 日本 😀' }, 'kept');
    expect(lines.at(-1)).toContain('Zoë 日本 😀');
  });

  it('a flood of one kind is bounded, and what was left out is told; other kinds are not touched', () => {
    jest.useFakeTimers();
    try {
      const { logger, lines, last } = capture();
      for (let count = 0; count < 2000; count++) logger.info({ source: `192.0.2.${count % 256}` }, 'request refused');
      expect(lines.length).toBeLessThan(250);
      const before = lines.length;
      logger.warn({}, 'something else');
      expect(lines).toHaveLength(before + 1);
      jest.advanceTimersByTime(10_000);
      expect(last()).toMatchObject({ kind: 'request refused', leftOut: 2000 - before });
      logger.info({}, 'request refused');
      expect(last()).toMatchObject({ msg: 'request refused' });
    } finally {
      jest.useRealTimers();
    }
  });

  it('a flood of long lines fills no more than one of short lines', () => {
    const sizes = [10, 1000, 4000, 20_000].map((length) => {
      const { logger, lines } = capture();
      for (let count = 0; count < 2000; count++) logger.info({ from: 'x'.repeat(length), to: [count] }, 'refused');
      return lines.join('').length;
    });
    expect(Math.max(...sizes)).toBeLessThan(300_000);
  });

  it('a line has an end', () => {
    const { logger, lines } = capture();
    logger.info({ many: Array.from({ length: 100 }, () => 'x'.repeat(5000)) }, 'long');
    expect(lines[0]!.length).toBeLessThan(17_000);
    expect(JSON.parse(lines[0]!)).toMatchObject({ msg: 'a log line was too long' });
  });
});
