import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join, resolve } from 'node:path';
import { launchEmbeddedServer } from '../../../src/sip-server/launcher';
import { eventually, within } from '../../support/eventually';
import { freePort } from '../../support/ports';
import { Scope } from '../../support/scope';
import { connect } from 'node:net';

let scope: Scope;
beforeEach(() => {
  scope = new Scope();
});
afterEach(() => scope.close());

const ENOUGH = ['--listen', 'udp:127.0.0.1:0', '--control', '127.0.0.1:0', '--secret', 's'];
const ROOT = resolve(__dirname, '../../..');

/** A program in JavaScript that runs TypeScript sources: what dist/main.js is after a build. */
function program(name: string, code: string): string {
  const path = join(scope.directory('entry'), name);
  const hook = `
    const { transformSync } = require(${JSON.stringify(join(ROOT, 'node_modules/@swc/core'))});
    const { readFileSync } = require('node:fs');
    require.extensions['.ts'] = (module, file) =>
      module._compile(transformSync(readFileSync(file, 'utf8'), {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } }).code, file);`;
  writeFileSync(path, `${hook}\n${code}`);
  return path;
}

function mainProgram(): string {
  const server = JSON.stringify(join(ROOT, 'src/sip-server/index.ts'));
  return program('main.js', `void require(${server}).sipServerCommand(process.argv.slice(3));`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('embedded server as a process', () => {
  test('it is ready with a control port and a secret, and ends when asked to', async () => {
    const exits: string[] = [];
    const port = await freePort();
    const server = await launchEmbeddedServer({
      entry: mainProgram(),
      listen: [
        { protocol: 'udp', address: '127.0.0.1', port },
        { protocol: 'tcp', address: '127.0.0.1', port },
      ],
      onExit: (reason) => exits.push(reason),
    });
    scope.defer(() => server.stop());
    const socket = connect(server.port, server.host);
    await once(socket, 'connect');
    const greeting = once(socket, 'data');
    const command = `x|authenticate|${server.secret}|`;
    socket.write(`${command.length}#${command}`);
    expect(String((await within(10_000, 'greeting', greeting))[0])).toContain(`|OK|udp/127.0.0.1:${port}`);
    socket.destroy();
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
    expect(exits).toEqual([]);
  });

  test('its owner hears when it dies', async () => {
    const port = await freePort();
    const died = new Promise<string>((ended) => {
      void launchEmbeddedServer({
        entry: mainProgram(),
        listen: [{ protocol: 'udp', address: '127.0.0.1', port }],
        onExit: ended,
      }).then((server) => process.kill(server.pid, 'SIGKILL'));
    });
    expect(await within(20_000, 'exit', died)).toBe('SIGKILL');
  });

  test("it is told nothing of its owner's environment but the way to programs, and a secret of its own", async () => {
    const told = join(scope.directory('environment'), 'names.json');
    const server = JSON.stringify(join(ROOT, 'src/sip-server/index.ts'));
    const entry = program(
      'curious.js',
      `require('node:fs').writeFileSync(${JSON.stringify(told)}, JSON.stringify(Object.keys(process.env)));
       void require(${server}).sipServerCommand(process.argv.slice(3));`,
    );
    process.env['TANDEM_TEST_PASSWORD'] = 'of the owner';
    scope.defer(() => delete process.env['TANDEM_TEST_PASSWORD']);
    const launched = await launchEmbeddedServer({
      entry,
      listen: [{ protocol: 'udp', address: '127.0.0.1', port: await freePort() }],
      onExit: () => undefined,
    });
    scope.defer(() => launched.stop());
    const names: unknown = JSON.parse(readFileSync(told, 'utf8'));
    const allowed = [
      'PATH',
      'TZ',
      'TANDEM_LOG',
      'TANDEM_CONTROL_SECRET',
      'NODE_CHANNEL_FD',
      'NODE_CHANNEL_SERIALIZATION_MODE',
    ];
    expect(names).toEqual(expect.arrayContaining(['PATH', 'TANDEM_CONTROL_SECRET']));
    expect(allowed).toEqual(expect.arrayContaining(names as string[]));
  });

  test('a taken address is told in the error', async () => {
    const port = await freePort();
    const options = { entry: mainProgram(), listen: [{ protocol: 'tcp' as const, address: '127.0.0.1', port }] };
    const first = await launchEmbeddedServer({ ...options, onExit: () => undefined });
    scope.defer(() => first.stop());
    await expect(launchEmbeddedServer({ ...options, onExit: () => undefined })).rejects.toThrow(/EADDRINUSE/);
  });

  test('it is gone when its parent was killed', async () => {
    const port = await freePort();
    const launcher = JSON.stringify(join(ROOT, 'src/sip-server/launcher.ts'));
    const parent = program(
      'parent.js',
      `require(${launcher}).launchEmbeddedServer({
         entry: ${JSON.stringify(mainProgram())},
         listen: [{ protocol: 'udp', address: '127.0.0.1', port: ${port} }],
         onExit: () => {},
       }).then((server) => console.log(server.pid));`,
    );
    const child = spawn(process.execPath, [parent], { stdio: ['ignore', 'pipe', 'inherit'] });
    scope.defer(() => child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout });
    const [line] = (await within(20_000, 'pid', once(lines, 'line'))) as [string];
    const pid = Number(line);
    expect(isAlive(pid)).toBe(true);
    child.kill('SIGKILL');
    await eventually(
      'the server ends',
      () => isAlive(pid),
      (alive) => !alive,
      { cap: 10_000 },
    );
  });

  test.each([
    [['--listen', 'udp:localhost:5060'], 'is not ADDRESS:PORT with an IP address'],
    [['--frob'], 'unknown option --frob'],
    [['--listen', 'udp:127.0.0.1:5060'], '--control is missing'],
    [['--listen'], '--listen needs a value'],
    [[...ENOUGH, '--ban', '10.0.0.0/40'], '--ban: "10.0.0.0/40" is no ADDRESS or ADDRESS/BITS'],
    [[...ENOUGH, '--limit', 'many'], '--limit: "many" is no number of requests'],
  ])('%j is refused with exit code 1', async (options, text) => {
    const child = spawn(process.execPath, [mainProgram(), 'sip-server', ...options], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    scope.defer(() => child.kill('SIGKILL'));
    let errors = '';
    child.stderr.on('data', (chunk) => (errors += String(chunk)));
    const [code] = (await within(20_000, 'exit', once(child, 'close'))) as [number];
    expect(code).toBe(1);
    expect(errors).toContain(text);
  });
});
