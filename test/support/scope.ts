import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Owns what a test starts. Everything is ended in reverse order by `close`, also when one ending fails; call it in
 * `afterEach` or `afterAll`. `TANDEM_KEEP_FILES=1` keeps the directories (logs, recordings) and prints where they are.
 */
export class Scope {
  private readonly endings: (() => unknown)[] = [];

  /** Runs `ending` when the scope closes. */
  defer(ending: () => unknown): void {
    this.endings.push(ending);
  }

  /** A new directory, removed at the end. The path is short, because baresip builds file names in 128 bytes. */
  directory(name: string): string {
    const path = mkdtempSync(join(tmpdir(), `tandem-${name}-`));
    this.defer(() => {
      if (process.env['TANDEM_KEEP_FILES'] === '1') process.stderr.write(`kept ${path}\n`);
      else rmSync(path, { recursive: true, force: true });
    });
    return path;
  }

  /** Ends everything, latest first. Throws the first failure after all endings have run. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let ending = this.endings.pop(); ending !== undefined; ending = this.endings.pop()) {
      try {
        await ending();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
