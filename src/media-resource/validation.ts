import { z } from 'zod';
import type { ResourceReply, ResourceRequest } from './ports';

/** Requests come from other nodes, and replies too: both are checked before anything is done with them. */
const MAX_TEXT = 65_536;

const allocation = z.string().regex(/^[\w.-]{1,64}-\d{1,6}-\d{1,16}-\d{1,16}$/);
const name = z.string().min(1).max(128);
const sdp = z.string().min(1).max(MAX_TEXT);
const side = z.enum(['a', 'b']);
const codecs = z.array(z.string().regex(/^[\w.-]{1,32}(\/\d{1,6}){0,2}$/)).max(64);
const terms = z.object({
  codecs: codecs.optional(),
  security: z.enum(['none', 'sdes', 'dtls']).optional(),
  family: z.union([z.literal(4), z.literal(6)]).optional(),
});
const relay = z.object({ to: side, sdp: sdp.optional(), terms });

const request = z.discriminatedUnion('op', [
  z.object({
    op: z.literal('allocate'),
    allocation,
    type: z.enum(['moh', 'transcoder', 'mtp', 'conference']),
    musicSource: name.optional(),
    codecs: codecs.optional(),
    room: name.optional(),
    holder: name,
  }),
  z.object({ op: z.literal('offer'), allocation, peer: sdp.optional(), relay: relay.optional() }),
  z.object({ op: z.literal('connect'), allocation, answer: sdp, from: side.optional() }),
  z.object({ op: z.literal('accept'), allocation, offer: sdp }),
  z.object({ op: z.literal('control'), allocation, muted: z.boolean() }),
  z.object({ op: z.literal('talkers'), allocations: z.array(allocation).max(1000) }),
  z.object({ op: z.literal('renew'), allocation }),
  z.object({ op: z.literal('release'), allocation }),
]);

const reply = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    sdp: sdp.optional(),
    leaseMs: z.number().int().min(1).max(3_600_000).optional(),
    session: allocation.optional(),
    talking: z.array(allocation).max(1000).optional(),
  }),
  z.object({
    ok: z.literal(false),
    reason: z.enum([
      'full',
      'down',
      'draining',
      'unsupported',
      'unknown-allocation',
      'unknown-process',
      'bad-request',
      'error',
    ]),
    detail: z.string().max(1000).optional(),
  }),
]);

/** Undefined: not a request that can be understood. */
export function readRequest(body: unknown): ResourceRequest | undefined {
  return request.safeParse(body).data;
}

/** Undefined: not a reply that can be understood. */
export function readReply(body: unknown): ResourceReply | undefined {
  return reply.safeParse(body).data;
}
