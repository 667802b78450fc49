import { setImmediate as nextTurn } from 'node:timers/promises';
import { Cluster } from '../../src/cluster/cluster';
import { RedisBus } from '../../src/cluster/redis/redis-bus';
import { systemClock } from '../../src/process/clock';
import { HybridClock } from '../../src/process/hlc';
import { formatPid } from '../../src/process/pid';
import { bindingKey } from '../../src/registration/binding-key';
import { CompositeSet } from '../../src/registration/composite-set';
import { EntrySet } from '../../src/registration/entry-set';
import type { RegistrationRecord } from '../../src/registration/record';
import { answer } from './probe';

/**
 * A node that holds many entries and does nothing else: registrations of phones that there are not.
 * Arguments: Redis, name and secret of the cluster, node number, number of entries, socket for questions.
 */
const [redis = '', clusterName = '', secret = '', number = '', size = '', socket = ''] = process.argv.slice(2);
const node = Number(number);
/** Entries that are made in one turn of the event loop. */
const SLICE = 2_000;

function entry(index: number, boot: number, stamps: HybridClock): RegistrationRecord {
  const device = `SEP${String(index).padStart(12, '0')}`;
  const instance = `urn:uuid:00000000-0000-1000-8000-${index.toString(16).padStart(12, '0')}`;
  const address = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}:5060`;
  const line = String(1_000_000 + index);
  return {
    key: bindingKey(device, instance),
    kind: 'station',
    device,
    lines: [line],
    instance,
    pid: formatPid({ node, type: 'dp', instance: index + 1 }),
    boot,
    contact: `sip:${line}-0x5581${index.toString(16).padStart(8, '0')}@${address}`,
    address: `udp:${address}`,
    stamp: stamps.next(),
    expiresAt: Date.now() + 3_600_000,
  };
}

async function main(): Promise<void> {
  const composite = new CompositeSet();
  const hybridClock = new HybridClock(node, () => Date.now());
  const say = (message: string, fields?: object) =>
    void process.stderr.write(`${message} ${JSON.stringify(fields ?? {})}\n`);
  const cluster = new Cluster({
    node,
    clusterName,
    secret,
    bus: new RedisBus({ url: redis }),
    clock: systemClock,
    hybridClock,
    composite,
    entries: new EntrySet(),
    longestLifeMs: 3_600_000,
    sipAddress: '127.0.0.1:9',
    log: { info: say, warn: say, error: say },
    onFatal: (message) => {
      throw new Error(message);
    },
  });
  const { boot } = await cluster.start();
  for (let index = 0; index < Number(size); index++) {
    composite.put(node, entry(index, boot, hybridClock));
    if (index % SLICE === SLICE - 1) await nextTurn();
  }
  answer(socket);
  // The clock's timers keep no process alive, and nothing else runs here.
  setInterval(() => undefined, 60_000);
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
