import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BaresipOptions, Phone } from './baresip';
import { BusProxy } from './bus-proxy';
import { type ClusterFile, clusterFile, domain, passwordOf, people, type PhoneName } from './cluster-config';
import { type ConferenceBridge, startConferenceBridge } from './conference-bridge';
import { type ExternalServer, externalServer } from './drachtio';
import { eventually } from './eventually';
import { type LinphoneOptions, LinphonePhone } from './linphone';
import type { Network } from './network';
import { type NodePlace, NodeProcess } from './node-process';
import { freePort } from './ports';
import { RedisServer } from './redis';
import { Rtpengine, type RtpengineOptions } from './rtpengine';
import { Scope } from './scope';
import { SipParty, type SipPartyOptions } from './sip-party';
import { SipPeer } from './sip-peer';

export interface ClusterOptions {
  /** Default 2. */
  readonly nodes?: number;
  /** Default true; false: nodes on their own. */
  readonly redis?: boolean;
  /** Each node hears Redis through a proxy of its own: see `bus`. Default false. */
  readonly busProxies?: boolean;
  /** The nodes that control a media server of their own; default [1, 2]. */
  readonly engines?: readonly number[];
  /** The nodes that control a conference bridge of their own, behind their media server; default none. */
  readonly bridges?: readonly number[];
  /** How the media servers are started. */
  readonly engineOptions?: RtpengineOptions;
  /** Each node runs on the host with its number, Redis and the test on the wire between them; default: all on the loopback address. */
  readonly network?: (scope: Scope) => Network;
  /** Last changes to the file. */
  readonly change?: (file: ClusterFile) => void;
  /** Further arguments of the drachtio-servers, where the tests use those. */
  readonly drachtioArgs?: readonly string[];
  /** Default true; false: the test starts the nodes. */
  readonly start?: boolean;
  /** How the process of a node is started, by its number. */
  readonly launch?: (id: number) => Pick<NodePlace, 'wrapper' | 'nodeArgs' | 'env'>;
}

/** `at`: the node to register with. */
export type PhoneOptions = Partial<BaresipOptions> & { readonly at?: number };

/** Several call managers with a private Redis and private media servers, all real processes on free ports. */
export class Cluster {
  /** Phones are ended while the nodes still answer their last REGISTER. */
  private readonly phones = new Scope();

  private constructor(
    readonly scope: Scope,
    readonly nodes: readonly NodeProcess[],
    readonly file: ClusterFile,
    readonly configFile: string,
    /** Undefined: without. */
    readonly redis: RedisServer | undefined,
    /** By node. */
    readonly engines: ReadonlyMap<number, Rtpengine>,
    readonly bridges: ReadonlyMap<number, ConferenceBridge>,
    private readonly proxies: ReadonlyMap<number, BusProxy>,
    private readonly ownNetwork: Network | undefined,
  ) {}

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const scope = new Scope();
    try {
      const cluster = await Cluster.prepare(scope, options);
      if (options.start !== false) {
        await Promise.all(cluster.nodes.map((node) => node.start()));
        await cluster.mediaKnown();
      }
      return cluster;
    } catch (error) {
      await scope.close();
      throw error;
    }
  }

  private static async prepare(scope: Scope, options: ClusterOptions): Promise<Cluster> {
    const directory = scope.directory('cluster');
    const network = options.network?.(scope);
    const redis =
      options.redis === false
        ? undefined
        : await RedisServer.start(scope, network === undefined ? {} : { address: network.address });
    const adminToken = network === undefined ? undefined : randomBytes(12).toString('hex');
    const engines = new Map<number, Rtpengine>();
    for (const node of options.engines ?? [1, 2])
      engines.set(node, await Rtpengine.start(scope, options.engineOptions));
    const bridges = new Map<number, ConferenceBridge>();
    for (const node of options.bridges ?? []) {
      const engine = engines.get(node);
      if (engine === undefined) throw new Error(`node ${node} has no media server to stand before its bridge`);
      bridges.set(node, await startConferenceBridge(scope, engine));
    }
    const places: (Omit<NodePlace, 'configFile'> & { readonly server: ExternalServer | undefined })[] = [];
    for (let id = 1; id <= (options.nodes ?? 2); id++) {
      const stateDir = join(directory, `state-${id}`);
      // A drachtio-server of the tests is on the loopback address of this host, where a node on another host does not reach it.
      const server = network === undefined ? await externalServer(scope, id, options.drachtioArgs) : undefined;
      const sipPort = server?.sipPort ?? (await freePort());
      const host = network === undefined ? {} : { address: network.addressOf(id), wrapper: network.on(id), adminToken };
      places.push({ id, sipPort, adminPort: await freePort(), stateDir, server, ...host });
    }
    const file = clusterFile({
      nodes: places,
      redis: redis?.url,
      engines: new Map([...engines].map(([node, engine]) => [node, engine.control])),
      bridges: new Map([...bridges].map(([node, bridge]) => [node, bridge.resource])),
      secret: randomBytes(24).toString('hex'),
      adminToken,
    });
    options.change?.(file);
    const configFile = join(directory, 'cluster.yaml');
    writeFileSync(configFile, JSON.stringify(file, null, 2));
    const proxies = new Map<number, BusProxy>();
    if (options.busProxies === true && redis !== undefined)
      for (const { id } of places) proxies.set(id, await BusProxy.start(scope, redis.url));
    const nodes = places.map((place) => {
      const proxy = proxies.get(place.id);
      const own = proxy === undefined ? configFile : join(directory, `cluster-${place.id}.yaml`);
      if (proxy !== undefined)
        writeFileSync(own, JSON.stringify({ ...file, cluster: { ...file.cluster, redis: proxy.url } }, null, 2));
      return new NodeProcess(scope, { ...place, ...options.launch?.(place.id), configFile: own }, directory);
    });
    return new Cluster(scope, nodes, file, configFile, redis, engines, bridges, proxies, network);
  }

  /** The wire between the nodes. */
  get network(): Network {
    if (this.ownNetwork === undefined) throw new Error('start the cluster with a network');
    return this.ownNetwork;
  }

  /** What stands between a node and Redis. */
  bus(node: number): BusProxy {
    const proxy = this.proxies.get(node);
    if (proxy === undefined) throw new Error('start the cluster with busProxies');
    return proxy;
  }

  /** A node by its number. */
  node(id: number): NodeProcess {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  /** Waits until each running node knows the resources of the media servers that were started. */
  private async mediaKnown(): Promise<void> {
    const controls = new Set([...this.engines.values()].map(({ control }) => control));
    for (const node of this.nodes.filter(({ running }) => running)) {
      const expected = this.file.mediaResources
        .filter((resource) => controls.has(resource.control) && (this.redis !== undefined || resource.node === node.id))
        .map(({ name }) => name);
      await eventually(
        `node ${node.id} knows ${expected.join(', ')}`,
        async () => (await node.api('/api/media-resources')) as readonly { name: string; state: string }[],
        (rows) => expected.every((name) => rows.some((row) => row.name === name && row.state === 'up')),
      );
    }
  }

  /** A baresip of one of the people, registered with a node (their own unless said otherwise), known to all nodes. */
  async phone(name: PhoneName, options: PhoneOptions = {}): Promise<Phone> {
    const phone = await this.phoneAlone(name, options);
    await this.everybodyKnows(people[name].dn);
    return phone;
  }

  /** The same, without waiting for the other nodes to know it. */
  async phoneAlone(name: PhoneName, options: PhoneOptions = {}): Promise<Phone> {
    const { at = people[name].node, ...rest } = options;
    const phone = await Phone.start(this.phones, {
      name,
      tone: people[name].tone,
      domain,
      password: passwordOf(name),
      server: this.node(at).sip,
      ...rest,
    });
    await phone.register();
    return phone;
  }

  /** A linphonec of one of the people. */
  async linphone(
    name: PhoneName,
    at = people[name].node,
    options: Partial<LinphoneOptions> = {},
  ): Promise<LinphonePhone> {
    const phone = await LinphonePhone.start(this.phones, {
      ...options,
      name,
      tone: people[name].tone,
      domain,
      password: passwordOf(name),
      server: this.node(at).sip,
    });
    await this.everybodyKnows(people[name].dn);
    return phone;
  }

  /** A telephone in this process of one of the people, known to all nodes. */
  async party(name: PhoneName, options: Partial<SipPartyOptions> = {}): Promise<SipParty> {
    const { dn: number, node, tone } = people[name];
    const { sipPort: port } = this.node(node).place;
    const own = { username: name, password: passwordOf(name), domain, port, number, tone };
    const party = await SipParty.start(this.scope, { ...own, ...options });
    await this.everybodyKnows(number);
    return party;
  }

  /** A plain SIP peer that talks to a node over UDP. */
  peer(node: number): Promise<SipPeer> {
    const { address, place } = this.node(node);
    return SipPeer.udp(this.scope, address, place.sipPort, this.ownNetwork?.address);
  }

  /** The same over a TCP connection. */
  connection(node: number): Promise<SipPeer> {
    const { address, place } = this.node(node);
    return SipPeer.tcp(this.scope, address, place.sipPort);
  }

  /** Waits until each running node can route to the number. */
  async everybodyKnows(dn: string): Promise<void> {
    for (const node of this.nodes.filter(({ running }) => running)) {
      await eventually(
        `node ${node.id} knows ${dn}`,
        () => node.registrations(),
        (rows) => rows.some((row) => row.dn === dn),
      );
    }
  }

  /** Fails when a call, or a session of a media server, is left over. */
  async nothingIsLeft(): Promise<void> {
    for (const node of this.nodes.filter(({ running }) => running)) {
      await eventually(
        `node ${node.id} has no call`,
        () => node.calls(),
        (calls) => calls.length === 0,
      );
    }
    for (const [node, bridge] of this.bridges) {
      if (!bridge.running) continue;
      await eventually(
        `the conference bridge of node ${node} has nobody`,
        () => bridge.participants(),
        (participants) => participants.length === 0,
        { cap: 45_000, every: 100 },
      );
    }
    for (const [node, engine] of this.engines) {
      if (!engine.running) continue;
      await eventually(
        `the media server of node ${node} has no session`,
        () => engine.sessions(),
        (sessions) => sessions.length === 0,
        { cap: 45_000, every: 100 },
      );
    }
  }

  /** Fails when a media resource is still leased. */
  async nothingIsLeased(): Promise<void> {
    for (const node of this.nodes.filter(({ running }) => running))
      await eventually(
        `node ${node.id} has no lease`,
        async () => (await node.api('/api/media-resources')) as readonly { readonly inUse?: number }[],
        (rows) => rows.every(({ inUse = 0 }) => inUse === 0),
      );
  }

  /** A conference bridge by the number of its node. */
  bridge(node: number): ConferenceBridge {
    const bridge = this.bridges.get(node);
    if (bridge === undefined) throw new Error(`node ${node} has no conference bridge`);
    return bridge;
  }

  /** Sessions of all media servers. */
  async mediaSessions(): Promise<string[]> {
    return (await Promise.all([...this.engines.values()].map((engine) => engine.sessions()))).flat();
  }

  /** The nodes' logs, for a failure that needs them. */
  logs(): string {
    return this.nodes.map((node) => `--- node ${node.id}\n${node.log().slice(-4000)}`).join('\n');
  }

  /** Ends all processes; fails when a child of a node outlives it. */
  async close(): Promise<void> {
    try {
      await this.phones.close();
      await Promise.all(this.nodes.map((node) => node.stop()));
    } finally {
      await this.scope.close();
    }
  }
}
