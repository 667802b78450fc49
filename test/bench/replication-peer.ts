import { freePort } from '../support/ports';
import { Scope } from '../support/scope';
import { quantile } from '../support/sipp';
import { Asker } from './asker';
import { startKamailio } from './kamailio';
import { monotonicMs } from './probe';

/** What is not everywhere after this time is missing. */
const SETTLE_MS = 10_000;
const WARM_UP = 50;

export interface PeerRun {
  readonly rate: number;
  /** From the 200 to the first question that every other node answers with yes, ms, one for each registration. */
  readonly last: readonly number[];
  readonly missing: number;
  /** Median round trip of a question, ms: more exactly than this nothing is known. */
  readonly resolution: number;
}

/** The same registrations on as many nodes of Kamailio with dmq_usrloc; `undefined` when it is not installed. */
export async function kamailioDelays(nodes: number, rates: readonly { rate: number; count: number }[]) {
  const scope = new Scope();
  try {
    const first = await freePort();
    const ports: number[] = [];
    for (let node = 0; node < nodes; node++) {
      const kamailio = await startKamailio(scope, { joins: first, ...(node === 0 ? { port: first } : {}) });
      if (kamailio === undefined) return undefined;
      ports.push(kamailio.port);
    }
    const asker = await Asker.start(scope);
    await eachKnowsTheOthers(asker, ports);
    const runs: PeerRun[] = [];
    for (const { rate, count } of [{ rate: 100, count: WARM_UP }, ...rates])
      runs.push(await registrations(asker, ports, rate, count));
    return runs.slice(1);
  } finally {
    await scope.close();
  }
}

/** They learn of each other from the first one, some seconds after it. */
async function eachKnowsTheOthers(asker: Asker, ports: readonly number[]): Promise<void> {
  const end = monotonicMs() + 30_000;
  for (const port of ports)
    for (let attempt = 0; ; attempt++) {
      const user = `hello-${port}-${attempt}`;
      await asker.register(port, user);
      const others = ports.filter((other) => other !== port);
      const known = await Promise.all(others.map((other) => becomesKnown(asker, other, user, monotonicMs(), 1_000)));
      if (known.every(({ delay }) => delay !== undefined)) break;
      if (monotonicMs() > end) throw new Error('the nodes of Kamailio do not find each other');
    }
}

async function registrations(asker: Asker, ports: readonly number[], rate: number, count: number): Promise<PeerRun> {
  const began = monotonicMs();
  const running: Promise<{ readonly delay: number | undefined; readonly took: readonly number[] }>[] = [];
  for (let index = 0; index < count; index++) {
    while (monotonicMs() < began + (index * 1000) / rate) await new Promise((resolve) => setTimeout(resolve, 1));
    const home = ports[index % ports.length] ?? 0;
    const others = ports.filter((port) => port !== home);
    running.push(registration(asker, home, others, `peer-${rate}-${index}-${began}`));
  }
  const all = await Promise.all(running);
  const last = all.flatMap(({ delay }) => (delay === undefined ? [] : [delay]));
  const resolution = quantile(
    all.flatMap(({ took }) => took),
    0.5,
  );
  return { rate, last, missing: count - last.length, resolution };
}

async function registration(asker: Asker, home: number, others: readonly number[], user: string) {
  const at = await asker.register(home, user);
  const known = await Promise.all(others.map((port) => becomesKnown(asker, port, user, at, SETTLE_MS)));
  const missing = known.some(({ delay }) => delay === undefined);
  const delay = missing ? undefined : Math.max(...known.map((each) => each.delay ?? 0));
  return { delay, took: known.flatMap(({ took }) => took) };
}

/** Asks until it is known. Known at the first question, which follows the 200 at once, is no delay. */
async function becomesKnown(asker: Asker, port: number, user: string, since: number, capMs: number) {
  const took: number[] = [];
  for (let first = true; monotonicMs() < since + capMs; first = false) {
    const answer = await asker.knows(port, user);
    took.push(answer.took);
    if (answer.known) return { delay: first ? 0 : answer.asked - since, took };
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return { delay: undefined, took };
}
