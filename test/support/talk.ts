import { musicTones } from './music';

/** What the phones of the tests have in common: a real telephone, or one in a browser. */
export interface TestPhone {
  /** Hz; its microphone. */
  readonly options: { readonly tone: number };
  /** From here on only later events count. */
  now(): unknown;
  dial(number: string): Promise<void>;
  accept(): Promise<void>;
  incoming(): Promise<unknown>;
  established(): Promise<unknown>;
  closed(): Promise<unknown>;
  hangup(): Promise<void>;
  hearsTones(...tones: number[]): Promise<void>;
  doesNotHear(tones: readonly number[]): Promise<void>;
}

/** One calls the other, who answers; both have heard the tone of the other at the end. */
export async function talk(caller: TestPhone, callee: TestPhone, number: string): Promise<void> {
  await callee.now();
  await caller.dial(number);
  await callee.incoming();
  await callee.accept();
  await Promise.all([caller.established(), callee.established()]);
  await hearEachOther(caller, callee);
}

export async function hearEachOther(one: TestPhone, other: TestPhone): Promise<void> {
  await Promise.all([one.hearsTones(other.options.tone), other.hearsTones(one.options.tone)]);
}

/** Hears the music, clearly, and neither the other party nor itself. */
export async function hearsMusic(held: TestPhone, ...others: readonly TestPhone[]): Promise<void> {
  await held.hearsTones(...musicTones);
  await held.doesNotHear([held, ...others].map((phone) => phone.options.tone));
}

/** One ends the call; the other is told. */
export async function hangUp(one: TestPhone, other: TestPhone): Promise<void> {
  await other.now();
  await one.hangup();
  await other.closed();
}

/** Ends whatever calls a phone still has, for tests that failed half-way. */
export async function endCalls(...phones: readonly (TestPhone | undefined)[]): Promise<void> {
  for (const phone of phones) await phone?.hangup().catch(() => undefined);
}
