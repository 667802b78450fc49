import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from './ports';
import { LaunchedProcess } from './processes';
import type { Scope } from './scope';

/** True when a Redis answers PING on the port. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
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
      finish(data.toString().startsWith('+PONG'));
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
  ) {}

  static async start(scope: Scope): Promise<RedisServer> {
    const redis = new RedisServer(scope, await freePort(), scope.directory('redis'));
    await redis.start();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const args = `--port ${this.port} --bind 127.0.0.1 --appendonly no --daemonize no`.split(' ');
    this.process = LaunchedProcess.launch(this.scope, {
      command: 'redis-server',
      args: [...args, '--save', '', '--dir', this.directory],
      log: join(this.directory, 'log'),
      package: 'redis-server',
    });
    await this.process.ready(() => answersPing(this.port));
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
}
