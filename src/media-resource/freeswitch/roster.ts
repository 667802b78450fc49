import type { SocketEvent } from './event-socket';

/** One who is in a conference at FreeSWITCH. */
export interface Member {
  /** Our session; of others whatever their caller number is. */
  readonly session: string;
  /** Name of the conference as FreeSWITCH has it. */
  readonly conference: string;
  /** Number of the member in its conference, for commands. */
  readonly id: string;
  /** The channel, for commands. */
  readonly channel: string;
  readonly talks: boolean;
}

/** Who is in a conference, by channel. */
export type Roster = ReadonlyMap<string, Member>;

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** What goes into commands: nothing that could end one and begin another. */
const SAFE = /^[\w.@:+-]{1,256}$/;

function memberOf(parts: {
  readonly session: unknown;
  readonly conference: unknown;
  readonly id: unknown;
  readonly channel: unknown;
  readonly talks: boolean;
}): Member | undefined {
  const session = textOf(parts.session);
  const conference = textOf(parts.conference);
  const channel = textOf(parts.channel);
  const id = typeof parts.id === 'number' ? String(parts.id) : textOf(parts.id);
  if (session === undefined || conference === undefined || channel === undefined || id === undefined) return undefined;
  if (!SAFE.test(conference) || !SAFE.test(channel) || !/^\d{1,12}$/.test(id)) return undefined;
  return { session, conference, id, channel, talks: parts.talks };
}

/** The roster after an event of `conference::maintenance`; the same one when the event changes nothing. */
export function afterEvent(roster: Roster, event: SocketEvent): Roster {
  const member = memberOf({
    session: event['Caller-Caller-ID-Number'],
    conference: event['Conference-Name'],
    id: event['Member-ID'],
    channel: event['Unique-ID'],
    talks: event['Talking'] === 'true',
  });
  if (member === undefined) return roster;
  const next = new Map(roster);
  switch (event['Action']) {
    case 'add-member':
      return next.set(member.channel, member);
    case 'start-talking':
    case 'stop-talking':
      if (!roster.has(member.channel)) return roster;
      return next.set(member.channel, { ...member, talks: event['Action'] === 'start-talking' });
    case 'del-member':
      // A member that went to another conference was added there before.
      if (roster.get(member.channel)?.conference !== member.conference) return roster;
      next.delete(member.channel);
      return next;
    default:
      return roster;
  }
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads the answer to `conference json_list`; undefined when it is no list of conferences. */
export function readRoster(answer: string): Roster | undefined {
  // Without any conference there may be a sentence in place of the list.
  if (/^\+OK No active/i.test(answer.trim())) return new Map();
  let list: unknown;
  try {
    list = JSON.parse(answer);
  } catch {
    return undefined;
  }
  if (!Array.isArray(list)) return undefined;
  const members = list.filter(isTable).flatMap(({ conference_name: conference, members: inside }) =>
    (Array.isArray(inside) ? inside : []).filter(isTable).flatMap((one) => {
      const { caller_id_number: session, id, uuid: channel, flags } = one;
      const talks = isTable(flags) && flags['talking'] === true;
      const member = memberOf({ session, conference, id, channel, talks });
      return member === undefined ? [] : [member];
    }),
  );
  return new Map(members.map((member) => [member.channel, member]));
}
