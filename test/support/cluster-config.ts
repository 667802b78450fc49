/** A configuration file for tests, as a plain value; JSON is YAML. Sites, phones and lists as in the two-site demo. */

import type { ExternalServer } from './drachtio';

export const domain = 'tandem.test';

export interface TestDevice {
  readonly name: string;
  readonly username: string;
  readonly password: string;
  readonly lines: readonly string[];
  site?: string;
  displayName?: string;
  mediaResourceGroupList?: string;
  userClass?: string;
  codecs?: readonly string[];
  mtpRequired?: boolean;
  delayedOffer?: boolean;
  acceptListFromDevice?: boolean;
}

export interface TestGateway {
  readonly name: string;
  /** Left out: it registers. */
  readonly uri?: string;
  readonly site: string;
  readonly nodes?: readonly number[];
  readonly username?: string;
  readonly password?: string;
}

export interface TestMediaResource {
  readonly name: string;
  readonly type: 'moh' | 'transcoder' | 'mtp' | 'conference';
  readonly engine: string;
  readonly control: string;
  readonly node: number;
  readonly site: string;
  capacity: number;
  /** Music: false: every held party has a player of its own. */
  sharedMusic?: boolean;
}

export interface TestConference {
  readonly number: string;
  readonly name: string;
  readonly type?: 'meet-me' | 'factory';
  readonly nodes?: readonly number[];
  maxMembers?: number;
  endPolicy?: 'last-leaves' | 'initiator-leaves';
}

export interface TestNode {
  readonly id: number;
  readonly name: string;
  readonly site: string;
  readonly listen: string[];
  readonly drachtio: 'embedded' | { readonly host: string; readonly port: number; readonly secret: string };
  readonly admin: string;
  readonly stateDir: string;
  readonly drainSeconds: number;
  capacity?: number;
  musicDir?: string;
}

export interface ClusterFile {
  cluster: { name: string; domain: string; secret: string; redis?: string; signalling?: string; adminToken?: string };
  registrar: { minExpires: number; defaultExpires: number; maxExpires: number };
  nodes: TestNode[];
  sites: Record<string, { mediaResourceGroupList: string; codecs: string[] }>;
  devices: TestDevice[];
  numbers?: {
    number: string;
    displayName?: string;
    busyTrigger?: number;
    maxCalls?: number;
    noAnswerSeconds?: number;
    pickupGroup?: string;
    privacy?: boolean;
    mayBarge?: string[];
  }[];
  park?: { slots: string; recallSeconds?: number };
  autoRegistration?: { numbers: string; username: string; password: string; site: string };
  gateways: TestGateway[];
  routes: { pattern: string; targets: string[] }[];
  mediaResources: TestMediaResource[];
  mediaResourceGroups: { name: string; devices: string[]; site?: string; userClasses?: string[] }[];
  mediaResourceGroupLists: { name: string; groups: string[] }[];
  conferences?: TestConference[];
  codecPolicies?: { between?: string[]; within?: string; codecs: string[] }[];
}

const siteNames = ['dallas', 'san-jose', 'austin', 'el-paso', 'chicago'];

/** The site of a node. */
export function siteOf(node: number): string {
  return siteNames[node - 1] ?? `site-${node}`;
}

export type PhoneName = 'alice' | 'carol' | 'bob' | 'dave' | 'leo';

/** The people of the tests: number, home node and the tone of their phone (Hz). */
export const people: Readonly<Record<PhoneName, { dn: string; node: number; tone: number }>> = {
  alice: { dn: '1000', node: 1, tone: 440 },
  carol: { dn: '1001', node: 1, tone: 660 },
  bob: { dn: '2000', node: 2, tone: 1000 },
  dave: { dn: '2001', node: 2, tone: 1300 },
  leo: { dn: '2002', node: 2, tone: 1900 },
};

export function passwordOf(username: string): string {
  return `secret-of-${username}`;
}

export interface FilePlace {
  readonly nodes: readonly {
    sipPort: number;
    adminPort: number;
    stateDir: string;
    server?: ExternalServer;
    /** Default 127.0.0.1. */
    address?: string;
  }[];
  /** Needed when a node is not on the loopback address. */
  readonly adminToken?: string;
  readonly redis: string | undefined;
  /** Control address of the engine of a node; nodes without one have no media resources. */
  readonly engines: ReadonlyMap<number, string>;
  /** Keys of the conference bridge of a node. */
  readonly bridges?: ReadonlyMap<number, Pick<TestMediaResource, 'engine' | 'control'>>;
  readonly secret: string;
}

function resourcesOf(node: number, control: string): TestMediaResource[] {
  const site = siteOf(node);
  const common = { engine: 'rtpengine' as const, control, node, site };
  return [
    { name: `moh-${site}`, type: 'moh', capacity: 250, ...common },
    { name: `xcode-${site}`, type: 'transcoder', capacity: 50, ...common },
    { name: `mtp-${site}`, type: 'mtp', capacity: 50, ...common },
  ];
}

/** The whole file. Each site's list asks its own group first, then those of the other sites. */
export function clusterFile(place: FilePlace): ClusterFile {
  const numbers = place.nodes.map((_, index) => index + 1);
  const group = (node: number): string => `${siteOf(node)}-media`;
  const site = (node: number) => ({
    mediaResourceGroupList: siteOf(node),
    codecs: ['PCMU', 'PCMA', 'telephone-event'],
  });
  const bridges = [...(place.bridges ?? [])].map(([node, bridge]): TestMediaResource => {
    const site = siteOf(node);
    return { name: `bridge-${site}`, type: 'conference', capacity: 60, node, site, ...bridge };
  });
  const mediaResources = [...place.engines].flatMap(([node, control]) => resourcesOf(node, control)).concat(bridges);
  return {
    cluster: {
      name: 'test',
      domain,
      secret: place.secret,
      ...(place.redis === undefined ? {} : { redis: place.redis }),
      ...(place.adminToken === undefined ? {} : { adminToken: place.adminToken }),
    },
    registrar: { minExpires: 5, defaultExpires: 120, maxExpires: 3600 },
    nodes: place.nodes.map(({ sipPort, adminPort, stateDir, server, address = '127.0.0.1' }, index) => ({
      id: index + 1,
      name: `${siteOf(index + 1)}-1`,
      site: siteOf(index + 1),
      listen: [`udp:${address}:${sipPort}`, `tcp:${address}:${sipPort}`],
      drachtio:
        server === undefined ? ('embedded' as const) : { host: server.host, port: server.port, secret: server.secret },
      admin: `${address}:${adminPort}`,
      stateDir,
      drainSeconds: 1,
    })),
    sites: Object.fromEntries(numbers.map((node) => [siteOf(node), site(node)])),
    devices: Object.entries(people).map(([username, { dn, node }]) => ({
      name: `SEP-${username}`,
      username,
      password: passwordOf(username),
      lines: [dn],
      site: numbers.includes(node) ? siteOf(node) : siteOf(1),
    })),
    gateways: [],
    routes: [],
    mediaResources,
    mediaResourceGroups: numbers.map((node) => ({
      name: group(node),
      devices: mediaResources.filter((resource) => resource.node === node).map((resource) => resource.name),
    })),
    mediaResourceGroupLists: numbers.map((node) => ({
      name: siteOf(node),
      groups: [node, ...numbers.filter((other) => other !== node)].map(group),
    })),
  };
}

/** A gateway `gw` on a loopback port, with all numbers that begin with 9. */
export function addGateway(file: ClusterFile, port: number, nodes: readonly number[] = [1]): void {
  file.gateways.push({ name: 'gw', uri: `sip:127.0.0.1:${port}`, site: siteOf(1), nodes: [...nodes] });
  file.routes.push({ pattern: '9.@', targets: ['gw'] });
}
