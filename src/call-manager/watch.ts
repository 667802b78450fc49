import { readdir, readFile, stat } from 'node:fs/promises';
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
  /** By process, as at the last look. */
  private known: ReadonlyMap<string, Descriptors> = new Map();

  constructor(private readonly options: WatchOptions) {}

  start(): void {
    const look = (): void =>
      void this.look().finally(() => {
        if (!this.stopped) this.start();
      });
    this.cancel = this.options.clock.setTimer(INTERVAL_MS, look, true);
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
    const processes = [
      ['this process', 'self'],
      ['the SIP server', sipServer()?.toString()],
    ] as const;
    const used: string[] = [];
    const found = new Map<string, Descriptors>();
    for (const [who, process = ''] of processes) {
      const of = process === '' ? undefined : await descriptorsOf(process, this.known.get(process));
      if (of === undefined) continue;
      found.set(process, of);
      const text = describeDescriptors(who, of);
      if (text !== undefined) used.push(text);
    }
    this.known = found;
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

/** `known`: its limit when it was looked at before; it is read again when it is nearly used up, for it may have been raised. */
async function descriptorsOf(process: string, known: Descriptors | undefined): Promise<Descriptors | undefined> {
  try {
    const folder = `/proc/${process}/fd`;
    // Linux says their number as the size of the folder, from 6.2 on.
    const { size } = await stat(folder);
    const open = size > 0 ? size : (await readdir(folder)).length;
    if (known !== undefined && open < known.limit * FULL) return { open, limit: known.limit };
    const limits = await readFile(`/proc/${process}/limits`, 'utf8');
    const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
    return Number.isFinite(limit) ? { open, limit } : undefined;
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
    // Nothing can be opened here, not even this.
    return code === 'EMFILE' && process === 'self' ? { open: 1, limit: 1 } : undefined;
  }
}
