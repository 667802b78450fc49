import type { Effect } from '../../src/cluster/protocol/effects';
import type { RegistrationRecord } from '../../src/registration/record';

/** An entry of one process. */
export function nameOf({ key, pid, boot }: RegistrationRecord): string {
  return `${key}/${pid}/${boot}`;
}

/** What sort of effect it is, with its reason. */
export function kindOf(effect: Effect): string {
  if (effect.type === 'peer-offline') return `${effect.type} ${effect.reason}`;
  return effect.type === 'report' ? `${effect.type} ${effect.report}` : effect.type;
}
