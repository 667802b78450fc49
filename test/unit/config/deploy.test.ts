import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { loadConfig, parseConfig } from '../../../src/config/load';
import { formatProblem } from '../../../src/config/problem';
import * as schemas from '../../../src/config/schema';
import type { TandemConfig } from '../../../src/config/types';

const folder = resolve(__dirname, '../../../deploy');
const secrets = {
  TANDEM_SECRET: 's',
  ALICE_PASSWORD: 'a',
  BOB_PASSWORD: 'b',
  CAROL_PASSWORD: 'c',
  DAVE_PASSWORD: 'd',
  DRACHTIO_SECRET: 'e',
};

function load(name: string, env: Record<string, string> = {}): TandemConfig {
  const result = loadConfig(join(folder, name), { ...secrets, ...env });
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  return result.config;
}

describe('deploy/two-sites.yaml', () => {
  it('is two sites with two phones each, that know each other', () => {
    const config = load('two-sites.yaml', { TANDEM_REDIS: 'redis://127.0.0.1:6390', TANDEM_RTPENGINE_PORT: '2223' });
    expect(config.cluster.redis?.url).toBe('redis://127.0.0.1:6390');
    expect(config.nodes.map(({ id, name }) => [id, name])).toEqual([
      [1, 'dallas'],
      [2, 'san-jose'],
    ]);
    expect(config.devices.map((device) => [device.name, device.lines, device.site])).toEqual([
      ['SEP-alice', ['1000'], 'dallas'],
      ['SEP-carol', ['1001'], 'dallas'],
      ['SEP-bob', ['2000'], 'san-jose'],
      ['SEP-dave', ['2001'], 'san-jose'],
    ]);
    const engines = config.mediaResources.map(({ control, rtpengine }) => (rtpengine ?? control).port);
    expect(new Set(engines)).toEqual(new Set([2223]));
    expect(config.conferences.map(({ number, type }) => [number, type])).toEqual([
      ['8000', 'meet-me'],
      ['8999', 'factory'],
    ]);
  });

  it("gives each site its own media resources first and the other site's after them", () => {
    const lists = load('two-sites.yaml').mediaResourceGroupLists;
    expect(lists).toEqual([
      { name: 'dallas', groups: ['dallas-media', 'san-jose-media'] },
      { name: 'san-jose', groups: ['san-jose-media', 'dallas-media'] },
    ]);
  });

  it('loads without Redis, and for another address', () => {
    expect(load('two-sites.yaml').cluster.redis).toBeUndefined();
    const config = load('two-sites.yaml', { TANDEM_ADDRESS: '192.0.2.7', TANDEM_STATE: '/srv/tandem' });
    expect(config.nodes[1]?.listen[1]).toEqual({ protocol: 'tcp', address: '192.0.2.7', port: 5070 });
    expect(config.nodes[1]?.stateDir).toBe('/srv/tandem/node-2');
    expect(config.nodes[1]?.admin?.address).toBe('127.0.0.1');
  });
});

describe('deploy/one-site.yaml', () => {
  it('is one node with a drachtio-server', () => {
    const [node] = load('one-site.yaml', { DRACHTIO_PORT: '9100' }).nodes;
    expect(node?.drachtio).toEqual({ host: '127.0.0.1', port: 9100, secret: 'e' });
    expect(node?.stateDir).toBe('/var/lib/tandem/node-1');
  });
});

describe('deploy/tandem.env.example', () => {
  const text = readFileSync(join(folder, 'tandem.env.example'), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const names = new Set(lines.map((line) => line.split('=', 1)[0] ?? ''));

  it('holds no secret', () => {
    for (const line of lines) if (/SECRET|PASSWORD|TOKEN/.test(line)) expect(line).toMatch(/=$/);
  });

  it('names every variable that compose.yaml, one-site.yaml and tandem.service need', () => {
    for (const file of ['compose.yaml', 'one-site.yaml', 'tandem.service']) {
      const used = readFileSync(join(folder, file), 'utf8').matchAll(/\$\{([A-Z_]+)(:-)?/g);
      for (const [, name, hasDefault] of used)
        if (hasDefault === undefined && name !== 'CREDENTIALS_DIRECTORY') expect(names).toContain(name);
    }
  });
});

describe('deploy/compose.yaml', () => {
  it('runs Tandem with a drachtio-server, rtpengine, Redis and, on request, FreeSWITCH', () => {
    const compose: unknown = parse(readFileSync(join(folder, 'compose.yaml'), 'utf8'));
    const services = ['redis', 'drachtio', 'rtpengine', 'freeswitch', 'tandem'];
    expect(compose).toMatchObject({
      services: Object.fromEntries(services.map((name) => [name, { network_mode: 'host' }])),
    });
  });
});

describe('docs/configuration.md', () => {
  const text = readFileSync(resolve(__dirname, '../../../docs/configuration.md'), 'utf8');

  it('has an example that loads', () => {
    const example = /```yaml\n(cluster:[\s\S]*?)```/.exec(text)?.[1] ?? '';
    const result = parseConfig(example, { file: 'configuration.md', env: secrets });
    expect(result.ok ? [] : result.problems.map(formatProblem)).toEqual([]);
  });

  it('names every key of every section', () => {
    const keys = Object.values(schemas).flatMap((schema) =>
      schema instanceof z.ZodObject ? Object.keys(schema.shape) : [],
    );
    expect(keys.length).toBeGreaterThan(40);
    for (const key of [...keys, ...schemas.SECTIONS]) expect(text).toMatch(new RegExp(`[\`{ ]${key}[\`,} ]`));
  });
});
