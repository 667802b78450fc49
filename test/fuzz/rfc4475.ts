import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What an element does with a message of RFC 4475, by the section of the RFC that tells. Where the RFC leaves the choice
 * between refusing and being liberal, it is the choice of this server that stands here, and `choice` says so.
 */
export type Outcome =
  /** The server refuses by itself. */
  | { readonly kind: 'refused'; readonly status: number }
  /** The application sees it, with these texts in it as they were sent, and its 200 reaches the sender. */
  | {
      readonly kind: 'seen';
      readonly method: string;
      readonly uri: string;
      readonly has?: Readonly<Record<string, string>>;
      /** Another request in the same bytes. */
      readonly next?: { readonly method: string; readonly uri: string };
    }
  /** Nothing is answered and nobody sees it. */
  | { readonly kind: 'dropped' }
  /** On a stream: the rest is waited for, until the connection's time is over. */
  | { readonly kind: 'unfinished' };

export interface TortureCase {
  readonly section: string;
  readonly outcome: Outcome;
  /** Where a stream makes a difference. */
  readonly tcp?: Outcome;
  readonly choice?: string;
}

const refused = (status: number): Outcome => ({ kind: 'refused', status });
const dropped: Outcome = { kind: 'dropped' };
const unfinished: Outcome = { kind: 'unfinished' };
const seen = (method: string, uri: string, has?: Readonly<Record<string, string>>): Outcome => ({
  kind: 'seen',
  method,
  uri,
  ...(has === undefined ? {} : { has }),
});

const user = 'sip:user@example.com';
const registrar = 'sip:example.com';

/** Every message of the RFC, by its name there. */
export const rfc4475: Readonly<Record<string, TortureCase>> = {
  // Valid. The To tag behind all that white space is found: there is no such dialog.
  wsinv: { section: '3.1.1.1', outcome: refused(481) },
  // Well-formed, and a method that nobody here knows.
  intmeth: { section: '3.1.1.2', outcome: refused(501) },
  esc01: { section: '3.1.1.3', outcome: seen('INVITE', 'sip:sips%3Auser%40example.com@example.net') },
  escnull: { section: '3.1.1.4', outcome: seen('REGISTER', registrar, { Contact: '%00' }) },
  // Not a REGISTER: names are not unescaped.
  esc02: { section: '3.1.1.5', outcome: refused(501) },
  lwsdisp: { section: '3.1.1.6', outcome: seen('OPTIONS', user, { From: 'caller<sip:caller@example.com>' }) },
  longreq: { section: '3.1.1.7', outcome: seen('INVITE', user) },
  // On a stream the line breaks and the second request stand for themselves; in a datagram they are not looked at.
  dblreq: {
    section: '3.1.1.8',
    outcome: seen('REGISTER', registrar),
    tcp: {
      kind: 'seen',
      method: 'REGISTER',
      uri: registrar,
      next: { method: 'INVITE', uri: 'sip:joe@example.com' },
    },
  },
  semiuri: { section: '3.1.1.9', outcome: seen('OPTIONS', 'sip:user;par=u%40example.net@example.com') },
  transports: { section: '3.1.1.10', outcome: seen('OPTIONS', user, { Via: 'SCTP t2.example.com' }) },
  mpart01: { section: '3.1.1.11', outcome: seen('MESSAGE', 'sip:kumiko@example.org') },
  // Responses to nothing that was sent.
  unreason: { section: '3.1.1.12', outcome: dropped },
  noreason: { section: '3.1.1.13', outcome: dropped },

  // Invalid.
  badinv01: { section: '3.1.2.1', outcome: refused(400) },
  clerr: { section: '3.1.2.2', outcome: refused(400), tcp: unfinished },
  ncl: { section: '3.1.2.3', outcome: refused(400) },
  scalar02: { section: '3.1.2.4', outcome: refused(400) },
  scalarlg: { section: '3.1.2.5', outcome: dropped },
  quotbal: { section: '3.1.2.6', outcome: refused(400) },
  ltgtruri: { section: '3.1.2.7', outcome: refused(400) },
  lwsruri: { section: '3.1.2.8', outcome: refused(400) },
  lwsstart: { section: '3.1.2.9', outcome: refused(400), choice: 'or liberal: extra spaces ignored' },
  trws: { section: '3.1.2.10', outcome: refused(400), choice: 'or liberal: trailing spaces ignored' },
  escruri: {
    section: '3.1.2.11',
    outcome: seen('INVITE', 'sip:user@example.com?Route=%3Csip:example.com%3E'),
    choice: 'the escaped header is not honoured; 400 would do as well',
  },
  baddate: {
    section: '3.1.2.12',
    outcome: seen('INVITE', user, { Date: 'EST' }),
    choice: 'nobody here looks at Date; 400 would do as well',
  },
  regbadct: { section: '3.1.2.13', outcome: refused(400), choice: 'or liberal' },
  badaspec: {
    section: '3.1.2.14',
    outcome: seen('OPTIONS', 'sip:user@example.org', { To: '<' }),
    choice: 'liberal: spaces inside angle brackets are ignored',
  },
  // As a file it also ends before the empty line; the one with it follows below.
  baddn: { section: '3.1.2.15', outcome: refused(400), tcp: unfinished },
  badvers: { section: '3.1.2.16', outcome: refused(505) },
  mismatch01: { section: '3.1.2.17', outcome: refused(400) },
  mismatch02: { section: '3.1.2.18', outcome: refused(400), choice: 'or 501' },
  bigcode: { section: '3.1.2.19', outcome: dropped },

  // The transaction layer: such a branch is taken for one of RFC 2543.
  badbranch: { section: '3.2.1', outcome: seen('OPTIONS', user), choice: 'or 400' },

  // The application layer.
  insuf: { section: '3.3.1', outcome: refused(400) },
  unkscm: { section: '3.3.2', outcome: seen('OPTIONS', 'nobodyKnowsThisScheme:totallyopaquecontent') },
  novelsc: { section: '3.3.3', outcome: seen('OPTIONS', 'soap.beep://192.0.2.103:3002') },
  unksm2: { section: '3.3.4', outcome: seen('REGISTER', registrar, { To: 'isbn:2983792873' }) },
  bext01: { section: '3.3.5', outcome: seen('OPTIONS', user, { Require: 'nothingSupportsThisEither' }) },
  invut: { section: '3.3.6', outcome: seen('INVITE', user, { 'Content-Type': 'application/unknownformat' }) },
  regaut01: { section: '3.3.7', outcome: seen('REGISTER', registrar, { Authorization: 'NoOneKnowsThisScheme' }) },
  multi01: { section: '3.3.8', outcome: refused(400) },
  mcl01: { section: '3.3.9', outcome: refused(400) },
  bcast: { section: '3.3.10', outcome: dropped },
  // For us, who would not forward it.
  zeromf: { section: '3.3.11', outcome: seen('OPTIONS', user) },
  cparam01: { section: '3.3.12', outcome: seen('REGISTER', registrar, { Contact: ';unknownparam' }) },
  cparam02: { section: '3.3.13', outcome: seen('REGISTER', registrar, { Contact: ';unknownparam>' }) },
  regescrt: { section: '3.3.14', outcome: seen('REGISTER', registrar, { Contact: '?Route=' }) },
  sdp01: { section: '3.3.15', outcome: seen('INVITE', user, { Accept: 'text/nobodyKnowsThis' }) },

  // RFC 2543: no branch, no tag, no Contact, no Content-Length. A stream cannot do without the last.
  inv2543: { section: '3.4.1', outcome: seen('INVITE', 'sip:UserB@example.com'), tcp: refused(400) },

  // In the RFC's archive, without a section. No Via: there is nowhere to answer to.
  test: { section: 'archive', outcome: dropped },
};

const CORPUS = join(__dirname, 'corpus', 'rfc4475');

/** The messages as bytes, by name. */
export function tortureMessages(): ReadonlyMap<string, Buffer> {
  const names = readdirSync(CORPUS).filter((name) => name.endsWith('.dat'));
  return new Map(names.sort().map((name) => [name.slice(0, -4), readFileSync(join(CORPUS, name))]));
}

/** The same with the first Via of each request saying that it came by this protocol: any other is dropped. */
export function carriedBy(message: Buffer, protocol: 'UDP' | 'TCP'): Buffer {
  const via = /^((?:via|v)[ \t]*:\s*SIP\s*\/\s*2\.0\s*\/\s*)[A-Z]+/im;
  const requests = message.toString('latin1').split(/(?=^[A-Z]+ \S+ SIP\/2\.0\r$)/m);
  return Buffer.from(requests.map((request) => request.replace(via, `$1${protocol}`)).join(''), 'latin1');
}
