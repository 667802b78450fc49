import { SipDomain } from '../../../src/sip/domain';
import { formatIdentity, readAssertedIdentity, readIdentity, sipUri } from '../../../src/sip/identity';
import { readRequestUri } from '../../../src/sip/request-uri';
import { statusTowardsCaller } from '../../../src/sip/status';

describe('identities', () => {
  test('From and P-Asserted-Identity are read', () => {
    expect(readIdentity('"Alice \\"A\\"" <sip:1000@acme.example>;tag=x')).toEqual({
      user: '1000',
      host: 'acme.example',
      displayName: 'Alice "A"',
    });
    expect(readAssertedIdentity('<sip:1000@acme.example>, <tel:+15551000>')).toMatchObject({ user: '1000' });
    expect(readIdentity('<tel:+15551000>')).toEqual({ user: '+15551000', host: '', displayName: undefined });
  });

  test.each([undefined, '', '<', 'x', '<mailto:a@b>', '"open <sip:a@b>'])('%j is no identity', (header) => {
    expect(readIdentity(header)).toBeUndefined();
    expect(readAssertedIdentity(header)).toBeUndefined();
  });

  test('what is written can be read, whatever the name', () => {
    for (const name of ['Alice', 'A "quoted" \\ name', 'Åsa, Ö', '<sip:x@y>'])
      expect(readIdentity(formatIdentity('1000', name, 'acme.example'))).toMatchObject({
        user: '1000',
        displayName: name,
      });
  });

  test('nothing in a name or number can begin a new header', () => {
    const written = formatIdentity('10\r\n00', 'Alice\r\nX-Evil: 1', 'acme.example');
    expect(written).toBe('<sip:acme.example>');
  });

  test('IPv6 hosts are written in brackets, user parts escaped', () => {
    expect(sipUri('12#3', '::1', { port: 5060 })).toBe('sip:12%233@[::1]:5060');
  });
});

describe('our domain', () => {
  const domain = new SipDomain('Acme.Example', ['10.0.0.1', '[::1]']);

  test.each(['acme.example', 'ACME.example.', '10.0.0.1', '::1', '[::1]'])('%s is ours', (host) => {
    expect(domain.hasHost(host)).toBe(true);
  });

  test.each(['example', 'acme.example.org', '10.0.0.10', ''])('%j is not', (host) => {
    expect(domain.hasHost(host)).toBe(false);
  });
});

describe('numbering contexts (RFC 3966 §5.1.5)', () => {
  const domain = new SipDomain('Acme.Example', ['10.0.0.1', 'pbx.acme.example']);

  test.each([undefined, 'acme.example', 'PBX.acme.example.', '10.0.0.1'])('%s is ours', (context) => {
    expect(domain.hasContext(context)).toBe(true);
  });

  test.each(['', '+44', '+1-214', 'example', 'elsewhere.example'])('%j is not', (context) => {
    expect(domain.hasContext(context)).toBe(false);
  });
});

describe('listeners', () => {
  test('a listener on the loopback is localhost too; a wildcard one has every address of the machine', () => {
    const domain = new SipDomain('acme.example');
    expect(domain.hasUri('sip:alice@localhost:5060')).toBe(false);
    domain.addListener('0.0.0.0');
    expect(domain.hasUri('sip:alice@127.0.0.1:5060')).toBe(true);
    expect(domain.hasUri('sip:alice@localhost:5060')).toBe(true);
    expect(domain.hasUri('sip:alice@0.0.0.0')).toBe(false);
  });
});

describe('request URIs', () => {
  test.each([
    ['sip:2000@acme.example', '2000'],
    ['sip:%32000@acme.example', '2000'],
    ['sip:+1-214-555(0100)@acme.example;user=phone', '+12145550100'],
    ['tel:+1-214-555-0100', '+12145550100'],
    ['sip:2000;phone-context=x@acme.example', '2000'],
    ['sip:bob.smith@acme.example', 'bob.smith'],
    ['sip:*98%23@acme.example', '*98#'],
    ['sip:acme.example', ''],
  ])('%s dials %j', (uri, dialled) => {
    expect(readRequestUri(uri)).toMatchObject({ dialled, pid: undefined });
  });

  test.each([
    ['tel:2000', undefined],
    ['tel:+442000', undefined],
    ['tel:+442000;phone-context=+44', undefined],
    ['tel:2000;phone-context=+44', '+44'],
    ['tel:2000;PHONE-Context=Acme.Example', 'Acme.Example'],
    ['tel:2000;phone-context', ''],
    ['tel:20-00;ext=1;phone-context=+1-214', '+1-214'],
    ['sip:2000;phone-context=+44@acme.example;user=phone', '+44'],
    ['sip:2000;ext=1;Phone-Context=%2B44@acme.example', '+44'],
    ['sip:2000;phone-context@acme.example;user=phone', ''],
    ['sip:+442000;phone-context=+44@acme.example;user=phone', undefined],
    ['sip:2000@acme.example;phone-context=+44', undefined],
  ])('RFC 3966 §5.1.5: %s is of the context %p', (uri, context) => {
    expect(readRequestUri(uri)?.context).toBe(context);
  });

  test.each(['', 'mailto:a@b', 'sip:%zz@h', `sip:${'1'.repeat(200)}@h`, 'sip:a%0d%0ab@h'])(
    '%j dials nothing',
    (uri) => {
      expect(readRequestUri(uri)).toBeUndefined();
    },
  );

  test('the PID of a process is a parameter', () => {
    expect(readRequestUri('sip:2000@h;transport=tcp;pid=2.dp.1;boot=7')).toMatchObject({ pid: '2.dp.1', boot: '7' });
  });
});

describe('status', () => {
  test.each([
    [486, 486],
    [603, 603],
    [404, 404],
    [302, 480],
    [401, 503],
    [407, 503],
    [410, 480],
    [491, 500],
    [999, 500],
  ])('the callee’s %i is %i towards the caller', (status, expected) => {
    expect(statusTowardsCaller(status)).toBe(expected);
  });
});
