import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
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
 * new devices are rare, so that a synchronous write costs nothing. A file that cannot be read or written is reported.
 */
export class ClaimFile implements ClaimStore {
  private readonly path: string;
  private failed = false;

  constructor(
    private readonly directory: string,
    private readonly log: Logger,
  ) {
    this.path = join(directory, FILE_NAME);
  }

  /** What is there; a line that is damaged is left out, and the file is written anew without it. */
  read(): readonly Claim[] {
    let lines: readonly string[];
    try {
      lines = readFileSync(this.path, 'utf8').split('\n');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) this.fail('read', error);
      return [];
    }
    const claims = lines.flatMap((line) => parseClaim(line) ?? []);
    const damaged = lines.filter((line) => line !== '').length - claims.length;
    if (damaged > 0) this.log.warn({ path: this.path, damaged }, 'lines of given numbers are damaged and left out');
    this.guard('write', () => {
      writeFileSync(`${this.path}.new`, claims.map(lineOf).join(''), { mode: PRIVATE, flush: true });
      renameSync(`${this.path}.new`, this.path);
    });
    return claims;
  }

  append(claim: Claim): void {
    this.guard('write', () => {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      appendFileSync(this.path, lineOf(claim), { mode: PRIVATE });
    });
  }

  private guard(step: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(step, error);
    }
  }

  private fail(step: string, error: unknown): void {
    if (this.failed) return;
    this.failed = true;
    const consequence = 'given numbers are not kept over a restart of this node, unless another node knows them';
    this.log.warn({ path: this.path, step, error: String(error) }, consequence);
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
