import { Readable } from 'node:stream';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from '../telemetry/logger';
import { limitConnections } from './connections';
import { isLoopback } from '../process/address';
import { checkAccess, isForeignPage } from './access';
import { addLines } from './lines';
import { addModeration, methodsOf } from './moderation';
import { RequestError } from './request-error';
import type { AdminSource, RegistrationView } from './source';

export interface AdminOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** Bearer token; needed when the address is not loopback. */
  readonly token?: string;
  readonly source: AdminSource;
  readonly log: Logger;
}

export interface AdminServer {
  readonly address: string;
  readonly port: number;
  /** Stops listening and ends open connections. */
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 10_000;
const MAX_VALUE = 128;
const MAX_URL = 2048;
const REGISTRATIONS_PER_PIECE = 256;
/** What the framework refuses. */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [400, 'the body is no JSON'],
  [413, 'the body is too long'],
  [415, 'the body must be application/json'],
]);
/** What may stand in the query, by route; nothing anywhere else. */
const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  '/api/registrations': ['dn', 'device', 'node'],
  '/api/explain': ['from', 'to'],
};
const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Starts the HTTP API (docs/api.md). Rejects when it cannot listen, and when it would be open to
 * everybody: an address other than loopback needs a token.
 */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { address, port, token, log } = options;
  if (token === undefined && !isLoopback(address))
    throw new Error(`the API may listen on ${address} only with a token: set cluster.adminToken`);
  const app = createApp(options);
  await app.listen({ host: address, port });
  const bound = app.server.address();
  const listening = typeof bound === 'object' && bound !== null ? bound : { address, port };
  log.info({ address: listening.address, port: listening.port }, 'API listens');
  return { address: listening.address, port: listening.port, close: () => app.close() };
}

function createApp({ token, source, log }: AdminOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: 1024,
    routerOptions: { maxParamLength: MAX_VALUE },
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: 3 * REQUEST_TIMEOUT_MS,
    keepAliveTimeout: 5_000,
    forceCloseConnections: true,
    frameworkErrors: (_error, _request, reply) => void sendError(reply, 400, 'not a usable URL'),
  });
  limitConnections(app.server);
  // JSON only: a web page can send the other types to any address without being asked whether it may.
  app.removeContentTypeParser('text/plain');
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    const path = request.url.split('?', 1)[0] ?? '';
    const { host, authorization } = request.headers;
    const access = checkAccess({ path, host, authorization }, token);
    if (!access.allowed) {
      if (access.status === 401) reply.header('www-authenticate', 'Bearer realm="tandem"');
      return sendError(reply, access.status, access.error);
    }
    const methods = methodsOf(path);
    if (!methods.includes(request.method))
      return sendError(
        reply.header('allow', methods.join(', ')),
        405,
        `this can be asked with ${methods.join(', ')} only`,
      );
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (!reads && isForeignPage(request.headers.origin, host))
      return sendError(reply, 403, 'pages of other origins may change nothing');
    if (request.url.length > MAX_URL) return sendError(reply, 414, 'URL too long');
    return undefined;
  });
  app.addHook('preHandler', (request, _reply, done) => {
    // Whoever asks for the others, a monitor or a balancer, may add what it likes.
    if (request.routeOptions.url?.startsWith('/api/') === true) readQuery(request);
    done();
  });
  app.setNotFoundHandler((request, reply) => sendError(reply, 404, `nothing at ${request.url.split('?', 1)[0] ?? ''}`));
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const status = error.statusCode ?? 500;
    if (error instanceof RequestError) return sendError(reply, status, error.message);
    if (status < 500) return sendError(reply, status, REFUSALS.get(status) ?? 'bad request');
    log.error({ error, route: request.routeOptions.url }, 'API request failed');
    return sendError(reply, 500, 'internal error');
  });
  addApi(app, source, log);
  addModeration(app, source, log);
  addLines(app, source, log);
  addHealth(app, source);
  return app;
}

function addApi(app: FastifyInstance, source: AdminSource, log: Logger): void {
  app.get('/api/registrations', (request, reply) => {
    const query = readQuery(request);
    const node = query.get('node');
    if (node !== undefined && !/^\d{1,6}$/.test(node)) throw new RequestError(400, '"node" must be a node number');
    const wanted = (view: RegistrationView): boolean =>
      (query.get('dn') ?? view.dn) === view.dn &&
      (query.get('device') ?? view.device) === view.device &&
      (node === undefined || Number(node) === view.node);
    const stream = Readable.from(jsonArray(source.registrations(), wanted));
    stream.on('error', (error) => log.error({ error }, 'API request failed'));
    return reply.type('application/json; charset=utf-8').send(stream);
  });
  app.get('/api/nodes', () => [...source.nodes()]);
  app.get('/api/calls', () => [...source.calls()]);
  app.get<{ Params: { id: string } }>('/api/calls/:id', (request) => {
    const call = source.call(request.params.id);
    if (call === undefined) throw new RequestError(404, 'no such call');
    return call;
  });
  app.get('/api/media-resources', () => [...source.mediaResources()]);
  app.get('/api/conferences', () => [...source.conferences()]);
  app.get('/api/explain', (request) => {
    const query = readQuery(request);
    const explanation = source.explain(required(query, 'from'), required(query, 'to'));
    if (explanation === undefined) throw new RequestError(404, '"from" is no number and no device');
    return explanation;
  });
}

function addHealth(app: FastifyInstance, source: AdminSource): void {
  app.get('/metrics', async (_request, reply) => reply.type(PROMETHEUS).send(await source.metricsText()));
  app.get('/healthz', (_request, reply) => {
    const alive = source.alive();
    return reply.status(alive ? 200 : 503).send({ alive });
  });
  app.get('/readyz', (_request, reply) => {
    const reasons = source.notReady();
    const ready = reasons.length === 0;
    return reply
      .status(ready ? 200 : 503)
      .send({ ready, reasons, problems: source.problems(), converged: source.converged() });
  });
}

/** A JSON array in pieces, so that a hundred thousand entries do not hold up the calls meanwhile. */
function* jsonArray<T>(items: Iterable<T>, wanted: (item: T) => boolean): Generator<string> {
  let piece = '[';
  let seen = 0;
  let separator = '';
  for (const item of items) {
    if (wanted(item)) {
      piece += separator + JSON.stringify(item);
      separator = ',\n';
    }
    if (++seen % REGISTRATIONS_PER_PIECE === 0 && piece !== '') {
      yield piece;
      piece = '';
    }
  }
  yield `${piece}]`;
}

/** The query; a name that is not known, given twice or too long is an error, so that a slip is noticed. */
function readQuery(request: FastifyRequest): ReadonlyMap<string, string> {
  const known = PARAMETERS[request.routeOptions.url ?? ''] ?? [];
  const query = new Map<string, string>();
  const given: [string, unknown][] =
    typeof request.query === 'object' && request.query !== null ? Object.entries(request.query) : [];
  for (const [name, value] of given) {
    if (!known.includes(name))
      throw new RequestError(400, `unknown parameter: known are ${known.join(', ') || 'none'}`);
    if (typeof value !== 'string') throw new RequestError(400, `"${name}" is given twice`);
    if (value.length > MAX_VALUE) throw new RequestError(400, `"${name}" is longer than ${MAX_VALUE} characters`);
    query.set(name, value);
  }
  return query;
}

function required(query: ReadonlyMap<string, string>, name: string): string {
  const value = query.get(name);
  if (value === undefined || value === '') throw new RequestError(400, `parameter "${name}" is missing`);
  return value;
}

function sendError(reply: FastifyReply, status: number, error: string): FastifyReply {
  // A URL that cannot be routed comes here past every hook.
  return reply.headers(HEADERS).status(status).type('application/json; charset=utf-8').send({ status, error });
}
