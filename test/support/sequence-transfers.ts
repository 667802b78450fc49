import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../simulation/random';
import { eventually } from './eventually';
import type { MediaParty } from './media-party';
import type { PartyCall } from './party-call';
import { replacesOf } from './party-messages';
import type { End, Pair, Past, World } from './sequence-world';
import { referTo } from './transfer-stage';

/** What transfers want of their sequence. */
export interface TransferHost {
  readonly random: Random;
  readonly phones: readonly MediaParty[];
  readonly world: World;
  /** Changed by a transfer that has come about. */
  readonly pairs: Pair[];
  callsOf(phone: MediaParty): number;
  disturbed(since: Past): boolean;
  say(step: string): void;
  fail(failure: string): void;
}

/** Someone transfers the other end of its call to a third party. */
export interface Plan {
  readonly pair: Pair;
  readonly a: End;
  readonly b: End;
  readonly c: MediaParty;
  /** Calls that there were before it. */
  readonly earlier: ReadonlySet<PartyCall>;
}

const TOLD_MS = 20_000;
/** What has not come about after so long may be lost with what was. */
const DISTURBED_MS = 2000;
const REFUSALS = ['486 Busy Here', '603 Decline', '480 Temporarily Unavailable'];

/** Blind: the transferor stays until it is told, or leaves at once; the target answers, or refuses. */
export async function transferBlind(host: TransferHost): Promise<void> {
  const plan = drawPlan(host);
  if (plan === undefined) return;
  const { random } = host;
  const { a, b, c } = plan;
  const [refuses, leaves] = [random.chance(0.25), random.chance(0.3)];
  const afterMs = random.below(300);
  a.party.policy = { type: 'answer', afterMs: 0 };
  c.policy = refuses
    ? { type: 'refuse', status: random.pick(REFUSALS) ?? '486 Busy Here', afterMs }
    : { type: 'answer', afterMs };
  const since = { ...host.world };
  const status = await a.call.refer(referTo(c.dn));
  const how = `${refuses ? 'who refuses' : ''}${leaves ? ' and hangs up' : ''}`;
  host.say(`${a.party.dn} transfers ${b.party.dn} to ${c.dn} ${how}: ${status}`);
  if (status !== 202) return failed(host, plan, since, `a transfer is answered ${status}`);
  if (leaves) await a.call.hangUp();
  if (refuses && !leaves) {
    await told(host, a, since);
    const { last } = a.call.referral;
    if (last < 400 || last === 487) await failed(host, plan, since, `a transfer that is refused ends with ${last}`);
    return;
  }
  // Who has left is called back when the target refuses.
  await comesAbout(host, plan, refuses ? a.party : c, since);
}

/** Attended: after a second call that is up, or (semi-attended) rings. */
export async function transferAttended(host: TransferHost): Promise<void> {
  const plan = drawPlan(host);
  if (plan === undefined) return;
  const { random } = host;
  const { a, b, c } = plan;
  const [rings, holds] = [random.chance(0.4), random.chance(0.6)];
  const since = { ...host.world };
  if (holds) await a.call.change({ hold: 'sendonly' });
  c.policy = rings ? { type: 'ring' } : { type: 'answer', afterMs: 0 };
  const { call, answered } = await a.party.call(c.dn);
  const ready = (): boolean => (rings ? call.dialog.remoteTag !== '' && fresh(plan, c) !== undefined : call.up);
  const second = await seen(host, since, 'the second call is there', () => ready() || call.state === 'ended');
  if (!second || !ready()) {
    await call.hangUp();
    return failed(host, plan, since, `the call of ${a.party.dn} to ${c.dn} does not come about: ${call.state}`);
  }
  const status = await a.call.refer(referTo(c.dn, replacesOf(call.dialog)));
  host.say(`${a.party.dn} connects ${b.party.dn} with ${c.dn}${rings ? ', who rings' : ''}: ${status}`);
  if (rings) {
    await pause(random.below(200));
    // It may be rung again, with another offer.
    c.policy = { type: 'answer', afterMs: 0 };
    fresh(plan, c)?.accept();
  }
  if (status !== 202) {
    await call.hangUp();
    return failed(host, plan, since, `an attended transfer is answered ${status}`);
  }
  await comesAbout(host, plan, c, since);
  await answered;
  if (call.state === 'ended') return;
  if (!host.disturbed(since)) host.fail(`${a.party.dn} keeps its second call: ${call.told()}`);
  await call.hangUp();
}

export function drawPlan({ random, phones, pairs, world, callsOf }: TransferHost): Plan | undefined {
  const whole = pairs.filter(
    ({ ends, nodeKills }) => nodeKills === world.nodeKills && ends.every(({ call }) => call.up),
  );
  const pair = random.pick(whole);
  if (pair === undefined) return undefined;
  const [a, b] = random.chance(0.5) ? pair.ends : ([pair.ends[1], pair.ends[0]] as const);
  const free = phones.filter((phone) => phone !== a.party && phone !== b.party && callsOf(phone) < 2);
  const c = callsOf(a.party) < 2 ? random.pick(free) : undefined;
  const earlier = new Set(phones.flatMap(({ open }) => open));
  return c === undefined ? undefined : { pair, a, b, c, earlier };
}

/** What a transfer has brought a phone. */
export function fresh({ earlier }: Plan, phone: MediaParty): PartyCall | undefined {
  return phone.open.findLast((call) => !earlier.has(call));
}

/** False: something was lost meanwhile, and it has not come about for all that. */
export async function seen(host: TransferHost, since: Past, what: string, look: () => boolean): Promise<boolean> {
  const begun = Date.now();
  try {
    await eventually(
      what,
      () => look(),
      (there) => there || (host.disturbed(since) && Date.now() - begun > DISTURBED_MS),
      { cap: TOLD_MS },
    );
  } catch (error) {
    host.fail(String(error));
  }
  return look();
}

export function told(host: TransferHost, { party, call }: End, since: Past): Promise<boolean> {
  return seen(host, since, `${party.dn} is told of its transfer`, () => call.referral.ended || !call.up);
}

/** The transferee and `by` are a pair from here on, and the transferor has no call. */
export async function comesAbout(host: TransferHost, plan: Plan, by: MediaParty, since: Past): Promise<void> {
  const { pair, a, b } = plan;
  const left = await seen(host, since, `${a.party.dn} has left its call`, () => !a.call.up);
  const came = await seen(host, since, `${by.dn} has the call`, () => fresh(plan, by)?.up === true || !b.call.up);
  const call = fresh(plan, by);
  if (!left || !came || call?.up !== true || !b.call.up)
    return failed(
      host,
      plan,
      since,
      `${b.party.dn} is not connected with ${by.dn}: ${b.call.told()} ${call?.told() ?? ''}`,
    );
  const { nodeKills, engineKills, broken } = since;
  host.pairs.splice(host.pairs.indexOf(pair), 1, {
    ...{ nodeKills, engineKills, broken },
    ends: [b, { party: by, call }],
  });
}

/** Only when something was lost. All that belong to it hang up. */
export async function failed(host: TransferHost, plan: Plan, since: Past, failure: string): Promise<void> {
  const { pair, a, b, c } = plan;
  if (!host.disturbed(since)) host.fail(`${a.party.dn} transfers ${b.party.dn} to ${c.dn}: ${failure}`);
  host.pairs.splice(host.pairs.indexOf(pair), 1);
  for (const { call } of [a, b]) await call.hangUp();
  for (const phone of [a.party, c]) await fresh(plan, phone)?.hangUp();
}
