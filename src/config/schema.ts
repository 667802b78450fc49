import { isIP } from 'node:net';
import { z } from 'zod';
import { canonicalHost } from '../process/address';
import { parseNetwork } from '../process/networks';
import { poolSchema } from './number-pool';
import { parsePattern } from './pattern-syntax';
import type { ControlAddress, ListenConfig } from './types';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const HOST = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;
const PROTOCOLS = ['udp', 'tcp', 'tls', 'ws', 'wss'] as const;

/** Names of things; they go into URIs, channel names and labels. */
const name = z
  .string()
  .regex(NAME, 'must be a name: letters, digits, ".", "_" and "-", at most 64, no "." or "-" in front');
const text = z.string().min(1, 'must not be empty').max(1024, 'must be at most 1024 characters');
const oneLine = text.regex(/^[^\p{Cc}]*$/u, 'must not contain control characters');
/** It may stand in the files of other programs as it is. */
const secretText = z.string().regex(/^[A-Za-z0-9._~-]{8,128}$/, 'must be 8 to 128 letters, digits or any of ._~-');
const host = z.string().regex(HOST, 'must be a host name or an address').or(z.ipv6());

/** A whole number; also as text, since that is what an environment variable gives. */
function whole(min: number, max: number): z.ZodType<number> {
  const message = `must be a whole number from ${min} to ${max}`;
  return z.preprocess(
    (value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value),
    z.number(message).int(message).min(min, message).max(max, message),
  );
}

/** Parses `127.0.0.1:8080` or `[::1]:8080`. */
function parseAddress(value: string): { address: string; port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  const address = match?.[1] ?? match?.[2];
  if (address === undefined || port > 65535) return undefined;
  if (match?.[1] !== undefined ? isIP(address) !== 6 : !HOST.test(address)) return undefined;
  return { address: match?.[1] === undefined ? address : canonicalHost(address), port };
}

function isProtocol(value: string): value is ListenConfig['protocol'] {
  return PROTOCOLS.some((protocol) => protocol === value);
}

const address = z.string().transform((value, context) => {
  const parsed = parseAddress(value);
  if (parsed !== undefined) return parsed;
  context.addIssue('must be ADDRESS:PORT, for example 127.0.0.1:8080 or [::1]:8080');
  return z.NEVER;
});

const transportAddress = z.string().transform((value, context): ListenConfig => {
  const colon = value.indexOf(':');
  const protocol = value.slice(0, Math.max(0, colon));
  const parsed = parseAddress(value.slice(colon + 1));
  if (isProtocol(protocol) && parsed !== undefined) return { protocol, ...parsed };
  context.addIssue(`must be PROTOCOL:ADDRESS:PORT with one of ${PROTOCOLS.join(', ')}, for example udp:127.0.0.1:5060`);
  return z.NEVER;
});

/** `203.0.113.9`, `sip.example.com:5061`, `[2001:db8::1]`. */
const ANNOUNCED = /^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/;

/** A transport address, and perhaps `@` and the address to announce for it. */
const listen = z
  .string()
  .transform((value, context): ListenConfig => {
    const at = value.indexOf('@');
    const own = transportAddress.safeParse(at < 0 ? value : value.slice(0, at));
    const announced = at < 0 ? undefined : value.slice(at + 1);
    if (!own.success) context.addIssue(own.error.issues[0]?.message ?? 'must be PROTOCOL:ADDRESS:PORT');
    else if (announced === undefined) return own.data;
    else if (ANNOUNCED.test(announced)) return { ...own.data, announced };
    else context.addIssue('must have ADDRESS or ADDRESS:PORT behind the "@"');
    return z.NEVER;
  })
  .refine((value) => isIP(value.address) !== 0, 'must name an IP address, not a host name');

/** PEM files. */
export const tlsSchema = z.strictObject({ key: oneLine, cert: oneLine, ca: oneLine.optional() });

const digits = z
  .string('must be text: put it in quotes')
  .regex(/^\+?[0-9*#]{1,31}$/, 'must be 1 to 31 digits ("*" and "#" count; "+" may be in front)');

const username = z
  .string('must be text: put it in quotes')
  .regex(/^[A-Za-z0-9._~!*'()+-]{1,64}$/, "must be 1 to 64 letters, digits or any of ._~!*'()+-");

const pattern = z.string('must be text: put it in quotes').superRefine((value, context) => {
  const result = parsePattern(value);
  if (!result.ok) context.addIssue(`not a pattern: ${result.message}`);
});

const codecNames = z
  .array(z.string().regex(/^[A-Za-z0-9._+-]{1,32}(\/\d{4,6}(\/\d)?)?$/, 'must be a codec name, for example PCMU'))
  .min(1, 'must name at least one codec');

const codecs = codecNames.optional();

const mediaSecurity = z.enum(['none', 'sdes', 'dtls'], 'must be none, sdes or dtls').optional();

/** False for devices that cannot take an INVITE without an offer. */
const delayedOffer = z.boolean('must be true or false').default(true);

const sipUri = z
  .string()
  .regex(
    /^sips?:([A-Za-z0-9._~!*'()%+-]{1,64}@)?([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(;[A-Za-z0-9._-]+(=[A-Za-z0-9._-]+)?)*$/,
    'must be a SIP URI, for example sip:192.0.2.10:5060',
  );

const redisUrl = z
  .string()
  .regex(/^(rediss?:\/\/[^\s/]+(\/\d{0,4})?|unix:\/\/\S+)$/, 'must be a URL such as redis://127.0.0.1:6379')
  .refine(isReadableUrl, 'must be a URL such as redis://127.0.0.1:6379; write special characters of a password as %XX');

/** The driver takes user and password out of the URL and decodes them. */
function isReadableUrl(value: string): boolean {
  try {
    const { username, password } = new URL(value.replace(/^unix:/, 'redis:'));
    return decodeURIComponent(username + password).length >= 0;
  } catch {
    return value.startsWith('unix:///');
  }
}

export const redisTlsSchema = z.strictObject({
  ca: oneLine.optional(),
  cert: oneLine.optional(),
  key: oneLine.optional(),
  serverName: z.string().regex(HOST, 'must be a host name').optional(),
});

export const sentinelSchema = z.strictObject({
  master: name,
  nodes: z
    .array(address.refine(({ port }) => port > 0, 'must name a port'))
    .min(1, 'must name at least one sentinel')
    .max(32, 'must be at most 32 sentinels'),
  username: oneLine.optional(),
  password: oneLine.optional(),
});

export const redisSchema = z.strictObject({
  url: redisUrl.optional(),
  username: oneLine.optional(),
  password: oneLine.optional(),
  tls: redisTlsSchema.optional(),
  sentinel: sentinelSchema.optional(),
});

const network = z
  .string()
  .refine((value) => parseNetwork(value) !== undefined, 'must be an address or a network, for example 192.0.2.0/24');

/** `https://phones.example.com`, a host, `.example.com`, `*`; `null` is what pages without an address have. */
const webOrigin = z
  .string()
  .regex(
    /^(\*|null|(https?:\/\/)?(\.?[A-Za-z0-9][A-Za-z0-9.-]{0,251}|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?)$/,
    'must be an origin such as https://phones.example.com, a host, ".example.com" for all hosts below it, or "*"',
  )
  .refine(
    (value) => value.includes('://') || !/^[^[]*:\d+$/.test(value),
    'with a port it needs https:// or http:// in front',
  );

export const clusterSchema = z.strictObject({
  name,
  domain: z.string().regex(HOST, 'must be a domain name'),
  domains: z.array(host).max(100, 'must be at most 100 names').optional(),
  secret: text,
  redis: redisUrl.or(redisSchema).optional(),
  adminToken: text.min(16, 'must be at least 16 characters').optional(),
  webSocketOrigins: z.array(webOrigin).max(1000, 'must be at most 1000 origins').optional(),
  signalling: z.enum(['direct', 'tunnelled'], 'must be direct or tunnelled').default('direct'),
  surviveSeconds: whole(0, 86_400).default(300),
});

export const registrarSchema = z.strictObject({
  minExpires: whole(1, 86_400).default(30),
  defaultExpires: whole(1, 86_400).default(120),
  maxExpires: whole(1, 604_800).default(3600),
  pollSeconds: whole(0, 86_400).default(30),
  pollMisses: whole(1, 100).default(3),
  pollsPerSecond: whole(1, 10_000).default(100),
  turnAway: z.enum(['refuse', 'redirect'], 'must be refuse or redirect').default('refuse'),
});

export const sourceLimitsSchema = z.strictObject({
  requestsPerSecond: whole(0, 1_000_000).default(5000),
  ban: z.array(network).max(1000, 'must be at most 1000 networks').default([]),
});

export const drachtioSchema = z.strictObject({ host, port: whole(1, 65_535), secret: text });

export const nodeSchema = z.strictObject({
  // A PID carries the node number in at most six digits.
  id: whole(1, 999_999),
  name,
  site: text,
  listen: z.array(listen).max(64, 'must be at most 64 listeners').default([]),
  drachtio: z.literal('embedded').or(drachtioSchema).default('embedded'),
  admin: address.optional(),
  tls: tlsSchema.optional(),
  address: host.optional(),
  forceRport: z.boolean('must be true or false').default(false),
  capacity: whole(1, 1_000_000).optional(),
  drainSeconds: whole(0, 86_400).default(10),
  stateDir: oneLine.optional(),
  musicDir: oneLine.optional(),
});

export const siteSchema = z.strictObject({
  mediaResourceGroupList: text.optional(),
  codecs,
  nodes: z.array(whole(1, 999_999)).max(100, 'must be at most 100 nodes').default([]),
  musicSource: text.optional(),
});

export const deviceSchema = z.strictObject({
  name,
  username,
  password: oneLine,
  lines: z.array(digits).max(32, 'must be at most 32 lines'),
  site: text.optional(),
  displayName: oneLine.max(128, 'must be at most 128 characters').optional(),
  mediaResourceGroupList: text.optional(),
  userClass: name.optional(),
  codecs,
  mtpRequired: z.boolean('must be true or false').default(false),
  mediaSecurity,
  delayedOffer,
  digest: z
    .array(z.enum(['MD5', 'SHA-256'], 'must be MD5 or SHA-256'))
    .min(1, 'must name at least one algorithm')
    .default(['MD5']),
  mac: z
    .string()
    .regex(/^[0-9A-Fa-f]{2}([:-]?[0-9A-Fa-f]{2}){5}$/, 'must be a MAC address')
    .optional(),
  acceptListFromDevice: z.boolean('must be true or false').default(false),
  musicSource: text.optional(),
  survive: z.boolean('must be true or false').optional(),
});

/** The most calls that a limit of a line may name. */
const MAX_LINE_CALLS = 200;

export const numberSchema = z.strictObject({
  number: digits,
  displayName: oneLine.max(128, 'must be at most 128 characters').optional(),
  busyTrigger: whole(1, MAX_LINE_CALLS).optional(),
  maxCalls: whole(1, MAX_LINE_CALLS).optional(),
  noAnswerSeconds: whole(1, 3600).optional(),
  pickupGroup: name.optional(),
  privacy: z.boolean('must be true or false').optional(),
  mayBarge: z.array(text).max(100, 'must be at most 100 devices').optional(),
});

export const autoRegistrationSchema = z.strictObject({
  numbers: poolSchema,
  username: username.optional(),
  password: oneLine.optional(),
  from: z.array(network).max(1000, 'must be at most 1000 networks').default([]),
  site: text.optional(),
  mediaResourceGroupList: text.optional(),
  userClass: name.optional(),
  codecs,
});

export const gatewaySchema = z.strictObject({
  name,
  uri: sipUri.optional(),
  site: text.optional(),
  nodes: z.array(whole(1, 999_999)).min(1, 'must name at least one node').optional(),
  username: oneLine.optional(),
  password: oneLine.optional(),
  realms: z.array(oneLine).min(1, 'must name at least one realm').optional(),
  authenticate: z.boolean('must be true or false').default(false),
  mediaResourceGroupList: text.optional(),
  userClass: name.optional(),
  codecs,
  mediaSecurity,
  delayedOffer,
});

export const routeSchema = z.strictObject({
  pattern,
  targets: z.array(text).min(1, 'a route without target leads nowhere: name a gateway'),
});

/** Of FreeSWITCH. */
export const eventSocketSchema = z.strictObject({ address, password: oneLine });

/** `udp:127.0.0.1:22222`; for janus `http:127.0.0.1:8088`. */
const controlAddress = z.string().transform((value, context): ControlAddress => {
  const web = value.startsWith('http:') ? parseAddress(value.slice('http:'.length)) : undefined;
  const control = web === undefined ? transportAddress.safeParse(value) : undefined;
  if (web !== undefined) return { protocol: 'http', ...web };
  if (control?.success === true) return control.data;
  context.addIssue('must be PROTOCOL:ADDRESS:PORT, for example udp:127.0.0.1:22222; for janus http:127.0.0.1:8088');
  return z.NEVER;
});

export const mediaResourceSchema = z.strictObject({
  name,
  type: z.enum(['moh', 'transcoder', 'mtp', 'conference'], 'must be moh, transcoder, mtp or conference'),
  engine: z.enum(['rtpengine', 'freeswitch', 'janus'], 'must be rtpengine, freeswitch or janus'),
  control: controlAddress.refine((value) => value.port > 0, 'must name a port'),
  rtpengine: controlAddress.refine((value) => value.port > 0, 'must name a port').optional(),
  adminKey: secretText.optional(),
  apiSecret: secretText.optional(),
  node: whole(1, 999_999),
  site: text.optional(),
  capacity: whole(1, 100_000),
  sharedMusic: z.boolean('must be true or false').optional(),
  eventSocket: eventSocketSchema.optional(),
});

export const mediaResourceGroupSchema = z.strictObject({
  name,
  devices: z.array(text).max(1000, 'must be at most 1000 devices'),
  site: text.optional(),
  userClasses: z.array(name).min(1, 'must name at least one class; leave it out for all').optional(),
  selection: z.enum(['ordered', 'round-robin'], 'must be ordered or round-robin').default('ordered'),
});

export const mediaResourceGroupListSchema = z.strictObject({
  name,
  groups: z.array(text).max(1000, 'must be at most 1000 groups'),
});

export const parkSchema = z.strictObject({
  slots: poolSchema,
  recallSeconds: whole(0, 86_400).default(120),
});

export const conferenceSchema = z.strictObject({
  number: digits,
  name,
  type: z.enum(['meet-me', 'factory'], 'must be meet-me or factory').default('meet-me'),
  nodes: z.array(whole(1, 999_999)).min(1, 'must name at least one node').optional(),
  maxMembers: whole(2, 10_000).default(50),
  endPolicy: z
    .enum(['last-leaves', 'initiator-leaves'], 'must be last-leaves or initiator-leaves')
    .default('last-leaves'),
});

export const musicSourceSchema = z.strictObject({
  name: name.refine(
    (value) => value !== 'default',
    'must not be "default": that is the music that Tandem makes itself',
  ),
  file: oneLine,
  lines: z.array(digits).max(10_000, 'must be at most 10000 lines').default([]),
});

export const codecPolicySchema = z.strictObject({
  between: z.array(text).length(2, 'must name two sites').optional(),
  within: text.optional(),
  codecs: codecNames,
});

/** The sections of the file, in the order of the documentation. */
export const SECTIONS = [
  'cluster',
  'registrar',
  'tls',
  'sourceLimits',
  'nodes',
  'sites',
  'devices',
  'numbers',
  'autoRegistration',
  'gateways',
  'routes',
  'mediaResources',
  'mediaResourceGroups',
  'mediaResourceGroupLists',
  'musicSources',
  'conferences',
  'featureCodes',
  'park',
  'codecPolicies',
] as const;

export const siteNameSchema = name;
