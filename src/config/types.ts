import type { FeatureCodes } from './feature-codes';

/** The configuration of the whole cluster, checked and with its defaults filled in. Frozen. */
export interface TandemConfig {
  readonly cluster: ClusterConfig;
  readonly registrar: RegistrarConfig;
  readonly sourceLimits: SourceLimitsConfig;
  readonly nodes: readonly NodeConfig[];
  readonly sites: Readonly<Record<string, SiteConfig>>;
  readonly devices: readonly DeviceConfig[];
  readonly numbers: readonly NumberConfig[];
  /** Undefined: every device is configured. */
  readonly autoRegistration: AutoRegistrationConfig | undefined;
  readonly gateways: readonly GatewayConfig[];
  readonly routes: readonly RouteConfig[];
  readonly mediaResources: readonly MediaResourceConfig[];
  readonly mediaResourceGroups: readonly MediaResourceGroupConfig[];
  readonly mediaResourceGroupLists: readonly MediaResourceGroupListConfig[];
  readonly musicSources: readonly MusicSourceConfig[];
  readonly conferences: readonly ConferenceConfig[];
  readonly featureCodes: FeatureCodes;
  /** Undefined: nothing is parked. */
  readonly park: ParkConfig | undefined;
  readonly codecPolicies: readonly CodecPolicyConfig[];
}

export interface ClusterConfig {
  readonly name: string;
  /** SIP realm. */
  readonly domain: string;
  /** Other names and addresses of the same exchange. */
  readonly domains?: readonly string[];
  readonly secret: string;
  /** Undefined: a single node on the in-process bus. */
  readonly redis: RedisConfig | undefined;
  /** Bearer token of the HTTP API; without it the API listens on loopback only. */
  readonly adminToken: string | undefined;
  /** Pages that may open WebSockets: origins, hosts, `.domain`, `*`; undefined: those of the exchange itself. */
  readonly webSocketOrigins?: readonly string[];
  /** Claim R14: calls to other nodes name the device process there, or only the number. */
  readonly signalling: 'direct' | 'tunnelled';
  /** For how long a call waits for the phone whose call manager has died; 0: not at all. */
  readonly surviveSeconds: number;
}

/** Either `url` or `sentinel` is there. */
export interface RedisConfig {
  /** `redis://`, `rediss://` or `unix://`; it may hold a user and a password. */
  readonly url: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** TLS, also to the sentinels; undefined: none, unless the URL says so. */
  readonly tls: RedisTlsConfig | undefined;
  readonly sentinel: SentinelConfig | undefined;
}

/** Absolute paths of PEM files. */
export interface RedisTlsConfig {
  /** Undefined: the authorities that Node.js knows. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Name in the certificate, when it is not the name or address that is connected to. */
  readonly serverName: string | undefined;
}

export interface SentinelConfig {
  /** Name of the watched master. */
  readonly master: string;
  readonly nodes: readonly { readonly address: string; readonly port: number }[];
  /** Of the sentinels themselves. */
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** What one source address may send to the embedded SIP server. */
export interface SourceLimitsConfig {
  /** 0: any number. Loopback is never limited. */
  readonly requestsPerSecond: number;
  /** Addresses and networks that are not listened to. */
  readonly ban: readonly string[];
}

/** Seconds. */
export interface ExpiryConfig {
  readonly minExpires: number;
  readonly defaultExpires: number;
  readonly maxExpires: number;
}

export interface RegistrarConfig extends ExpiryConfig {
  /** Between two polls of a phone that is not known well; 0: phones are not polled. */
  readonly pollSeconds: number;
  /** Polls in a row without an answer by which a phone counts as gone. */
  readonly pollMisses: number;
  /** Of one node, at most. */
  readonly pollsPerSecond: number;
  /** How a REGISTER is answered that a node does not take: 503, or 305 with another node. */
  readonly turnAway: 'refuse' | 'redirect';
}

export interface ListenConfig {
  readonly protocol: 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';
  readonly address: string;
  readonly port: number;
  /** `ADDRESS` or `ADDRESS:PORT` that is told to others for this listener. */
  readonly announced?: string;
}

/** Absolute paths of PEM files. */
export interface TlsConfig {
  readonly key: string;
  readonly cert: string;
  readonly ca: string | undefined;
}

export interface NodeConfig {
  readonly id: number;
  readonly name: string;
  readonly site: string;
  readonly listen: readonly ListenConfig[];
  readonly drachtio: 'embedded' | { readonly host: string; readonly port: number; readonly secret: string };
  /** HTTP API; undefined: none. */
  readonly admin: { readonly address: string; readonly port: number } | undefined;
  /** For `tls` and `wss` listeners. */
  readonly tls: TlsConfig | undefined;
  /** Announced address, when it is not the address of the listeners. */
  readonly address: string | undefined;
  /** Most devices that may be registered here. */
  readonly capacity: number | undefined;
  /** Responses over UDP go to the source port, also without `rport` (RFC 3581). */
  readonly forceRport: boolean;
  /** How long SIGTERM waits for calls to end. */
  readonly drainSeconds: number;
  /** Absolute path; the node's journal of registrations. */
  readonly stateDir: string;
  /** Absolute path of the folder from which media engines play; undefined: `music` in `stateDir`. */
  readonly musicDir?: string | undefined;
}

export interface SiteConfig {
  /** Node numbers, in the order in which its phones should use them; empty: any. */
  readonly nodes: readonly number[];
  readonly mediaResourceGroupList: string | undefined;
  readonly codecs: readonly string[] | undefined;
  /** Music that parties held by devices of this site hear, unless the device has its own. */
  readonly musicSource: string | undefined;
}

/** Plain RTP, SRTP with keys in the description (RFC 4568), SRTP with keys by DTLS (RFC 5764). */
export type MediaSecurity = 'none' | 'sdes' | 'dtls';

export type DigestAlgorithm = 'MD5' | 'SHA-256';

export interface DeviceConfig {
  readonly name: string;
  readonly username: string;
  readonly password: string;
  readonly lines: readonly string[];
  readonly site: string | undefined;
  readonly displayName: string | undefined;
  readonly mediaResourceGroupList: string | undefined;
  readonly userClass: string | undefined;
  readonly codecs: readonly string[] | undefined;
  readonly mtpRequired: boolean;
  /** How the device encrypts its media, where its descriptions have not told yet. */
  readonly mediaSecurity?: MediaSecurity | undefined;
  /** False: the device cannot take an INVITE without an offer. */
  readonly delayedOffer?: boolean;
  /** Strongest first. */
  readonly digest: readonly DigestAlgorithm[];
  readonly mac: string | undefined;
  /** Claim M14. */
  readonly acceptListFromDevice: boolean;
  /** Music that parties held by this device hear. */
  readonly musicSource: string | undefined;
  /** Its calls go on when their call manager dies; undefined: when it says that it knows Replaces (RFC 3891). */
  readonly survive?: boolean | undefined;
}

/** Where calls are parked. */
export interface ParkConfig {
  /** Numbers, each once. */
  readonly slots: readonly string[];
  /** After so long who has parked a call is called back; 0: never. */
  readonly recallSeconds: number;
}

/** What a line has of its own, whatever its devices. */
export interface NumberConfig {
  /** A line of one or more devices. */
  readonly number: string;
  /** Of those of its devices that have none. */
  readonly displayName: string | undefined;
  /** Calls with which the line is busy for others; undefined: never, as far as we count. */
  readonly busyTrigger: number | undefined;
  /** Calls with which none can be made on it either; undefined: any number. */
  readonly maxCalls: number | undefined;
  /** How long it rings; undefined: the default. */
  readonly noAnswerSeconds: number | undefined;
  /** Devices with a line of the same group may answer for one that rings. */
  readonly pickupGroup: string | undefined;
  /** What one device of the line does is nothing to the others: they take over no call, join none, and are not told with whom it is. */
  readonly privacy?: boolean | undefined;
  /** Devices that may join a call of the line beside those that have it. */
  readonly mayBarge?: readonly string[] | undefined;
}

/** Claim R16: devices that are not configured are given a number. Either an account or networks, or both. */
export interface AutoRegistrationConfig {
  /** Directory numbers, each once. */
  readonly numbers: readonly string[];
  /** The account that these devices share; undefined: whoever is in one of the networks is let in. */
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Networks that these devices may be in; empty: any. */
  readonly from: readonly string[];
  readonly site: string | undefined;
  readonly mediaResourceGroupList: string | undefined;
  readonly userClass: string | undefined;
  readonly codecs: readonly string[] | undefined;
}

export interface GatewayConfig {
  readonly name: string;
  /** Undefined: it registers, with any node, which then controls it. */
  readonly uri: string | undefined;
  readonly site: string | undefined;
  /** Node numbers, in order: the first live one owns the gateway. Empty for one that registers. */
  readonly nodes: readonly number[];
  /** Digest of the gateway towards us and of us towards the gateway. */
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The realms of its challenges that we answer; undefined: any. */
  readonly realms?: readonly string[] | undefined;
  /** Its address does not prove who it is: its requests must have its credentials. */
  readonly authenticate?: boolean;
  readonly mediaResourceGroupList: string | undefined;
  readonly userClass: string | undefined;
  readonly codecs: readonly string[] | undefined;
  readonly mediaSecurity?: MediaSecurity | undefined;
  /** False: the gateway cannot take an INVITE without an offer. */
  readonly delayedOffer?: boolean;
}

export interface RouteConfig {
  readonly pattern: string;
  /** Gateway names, in order. */
  readonly targets: readonly string[];
}

/** `udp:127.0.0.1:22222`; `http` for janus. */
export interface ControlAddress {
  readonly protocol: ListenConfig['protocol'] | 'http';
  readonly address: string;
  readonly port: number;
}

export interface MediaResourceConfig {
  readonly name: string;
  readonly type: 'moh' | 'transcoder' | 'mtp' | 'conference';
  readonly engine: 'rtpengine' | 'freeswitch' | 'janus';
  readonly control: ControlAddress;
  /** janus: the rtpengine that stands before it. */
  readonly rtpengine?: ControlAddress | undefined;
  /** janus: `admin_key` of its AudioBridge. */
  readonly adminKey?: string | undefined;
  /** janus: `api_secret`. */
  readonly apiSecret?: string | undefined;
  /** The node that controls it. */
  readonly node: number;
  readonly site: string | undefined;
  /** Sessions at a time. */
  readonly capacity: number;
  /** Music on hold: false: every held party has a player of its own. */
  readonly sharedMusic?: boolean | undefined;
  /** FreeSWITCH: where its event socket is. */
  readonly eventSocket?: EventSocketConfig | undefined;
}

export interface EventSocketConfig {
  readonly address: string;
  readonly port: number;
  readonly password: string;
}

export interface MediaResourceGroupConfig {
  readonly name: string;
  /** In order. */
  readonly devices: readonly string[];
  /** Only devices of this site may be in it (claim M8). */
  readonly site: string | undefined;
  /** Only for devices of these classes (claim M9); undefined: for all. */
  readonly userClasses: readonly string[] | undefined;
  readonly selection: 'ordered' | 'round-robin';
}

export interface MediaResourceGroupListConfig {
  readonly name: string;
  /** In order. */
  readonly groups: readonly string[];
}

export interface ConferenceConfig {
  /** Who calls it is in the conference; for a factory: in a new one. */
  readonly number: string;
  /** A device name. */
  readonly name: string;
  readonly type: 'meet-me' | 'factory';
  /** Node numbers, in order: the first live one owns it. */
  readonly nodes: readonly number[];
  readonly maxMembers: number;
  /** When it is over. */
  readonly endPolicy: 'last-leaves' | 'initiator-leaves';
}

/** Between devices of these two sites (or of one, named twice) only these codecs are used. */
export interface CodecPolicyConfig {
  readonly sites: readonly [string, string];
  readonly codecs: readonly string[];
}

export interface MusicSourceConfig {
  readonly name: string;
  /** Absolute path of a file that every engine of the cluster can read. */
  readonly file: string;
  /** Parties held in calls of these lines hear it, whatever the device. */
  readonly lines: readonly string[];
}
