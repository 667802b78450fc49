import { resolve } from 'node:path';
import type { z } from 'zod';
import type { redisSchema } from './schema';
import type { Source } from './source';
import type { RedisConfig } from './types';

/** `cluster.redis` as it was read: a URL alone, or a table. */
type RedisSection = string | z.infer<typeof redisSchema>;

/** What one key of `cluster.redis` says about another. */
export function checkRedis(source: Source, section: RedisSection | undefined): void {
  if (section === undefined || typeof section === 'string') return;
  const { url, username, password, tls, sentinel } = section;
  const problem = (keys: readonly string[], message: string) => source.problem(['cluster', 'redis', ...keys], message);
  if ((url === undefined) === (sentinel === undefined)) problem([], 'must have either "url" or "sentinel"');
  if (username !== undefined && password === undefined) problem(['username'], 'needs a "password"');
  if (url !== undefined && url.includes('@') && password !== undefined)
    problem(['password'], 'is in the "url" already');
  if (tls !== undefined && url !== undefined && !url.startsWith('rediss:')) problem(['tls'], 'needs a "rediss://" URL');
  if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined))
    problem(['tls'], '"cert" and "key" go together');
  if (sentinel?.username !== undefined && sentinel.password === undefined)
    problem(['sentinel', 'username'], 'needs a "password"');
}

/** The section with every key there; paths from `folder`. */
export function redisConfig(section: RedisSection | undefined, folder: string): RedisConfig | undefined {
  if (section === undefined) return undefined;
  const { url, username, password, tls, sentinel } = typeof section === 'string' ? { url: section } : section;
  const file = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path));
  return {
    url,
    username,
    password,
    tls:
      tls === undefined
        ? undefined
        : { ca: file(tls.ca), cert: file(tls.cert), key: file(tls.key), serverName: tls.serverName },
    sentinel:
      sentinel === undefined ? undefined : { ...sentinel, username: sentinel.username, password: sentinel.password },
  };
}
