import { readReportedIdentity } from '../../../src/device/device-identity';
import { headerReader } from '../sip/support';

const contact = (user: string, parameters = ''): string => `<sip:${user}@10.0.0.7>${parameters}`;
const instance = (name: string): string => `;+sip.instance="<urn:${name}>"`;

describe('what a REGISTER with several contacts tells of its device', () => {
  test.each([
    ['the old contact goes, the new one has the instance', [contact('a', ';expires=0'), contact('b', instance('x'))]],
    ['the old one had another instance', [contact('a', `${instance('old')};expires=0`), contact('b', instance('x'))]],
    ['the first has none', [contact('a'), contact('b', instance('x'))]],
    ['all go', [contact('a', `${instance('x')};expires=0`), contact('b', ';expires=0')]],
  ])('%s', (_, contacts) => {
    const header = headerReader({ Contact: contacts.join(', '), To: '<sip:alice@acme.example>' });
    expect(readReportedIdentity(header).identity).toBe('instance:urn:x');
  });
});
