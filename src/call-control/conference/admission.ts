/** Whether somebody may join a conference. */
export type Admission = { readonly ok: true } | { readonly ok: false; readonly status: number; readonly text: string };

export interface Occupancy {
  /** Who is in, or on the way in. */
  readonly members: number;
  readonly maxMembers: number;
  readonly draining: boolean;
}

/** Bridges let everybody in, and end the call of one too many after they have answered it: so it is decided here. */
export function admit({ members, maxMembers, draining }: Occupancy): Admission {
  if (draining) return { ok: false, status: 503, text: 'The node stops' };
  if (members >= maxMembers) return { ok: false, status: 486, text: 'The conference is full' };
  return { ok: true };
}
