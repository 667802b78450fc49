/**
 * The hosts of drachtio-srf's test bed (its docker-compose-testbed.yaml), as addresses of the loopback network. Each
 * name and each address of the test bed is replaced in the copies of its tests and scenarios.
 */
export interface Host {
  readonly name: string;
  /** Its address in the test bed, where one is written in a test. */
  readonly original?: string;
  readonly address: string;
  /** The sipp scenario that answers calls there all the time. */
  readonly scenario?: string;
}

export const SERVER_UNDER_TEST: Host = { name: 'drachtio-sut', address: '127.29.0.10' };
export const SECOND_SERVER: Host = { name: 'drachtio-uas', original: '172.29.0.19', address: '127.29.0.19' };

export const HOSTS: readonly Host[] = [
  SERVER_UNDER_TEST,
  SECOND_SERVER,
  { name: 'sipp-uas-cancel', address: '127.29.0.12', scenario: 'uas-cancel.xml' },
  { name: 'sipp-uas', original: '172.29.0.13', address: '127.29.0.13', scenario: 'uas.xml' },
  { name: 'sipp-uas-404', address: '127.29.0.14', scenario: 'uas-404.xml' },
  { name: 'sipp-uas-auth', original: '172.29.0.15', address: '127.29.0.15', scenario: 'uas-auth.xml' },
  { name: 'sipp-uas-auth-register', address: '127.29.0.16', scenario: 'uas-auth-register.xml' },
  { name: 'sipp-uas-auth-register-no-realm', address: '127.29.0.17', scenario: 'uas-auth-register-no-realm.xml' },
  { name: 'sipp-uas-refer', address: '127.29.0.18', scenario: 'uas-refer.xml' },
  { name: 'sipp-uas-fast-reinvite', address: '127.29.0.20', scenario: 'uas-reinvite.xml' },
  { name: 'sipp-uas-reinvite-overlap', address: '127.29.0.21', scenario: 'uas-reinvite-overlap.xml' },
  { name: 'sipp-uas-302', address: '127.29.0.22', scenario: 'uas-302.xml' },
  { name: 'sipp-uas-prack', address: '127.29.0.23', scenario: 'uas-prack.xml' },
  {
    name: 'sipp-uas-bye-with-auth',
    original: '172.29.0.24',
    address: '127.29.0.24',
    scenario: 'uas-bye-with-auth.xml',
  },
  {
    name: 'sipp-uas-reinvite-with-auth',
    original: '172.29.0.25',
    address: '127.29.0.25',
    scenario: 'uas-reinvite-with-auth.xml',
  },
  { name: 'sipp-uas-options', address: '127.29.0.26', scenario: 'uas-options-expect-200.xml' },
  { name: 'sipp-uas-407-no-auth-header', address: '127.29.0.27', scenario: 'uas-407-no-auth-header.xml' },
  { name: 'sipp-uas-200-ok-no-contact-cancel', address: '127.29.0.28', scenario: 'uas-200-ok-no-contact-cancel.xml' },
  { name: 'sipp-uas-fast-update', address: '127.29.0.29', scenario: 'uas-update-with-sdp.xml' },
  // Started by a test itself, as a container of that name.
  { name: 'sipp-uas-b-teardown', address: '127.29.0.30' },
];

/** What differs from one file of theirs: how sipp is started. */
export const SIPP_HELPER_CHANGES: readonly (readonly [string, string])[] = [
  ["const { spawn } = require('child_process');", "const { spawn } = require('./sipp-on-loopback');"],
];

/** The angle brackets of this expression end the element for the XML reader of a sipp as it is packaged. */
export const SCENARIO_CHANGES: readonly (readonly [string, string])[] = [
  ['regexp="<sip:(.*)>"', 'regexp="&lt;sip:(.*)&gt;"'],
];

/** A test or scenario of theirs for the loopback network. Config keys that are named like hosts stay. */
export function substituteHosts(text: string): string {
  let result = text;
  for (const { original, address } of HOSTS) {
    if (original !== undefined) result = result.replaceAll(original, address);
  }
  const longestFirst = [...HOSTS].sort((a, b) => b.name.length - a.name.length);
  for (const { name, address } of longestFirst) {
    const pattern = new RegExp(`(config\\.get\\()?(['"]|sip:)${name}(?![\\w-])`, 'g');
    result = result.replace(pattern, (whole, config: string | undefined, before: string) =>
      config === undefined ? `${before}${address}` : whole,
    );
  }
  for (const [from, to] of SCENARIO_CHANGES) result = result.replaceAll(from, to);
  return result;
}
