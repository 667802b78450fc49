/** Character classes of the SIP grammar (RFC 3261 section 25.1), as one table look-up for each character. */
const TOKEN = 1;
const HOST = 2;
const DIGIT = 4;
const WHITE_SPACE = 8;

const classes = new Uint8Array(128);

function mark(characters: string, bit: number): void {
  for (let i = 0; i < characters.length; i++) {
    const code = characters.charCodeAt(i);
    classes[code] = (classes[code] ?? 0) | bit;
  }
}

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
mark(ALPHANUMERIC, TOKEN | HOST);
mark("-.!%*_+`'~", TOKEN);
mark('-._', HOST);
mark('0123456789', DIGIT);
mark(' \t\r\n', WHITE_SPACE);

function has(code: number, bit: number): boolean {
  return code < 128 && ((classes[code] ?? 0) & bit) !== 0;
}

export const isTokenCode = (code: number): boolean => has(code, TOKEN);
export const isWhiteSpaceCode = (code: number): boolean => has(code, WHITE_SPACE);

function every(text: string, bit: number): boolean {
  for (let i = 0; i < text.length; i++) if (!has(text.charCodeAt(i), bit)) return false;
  return text.length > 0;
}

/** `token` of RFC 3261. */
export const isToken = (text: string): boolean => every(text, TOKEN);

/** One or more ASCII digits. */
export const isDigits = (text: string): boolean => every(text, DIGIT);

/** A host name or an IPv4 address; underscores are tolerated because hosts in use have them. */
const isHostName = (text: string): boolean => every(text, HOST);

/** `host` of RFC 3261: a name, an IPv4 address, or an IPv6 reference in brackets. */
export function isHost(text: string): boolean {
  if (!text.startsWith('[')) return isHostName(text);
  if (!text.endsWith(']') || text.length < 4) return false;
  for (let i = 1; i < text.length - 1; i++) {
    const code = text.charCodeAt(i);
    const hex = (code >= 48 && code <= 57) || (code >= 65 && code <= 70) || (code >= 97 && code <= 102);
    if (!hex && code !== 0x3a && code !== 0x2e) return false;
  }
  return true;
}

/** Port 1 to 65535; undefined when it is none. */
export function parsePort(text: string): number | undefined {
  if (text.length > 5 || !isDigits(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65535 ? port : undefined;
}

/** `host[:port]`, white space around the colon allowed (RFC 3261 section 25.1, COLON). */
export function parseHostPort(text: string): { host: string; port?: number } | undefined {
  const bracket = text.lastIndexOf(']');
  const colon = text.indexOf(':', bracket < 0 ? 0 : bracket);
  const host = (colon < 0 ? text : text.slice(0, colon)).trim();
  if (!isHost(host)) return undefined;
  if (colon < 0) return { host };
  const port = parsePort(text.slice(colon + 1).trim());
  return port === undefined ? undefined : { host, port };
}
