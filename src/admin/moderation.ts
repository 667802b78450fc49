import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../telemetry/logger';
import { RequestError } from './request-error';
import type { AdminSource, CommandOutcome, ConferenceFailure, ModeratorCommand } from './source';

/** What may be done with a path that is not only read, for Allow. */
const WRITABLE: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^\/api\/conferences\/[^/]+$/, ['GET', 'HEAD', 'PATCH']],
  [/^\/api\/lines\/[^/]+\/settings$/, ['GET', 'HEAD', 'PATCH']],
  [/^\/api\/conferences\/[^/]+\/members\/[^/]+$/, ['PATCH', 'DELETE']],
];

/** Methods that a path takes. */
export function methodsOf(path: string): readonly string[] {
  return WRITABLE.find(([pattern]) => pattern.test(path))?.[1] ?? ['GET', 'HEAD'];
}

const FAILURES: Readonly<Record<ConferenceFailure, readonly [RequestError['statusCode'], string]>> = {
  'unknown-conference': [404, 'no such conference'],
  'unknown-member': [404, 'no such participant'],
  empty: [409, 'nobody is in the conference'],
  'no-owner': [503, 'no node has this conference at the moment'],
  'no-answer': [504, 'the node that has the conference does not answer'],
};

interface MemberPath {
  readonly number: string;
  readonly member: string;
}

/** A conference wherever it is, and what moderators do with it. */
export function addModeration(app: FastifyInstance, source: AdminSource, log: Logger): void {
  const moderate = async (
    request: FastifyRequest,
    number: string,
    command: ModeratorCommand,
  ): Promise<Extract<CommandOutcome, { ok: true }>> => {
    const outcome = await source.moderate(number, command);
    const result = outcome.ok ? (outcome.confirmed ? 'done' : 'pending') : outcome.why;
    log.info({ from: request.ip, conference: number, ...command, result }, 'a moderator commands');
    return outcome.ok ? outcome : failed(outcome.why);
  };

  app.get<{ Params: { number: string } }>('/api/conferences/:number', async (request) => {
    const outcome = await source.conference(request.params.number);
    return outcome.ok ? outcome.conference : failed(outcome.why);
  });
  app.patch<{ Params: { number: string } }>('/api/conferences/:number', async (request) => {
    const locked = readFlag(request, 'locked');
    const { number } = request.params;
    const outcome = await moderate(request, number, { type: 'lock', locked });
    return { number, locked: outcome.locked ?? locked };
  });
  app.patch<{ Params: MemberPath }>('/api/conferences/:number/members/:member', async (request, reply) => {
    const muted = readFlag(request, 'muted');
    const { number, member } = request.params;
    const outcome = await moderate(request, number, { type: 'mute', member, muted });
    return reply.status(outcome.confirmed ? 200 : 202).send(outcome.member ?? { id: member, muted });
  });
  app.delete<{ Params: MemberPath }>('/api/conferences/:number/members/:member', async (request, reply) => {
    const { number, member } = request.params;
    const { confirmed } = await moderate(request, number, { type: 'kick', member });
    return confirmed ? gone(reply) : reply.status(202).send({ id: member });
  });
}

function gone(reply: FastifyReply): FastifyReply {
  return reply.status(204).send();
}

function failed(why: ConferenceFailure): never {
  throw new RequestError(...FAILURES[why]);
}

/** The body: an object with this key alone, true or false. */
function readFlag({ body }: FastifyRequest, name: string): boolean {
  const wrong = (message: string): never => {
    throw new RequestError(400, message);
  };
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return wrong(`the body must be {"${name}": true} or {"${name}": false}`);
  const entries: readonly [string, unknown][] = Object.entries(body);
  if (entries.some(([key]) => key !== name)) return wrong(`unknown key in the body: known is ${name}`);
  const value = entries[0]?.[1];
  return typeof value === 'boolean' ? value : wrong(`"${name}" must be true or false`);
}
