import type { Phone } from './baresip';
import { musicTones } from './music';

/** One calls the other, who answers; both have heard the tone of the other at the end. */
export async function talk(caller: Phone, callee: Phone, number: string): Promise<void> {
  callee.now();
  await caller.dial(number);
  await callee.incoming();
  await callee.accept();
  await Promise.all([caller.established(), callee.established()]);
  await hearEachOther(caller, callee);
}

export async function hearEachOther(one: Phone, other: Phone): Promise<void> {
  await Promise.all([one.hearsTones(other.options.tone), other.hearsTones(one.options.tone)]);
}

/** Hears the music, clearly, and neither the other party nor itself. */
export async function hearsMusic(held: Phone, ...others: readonly Phone[]): Promise<void> {
  await held.hearsTones(...musicTones);
  await held.doesNotHear([held, ...others].map((phone) => phone.options.tone));
}

/** One ends the call; the other is told. */
export async function hangUp(one: Phone, other: Phone): Promise<void> {
  other.now();
  await one.hangup();
  await other.closed();
}

/** Ends whatever calls a phone still has, for tests that failed half-way. */
export async function endCalls(...phones: readonly (Phone | undefined)[]): Promise<void> {
  for (const phone of phones) await phone?.hangup().catch(() => undefined);
}
