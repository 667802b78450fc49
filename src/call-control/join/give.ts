import type { Leg } from '../core/leg';
import type { Draft } from '../core/draft';
import { dissolve } from './connect';
import { forget } from './leaving';

/** A leg leaves this call for another one, with its dialog as it is. What it was connected with stays behind. */
export function give(draft: Draft, leg: Leg): void {
  const { bridge } = draft;
  // One whose seat another leg has taken already leaves nothing behind.
  if (bridge !== undefined && (bridge.seats.a === leg.id || bridge.seats.b === leg.id)) {
    dissolve(draft, bridge);
    draft.state.bridge = undefined;
  }
  forget(draft, leg);
  if (leg.connection === 'peer') leg.connection = 'silence';
  draft.emit({ type: 'give', leg: { ...leg } });
}
