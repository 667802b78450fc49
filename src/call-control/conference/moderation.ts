import type { DeviceProcess } from '../../device/device-process';
import type { ProcessMessenger } from '../../media-resource/ports';
import { compareStamps } from '../../process/hlc';
import { isPid, type Pid } from '../../process/pid';
import type { CompositeSet } from '../../registration/composite-set';
import type { RegistrationRecord } from '../../registration/record';
import { Conference, type ConferenceView } from './conference';
import { conferenceKey } from './focus';
import type { MemberView } from './member';
import {
  type ModerationReply,
  type ModerationRequest,
  readModerationReply,
  readModerationRequest,
} from './moderation-messages';
import type { ModeratorCommand } from './state';

export interface ModerationOptions {
  /** Where the owner of a conference stands. */
  readonly composite: CompositeSet;
  readonly messenger: ProcessMessenger;
  /** Numbers of the configuration: one without an owner is known all the same. */
  readonly numbers: ReadonlySet<string>;
  /** A process of this node. */
  readonly find: (pid: Pid) => DeviceProcess | undefined;
  /** The incarnation of this node. */
  readonly boot: number;
  readonly onCommand?: (command: ModeratorCommand['type'], result: ModerationResult) => void;
}

/** Why a command, or a question, came to nothing. */
export type ModerationFailure =
  | 'unknown-conference'
  | 'unknown-member'
  /** Nobody is in it. */
  | 'empty'
  /** It is configured, and no node has it at the moment. */
  | 'no-owner'
  /** The node that has it did not answer in time: whether it has followed is not known. */
  | 'no-answer';

export type ModerationResult = 'done' | 'pending' | ModerationFailure;

export type CommandOutcome =
  | { readonly ok: true; readonly confirmed: boolean; readonly locked?: boolean; readonly member?: MemberView }
  | { readonly ok: false; readonly why: ModerationFailure };

export type ShowOutcome =
  { readonly ok: true; readonly conference: ConferenceView } | { readonly ok: false; readonly why: ModerationFailure };

/** Longer than the owner waits for its bridge. */
const COMMAND_MS = 4500;
const SHOW_MS = 2000;
/** Characters of participants in one message, which may be 64 kB long. */
const PIECE_LENGTH = 30_000;

/**
 * Moderators may ask any node: what they want goes to the node that owns the conference, and is decided there. Asked
 * twice, a command does what it does once.
 */
export class Moderation {
  constructor(private readonly options: ModerationOptions) {}

  /** Has a command followed, wherever the conference is. Never rejects. */
  async control(number: string, command: ModeratorCommand): Promise<CommandOutcome> {
    const reply = await this.ask(number, { op: 'control', command }, COMMAND_MS);
    const outcome: CommandOutcome = reply.ok ? { ...reply, confirmed: reply.confirmed ?? false } : reply;
    const result = outcome.ok ? (outcome.confirmed ? 'done' : 'pending') : outcome.why;
    this.options.onCommand?.(command.type, result);
    return outcome;
  }

  /** The conference with all its participants, and who talks. Never rejects. */
  async show(number: string): Promise<ShowOutcome> {
    const members: MemberView[] = [];
    for (;;) {
      const reply = await this.ask(number, { op: 'show', from: members.length }, SHOW_MS);
      if (!reply.ok) return reply;
      const { conference, members: all = 0 } = reply;
      if (conference === undefined) return { ok: false, why: 'no-answer' };
      members.push(...conference.members);
      if (members.length >= all || conference.members.length === 0)
        return { ok: true, conference: { ...conference, members } };
    }
  }

  /** What another node, or this one, asks of a conference of this node; undefined: it cannot be understood. Never rejects. */
  async handle(target: { readonly pid: string; readonly boot: number }, body: unknown): Promise<unknown> {
    const request = readModerationRequest(body);
    if (request === undefined) return undefined;
    const { boot, find } = this.options;
    const process = isPid(target.pid) && target.boot === boot ? find(target.pid) : undefined;
    return answer(process, request);
  }

  private async ask(
    number: string,
    request: ModerationRequest,
    deadlineMs: number,
  ): Promise<ModerationReply | { readonly ok: false; readonly why: 'no-answer' }> {
    const owner = this.ownerOf(number);
    if (owner === undefined)
      return { ok: false, why: this.options.numbers.has(number) ? 'no-owner' : 'unknown-conference' };
    const { pid, boot } = owner;
    const reply = readModerationReply(await this.options.messenger.request({ pid, boot }, request, deadlineMs));
    return reply ?? { ok: false, why: 'no-answer' };
  }

  /** The newest one, to which calls go too. */
  private ownerOf(number: string): RegistrationRecord | undefined {
    const { composite } = this.options;
    const key = conferenceKey(number);
    const records = composite.holders(key, NOBODY).flatMap((owner) => composite.get(owner, key) ?? []);
    return records.sort((a, b) => compareStamps(b.stamp, a.stamp))[0];
  }
}

/** No node has this number. */
const NOBODY = 0;

async function answer(process: DeviceProcess | undefined, request: ModerationRequest): Promise<ModerationReply> {
  if (process === undefined) return { ok: false, why: 'no-owner' };
  // The factory has no participants: the conferences that it makes have numbers of their own.
  if (!(process instanceof Conference)) return { ok: false, why: 'unknown-conference' };
  if (request.op === 'control') return process.control(request.command);
  const { members, ...rest } = await process.show();
  return { ok: true, conference: { ...rest, members: piece(members, request.from) }, members: members.length };
}

function piece(members: readonly MemberView[], from: number): readonly MemberView[] {
  const some: MemberView[] = [];
  let length = 0;
  for (const member of members.slice(from)) {
    length += JSON.stringify(member).length;
    if (length > PIECE_LENGTH && some.length > 0) break;
    some.push(member);
  }
  return some;
}
