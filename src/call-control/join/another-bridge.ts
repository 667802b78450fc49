import type { CodecPolicy } from '../../media-control';
import { type Bridge, newBridge } from '../core/call-state';
import type { Draft } from '../core/draft';

/** A bridge between two legs of the call, with nothing on it yet. */
export function anotherBridge(draft: Draft, seats: Bridge['seats'], codecPolicy: CodecPolicy | undefined): Bridge {
  const ordinal = draft.state.nextLeg;
  draft.state.nextLeg += 1;
  return newBridge({ id: `bridge${ordinal}`, seats, codecPolicy });
}
