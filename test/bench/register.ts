import { freePort } from '../support/ports';
import { Scope } from '../support/scope';
import { Sipp, type SippResult } from '../support/sipp';
import { startKamailio } from './kamailio';
import { callers, startCluster, watched } from './load';
import { family, ramp } from './ramp';
import { note } from './result';

/** Authenticated registrations: each is a REGISTER that is challenged and one that is accepted. */
async function load(
  scope: Scope,
  servers: readonly string[],
  ports: readonly number[],
  rate: number,
  count: number,
): Promise<SippResult[]> {
  const each = servers.length;
  const runs = servers.map((server, index) =>
    Sipp.start(scope, {
      scenario: 'register',
      server,
      // The same every time, else each step adds a binding to each device, up to the registrar's limit.
      ...(ports[index] === undefined ? {} : { port: ports[index] }),
      users: callers().filter((_, user) => user % each === index),
      calls: Math.ceil(count / each),
      rate: Math.max(1, Math.round(rate / each)),
      timeout: 20,
    }).then((sipp) => sipp.finished()),
  );
  return Promise.all(runs);
}

export async function benchRegister(): Promise<void> {
  const plan = { bench: 'register', operations: 'registrations', responses: ['register'] };
  const ports = [await freePort(), await freePort()];
  const cluster = await startCluster();
  try {
    const servers = cluster.nodes.map((node) => node.sip);
    for (const [where, used] of [
      ['one node of two', servers.slice(0, 1)],
      ['spread over two nodes', servers],
    ] as const) {
      await ramp({
        ...plan,
        where,
        watched: watched(cluster),
        run: (rate, count) => load(cluster.scope, used, ports, rate, count),
      });
    }
  } finally {
    await cluster.close();
  }
  const scope = new Scope();
  try {
    const kamailio = await startKamailio(scope);
    if (kamailio === undefined) return note('kamailio is not installed: not compared');
    await ramp({
      ...plan,
      where: 'one server',
      peer: 'kamailio',
      watched: new Map([['server', family(kamailio.pid)]]),
      run: (rate, count) => load(scope, [kamailio.server], ports, rate, count),
    });
  } finally {
    await scope.close();
  }
}
