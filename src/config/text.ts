import { readFileSync } from 'node:fs';

/** The text of a file; `offset`: where its first byte is that is no UTF-8. */
export type TextResult =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: string; readonly line: number; readonly column: number };

/**
 * Reads a file of UTF-8. Other bytes are an error at their place: replaced silently, a password would become one that never
 * matches.
 */
export function readText(path: string): TextResult {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return { ok: false, reason: `cannot be read: ${readingFailed(error)}`, line: 1, column: 1 };
  }
  const at = firstForeignByte(bytes);
  if (at === undefined) return { ok: true, text: bytes.toString('utf8') };
  const before = bytes.toString('utf8', 0, at).split('\n');
  const reason =
    bytes[0] === 0xff || bytes[0] === 0xfe
      ? 'is UTF-16: save it as UTF-8'
      : `a byte that is no UTF-8 (0x${(bytes[at] ?? 0).toString(16)}): save the file as UTF-8`;
  return { ok: false, reason, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** An error of the file system in a few words, without the name of a system call. */
export function readingFailed(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file (ENOENT)',
    ENOTDIR: 'its folder is no folder (ENOTDIR)',
    EACCES: 'no permission (EACCES)',
    EPERM: 'no permission (EPERM)',
    EISDIR: 'it is a folder (EISDIR)',
  };
  return words[code] ?? (error instanceof Error ? error.message : String(error));
}

function firstForeignByte(bytes: Buffer): number | undefined {
  let valid = bytes.length;
  if (isUtf8(bytes)) return undefined;
  // The longest beginning that is right but for a character that is cut.
  let low = 0;
  while (low < valid) {
    const middle = Math.ceil((low + valid) / 2);
    if (beginsAsUtf8(bytes.subarray(0, middle))) low = middle;
    else valid = middle - 1;
  }
  return backToCharacter(bytes, low);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function beginsAsUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** A foreign lead byte is noticed only at the byte behind it. */
function backToCharacter(bytes: Buffer, at: number): number {
  let start = at;
  while (start > 0 && at - start < 4 && !isUtf8(bytes.subarray(0, start))) start -= 1;
  return start;
}
