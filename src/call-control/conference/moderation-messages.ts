import { z } from 'zod';
import type { ConferenceView } from './conference';
import type { MemberView } from './member';
import type { ModeratorCommand } from './state';

/** What one node asks of the node that owns a conference. */
export type ModerationRequest =
  | { readonly op: 'control'; readonly command: ModeratorCommand }
  /** A piece of the participants: messages between nodes have a limited length. */
  | { readonly op: 'show'; readonly from: number };

export type ModerationReply =
  | {
      readonly ok: true;
      readonly confirmed?: boolean;
      readonly locked?: boolean;
      readonly member?: MemberView;
      /** With the participants from `from` on, as many as go into a message. */
      readonly conference?: ConferenceView;
      /** How many participants there are. */
      readonly members?: number;
    }
  | { readonly ok: false; readonly why: 'unknown-conference' | 'unknown-member' | 'empty' | 'no-owner' };

const text = z.string().min(1).max(4096);
const maybe = text.optional();

const memberView = z
  .object({
    id: text,
    number: z.string().max(4096),
    device: z.string().max(4096),
    node: z.number().int().optional(),
    bridge: maybe,
    allocation: maybe,
    muted: z.boolean(),
    held: z.boolean(),
    silenced: z.boolean(),
    talking: z.boolean().optional(),
    since: z.number(),
  })
  .transform(({ node, bridge, allocation, ...rest }): MemberView => ({ ...rest, node, bridge, allocation }));

const conferenceView = z
  .object({
    number: text,
    name: text,
    pid: text,
    bridge: maybe,
    room: maybe,
    initiator: maybe,
    locked: z.boolean(),
    members: z.array(memberView).max(1000),
  })
  .transform(({ bridge, room, initiator, ...rest }): ConferenceView => ({ ...rest, bridge, room, initiator }));

const command = z.discriminatedUnion('type', [
  z.object({ type: z.literal('lock'), locked: z.boolean() }),
  z.object({ type: z.literal('mute'), member: text, muted: z.boolean() }),
  z.object({ type: z.literal('kick'), member: text }),
]);

const request = z.discriminatedUnion('op', [
  z.object({ op: z.literal('control'), command }),
  z.object({ op: z.literal('show'), from: z.number().int().min(0).max(1_000_000) }),
]);

const reply = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    confirmed: z.boolean().optional(),
    locked: z.boolean().optional(),
    member: memberView.optional(),
    conference: conferenceView.optional(),
    members: z.number().int().min(0).optional(),
  }),
  z.object({
    ok: z.literal(false),
    why: z.enum(['unknown-conference', 'unknown-member', 'empty', 'no-owner']),
  }),
]);

/** Undefined: not a request that can be understood. */
export function readModerationRequest(body: unknown): ModerationRequest | undefined {
  return request.safeParse(body).data;
}

/** Undefined: not a reply that can be understood. */
export function readModerationReply(body: unknown): ModerationReply | undefined {
  return reply.safeParse(body).data;
}
