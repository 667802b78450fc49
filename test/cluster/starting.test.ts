import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { eventually, within } from '../support/eventually';
import { NodeProcess, program, runProgram } from '../support/node-process';
import { freePort } from '../support/ports';
import { LaunchedProcess } from '../support/processes';
import { Scope } from '../support/scope';

jest.setTimeout(90_000);

interface Place {
  readonly directory: string;
  readonly sipPort: number;
  readonly adminPort: number;
}

describe('how a node starts, cannot start, and is not ended by accident', () => {
  const scope = new Scope();
  afterAll(() => scope.close());

  async function newPlace(): Promise<Place> {
    return { directory: scope.directory('start'), sipPort: await freePort(), adminPort: await freePort() };
  }

  /** A file with one node, changed by `over`; its path. */
  function write({ directory, sipPort, adminPort }: Place, over: object = {}, more: object = {}): string {
    const listen = ['udp', 'tcp'].map((protocol) => `${protocol}:127.0.0.1:${sipPort}`);
    const admin = `127.0.0.1:${adminPort}`;
    const node = { id: 1, name: 'one', site: 'dallas', listen, admin, stateDir: join(directory, 'state'), ...over };
    const cluster = { name: 'starting', domain: 'tandem.test', secret: 'of-the-cluster' };
    const file = join(directory, 'tandem.yaml');
    writeFileSync(file, JSON.stringify({ cluster, nodes: [node], sites: { dallas: {} }, ...more }));
    return file;
  }

  function nodeOf(place: Place, configFile: string): NodeProcess {
    const stateDir = join(place.directory, 'state');
    return new NodeProcess(scope, { id: 1, configFile, ...place, stateDir }, place.directory);
  }

  /** Holds a TCP port. */
  async function occupy(port: number): Promise<void> {
    const server = createServer().listen(port, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    scope.defer(() => server.close());
  }

  function sipServer(place: Place, controlPort: number, secret: string): LaunchedProcess {
    const listen = ['udp', 'tcp'].flatMap((protocol) => ['--listen', `${protocol}:127.0.0.1:${place.sipPort}`]);
    const control = ['--control', `127.0.0.1:${controlPort}`, '--secret', secret];
    const log = join(place.directory, 'sip-server.log');
    const args = [program, 'sip-server', ...listen, ...control];
    return LaunchedProcess.launch(scope, { command: process.execPath, args, log, package: 'nodejs' });
  }

  const drachtio = (port: number) => ({ listen: [], drachtio: { host: '127.0.0.1', port, secret: 'right' } });

  it.each<[string, number, RegExp, (place: Place) => Promise<string>]>([
    [
      'a SIP port that is taken',
      1,
      /EADDRINUSE.*127\.0\.0\.1/,
      async (place) => {
        await occupy(place.sipPort);
        return write(place);
      },
    ],
    [
      'the port of the API that is taken',
      1,
      /EADDRINUSE/,
      async (place) => {
        await occupy(place.adminPort);
        return write(place);
      },
    ],
    [
      'an address of another machine',
      1,
      /EADDRNOTAVAIL/,
      async (place) => write(place, { listen: ['tcp:192.0.2.1:5060'] }),
    ],
    [
      'a TLS key that is missing',
      78,
      /nowhere\.key/,
      async (place) =>
        write(place, {
          listen: [`tcp:127.0.0.1:${place.sipPort}`, `tls:127.0.0.1:${await freePort()}`],
          tls: { key: 'nowhere.key', cert: 'nowhere.pem' },
        }),
    ],
    [
      'a drachtio-server with another secret',
      78,
      /refuses the secret/,
      async (place) => {
        const port = await freePort();
        const server = sipServer(place, port, 'wrong');
        await server.ready(() => server.output().includes('"ready":true'));
        return write(place, drachtio(port));
      },
    ],
    [
      'a configuration that is wrong',
      78,
      /tandem\.yaml:1:\d+: .*nods/,
      async (place) => write(place, {}, { nods: [] }),
    ],
    ['a configuration that is not there', 78, /cannot be read/, async () => '/nowhere/tandem.yaml'],
  ])('%s ends it with code %i and the reason', async (_what, code, reason, prepare) => {
    const configFile = await prepare(await newPlace());
    const result = await runProgram(['start', '--config', configFile, '--node', '1'], 40_000);
    expect(result.output).toMatch(reason);
    expect(result.code).toBe(code);
  });

  it('it waits for its drachtio-server, says so, and runs when that is there; then nothing but SIGTERM ends the two', async () => {
    const place = await newPlace();
    const port = await freePort();
    const node = nodeOf(place, write(place, drachtio(port)));
    node.spawn();
    const body = async () => (await node.fetch('/readyz')).text();
    await eventually('it says what it waits for', body, (text) =>
      text.includes(`no drachtio-server at 127.0.0.1:${port}`),
    );
    expect((await node.fetch('/healthz')).status).toBe(200);
    expect((await node.fetch('/api/nodes')).status).toBe(503);
    const server = sipServer(place, port, 'right');
    await node.ready();

    const before = (await node.api('/api/nodes')) as { boot: number }[];
    const signals = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGPIPE', 'SIGIO', 'SIGPWR'] as const;
    for (const signal of signals) {
      process.kill(node.pid, signal);
      server.signal(signal);
    }
    await eventually(
      'it says that it ignores SIGHUP',
      () => node.log(),
      (log) => log.includes('"signal":"SIGHUP"'),
    );
    await node.ready();
    expect(((await node.api('/api/nodes')) as { boot: number }[])[0]?.boot).toBe(before[0]?.boot);
    expect(server.running && node.running).toBe(true);
    await node.stop();
  });

  it.each(['ends', 'reads nothing'])('it lives on when the reader of its log %s', async (what) => {
    const place = await newPlace();
    const args = [program, 'start', '--config', write(place), '--node', '1'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    scope.defer(() => child.kill('SIGKILL'));
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const ready = async () => {
      const url = `http://127.0.0.1:${place.adminPort}/readyz`;
      return (await fetch(url, { signal: AbortSignal.timeout(5000) }).catch(() => undefined))?.status;
    };
    child.stderr.pause();
    await eventually('it is ready', ready, (status) => status === 200, { cap: 60_000 });
    if (what === 'ends') child.stderr.destroy();
    // More lines than a pipe holds; signals of one kind that come together are one.
    for (let count = 0; count < 600; count++) {
      child.kill('SIGHUP');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(await ready()).toBe(200);
    child.kill('SIGTERM');
    expect(await within(15_000, 'its end', exited)).toBe(0);
  });
});
