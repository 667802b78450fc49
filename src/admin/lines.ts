import type { FastifyInstance } from 'fastify';
import type { Logger } from '../telemetry/logger';
import { RequestError } from './request-error';
import type { AdminSource } from './source';

interface LinePath {
  readonly number: string;
}

/** What is set for a line, and its calls, whichever node has its devices. */
export function addLines(app: FastifyInstance, source: AdminSource, log: Logger): void {
  app.get<{ Params: LinePath }>('/api/lines/:number/settings', ({ params }) => found(source.settings(params.number)));
  app.patch<{ Params: LinePath }>('/api/lines/:number/settings', ({ params, body, ip }) => {
    const { number } = params;
    found(source.settings(number));
    const refused = source.set(number, body);
    log.info({ from: ip, line: number, result: refused ?? 'done' }, 'settings of a line are changed');
    if (refused !== undefined) throw new RequestError(400, refused);
    return found(source.settings(number));
  });
  app.get<{ Params: LinePath }>('/api/lines/:number/state', async ({ params }) => {
    found(source.settings(params.number));
    return [...(await source.lineState(params.number))];
  });
}

function found(settings: object | undefined): object {
  if (settings === undefined) throw new RequestError(404, 'no such line');
  return settings;
}
