import { benchAllocate } from './allocate';
import { benchCall } from './call';
import { benchFailover } from './failover';
import { benchIdle } from './idle';
import { benchMoh } from './moh';
import { benchRegister } from './register';
import { benchReplication } from './replication';
import { benchResync } from './resync';
import { benchSip } from './sip';

const benches: Readonly<Record<string, () => Promise<void>>> = {
  register: benchRegister,
  call: benchCall,
  sip: benchSip,
  replication: benchReplication,
  resync: benchResync,
  failover: benchFailover,
  allocate: benchAllocate,
  moh: benchMoh,
  idle: benchIdle,
};

/** Runs the named benchmarks, or all; one JSON object per line on the standard output. */
async function main(): Promise<void> {
  const names = process.argv.slice(2);
  const known = Object.keys(benches);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no such benchmark: ${unknown.join(', ')} (there are: ${known.join(', ')})`);
  for (const name of names.length > 0 ? names : known) await benches[name]?.();
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
