import { isToken } from '../sip-message/characters';
import { endOfQuoted, quote, splitCommas, unquote } from '../sip-message/params';
import { isHeaderSafe } from './header-values';

/** One value of a Warning header (RFC 3261 section 20.43). */
export interface Warning {
  readonly code: number;
  /** Host or pseudonym of who has added it. */
  readonly agent: string;
  /** For people. */
  readonly text: string;
}

const MAX_HEADER_LENGTH = 2048;
const MAX_WARNINGS = 4;
const MAX_AGENT_LENGTH = 128;

/** The values of a Warning header, in order; what is malformed is left out. */
export function parseWarnings(header: string | undefined): Warning[] {
  if (header === undefined || header.length > MAX_HEADER_LENGTH) return [];
  return splitCommas(header).flatMap(parseOne).slice(0, MAX_WARNINGS);
}

function parseOne(value: string): Warning[] {
  const [, code = '', agent = '', text = ''] = /^(\d{3})\s+(\S+)\s+(".*")$/s.exec(value) ?? [];
  const isHost = isToken(agent.replace(/[[\]:]/g, '')) && agent.length <= MAX_AGENT_LENGTH;
  if (!isHost || endOfQuoted(text, 0) !== text.length || !isHeaderSafe(text)) return [];
  return [{ code: Number(code), agent, text: unquote(text) }];
}

/** The header value; empty when there are none. */
export function formatWarnings(warnings: readonly Warning[]): string {
  return warnings.map(({ code, agent, text }) => `${code} ${agent} ${quote(text)}`).join(', ');
}
