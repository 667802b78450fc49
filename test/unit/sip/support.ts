import { createHash } from 'node:crypto';
import type { DeviceConfig } from '../../../src/config/types';
import type { HeaderReader, ReceivedRequest, SipSource } from '../../../src/sip/user-agent';

export interface RequestOptions {
  readonly method?: string;
  readonly uri?: string;
  readonly callId?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly contentType?: string;
  readonly source?: SipSource;
}

export const PHONE: SipSource = { protocol: 'udp', address: '10.0.0.7', port: 5062 };

export function headerReader(headers: Readonly<Record<string, string>>): HeaderReader {
  const byName = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return (name) => byName.get(name.toLowerCase());
}

export function receivedRequest(options: RequestOptions = {}): ReceivedRequest {
  return {
    method: options.method ?? 'REGISTER',
    uri: options.uri ?? 'sip:acme.example',
    callId: options.callId ?? 'call-1',
    header: headerReader(options.headers ?? {}),
    body: options.body ?? '',
    contentType: options.contentType,
    source: options.source ?? PHONE,
  };
}

export function deviceConfig(name: string, username: string, lines: readonly string[]): DeviceConfig {
  return {
    name,
    username,
    password: `${username}-password`,
    lines,
    site: 'dallas',
    displayName: undefined,
    mediaResourceGroupList: undefined,
    userClass: undefined,
    codecs: undefined,
    mtpRequired: false,
    digest: ['MD5'],
    mac: undefined,
    acceptListFromDevice: false,
    musicSource: undefined,
  };
}

export interface ClientOptions {
  readonly username: string;
  readonly password: string;
  readonly method: string;
  readonly uri: string;
  readonly nc?: number;
  readonly algorithm?: 'MD5' | 'SHA-256';
}

/** What a phone answers to a challenge, written independently of the code under test. */
export function credentialsFor(challenge: string, client: ClientOptions): string {
  const field = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1] ?? '';
  const algorithm = client.algorithm ?? 'MD5';
  const hash = (text: string): string =>
    createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
      .update(text)
      .digest('hex');
  const nc = (client.nc ?? 1).toString(16).padStart(8, '0');
  const [realm, nonce] = [field('realm'), field('nonce')];
  const response = hash(
    [
      hash(`${client.username}:${realm}:${client.password}`),
      nonce,
      nc,
      'c0ffee',
      'auth',
      hash(`${client.method}:${client.uri}`),
    ].join(':'),
  );
  return (
    `Digest username="${client.username}", realm="${realm}", nonce="${nonce}", uri="${client.uri}", ` +
    `response="${response}", algorithm=${algorithm}, qop=auth, nc=${nc}, cnonce="c0ffee"`
  );
}
