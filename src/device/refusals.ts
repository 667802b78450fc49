import { parseCredentials } from '../sip-message/auth';
import type { FailedGuess } from '../sip/digest';
import { readIdentity } from '../sip/identity';
import type { ReceivedRequest } from '../sip/user-agent';
import { formatAddress } from './outgoing';
import type { RefusalLog } from './refusal-log';

const MAX_TEXT = 64;

/** What an administrator can do, by the reason that is given to the other side. Other refusals speak for themselves. */
const ADVICE: Readonly<Record<string, string>> = {
  'Not Our Domain': 'set the domain of the phone to cluster.domain, or add the host of the URI to cluster.domains',
  'Number Of Another Context':
    'the phone-context of the number is none of ours: let the phone dial without it, or with cluster.domain or one of cluster.domains',
  'SIPS Not Allowed': 'it used a sips: URI without TLS: let the phone use sip:, or TLS',
  'SIPS Without TLS': 'its Contact or Request-URI is sips: and it did not come by TLS: let the phone use sip:, or TLS',
  'Not Found': 'the address-of-record is of no device: look at user name and domain of the phone’s account',
  Forbidden: 'the account may not register this address-of-record: use the username or a line of the same device',
  'Too Many Contacts':
    'a device has at most 10 registrations: old ones go when they expire; one account for each phone is better',
  'Interval Too Brief': 'the phone asks for less than registrar.minExpires: let it ask for more, or lower minExpires',
  'CSeq Out Of Order':
    'an old request, or two phones that use one Call-ID; a phone that starts again is let in with its next challenge',
  'Bad Extension': 'the phone requires an extension that is not there: switch it off (GRUU, outbound, Path ...)',
  'Gateway Does Not Register':
    'the gateway has a uri in the configuration: switch its registration off, or take the uri away',
  'Not From Here': 'the shared account is used from a network that is not in autoRegistration.from',
  'No Device Identity': 'nothing tells this device from others: let it send +sip.instance',
  'No Number Free': 'make autoRegistration.numbers longer',
  'Register First': 'it calls without being registered from this address',
  'Foreign From':
    'From is not the username or a line of the account in our domain: look at the identity that the phone is set to',
  'Foreign Origin': 'add the page to webSocketOrigins, if it is one of yours',
  'Not A Node': 'a stranger uses headers of nodes, or cluster.secret differs between nodes',
  'Clocks Of The Nodes Differ': 'set the clocks of the nodes by NTP',
  'Seen Before': 'a request between nodes came a second time: a replay',
  'For An Earlier Life':
    'a request between nodes is older than our start: a replay, or a node that has not heard of the start yet',
  'Too Late':
    'a request between nodes was on its way for longer than its caller waits: the network between them was cut, or one of them stood still',
  'For Another Node': 'nodes have got each other’s addresses: look at nodes[].address',
  'Not A Node Of The Configuration': 'the sender’s number is not in nodes: the nodes have different configurations',
  'Credentials For Another Request':
    'the uri of the credentials is not that of the request: a replay, or something between changes the URI',
  'Too Many Wrong Passwords':
    'set the right password in the phone; or it is somebody who guesses: see fail2ban in docs/operations.md',
  'At Capacity': 'raise capacity of the node, or add a node',
  'From Gateway To Gateway': 'calls of gateways reach numbers only',
};

/** One line for a request that was refused; what asks for credentials for the first time is no event. */
export function tellRefusal(
  log: RefusalLog,
  request: ReceivedRequest,
  { status, reason = '' }: { readonly status: number; readonly reason?: string | undefined },
): void {
  const { method, source, uri } = request;
  const account = accountOf(request);
  const address = source.address;
  const advice = ADVICE[reason];
  log.warn(
    `${KINDS.has(method) ? method : 'other'} ${status} ${reason}`,
    `${account} ${address}`,
    {
      ...{ method: method.slice(0, MAX_TEXT), status, reason, account, address, from: formatAddress(source) },
      uri: uri.slice(0, 2 * MAX_TEXT),
      ...(advice === undefined ? {} : { todo: advice }),
    },
    method === 'REGISTER' ? 'registration refused' : 'request refused',
  );
}

const KINDS: ReadonlySet<string> = new Set(['REGISTER', 'INVITE', 'OPTIONS', 'MESSAGE', 'SUBSCRIBE']);

/** A wrong password. Each one that was looked at has its line, so that programs can count: there cannot be many (`Guesses`). */
export function tellFailedGuess(log: RefusalLog, request: ReceivedRequest, guess: FailedGuess): void {
  const { method, source } = request;
  const { failures, waitMs, isAccount } = guess;
  log.warn(
    'authentication',
    undefined,
    {
      address: source.address,
      account: guess.account.slice(0, MAX_TEXT),
      ...{ from: formatAddress(source), method: method.slice(0, MAX_TEXT), failures },
      ...(waitMs === 0 ? {} : { heldUpSeconds: Math.ceil(waitMs / 1000) }),
      why: isAccount ? 'wrong password or algorithm' : 'no such account',
      todo: isAccount
        ? 'compare the password in the phone with the configuration'
        : 'compare the user name for authentication in the phone with username in the configuration',
    },
    'authentication failed',
  );
}

/** Credentials that nobody could check. */
export function tellUnusable(log: RefusalLog, request: ReceivedRequest, cause: 'malformed' | 'wrong'): void {
  const account = accountOf(request);
  const { address } = request.source;
  log.warn(
    `credentials ${cause}`,
    `${account} ${address}`,
    {
      ...{ address, account, from: formatAddress(request.source), method: request.method.slice(0, MAX_TEXT) },
      why: cause === 'malformed' ? 'not digest with qop=auth' : 'the nonce is not of this cluster',
      todo: 'such a client is challenged again; when it never gets through, look for a program that cannot do RFC 2617 qop=auth',
    },
    'credentials not usable',
  );
}

/** Whom a request claims to be of. */
function accountOf({ method, header }: ReceivedRequest): string {
  const isRegister = method === 'REGISTER';
  const credentials = parseCredentials(header(isRegister ? 'Authorization' : 'Proxy-Authorization') ?? '');
  const named = readIdentity(header(isRegister ? 'To' : 'From'))?.user;
  return (credentials?.params.get('username') ?? named ?? '').slice(0, MAX_TEXT);
}
