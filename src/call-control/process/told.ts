import type { DeviceRouter } from '../../device/device-process';
import { WORD_HEADER } from '../../sip/node-signature';
import type { Session, SessionSignal } from '../../sip/user-agent';
import { parseTried } from '../bridge/path';
import type { Destination } from '../core/call-state';
import type { CallSignal } from '../core/signals';

/** The answers of a node that may carry the signed header: it has not the process, or nothing for the number. */
const NOT_MINE: readonly number[] = [410, 404, 480];

/** What a node may say, signed, with a refusal. */
export type Told = Pick<Extract<CallSignal, { type: 'session' }>, 'notMine' | 'tried' | 'judged'>;

/** What a node says with its refusal. Only signed headers count: phones and gateways say 410 too (claim R13). */
export function toldWith(
  signal: SessionSignal,
  router: Pick<DeviceRouter, 'readNotMine' | 'open'>,
  { local, node }: Destination,
  { callId }: Session,
): Told {
  if (signal.type !== 'rejected' || local) return {};
  const { status, header } = signal;
  const notMine = NOT_MINE.includes(status) ? router.readNotMine(node, callId, header) : undefined;
  const { tried, judged } = router.open(node, callId, header(WORD_HEADER)) ?? {};
  return {
    ...(notMine === undefined ? {} : { notMine }),
    ...(tried === undefined || status !== 488 ? {} : { tried: parseTried(tried) }),
    ...(judged === undefined ? {} : { judged }),
  };
}
