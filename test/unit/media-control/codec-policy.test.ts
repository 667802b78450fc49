import {
  chooseCodecPolicy,
  codecsToJoin,
  decideMediaPath,
  narrowed,
  type PolicyParty,
  termsFor,
} from '../../../src/media-control';
import type { DeviceConfig, GatewayConfig } from '../../../src/config/types';

function sdp(formats: string, more = ''): string {
  return `v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP ${formats}\r\n${more}`;
}

const policy = (...codecs: string[]) => ({ sites: ['dallas', 'san-jose'] as const, codecs });
const alice = (formats: string) => ({ name: 'alice', sdp: sdp(formats), codecs: undefined });
const bob = (formats: string) => ({ name: 'bob', sdp: sdp(formats), codecs: undefined });

describe('a codec policy between the sites of two ends', () => {
  test('claim M2: phones that share an allowed codec talk directly', () => {
    expect(decideMediaPath(alice('0 8'), bob('0 8'), policy('PCMA'))).toEqual({ path: 'direct' });
    expect(decideMediaPath(alice('0'), { sdp: undefined, codecs: undefined }, policy('pcmu'))).toEqual({
      path: 'direct',
    });
  });

  test('claim M2: an end that speaks nothing of what is allowed needs a transcoder near it', () => {
    expect(decideMediaPath(alice('0 9'), bob('0 18'), policy('G729', 'telephone-event'))).toEqual({
      path: 'through',
      needs: 'transcoder',
      reason: 'policy dallas/san-jose allows G729; alice speaks PCMU, G722',
      optional: false,
      outside: 'a',
    });
    expect(decideMediaPath(alice('18'), bob('0'), policy('G729'))).toMatchObject({
      reason: 'policy dallas/san-jose allows G729; bob speaks PCMU',
      outside: 'b',
    });
  });

  test('claim M2: two that share a codec which is not allowed between them, and speak others that are', () => {
    const path = decideMediaPath(alice('0 8'), bob('0 9'), policy('PCMA', 'G722'));
    expect(path).toEqual({
      path: 'through',
      needs: 'transcoder',
      reason: 'policy dallas/san-jose allows PCMA, G722; alice speaks PCMU, PCMA, bob speaks PCMU, G722',
      optional: false,
    });
  });

  test('without a common codec the reason is that, when both could speak something that is allowed', () => {
    expect(decideMediaPath(alice('0'), bob('8'), policy('PCMU', 'PCMA'))).toMatchObject({
      reason: 'no common codec: PCMU and PCMA',
    });
  });

  test('an end of which nothing is known is offered what is allowed', () => {
    const unknown = { sdp: undefined, codecs: undefined, policy: policy('G729', 'opus', 'telephone-event') };
    expect(termsFor('transcoder', unknown).codecs).toEqual(['G729', 'opus/48000/2', 'telephone-event']);
    expect(codecsToJoin([alice('0'), unknown])).toEqual(['PCMU', 'G729']);
    const configured = { ...unknown, codecs: ['PCMU', 'opus', 'G729', 'telephone-event'] };
    expect(termsFor('transcoder', configured).codecs).toEqual(['opus/48000/2', 'G729', 'telephone-event']);
    expect(termsFor('transcoder', { ...unknown, codecs: ['PCMA'] }).codecs).toEqual(['PCMA']);
  });

  test('narrows an offer in the order of the offerer, with digits; never down to nothing', () => {
    const events = 'a=rtpmap:101 telephone-event/8000\r\n';
    expect(narrowed(sdp('0 18 8 101', events), policy('PCMA', 'PCMU'))).toBe(sdp('0 8 101', events));
    expect(narrowed(sdp('0'), policy('G729'))).toBe(sdp('0'));
    expect(narrowed(sdp('0'), undefined)).toBe(sdp('0'));
  });
});

describe('which codec policy counts', () => {
  const config = {
    codecPolicies: [policy('G729'), { sites: ['dallas', 'dallas'] as const, codecs: ['opus'] }],
    devices: [
      { name: 'SEP-bob', lines: ['2000'], site: 'san-jose' },
      { name: 'SEP-one', lines: ['4000'], site: 'san-jose' },
      { name: 'SEP-two', lines: ['4000'], site: 'dallas' },
    ] as unknown as DeviceConfig[],
    gateways: [{ name: 'pstn', site: 'dallas' }] as unknown as GatewayConfig[],
    autoRegistration: { numbers: ['3000'], site: 'san-jose' } as never,
  };
  const party = (more: Partial<PolicyParty>): PolicyParty => ({
    device: 'SEP-alice',
    number: '1000',
    site: 'dallas',
    ...more,
  });
  const codecs = (one: PolicyParty, other: PolicyParty) => chooseCodecPolicy(config, one, other)?.codecs;

  test('that of the two sites, in either direction; or of the one site', () => {
    const other = party({ site: 'san-jose' });
    expect(codecs(party({}), other)).toEqual(['G729']);
    expect(codecs(other, party({}))).toEqual(['G729']);
    expect(codecs(party({}), party({}))).toEqual(['opus']);
    expect(codecs(other, other)).toBeUndefined();
    expect(codecs(party({}), party({ site: undefined }))).toBeUndefined();
  });

  test('a party of another node says its site itself, whatever its name and number', () => {
    expect(codecs(party({}), party({ device: 'node-2', number: '2000', site: 'austin' }))).toBeUndefined();
    expect(codecs(party({}), party({ device: 'node-2', number: '0123', site: 'san-jose' }))).toEqual(['G729']);
  });

  test('until its node has said who it is a device is of the site of its name, of that of its number if there is only one, or of its node', () => {
    const away = (device: string, number: string, site: string) => party({ device, number, site, unknown: true });
    expect(codecs(party({}), away('SEP-bob', '', 'austin'))).toEqual(['G729']);
    expect(codecs(party({}), away('node-2', '2000', 'austin'))).toEqual(['G729']);
    expect(codecs(party({}), away('node-2', '4000', 'san-jose'))).toBeUndefined();
    expect(codecs(party({}), away('node-2', '3000', 'austin'))).toEqual(['G729']);
    expect(codecs(party({}), away('pstn', '0123', 'austin'))).toEqual(['opus']);
    expect(codecs(party({}), away('node-2', '0123', 'san-jose'))).toEqual(['G729']);
    expect(codecs(party({}), away('node-2', '0123', 'austin'))).toBeUndefined();
  });
});
