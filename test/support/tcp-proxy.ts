import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './ports';
import type { Scope } from './scope';

/** A TCP proxy that can swallow: then it keeps all connections, accepts more, and passes nothing, as when the host behind it has vanished. */
export class TcpProxy {
  private readonly sockets = new Set<Socket>();
  private swallowing = false;

  private constructor(
    readonly port: number,
    private readonly target: number,
  ) {}

  static async start(scope: Scope, target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(await freePort(), target);
    const server = createServer((socket) => {
      proxy.accept(socket);
    });
    await new Promise<void>((resolve) => server.listen(proxy.port, '127.0.0.1', resolve));
    scope.defer(() => proxy.close(server));
    return proxy;
  }

  swallow(): void {
    this.swallowing = true;
  }

  /** New connections pass again; what was swallowed stays lost, with its connection. */
  pass(): void {
    this.swallowing = false;
  }

  private accept(near: Socket): void {
    const far = this.swallowing ? undefined : connect(this.target, '127.0.0.1');
    let lost = far === undefined;
    const relay = (from: Socket, to: Socket | undefined): void => {
      this.sockets.add(from);
      from.on('data', (data) => {
        lost ||= this.swallowing;
        if (!lost) to?.write(data);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        this.sockets.delete(from);
        if (!lost) to?.destroy();
      });
    };
    relay(near, far);
    if (far !== undefined) relay(far, near);
  }

  private close(server: Server): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => {
      server.close(() => {
        resolve();
      });
    });
  }
}
