import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from './scope';

/** Whether this machine lets the tests mount a file system: only root may. */
export const canMount = process.platform === 'linux' && process.getuid?.() === 0;

const BLOCK = Buffer.alloc(4096, 'ballast');

/** A file system of its own, small and in memory, that can be filled up and made read-only. */
export class SmallDisk {
  private constructor(readonly directory: string) {}

  static mount(scope: Scope, directory: string, kilobytes = 256): SmallDisk {
    mkdirSync(directory, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'tandem-test', directory]);
    scope.defer(() => execFileSync('umount', ['--lazy', directory]));
    return new SmallDisk(directory);
  }

  /** Until nothing more goes on it. */
  fill(): void {
    for (let size = BLOCK.length; size >= 1;)
      try {
        appendFileSync(this.ballast, BLOCK.subarray(0, size));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        size = Math.floor(size / 2);
      }
  }

  makeRoom(): void {
    rmSync(this.ballast, { force: true });
  }

  /** Nobody may have a file of it open for writing. */
  readOnly(is: boolean): void {
    execFileSync('mount', ['-o', `remount,${is ? 'ro' : 'rw'}`, this.directory]);
  }

  private get ballast(): string {
    return join(this.directory, 'ballast');
  }
}
