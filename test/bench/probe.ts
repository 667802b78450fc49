import { rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { resolve } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** What a process says of itself when it is asked. */
export interface Usage {
  /** Bytes of live objects, after a garbage collection. */
  readonly heap: number;
  readonly rss: number;
  /** Processor time since the process began, seconds. */
  readonly processor: number;
  /** The longest time that the event loop stood still since the last question, ms. */
  readonly longestStall: number;
}

/** Entries of other nodes that came into the tables since the last question. */
export interface Arrivals {
  readonly count: number;
  /** When the first and the last of them stood there, ms since the epoch. */
  readonly first: number;
  readonly last: number;
  /** Binding key, and when it stood there (`monotonicMs`), of the first of them. */
  readonly noted: readonly (readonly [key: string, at: number])[];
}

/** Milliseconds of a clock that all processes of the machine share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Answers `ask` on a local socket. */
export function answer(path: string, arrivals?: () => Arrivals): void {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const usage = (): Usage => {
    const longestStall = delay.max / 1e6;
    delay.reset();
    globalThis.gc?.();
    const { heapUsed, rss } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return { heap: heapUsed, rss, processor: (user + system) / 1e6, longestStall };
  };
  rmSync(path, { force: true });
  createServer((incoming, response) => {
    response.end(JSON.stringify(incoming.url === '/arrivals' ? arrivals?.() : usage()));
  })
    .listen(path)
    .unref();
}

/** Asks the process that answers on this socket. */
function ask(path: string, what: string): Promise<unknown> {
  return new Promise((done, fail) => {
    request({ socketPath: path, path: what }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => done(JSON.parse(Buffer.concat(parts).toString())));
      response.on('error', fail);
    })
      .on('error', fail)
      .end();
  });
}

export async function askUsage(path: string): Promise<Usage> {
  return (await ask(path, '/usage')) as Usage;
}

export async function askArrivals(path: string): Promise<Arrivals> {
  return (await ask(path, '/arrivals')) as Arrivals;
}

/** Arguments of node for a call manager that answers on this socket. */
export function probed(path: string): { readonly nodeArgs: string[]; readonly env: NodeJS.ProcessEnv } {
  const nodeArgs = [
    '--expose-gc',
    '-r',
    resolve(__dirname, '../../scripts/ts.js'),
    '-r',
    resolve(__dirname, 'preload.ts'),
  ];
  return { nodeArgs, env: { TANDEM_BENCH_PROBE: path } };
}
