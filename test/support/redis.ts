import { chmodSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { createClient } from 'redis';
import type { RedisBusOptions } from '../../src/cluster/redis/redis-bus';
import { CertificateAuthority, type CertificateFiles } from './certificates';
import { eventually } from './eventually';
import { freePort } from './ports';
import { LaunchedProcess } from './processes';
import type { Scope } from './scope';

export interface RedisServerOptions {
  /** `requirepass`. */
  readonly password?: string;
  /** An ACL user that may do what a node needs and no more; everybody else may do nothing. */
  readonly user?: { readonly name: string; readonly password: string; readonly channels?: string };
  /** TLS only, with these certificates. */
  readonly tls?: CertificateFiles;
  /** A replica of the Redis on this port. */
  readonly replicaOf?: number;
  /** Further lines of redis.conf. */
  readonly lines?: readonly string[];
  readonly sentinel?: boolean;
  /** Where it listens besides the loopback address; its URL is there. */
  readonly address?: string;
}

/** The rights in docs/configuration.md. */
function nodeRights(channels = 'tandem:*'): string {
  return `resetkeys resetchannels &${channels} -@all +@connection +publish +subscribe +role`;
}

/** True when something on the port answers PING, if only that it wants a password. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1');
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(500, () => {
      finish(false);
    });
    socket.once('error', () => {
      finish(false);
    });
    socket.once('connect', () => {
      socket.write('PING\r\n');
    });
    socket.once('data', (data) => {
      finish(/^(\+PONG|-NOAUTH)/.test(data.toString()));
    });
  });
}

/** True when something accepts connections on the port. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

/** A private Redis without persistence. It can be stopped and started again on the same port, and be frozen. */
export class RedisServer {
  private process: LaunchedProcess | undefined;

  private constructor(
    private readonly scope: Scope,
    readonly port: number,
    private readonly directory: string,
    private readonly options: RedisServerOptions,
  ) {}

  static async start(scope: Scope, options: RedisServerOptions = {}): Promise<RedisServer> {
    const redis = new RedisServer(scope, await freePort(), scope.directory('redis'), options);
    // Sentinels write into their file.
    writeFileSync(redis.configFile, redis.configuration());
    chmodSync(redis.configFile, 0o600);
    await redis.start();
    return redis;
  }

  get url(): string {
    return `${this.options.tls === undefined ? 'redis' : 'rediss'}://${this.options.address ?? '127.0.0.1'}:${this.port}`;
  }

  async start(): Promise<void> {
    this.process = LaunchedProcess.launch(this.scope, {
      command: 'redis-server',
      args: [this.configFile, ...(this.options.sentinel === true ? ['--sentinel'] : [])],
      log: join(this.directory, 'log'),
      package: 'redis-server',
    });
    await this.process.ready(() => (this.options.tls === undefined ? answersPing(this.port) : accepts(this.port)));
  }

  async stop(): Promise<void> {
    await this.process?.stop();
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.process?.kill();
  }

  /** Keeps its connections and answers nothing, until `thaw`. */
  freeze(): void {
    this.process?.signal('SIGSTOP');
  }

  thaw(): void {
    this.process?.signal('SIGCONT');
  }

  /** Does one command with the rights of the operator; not for servers with TLS or an ACL user. */
  async command(...words: string[]): Promise<unknown> {
    const { password } = this.options;
    const client = createClient({ url: this.url, RESP: 2, ...(password === undefined ? {} : { password }) });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await client.sendCommand(words);
    } finally {
      client.destroy();
    }
  }

  private get configFile(): string {
    return join(this.directory, 'redis.conf');
  }

  private configuration(): string {
    const { password, user, tls, replicaOf, lines = [], sentinel, address = '' } = this.options;
    const common = [`bind 127.0.0.1 ${address}`, 'protected-mode no', 'daemonize no', `dir ${this.directory}`];
    const data = sentinel === true ? [] : ['appendonly no', 'save ""', 'repl-diskless-sync-delay 0'];
    return [
      ...common,
      ...data,
      ...(tls === undefined
        ? [`port ${this.port}`]
        : [
            'port 0',
            `tls-port ${this.port}`,
            `tls-cert-file ${tls.cert}`,
            `tls-key-file ${tls.key}`,
            `tls-ca-cert-file ${tls.ca}`,
            'tls-auth-clients optional',
            'tls-replication yes',
          ]),
      ...(password === undefined ? [] : [`requirepass ${password}`, `masterauth ${password}`]),
      ...(user === undefined
        ? []
        : ['user default off', `user ${user.name} on >${user.password} ${nodeRights(user.channels)}`]),
      ...(replicaOf === undefined ? [] : [`replicaof 127.0.0.1 ${replicaOf}`]),
      ...lines,
      '',
    ].join('\n');
  }
}

/** Certificates for a Redis on the loopback address, of an authority of their own. */
export function redisCertificates(scope: Scope): CertificateFiles {
  return new CertificateAuthority(scope.directory('ca')).issue('redis', ['IP:127.0.0.1', 'DNS:redis.test']);
}

export interface SentinelGroupOptions {
  readonly password?: string;
  readonly sentinelPassword?: string;
  readonly tls?: CertificateFiles;
  /** Default 1. */
  readonly replicas?: number;
}

/** A master, replicas, and three sentinels that make a replica the master half a second after it fell silent. */
export class SentinelGroup {
  static readonly masterName = 'mymaster';

  private constructor(
    readonly servers: readonly RedisServer[],
    readonly sentinels: readonly RedisServer[],
    private readonly options: SentinelGroupOptions,
  ) {}

  static async start(scope: Scope, options: SentinelGroupOptions = {}): Promise<SentinelGroup> {
    const { sentinelPassword: _, replicas = 1, ...server } = options;
    const master = await RedisServer.start(scope, server);
    const servers = [master];
    for (let index = 0; index < replicas; index++)
      servers.push(await RedisServer.start(scope, { ...server, replicaOf: master.port }));
    const sentinels = [0, 1, 2].map(() => RedisServer.start(scope, SentinelGroup.sentinel(options, master.port)));
    const group = new SentinelGroup(servers, await Promise.all(sentinels), options);
    await group.watching(replicas);
    return group;
  }

  /** For a bus. */
  get busOptions(): RedisBusOptions {
    const { password, sentinelPassword, tls } = this.options;
    return {
      password,
      tls: tls === undefined ? undefined : { ca: tls.ca },
      sentinel: {
        master: SentinelGroup.masterName,
        nodes: this.sentinels.map(({ port }) => ({ address: '127.0.0.1', port })),
        password: sentinelPassword,
      },
    };
  }

  /** For a configuration file. */
  get section(): object {
    const { password, tls, sentinel } = this.busOptions;
    const nodes = sentinel?.nodes.map(({ address, port }) => `${address}:${port}`);
    return { password, tls, sentinel: { ...sentinel, nodes } };
  }

  /** The server that is the master, as the sentinels say; without TLS only. */
  async master(): Promise<RedisServer> {
    const sentinel = this.sentinels[0];
    const reply = await sentinel?.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', SentinelGroup.masterName);
    const port = Array.isArray(reply) ? Number(reply[1]) : undefined;
    const master = this.servers.find((server) => server.port === port);
    if (master === undefined) throw new Error(`no server on port ${port}`);
    return master;
  }

  private static sentinel(options: SentinelGroupOptions, port: number): RedisServerOptions {
    const name = SentinelGroup.masterName;
    const { password, sentinelPassword, tls } = options;
    return {
      sentinel: true,
      ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }),
      ...(tls === undefined ? {} : { tls }),
      lines: [
        `sentinel monitor ${name} 127.0.0.1 ${port} 2`,
        `sentinel down-after-milliseconds ${name} 500`,
        `sentinel failover-timeout ${name} 3000`,
        ...(password === undefined ? [] : [`sentinel auth-pass ${name} ${password}`]),
        ...(sentinelPassword === undefined ? [] : [`sentinel sentinel-pass ${sentinelPassword}`]),
      ],
    };
  }

  /** Each sentinel knows the others and the replicas: before that it cannot choose a master. */
  private async watching(replicas: number): Promise<void> {
    if (this.options.tls !== undefined) return;
    for (const sentinel of this.sentinels)
      await eventually(
        'the sentinels know each other and the replicas',
        () => sentinel.command('SENTINEL', 'MASTER', SentinelGroup.masterName),
        (reply) => field(reply, 'num-other-sentinels') === '2' && field(reply, 'num-slaves') === String(replicas),
      );
  }
}

function field(reply: unknown, name: string): unknown {
  const items: unknown[] = Array.isArray(reply) ? reply : [];
  return items[items.indexOf(name) + 1];
}
