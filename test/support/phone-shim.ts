import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { findCommand } from './processes';

let library: string | undefined;

/**
 * The library that makes a soft phone bind to its own loopback address and lets baresip go on recording after a hold
 * (see `phoneshim.c`). Compiled once for a version of its source.
 */
export function phoneShim(): string {
  if (library !== undefined) return library;
  const source = join(__dirname, 'phoneshim.c');
  const version = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const cache = join(tmpdir(), `tandem-cache-${userInfo().uid}`);
  const path = join(cache, `phoneshim-${version}.so`);
  if (!existsSync(path)) {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    const unfinished = `${path}.${process.pid}`;
    const compiler = findCommand('gcc', 'gcc libc6-dev');
    const result = spawnSync(compiler, ['-shared', '-fPIC', '-O2', '-o', unfinished, source, '-ldl']);
    if (result.status !== 0) throw new Error(`the phone shim does not compile: ${result.stderr.toString()}`);
    renameSync(unfinished, path);
  }
  library = path;
  return path;
}
