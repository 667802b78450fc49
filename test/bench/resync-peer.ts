import { freePort } from '../support/ports';
import { Scope } from '../support/scope';
import { Asker } from './asker';
import { startKamailio } from './kamailio';
import { monotonicMs } from './probe';

const WINDOW = 100;
const LOOK_MS = 5;
const STANDSTILL_MS = 15_000;
/** Shared memory of each, MiB: some 2 kB a contact. */
const MEMORY = 1024;

export interface Newcomer {
  /** From the launch of the process, and from its first answer, until it had all that it has got, s. */
  readonly sinceLaunch: number;
  readonly sinceAnswer: number;
  readonly count: number;
}

/** Two nodes of Kamailio with dmq_usrloc: one has so many contacts, the other one comes; `undefined` when it is not installed. */
export async function kamailioNewcomer(contacts: number): Promise<Newcomer | undefined> {
  const scope = new Scope();
  try {
    const port = await freePort();
    const options = { joins: port, unauthenticated: true, memory: MEMORY };
    const owner = await startKamailio(scope, { ...options, port });
    if (owner === undefined) return undefined;
    const asker = await Asker.start(scope);
    let next = 0;
    const fill = async () => {
      for (let user = next++; user < contacts; user = next++) await asker.register(port, String(1_000_000 + user));
    };
    await Promise.all(Array.from({ length: WINDOW }, fill));
    const [launched, second] = [monotonicMs(), await freePort()];
    const [newcomer] = await Promise.all([
      watch(asker, second, contacts),
      startKamailio(scope, { ...options, port: second }),
    ]);
    const { answered, grown, count } = newcomer;
    return { sinceLaunch: (grown - launched) / 1000, sinceAnswer: (grown - answered) / 1000, count };
  } finally {
    await scope.close();
  }
}

/** Sees the table grow, until it is complete; what gets lost on the way does not come again: or until it stands still. */
async function watch(asker: Asker, port: number, contacts: number) {
  let count = await asker.count(port);
  const answered = monotonicMs();
  let grown = answered;
  while (count < contacts && monotonicMs() < grown + STANDSTILL_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = await asker.count(port);
    if (now > count) [count, grown] = [now, monotonicMs()];
  }
  return { answered, grown, count };
}
