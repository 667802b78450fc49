import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { clusterFile } from '../../support/cluster-config';
import { eventually } from '../../support/eventually';
import { freePort } from '../../support/ports';
import { descendants, isAlive, LaunchedProcess } from '../../support/processes';
import { RedisServer } from '../../support/redis';
import { ngCommand, Rtpengine } from '../../support/rtpengine';
import { RtpListener } from '../../support/rtp-listener';
import { Scope } from '../../support/scope';
import { decodeG711, encodePcma, hearsTones, isSilent, makeTones, share } from '../../support/sound';

jest.setTimeout(60_000);

describe('the launchers of servers', () => {
  const scope = new Scope();
  afterEach(() => scope.close());

  it('starts Redis, and again on the same port', async () => {
    const redis = await RedisServer.start(scope);
    await redis.stop();
    await redis.start();
    expect(redis.url).toContain(String(redis.port));
  });

  it('starts rtpengine and lists its sessions', async () => {
    const engine = await Rtpengine.start(scope);
    expect(await engine.sessions()).toEqual([]);
    const listener = await RtpListener.open(scope);
    const offer = { command: 'offer', 'call-id': 'one', 'from-tag': 'a', sdp: listener.sdp() };
    expect((await ngCommand(engine.port, offer))['result']).toBe('ok');
    expect(await engine.sessions()).toEqual(['one']);
    await ngCommand(engine.port, { command: 'delete', 'call-id': 'one' });
    expect(await engine.sessions()).toEqual([]);
  });

  it('names the package of a program that is missing', () => {
    const options = { command: 'no-such-program', args: [], log: '/dev/null', package: 'the-package' };
    expect(() => LaunchedProcess.launch(scope, options)).toThrow('apt-get install the-package');
  });

  it('says at once, with its log, that a program exited instead of getting ready', async () => {
    const log = join(scope.directory('exits'), 'log');
    const args = ['-c', 'echo out of order; exit 3'];
    const child = LaunchedProcess.launch(scope, { command: 'sh', args, log, package: 'dash' });
    await expect(child.ready(() => false)).rejects.toThrow(/exited[\s\S]*out of order/);
    expect(statSync(log).size).toBeGreaterThan(0);
  });

  it('ends a program when the process that started it is killed', async () => {
    const log = join(scope.directory('orphan'), 'log');
    const script = `require('node:child_process').spawn('setpriv', ['--pdeathsig', 'KILL', 'sleep', '60']); setInterval(() => {}, 1000)`;
    const parent = LaunchedProcess.launch(scope, {
      command: process.execPath,
      args: ['-e', script],
      log,
      package: 'nodejs',
    });
    // Only once it is `sleep` has it asked for the signal: whoever loses its parent before that lives on.
    const [child] = await eventually(
      'its child sleeps',
      () => descendants(parent.pid).filter(({ pid }) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'sleep'),
      (list) => list.length > 0,
    );
    await parent.kill();
    await eventually(
      'the child is gone',
      () => child !== undefined && isAlive(child),
      (alive) => !alive,
    );
  });

  it('writes a file for two sites whose lists ask the own group first', async () => {
    const place = { sipPort: await freePort(), adminPort: await freePort(), stateDir: '/tmp/state' };
    const engines = new Map([[2, 'udp:127.0.0.1:2222']]);
    const file = clusterFile({ nodes: [place, place], redis: undefined, engines, secret: 'x' });
    expect(file.mediaResourceGroupLists).toEqual([
      { name: 'dallas', groups: ['dallas-media', 'san-jose-media'] },
      { name: 'san-jose', groups: ['san-jose-media', 'dallas-media'] },
    ]);
    expect(file.mediaResources.map((resource) => resource.node)).toEqual([2, 2, 2]);
  });
});

describe('the ear', () => {
  it('finds a tone, two tones, and silence', () => {
    const tone = makeTones([440], 0.5);
    const music = makeTones([350, 525], 0.5);
    expect(hearsTones(tone, [440])).toBe(true);
    expect(hearsTones(tone, [660])).toBe(false);
    expect(hearsTones(music, [350, 525])).toBe(true);
    expect(hearsTones(music, [350])).toBe(false);
    expect(isSilent({ rate: 8000, samples: new Float64Array(4000) })).toBe(true);
    expect(share(makeTones([440], 0.5, 48_000), 440)).toBeGreaterThan(0.99);
  });

  it('codes and decodes G.711 without changing the tone', () => {
    const samples = decodeG711(encodePcma(makeTones([1000], 0.5)), 8);
    expect(share({ rate: 8000, samples }, 1000)).toBeGreaterThan(0.99);
  });
});
