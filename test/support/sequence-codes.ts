import { setTimeout as pause } from 'node:timers/promises';
import { comesAbout, drawPlan, failed, seen, told, type TransferHost } from './sequence-transfers';
import { referTo } from './transfer-stage';

/** What people do by feature codes: somebody answers for a phone that rings, or takes up a call that another has parked. */

const RETRIES = 20;
const RETRY_MS = 200;

/** A phone rings, and another of its group answers. */
export async function pickUp(host: TransferHost): Promise<void> {
  const { random, phones, callsOf, world, pairs } = host;
  const free = phones.filter((phone) => callsOf(phone) < 2);
  const caller = random.pick(free);
  const callee = random.pick(free.filter((phone) => phone !== caller));
  const other = random.pick(free.filter((phone) => phone !== caller && phone !== callee));
  if (caller === undefined || callee === undefined || other === undefined) return;
  const since = { ...world };
  const earlier = new Set(callee.open);
  callee.policy = { type: 'ring' };
  const { call, answered } = await caller.call(callee.dn);
  const rings = await seen(host, since, `${callee.dn} rings`, () => call.provisionals.includes(180));
  const picked = rings ? await other.call(`**${callee.dn}`) : undefined;
  const status = await picked?.answered;
  host.say(`${caller.dn} calls ${callee.dn}, and ${other.dn} answers: ${status ?? 'nobody rang'}`);
  if (picked !== undefined && status === 200 && (await answered) === 200) {
    const { nodeKills, engineKills, broken } = since;
    const ends = [
      { party: caller, call },
      { party: other, call: picked.call },
    ] as const;
    pairs.push({ nodeKills, engineKills, broken, ends });
    await seen(host, since, `${callee.dn} rings no more`, () => callee.open.every((open) => earlier.has(open)));
    return;
  }
  if (!host.disturbed(since))
    host.fail(`${other.dn} answers for ${callee.dn}, who is called by ${caller.dn}: ${status}`);
  for (const one of [call, picked?.call, ...callee.open.filter((open) => !earlier.has(open))]) await one?.hangUp();
}

/** Somebody parks the other end of its call, and a third phone takes it up. */
export async function park(host: TransferHost): Promise<void> {
  const plan = drawPlan(host);
  if (plan === undefined) return;
  const { a, b, c } = plan;
  const since = { ...host.world };
  const status = await a.call.refer(referTo('*68'));
  await told(host, a, since);
  const slot = /Parked At (\d+)/.exec(a.call.referral.notifies.at(-1)?.body.toString() ?? '')?.[1];
  host.say(`${a.party.dn} parks ${b.party.dn}: ${status}, at ${slot ?? 'nowhere'}`);
  if (slot === undefined) return failed(host, plan, since, 'nothing is parked');
  for (let tries = 0; tries < RETRIES && !host.disturbed(since); tries++) {
    const { answered } = await c.call(slot);
    if ((await answered) === 200) break;
    // It may be on its way to another node.
    await pause(RETRY_MS);
  }
  await comesAbout(host, plan, c, since);
}
