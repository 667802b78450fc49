import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, copyFileSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runSipServer, type RunningSipServer } from '../../../src/sip-server';
import { Scope } from '../../support/scope';
import { HOSTS, SECOND_SERVER, SERVER_UNDER_TEST, SIPP_HELPER_CHANGES, substituteHosts, type Host } from './hosts';

/**
 * The tests that drachtio-srf ships, against the embedded server. They are written for containers: here each
 * container is an address of the loopback network, and sipp runs as it is.
 *
 * Left out, because they cannot pass on any server: `subscribe.js` (its application sends one NOTIFY, its sipp
 * scenario waits for two) and `parser.js` (it never ends its test). `index.js` and `docker_*.js` only start the others.
 */
const SUITES = ['b2b', 'reinvite-tests', 'uac', 'uas', 'proxy', 'utils', 'refer'];
const PACKAGE = dirname(dirname(require.resolve('drachtio-srf')));
const MODULES = join(__dirname, '../../../node_modules');
const UNIT_TESTS = readdirSync(join(PACKAGE, 'test/unit-tests'));
const SECRET = 'cymru';
const LONGEST_MS = 200_000;

let scope: Scope;
let copy: string;
let environment: NodeJS.ProcessEnv;
/** Assertions of theirs that held. */
let held = 0;

function start(host: Host): Promise<RunningSipServer> {
  return runSipServer({
    listen: [{ protocol: 'udp', address: host.address, port: 5060 }],
    control: { address: '127.0.0.1', port: 0 },
    secret: SECRET,
    log: (event, fields) => {
      if (event.includes('error')) process.stderr.write(`${event} ${JSON.stringify(fields)}\n`);
    },
  });
}

/** Their package without its dependencies, its tests changed for the loopback network. */
function copyTests(): string {
  const target = join(scope.directory('srf'), 'drachtio-srf');
  cpSync(PACKAGE, target, { recursive: true, dereference: true });
  symlinkSync(MODULES, join(target, 'node_modules'));
  for (const name of readdirSync(join(target, 'test'), { recursive: true })) {
    const path = join(target, 'test', String(name));
    if (!statSync(path).isFile() || !/\.(js|xml)$/.test(path) || path.includes('unit-tests')) continue;
    writeFileSync(path, substituteHosts(readFileSync(path, 'utf8')));
  }
  copyFileSync(join(__dirname, 'sipp-on-loopback.js'), join(target, 'test/sipp-on-loopback.js'));
  const helper = join(target, 'test/sipp.js');
  let text = readFileSync(helper, 'utf8');
  for (const [from, to] of SIPP_HELPER_CHANGES) {
    if (!text.includes(from)) throw new Error(`sipp.js of drachtio-srf has no "${from}" any more`);
    text = text.replace(from, to);
  }
  writeFileSync(helper, text);
  return target;
}

function startScenario({ address, scenario }: Host): ChildProcess {
  const path = join(copy, 'test/scenarios', scenario ?? '');
  const child = spawn('sipp', ['-sf', path, '-i', address, '-p', '5060', '-mp', '20000', '-nostdin'], {
    cwd: scope.directory('sipp'),
    stdio: 'ignore',
  });
  scope.defer(() => child.kill('SIGKILL'));
  return child;
}

/** Runs a program to its end: its output, and whether it was content. */
function run(
  program: string,
  parameters: readonly string[],
): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { cwd: copy, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS - 5000);
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (output += data.toString()));
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, output });
    });
  });
}

beforeAll(async () => {
  scope = new Scope();
  copy = copyTests();
  const [tested, second] = [await start(SERVER_UNDER_TEST), await start(SECOND_SERVER)];
  scope.defer(() => tested.stop());
  scope.defer(() => second.stop());
  const application = (server: RunningSipServer) => ({
    host: server.control.address,
    port: server.control.port,
    secret: SECRET,
  });
  environment = {
    ...process.env,
    NODE_ENV: 'test',
    NODE_CONFIG_DIR: join(copy, 'config'),
    NODE_CONFIG: JSON.stringify({ 'drachtio-sut': application(tested), 'drachtio-uas': application(second) }),
  };
  for (const host of HOSTS) if (host.scenario !== undefined) startScenario(host);
}, 30_000);
afterAll(async () => {
  process.stderr.write(`assertions of drachtio-srf that hold: ${held}\n`);
  await scope.close();
});

function expectPassed({ code, output }: { readonly code: number; readonly output: string }): void {
  const failed = code !== 0 || /^not ok /m.test(output);
  if (failed) throw new Error(`exit code ${code}\n${output}`);
  held += Number(/^# pass +(\d+)/m.exec(output)?.[1] ?? /(\d+) passing/.exec(output)?.[1] ?? 0);
}

describe('the tests that drachtio-srf ships', () => {
  test.each(SUITES)(
    '%s.js passes on the embedded server',
    async (name) => {
      const result = await run(process.execPath, [`test/${name}.js`]);
      expectPassed(result);
      expect(result.output).toMatch(/^ok \d+ /m);
    },
    LONGEST_MS,
  );

  test.each(UNIT_TESTS)('unit-tests/%s passes beside it', async (name) => {
    expectPassed(await run(process.execPath, [join(MODULES, 'mocha/bin/mocha.js'), join('test/unit-tests', name)]));
  });
});
