import type { YAMLError } from 'yaml';

/** What is wrong with the text as YAML, in words of the file: the parser's own name its functions and inner parts. */
const WORDS: Partial<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'a repetition (*name) can have no anchor or tag of its own',
  BAD_ALIAS: 'a repetition (*name) needs the name of an anchor (&name) that stands before it',
  BAD_COLLECTION_TYPE: 'the tag (!name) does not fit to what follows it',
  BAD_DIRECTIVE: 'a line that begins with "%" is not understood here: put the text in quotes',
  BAD_DQ_ESCAPE: 'unknown escape in double quotes: write "\\\\" for a backslash, or use single quotes',
  BAD_INDENT: 'indented differently from what it belongs to',
  BAD_PROP_ORDER: 'an anchor or tag must stand behind the "-" or ":"',
  BAD_SCALAR_START: 'text that begins with this character must be in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second ":" in the line: put the text in quotes, or begin a new line for the inner table',
  BLOCK_IN_FLOW: 'inside {} or [] everything must be written with {}, [] and commas',
  IMPOSSIBLE: 'cannot be read as YAML',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters',
  MISSING_CHAR: 'something is missing here: a quote, comma, colon, space or bracket',
  MULTILINE_IMPLICIT_KEY: 'a key must be in one line: is a ":" missing?',
  MULTIPLE_ANCHORS: 'more than one anchor (&name)',
  MULTIPLE_DOCS: 'a second document begins here ("---"): the file must be one',
  MULTIPLE_TAGS: 'more than one tag (!name)',
  NON_STRING_KEY: 'a key must be plain text',
  TAB_AS_INDENT: 'indented with a tab: use spaces',
  TAG_RESOLVE_FAILED:
    'tags (!name) have no meaning here, or the value is not what its tag says: put the text in quotes',
  UNEXPECTED_TOKEN: 'not expected here: is there a bracket, quote or line too many?',
};

/** Messages of the parser that say more than the words above, and speak of the file alone. */
const CLEAR = [
  /^Missing closing .quote/,
  /^Missing , /,
  /^Tabs are not allowed as indentation$/,
  /^Map keys must be unique$/,
];

export function yamlWords(error: YAMLError): string {
  const line = error.message.split('\n', 1)[0] ?? '';
  if (CLEAR.some((clear) => clear.test(line))) return line;
  return WORDS[error.code] ?? 'cannot be read as YAML';
}
