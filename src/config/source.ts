import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type YAMLError,
} from 'yaml';
import { formatPath, type ConfigProblem, type Path } from './problem';
import { yamlWords } from './yaml-words';

export type Environment = Readonly<Record<string, string | undefined>>;

interface Place {
  readonly key: number;
  readonly value: number;
  /** The text before `${NAME}` was replaced; undefined when nothing was. */
  readonly written: string | undefined;
}

/** More than this come only from aliases that multiply each other. */
const MAX_ALIASES = 1000;
const MAX_DEPTH = 32;
const REFERENCE = /\$\{([^{}]*)\}/g;
const REFERENCE_BODY = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * A YAML text as plain values, with the place of each in the text, and with `${NAME}` and `${NAME:-default}`
 * replaced from the environment. The replacing is done in the values, after the YAML was read, so that nothing
 * in the environment can change the structure of the file.
 */
export class Source {
  readonly problems: ConfigProblem[] = [];
  /** Undefined when the text is not YAML. */
  readonly value: unknown;

  private readonly lines = new LineCounter();
  private readonly places = new Map<string, Place>();
  private readonly broken = new Set<string>();
  private readonly document: Document;
  private aliases = 0;

  constructor(
    text: string,
    private readonly file: string,
    private readonly env: Environment,
  ) {
    this.document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false });
    for (const error of [...this.document.errors, ...this.document.warnings].filter(isNotConsequence))
      this.addAt(error.pos[0], '', yamlWords(error));
    if (this.problems.length === 0) this.value = this.read(this.document.contents, [], { key: 0, value: 0 });
  }

  /**
   * Reports something wrong at `path`: at its key or its value. Where the path is not in the file, the nearest
   * part of it that is gives the line. Nothing more is said about a value whose variable is missing.
   */
  problem(path: Path, message: string, at: 'key' | 'value' = 'value'): void {
    this.report(path, message, at, {});
  }

  /** Like `problem`, for what does not keep a node from starting. */
  warning(path: Path, message: string): void {
    this.report(path, message, 'value', { warning: true });
  }

  private report(path: Path, message: string, at: 'key' | 'value', kind: Pick<ConfigProblem, 'warning'>): void {
    const name = formatPath(path);
    if (this.broken.has(name)) return;
    for (let length = path.length; length >= 0; length--) {
      const place = this.places.get(formatPath(path.slice(0, length)));
      if (place === undefined) continue;
      this.addAt(length === path.length ? place[at] : place.key, name, message, kind);
      return;
    }
    this.addAt(0, name, message, kind);
  }

  /** A value as it may be shown in a message: what came from the environment is shown as its `${NAME}`. */
  shown(path: Path, value: string): string {
    return JSON.stringify(this.places.get(formatPath(path))?.written ?? value);
  }

  private addAt(offset: number, path: string, message: string, kind: Pick<ConfigProblem, 'warning'> = {}): void {
    const { line, col } = this.lines.linePos(offset);
    this.problems.push({ file: this.file, line: Math.max(1, line), column: Math.max(1, col), path, message, ...kind });
  }

  private read(node: Node | null, path: Path, at: { key: number; value: number }): unknown {
    if ((isAlias(node) && ++this.aliases > MAX_ALIASES) || path.length > MAX_DEPTH) {
      if (this.aliases <= MAX_ALIASES + 1)
        this.addAt(at.value, formatPath(path), 'nested too deeply or repeated too often');
      return undefined;
    }
    const target = isAlias(node) ? node.resolve(this.document) : node;
    const value = node?.range?.[0] ?? at.value;
    const written = isScalar(target) && typeof target.value === 'string' ? target.value : undefined;
    const replaced = written === undefined ? undefined : this.replace(written, path, { key: at.key, value });
    const changed = replaced !== written;
    if (replaced?.includes('\ufffd') === true)
      this.addAt(
        value,
        formatPath(path),
        'a character was lost (U+FFFD) when this was saved or set: write it anew, as UTF-8',
      );
    this.places.set(formatPath(path), { key: at.key, value, written: changed ? written : undefined });
    // An optional key can be left out by leaving its variable empty.
    if (replaced !== undefined) return changed && replaced === '' ? undefined : replaced;
    if (isScalar(target)) return target.value;
    if (isSeq(target)) return target.items.map((item, index) => this.readItem(item, [...path, index], value));
    if (!isMap(target)) return null;
    const result: Record<string, unknown> = {};
    for (const { key, value: item } of target.items) {
      const name = isScalar(key) ? String(key.value) : '?';
      const offset = isScalar(key) ? (key.range?.[0] ?? value) : value;
      const held = this.readItem(item, [...path, name], offset);
      Object.defineProperty(result, name, { value: held, enumerable: true, configurable: true, writable: true });
    }
    return result;
  }

  private readItem(item: unknown, path: Path, offset: number): unknown {
    const node = isScalar(item) || isMap(item) || isSeq(item) || isAlias(item) ? item : null;
    return this.read(node, path, {
      key: offset > 0 ? offset : (node?.range?.[0] ?? 0),
      value: node?.range?.[0] ?? offset,
    });
  }

  private replace(text: string, path: Path, at: { key: number; value: number }): string {
    return text.replace(REFERENCE, (whole, body: string) => {
      const match = REFERENCE_BODY.exec(body);
      const name = match?.[1];
      const given = name === undefined ? undefined : this.env[name];
      const found = match?.[2] === undefined ? given : (given ?? '') === '' ? match[2] : given;
      if (found !== undefined) return found;
      const message =
        name === undefined
          ? `"${whole}" is not a reference to an environment variable: write \${NAME} or \${NAME:-default}`
          : `environment variable ${name} is not set`;
      this.places.set(formatPath(path), { ...at, written: text });
      this.problem(path, message);
      this.broken.add(formatPath(path));
      return whole;
    });
  }
}

/** Of the tokens that the parser could not place, only the first says something. */
function isNotConsequence(error: YAMLError, index: number, all: readonly YAMLError[]): boolean {
  return error.code !== 'UNEXPECTED_TOKEN' || all.findIndex((other) => other.code === error.code) === index;
}
