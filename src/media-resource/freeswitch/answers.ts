import { EngineError, type UnavailableReason } from '../ports';

/** What a refusal of a call says about the bridge. */
function reasonFor(status: number): UnavailableReason {
  switch (status) {
    case 408:
      return 'down';
    case 480:
    case 486:
    case 503:
    case 600:
      return 'full';
    case 415:
    case 488:
    case 606:
      return 'unsupported';
    default:
      return 'error';
  }
}

/** What is probably wrong with its configuration. */
function hintFor(status: number): string {
  if (status === 404) return ': has its dialplan an extension for conference-NAME?';
  if (status === 422) return ': minimum-session-expires must be 120 or less';
  return '';
}

/** The error for a call that FreeSWITCH did not answer with 200. */
export function refused(outcome: { readonly status: number; readonly reason: string }): EngineError {
  const { status, reason } = outcome;
  return new EngineError(reasonFor(status), `FreeSWITCH answered ${status} ${reason.slice(0, 100)}${hintFor(status)}`);
}

/**
 * Name of a room at FreeSWITCH, which may serve others as well: the owner is part of it. Characters that have a meaning in commands, URIs or
 * dialplans are replaced, so that different rooms keep different names.
 */
export function conferenceName(owner: string, room: string): string {
  const plain = (text: string): string =>
    text.replace(/[^A-Za-z0-9.-]/g, (character) => `_${character.codePointAt(0)?.toString(16) ?? ''}_`);
  return `${plain(owner)}-${plain(room)}`;
}
