/** For each step of a state machine those that may follow it; it may also be followed by itself. */
export type StepTable<Step extends string> = Readonly<Record<Step, readonly Step[]>>;

/** Throws when `to` may not follow `from`: the state of a call that goes on from there could not be trusted. */
export function follow<Step extends string>(table: StepTable<Step>, what: string, from: Step, to: Step): void {
  if (from !== to && !table[from].includes(to)) throw new Error(`${what}: ${to} cannot follow ${from}`);
}
