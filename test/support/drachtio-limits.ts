import { drachtioIsNamed, usesDrachtio } from './drachtio';

/**
 * Why a test does not run on drachtio-servers: the only place where that is decided. Rows of docs/drachtio-server.md say what such a
 * server does instead, measured on 0.9.10.
 */
const limits = {
  flows:
    'it finds the connection of a phone by user and host of its Contact, follows Contacts, and does not tell that one has closed',
  listeners: 'those of the tests have neither certificates nor WebSocket listeners',
  hostileInput: 'it stops answering at some of it',
  headersWithoutEnd: 'it reads them on and on',
  ownBounds: 'connections, memory and log of a SIP server are its own',
  earlyRequests: 'it answers INFO, MESSAGE, OPTIONS and BYE in a ringing call itself, and REFER not at all',
  spirals: 'it names both ends of a call to itself alike',
  expiresOfInvite: 'it does not look at Expires of an INVITE',
  floods: 'it hands over whatever comes in a call',
  ending: 'one that is named is not ours to end',
  noMethods: 'it keeps silent when the method of a request outside a dialog is none',
  refersOfNoDialog: 'it keeps silent at a REFER in a dialog that there is not',
  starting: 'a node does not start it again',
} as const;

export type DrachtioLimit = keyof typeof limits;

const said = new Set<DrachtioLimit>();

function skips(limit: DrachtioLimit): boolean {
  const skipped = limit === 'ending' ? drachtioIsNamed : usesDrachtio;
  if (skipped && !said.has(limit)) process.stdout.write(`skipped on a drachtio-server: ${limits[limit]}\n`);
  said.add(limit);
  return skipped;
}

/** `describe`, or its `skip` where the tests use drachtio-servers and those have this limit. */
export function describeUnless(limit: DrachtioLimit): jest.Describe {
  return skips(limit) ? describe.skip : describe;
}

/** The same as `it`. */
export function itUnless(limit: DrachtioLimit): jest.It {
  return skips(limit) ? it.skip : it;
}
