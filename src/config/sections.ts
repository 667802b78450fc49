import { z } from 'zod';
import { formatPath, suggestion, type Path } from './problem';
import { drachtioSchema, eventSocketSchema, redisSchema, redisTlsSchema, sentinelSchema, tlsSchema } from './schema';
import type { Source } from './source';

/** An entry of a section that was read without a problem, with its place in the file. */
export interface Entry<T> {
  readonly path: Path;
  readonly value: T;
}

/** Checks one value against its schema; every problem is reported with its line. */
export function checkValue<T>(source: Source, schema: z.ZodType<T>, raw: unknown, path: Path): T | undefined {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  for (const issue of result.error.issues) report(source, schema, raw, path, issue);
  return undefined;
}

/** Checks each entry of a list on its own, so that one bad entry hides nothing about the others. */
export function checkList<T>(source: Source, schema: z.ZodType<T>, raw: unknown, section: string): Entry<T>[] {
  if (raw === undefined || raw === null) return [];
  if (!Array.isArray(raw)) {
    source.problem([section], 'must be a list');
    return [];
  }
  return raw.flatMap((item: unknown, index) => {
    const path = [section, index];
    const value = checkValue(source, schema, item, path);
    return value === undefined ? [] : [{ path, value }];
  });
}

function report(source: Source, schema: z.ZodType, raw: unknown, base: Path, issue: z.core.$ZodIssue): void {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
  if (issue.code === 'unrecognized_keys') {
    const known = keysOf(issue.path.length === 0 ? schema : innerSchema(issue.path));
    for (const key of issue.keys) source.problem([...path, key], unknownKey(key, known), 'key');
    return;
  }
  if (valueAt(raw, issue.path) === undefined && issue.path.length > 0) {
    source.problem(path, `"${String(issue.path.at(-1))}" is missing`);
    return;
  }
  if (issue.code === 'invalid_union') {
    reportUnion(source, schema, raw, base, path, issue);
    return;
  }
  source.problem(path, issue.code === 'invalid_type' ? typeMessage(issue) : ownWords(issue));
}

/** The schema of a table inside an entry. */
function innerSchema(path: readonly PropertyKey[]): z.ZodType {
  switch (path.at(-1)) {
    case 'tls':
      return path.at(-2) === 'redis' ? redisTlsSchema : tlsSchema;
    case 'redis':
      return redisSchema;
    case 'sentinel':
      return sentinelSchema;
    case 'eventSocket':
      return eventSocketSchema;
    default:
      return drachtioSchema;
  }
}

/** Of a value that may be one of two things, says what is wrong with the one that was evidently meant. */
function reportUnion(
  source: Source,
  schema: z.ZodType,
  raw: unknown,
  base: Path,
  path: Path,
  issue: z.core.$ZodIssueInvalidUnion,
): void {
  const isObject = typeof valueAt(raw, issue.path) === 'object';
  const meant = issue.errors.find(
    (errors) => isObject && errors.every((error) => !(error.path.length === 0 && error.code !== 'unrecognized_keys')),
  );
  if (meant !== undefined) {
    for (const error of meant) report(source, schema, raw, base, { ...error, path: [...issue.path, ...error.path] });
    return;
  }
  const spoken = issue.errors.flat().find((error) => error.code === 'invalid_format' || error.code === 'custom');
  source.problem(path, TWO_KINDS[String(issue.path.at(-1))] ?? spoken?.message ?? 'has a wrong value');
}

const TWO_KINDS: Readonly<Record<string, string>> = { drachtio: 'must be "embedded" or {host, port, secret}' };

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text (put it in quotes)',
  object: 'a table of keys and values',
  record: 'a table of keys and values',
  array: 'a list',
  number: 'a number',
  boolean: 'true or false',
};

/** The schema's own words where it has some; never the value. */
function typeMessage(issue: z.core.$ZodIssueInvalidType): string {
  const standard = issue.message.startsWith('Invalid input');
  return standard ? `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}` : issue.message;
}

/** The schema's own words where it has some: the library's speak of its inner parts. */
function ownWords({ code, message }: z.core.$ZodIssue): string {
  if (!/^(Invalid|Too|Unrecognized)/.test(message)) return message;
  return code === 'too_small' ? 'is too short' : code === 'too_big' ? 'is too long' : 'has a wrong value';
}

export function unknownKey(key: string, known: readonly string[]): string {
  return `unknown key ${JSON.stringify(key)}${suggestion(key, known)}`;
}

function keysOf(schema: z.ZodType): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value = raw;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

/** Whether a value is a table of keys and values. */
export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The names (or numbers) that a list's entries give themselves, also of entries that have other problems. */
export function namesIn(raw: unknown, key: string): Set<string> {
  const items: unknown[] = Array.isArray(raw) ? raw : [];
  const names = items.map((item) => (isTable(item) ? item[key] : undefined));
  return new Set(names.filter((name) => typeof name === 'string' || typeof name === 'number').map(String));
}

/** Reports every entry that has the name of an earlier one. */
export function checkUnique(
  source: Source,
  entries: readonly { readonly path: Path; readonly value: string | number }[],
  what: string,
): void {
  const first = new Map<string | number, Path>();
  for (const { path, value } of entries) {
    const earlier = first.get(value);
    if (earlier === undefined) first.set(value, path);
    else
      source.problem(
        path,
        `${what} ${source.shown(path, String(value))} is taken by ${formatPath(earlier.slice(0, 2))}`,
      );
  }
}
