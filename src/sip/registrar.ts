import type { ExpiryConfig } from '../config/types';
import { parseCSeq } from '../sip-message/cseq';
import { parseUri, uriEquals } from '../sip-message/uri';
import type { SipDomain } from './domain';
import { optionTags } from './header-values';
import { readIdentity } from './identity';
import { readContacts, type RequestedContact } from './register-contacts';
import type { Headers, ReceivedRequest } from './user-agent';

/** One binding of a device, as the registrar decides by. */
export interface Binding {
  /** `+sip.instance`, else the canonical contact: what tells the bindings of one device apart. */
  readonly identity: string;
  readonly instance: string | undefined;
  /** Contact URI as the phone wrote it. */
  readonly contact: string;
  readonly callId: string;
  readonly cseq: number;
  /** When the REGISTER that made or refreshed it came, ms. */
  readonly registeredAt: number;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** A device, by its name in the configuration. */
export interface Named {
  readonly name: string;
}

export interface RegistrarPolicy {
  readonly domain: SipDomain;
  readonly expiry: ExpiryConfig;
  /** Bindings that one device may have. */
  readonly maxContacts: number;
  /** The device that has proved who it is. */
  readonly device: Named;
  /** The device that a user part (username or line) belongs to. */
  readonly owner: (user: string) => Named | undefined;
  /** When we issued the nonce of the credentials, ms. */
  readonly nonceIssuedAt: number;
  /** From 0 up to 1, for the jitter. */
  readonly random: () => number;
  /** The phone belongs to another node, which is there: it should come back soon and look. */
  readonly visiting?: boolean;
}

export interface RegisterResponse {
  readonly status: number;
  readonly reason?: string;
  readonly headers: Headers;
}

export type BindingChange =
  | { readonly type: 'bind'; readonly binding: Binding; readonly previous: Binding | undefined }
  | { readonly type: 'unbind'; readonly binding: Binding };

/** What became of a REGISTER, for metrics. */
export type RegisterOutcome = 'fetched' | 'changed' | 'refused' | 'stale-cseq' | 'reboot-accepted';

export interface RegisterResult {
  readonly response: RegisterResponse;
  /** All or none: empty whenever the response is not 200. */
  readonly changes: readonly BindingChange[];
  /** Identities that are to be removed and are not among the bindings: another registrar of the domain may have them. */
  readonly removedElsewhere: readonly string[] | 'all';
  readonly outcome: RegisterOutcome;
}

/**
 * By what part a granted expiry is shortened at most, so that phones do not all come back at once. A binding that is new
 * here may be one of thousands that have lost their node in the same second: the first refreshes are spread over half of
 * the time.
 */
const FIRST_JITTER = 0.5;
const REFRESH_JITTER = 0.1;
/** RFC 3261 section 10.3, step 7: only what is shorter than this may be called too brief, seconds. */
const TOO_BRIEF_LIMIT = 3600;

function refuse(
  status: number,
  reason: string,
  headers: Headers = {},
  outcome: RegisterOutcome = 'refused',
): RegisterResult {
  return { response: { status, reason, headers }, changes: [], removedElsewhere: [], outcome };
}

/**
 * What must be right before authentication (RFC 3261 section 10.3, steps 1 and 2): our domain, no extension that we do
 * not have (we have none: bindings are neither GRUU nor outbound nor reached by Path). `undefined`: go on.
 */
export function refuseBeforeAuthentication(request: ReceivedRequest, domain: SipDomain): RegisterResponse | undefined {
  if (!domain.hasUri(request.uri)) return { status: 404, reason: 'Not Our Domain', headers: {} };
  const required = optionTags(request.header('Require'));
  if (required.length === 0) return undefined;
  return { status: 420, reason: 'Bad Extension', headers: { Unsupported: required.join(', ') } };
}

/** Steps 4 and 5: may this device register this address-of-record, and is there one? */
function authorise(request: ReceivedRequest, policy: RegistrarPolicy): RegisterResult | undefined {
  const to = readIdentity(request.header('To'));
  if (to === undefined) return refuse(400, 'Bad To Header');
  if (!policy.domain.hasHost(to.host)) return refuse(404, 'Not Found');
  const owner = policy.owner(to.user);
  if (owner === undefined) return refuse(404, 'Not Found');
  return owner.name === policy.device.name ? undefined : refuse(403, 'Forbidden');
}

interface Attempt {
  readonly policy: RegistrarPolicy;
  readonly now: number;
  readonly callId: string;
  readonly cseq: number;
}

/**
 * The order rule of RFC 3261 section 10.3, step 7: a request of the same Call-ID must have a higher CSeq. A phone that
 * keeps its Call-ID over a reboot starts low again, and would be locked out until its binding expires; so a lower CSeq is
 * taken when the credentials use a nonce that we issued after the binding was made: that is no old request that was
 * held up on its way.
 */
function judgeOrder(binding: Binding, attempt: Attempt): 'in-order' | 'reboot' | 'stale' {
  if (binding.callId !== attempt.callId || attempt.cseq > binding.cseq) return 'in-order';
  return attempt.policy.nonceIssuedAt > binding.registeredAt ? 'reboot' : 'stale';
}

/** The binding that a contact is about: the same instance, else an equal URI (RFC 3261 section 19.1.4). */
function findBinding(contact: RequestedContact, bindings: readonly Binding[]): Binding | undefined {
  const { instance, uri } = contact;
  if (instance !== undefined) {
    const same = bindings.find((binding) => binding.instance === instance);
    if (same !== undefined) return same;
  }
  const parsed = parseUri(uri);
  return bindings.find((binding) => {
    if (instance !== undefined && binding.instance !== undefined) return false;
    const other = parseUri(binding.contact);
    return parsed !== undefined && other !== undefined && uriEquals(parsed, other);
  });
}

/** Seconds to grant; never more than was asked for (RFC 3261 section 10.3, step 7). */
function grant(asked: number | undefined, isNew: boolean, { expiry, random, visiting }: RegistrarPolicy): number {
  const wanted = Math.min(asked ?? expiry.defaultExpires, expiry.maxExpires);
  const longest = visiting === true ? Math.min(wanted, expiry.defaultExpires) : wanted;
  const shortest = Math.min(expiry.minExpires, longest);
  if (visiting === true) return Math.floor(longest - (longest - shortest) * random());
  const jitter = isNew ? FIRST_JITTER : REFRESH_JITTER;
  return Math.max(shortest, Math.floor(longest * (1 - jitter * random())));
}

interface Plan {
  readonly changes: BindingChange[];
  /** Bindings as they will be. */
  readonly after: Map<string, Binding>;
  /** Those that the request names, in its order. */
  readonly own: string[];
  /** Those that the request removes and nobody has here. */
  readonly absent: string[];
}

function planUpdate(contacts: readonly RequestedContact[], bindings: readonly Binding[], attempt: Attempt): Plan {
  const plan: Plan = { changes: [], after: toMap(bindings), own: [], absent: [] };
  for (const contact of contacts.filter(({ expires }) => expires !== 0)) {
    // Among those that are left: an earlier contact of the request may have taken one over.
    const previous = findBinding(contact, [...plan.after.values()]);
    const identity = contact.instance ?? previous?.identity ?? contact.canonical;
    // Two contacts of one instance: the first counts.
    if (plan.own.includes(identity)) continue;
    const binding: Binding = {
      identity,
      instance: contact.instance ?? previous?.instance,
      contact: contact.uri,
      callId: attempt.callId,
      cseq: attempt.cseq,
      registeredAt: attempt.now,
      expiresAt: attempt.now + grant(contact.expires, previous === undefined, attempt.policy) * 1000,
    };
    plan.own.push(identity);
    if (previous !== undefined && previous.identity !== identity) {
      // The phone has begun to tell its instance.
      plan.after.delete(previous.identity);
      plan.changes.push({ type: 'unbind', binding: previous });
    }
    plan.after.set(identity, binding);
    plan.changes.push({ type: 'bind', binding, previous: previous?.identity === identity ? previous : undefined });
  }
  for (const contact of contacts.filter(({ expires }) => expires === 0)) {
    const binding = findBinding(contact, bindings);
    if (binding === undefined) plan.absent.push(contact.instance ?? contact.canonical);
    // A phone that changes its address removes the old contact in the request that adds the new one, with one instance.
    if (binding === undefined || plan.own.includes(binding.identity) || !plan.after.has(binding.identity)) continue;
    plan.after.delete(binding.identity);
    plan.changes.push({ type: 'unbind', binding });
  }
  return plan;
}

function contactValue(binding: Binding, now: number): string {
  const seconds = Math.max(0, Math.ceil((binding.expiresAt - now) / 1000));
  const instance =
    binding.instance === undefined ? '' : `;+sip.instance="<${binding.instance.replace(/["\\]/g, '\\$&')}>"`;
  return `<${binding.contact}>;expires=${seconds}${instance}`;
}

/** Every binding with what is left of it; the requester's own first: some phones read only the first (step 8). */
function accept(plan: Plan, now: number, outcome: RegisterOutcome): RegisterResult {
  const own = plan.own.flatMap((identity) => plan.after.get(identity) ?? []);
  const others = [...plan.after.values()].filter((binding) => !plan.own.includes(binding.identity));
  const contacts = [...own, ...others].map((binding) => contactValue(binding, now));
  const headers = {
    ...(contacts.length === 0 ? {} : { Contact: contacts.join(', ') }),
    Date: new Date(now).toUTCString(),
  };
  return { response: { status: 200, headers }, changes: plan.changes, removedElsewhere: plan.absent, outcome };
}

function judge(touched: readonly Binding[], attempt: Attempt): RegisterOutcome {
  const orders = touched.map((binding) => judgeOrder(binding, attempt));
  if (orders.includes('stale')) return 'stale-cseq';
  return orders.includes('reboot') ? 'reboot-accepted' : 'changed';
}

const staleAnswer = (): RegisterResult => refuse(500, 'CSeq Out Of Order', {}, 'stale-cseq');

function update(contacts: readonly RequestedContact[], bindings: readonly Binding[], attempt: Attempt): RegisterResult {
  const { minExpires } = attempt.policy.expiry;
  const tooBrief = contacts.some(
    ({ expires }) => expires !== undefined && expires > 0 && expires < Math.min(minExpires, TOO_BRIEF_LIMIT),
  );
  if (tooBrief) return refuse(423, 'Interval Too Brief', { 'Min-Expires': String(minExpires) });
  const touched = contacts.flatMap((contact) => findBinding(contact, bindings) ?? []);
  const outcome = judge(touched, attempt);
  if (outcome === 'stale-cseq') return staleAnswer();
  const plan = planUpdate(contacts, bindings, attempt);
  const grows = plan.changes.some((change) => change.type === 'bind' && change.previous === undefined);
  if (grows && plan.after.size > attempt.policy.maxContacts) return refuse(403, 'Too Many Contacts');
  return accept(plan, attempt.now, outcome);
}

/**
 * The registrar of RFC 3261 section 10.3, from authorisation (step 4) on, for a request whose sender is authenticated.
 * `bindings`: all of the device's that have not expired. Decides only; nothing is changed.
 */
export function register(
  request: ReceivedRequest,
  bindings: readonly Binding[],
  policy: RegistrarPolicy,
  now: number,
): RegisterResult {
  const refusal = authorise(request, policy);
  if (refusal !== undefined) return refusal;
  const cseq = parseCSeq(request.header('CSeq') ?? '');
  if (cseq === undefined || request.callId === '') return refuse(400, 'Bad CSeq Or Call-ID');
  const attempt: Attempt = { policy, now, callId: request.callId, cseq: cseq.number };
  const requested = readContacts(request.header('Contact'), request.header('Expires'));
  switch (requested.type) {
    case 'malformed':
      return refuse(400, requested.reason);
    case 'fetch':
      return accept({ changes: [], after: toMap(bindings), own: [], absent: [] }, now, 'fetched');
    case 'remove-all': {
      const outcome = judge(bindings, attempt);
      if (outcome === 'stale-cseq') return staleAnswer();
      const changes = bindings.map((binding): BindingChange => ({ type: 'unbind', binding }));
      const accepted = accept({ changes, after: new Map(), own: [], absent: [] }, now, outcome);
      return { ...accepted, removedElsewhere: 'all' };
    }
    case 'update':
      return update(requested.contacts, bindings, attempt);
  }
}

function toMap(bindings: readonly Binding[]): Map<string, Binding> {
  return new Map(bindings.map((binding) => [binding.identity, binding]));
}
