import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../telemetry/logger';
import { canonicalMac } from './device-identity';
import type { Claim } from './auto-registration-claims';

const FILE_NAME = 'auto-registration.jsonl';
const PRIVATE = 0o600;

/** Where the numbers that devices were given outlive a restart. */
export interface ClaimStore {
  read(): readonly Claim[];
  append(claim: Claim): void;
}

/**
 * A file with a line for each claim, in the node's state directory. A line is there before the phone is told its number;
 * new devices are rare, so that a synchronous write costs nothing. A file that cannot be read or written is reported, and
 * written whole as soon as it can be. That of another cluster is set aside.
 */
export class ClaimFile implements ClaimStore {
  private readonly path: string;
  private held: Claim[] = [];
  /** Which file it is that we write, by device and inode; undefined: none that has everything. */
  private place: string | undefined;
  private reported = false;

  constructor(
    private readonly directory: string,
    private readonly log: Logger,
    private readonly cluster = '',
  ) {
    this.path = join(directory, FILE_NAME);
  }

  /** What is there; a line that is damaged is left out, and the file is written anew without it. */
  read(): readonly Claim[] {
    let lines: readonly string[];
    try {
      lines = readFileSync(this.path, 'utf8').split('\n');
    } catch (error) {
      if (!isMissing(error)) this.report('read', error);
      return [];
    }
    const whose = clusterOf(lines[0] ?? '');
    if (whose !== undefined && whose !== this.cluster) {
      this.guard('set aside', () => renameSync(this.path, `${this.path}.foreign`));
      this.log.warn(
        { path: this.path, cluster: whose },
        'the given numbers are those of another cluster and are not used',
      );
      return [];
    }
    const claims = lines.flatMap((line) => parseClaim(line) ?? []);
    const damaged = lines.slice(whose === undefined ? 0 : 1).filter((line) => line !== '').length - claims.length;
    if (damaged > 0) this.log.warn({ path: this.path, damaged }, 'lines of given numbers are damaged and left out');
    this.held = claims;
    this.guard('write', () => this.writeWhole());
    return claims;
  }

  append(claim: Claim): void {
    this.held.push(claim);
    this.guard('write', () => {
      if (this.place === undefined || this.place !== placeOf(this.path)) return this.writeWhole();
      appendFileSync(this.path, lineOf(claim), { mode: PRIVATE });
    });
  }

  /** Writes everything when the file has not got it, be it removed or on a disk that was full. Undefined: all is well; else why not. */
  mend(): string | undefined {
    if (this.held.length === 0 || (this.place !== undefined && this.place === placeOf(this.path))) return undefined;
    return this.guard('write', () => this.writeWhole());
  }

  private writeWhole(): void {
    const text = [
      this.cluster === '' ? '' : `${JSON.stringify({ cluster: this.cluster })}\n`,
      ...this.held.map(lineOf),
    ];
    const temporary = `${this.path}.new`;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    try {
      writeFileSync(temporary, text.join(''), { mode: PRIVATE, flush: true });
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    renameSync(temporary, this.path);
    this.place = placeOf(this.path);
    this.reported = false;
  }

  /** Why it failed. */
  private guard(step: string, work: () => void): string | undefined {
    try {
      work();
      return undefined;
    } catch (error) {
      this.place = undefined;
      this.report(step, error);
      return error instanceof Error ? error.message : String(error);
    }
  }

  private report(step: string, error: unknown): void {
    if (this.reported) return;
    this.reported = true;
    const consequence = 'given numbers are not kept over a restart of this node, unless another node knows them';
    this.log.warn({ path: this.path, step, error: String(error) }, consequence);
  }
}

/** Device and inode; a text that no file has when there is none. */
function placeOf(path: string): string {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return 'nowhere';
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** The first line says whose file it is; older files have none. */
function clusterOf(line: string): string | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) && typeof value.cluster === 'string' && value.identity === undefined
      ? value.cluster
      : undefined;
  } catch {
    return undefined;
  }
}

function lineOf({ identity, number, device, mac, at }: Claim): string {
  return `${JSON.stringify({ identity, number, device, mac, at })}\n`;
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

function parseClaim(line: string): Claim | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isObject(value) || !isObject(value.at)) return undefined;
  const { identity, number, device } = value;
  const { ms, counter, node } = value.at;
  if (typeof identity !== 'string' || typeof number !== 'string' || typeof device !== 'string') return undefined;
  if (!isCount(ms) || !isCount(counter) || !isCount(node)) return undefined;
  const mac = typeof value.mac === 'string' ? canonicalMac(value.mac) : undefined;
  return { identity, number, device, mac, at: { ms, counter, node } };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
