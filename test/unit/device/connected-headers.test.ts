import { connectedHeaders } from '../../../src/device/outgoing';

const DOMAIN = 'acme.example';
const ours = { number: '2000', displayName: 'Bob' };
const hidden = { ...ours, privacy: 'id' };
const outside = { number: '+15550100', displayName: undefined, outside: true } as const;

describe('who a device is told that it is connected with', () => {
  it.each([
    ['one of us to a phone', ours, 'station', '"Bob" <sip:2000@acme.example>', 'yes', 'off', true],
    ['one of us to a gateway', ours, 'gateway', '"Bob" <sip:2000@acme.example>', 'yes', 'off', true],
    ['who hides to a phone', hidden, 'station', '"Anonymous" <sip:anonymous@anonymous.invalid>', 'no', 'full', false],
    ['who hides to a gateway', hidden, 'gateway', '"Bob" <sip:2000@acme.example>', 'yes', 'full', true],
    ['somebody outside to a phone', outside, 'station', '<sip:+15550100@acme.example>', 'no', 'off', false],
    ['somebody outside to a gateway', outside, 'gateway', '<sip:+15550100@acme.example>', 'no', 'off', false],
  ] as const)('%s', (_, party, towards, shown, screen, privacy, asserted) => {
    const headers = connectedHeaders(party, DOMAIN, towards, 'called');
    expect(headers['Remote-Party-ID']).toBe(`${shown};party=called;screen=${screen};privacy=${privacy}`);
    expect(headers['P-Asserted-Identity']).toBe(asserted ? '"Bob" <sip:2000@acme.example>' : undefined);
    expect(headers['Privacy']).toBe(party === hidden && towards === 'gateway' ? 'id' : undefined);
  });
});
