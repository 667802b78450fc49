import { readdir, readFile } from 'node:fs/promises';
import type { CancelTimer, Clock } from '../process/clock';
import type { Problems } from './problems';

const INTERVAL_MS = 5000;
/** Of its descriptors a process is told to have few left when it uses more than this. */
const FULL = 0.9;

/** Files and connections that a process has open, and may have. */
export interface Descriptors {
  readonly open: number;
  readonly limit: number;
}

export interface WatchOptions {
  readonly clock: Clock;
  readonly problems: Problems;
  /** Writes what could not be written; says why it still cannot. */
  readonly mendGivenNumbers: () => string | undefined;
  /** Process number of the SIP server, when it is ours. */
  readonly sipServer: () => number | undefined;
}

/** Looks every few seconds at what nobody would tell: descriptors that are used up, files that are gone. */
export class Watch {
  private cancel: CancelTimer = () => undefined;
  private stopped = false;
  /** Nothing can be opened: no call could be taken. */
  private exhausted: string | undefined;

  constructor(private readonly options: WatchOptions) {}

  start(): void {
    this.cancel = this.options.clock.setTimer(INTERVAL_MS, () => {
      void this.look().finally(() => {
        if (!this.stopped) this.start();
      });
    });
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  /** Why no call can be taken. */
  notReady(): readonly string[] {
    return this.exhausted === undefined ? [] : [this.exhausted];
  }

  private async look(): Promise<void> {
    const { problems, mendGivenNumbers, sipServer } = this.options;
    const reason = mendGivenNumbers();
    problems.set(
      'given-numbers',
      reason && persistenceAdvice(`the file of given numbers cannot be written: ${reason}`),
    );
    const used = [
      ['this process', await descriptorsOf('self')] as const,
      ['the SIP server', await descriptorsOf(sipServer()?.toString())] as const,
    ].flatMap(([who, of]) => {
      const text = of === undefined ? undefined : describeDescriptors(who, of);
      return text === undefined ? [] : [text];
    });
    problems.set('descriptors', used[0]);
    this.exhausted = used.find((text) => text.includes('all of'));
  }
}

/** What an operator does about a file that cannot be written. */
export function persistenceAdvice(reason: string): string {
  return `${reason}; a restart of this node would lose what changes now. Make room on the disk, or mend stateDir: it is tried again every ${INTERVAL_MS / 1000} s`;
}

/** What to say of the descriptors of a process; undefined: it has enough. */
export function describeDescriptors(who: string, { open, limit }: Descriptors): string | undefined {
  if (open < limit * FULL) return undefined;
  // Looking takes one, and the runtime keeps a few.
  const all = open >= limit - 2;
  return `${who} uses ${all ? 'all of' : `${open} of`} ${limit} descriptors: raise LimitNOFILE (ulimit -n), or see who holds connections open`;
}

async function descriptorsOf(process: string | undefined): Promise<Descriptors | undefined> {
  if (process === undefined) return undefined;
  try {
    const limits = await readFile(`/proc/${process}/limits`, 'utf8');
    const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
    const open = (await readdir(`/proc/${process}/fd`)).length;
    return Number.isFinite(limit) ? { open, limit } : undefined;
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
    // Nothing can be opened here, not even this.
    return code === 'EMFILE' && process === 'self' ? { open: 1, limit: 1 } : undefined;
  }
}
