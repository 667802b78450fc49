import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { startAdmin, type AdminServer } from '../../../src/admin/server';
import type { AdminSource, CallView, CommandOutcome, RegistrationView } from '../../../src/admin/source';
import type { CallDetail } from '../../../src/call-control/record/call-view';
import { RegistrationInformationTable } from '../../../src/digit-analysis/table';
import { CompositeSet } from '../../../src/registration/composite-set';
import { createLogger, silentLogger, type Logger } from '../../../src/telemetry/logger';

const alice: RegistrationView = {
  dn: '1000',
  device: 'SEP-alice',
  instance: 'urn:uuid:1',
  pid: '1.dp.1',
  boot: 7,
  node: 1,
  address: 'udp:127.0.0.1:5062',
  local: true,
  expiresAt: 1_700_000_000_000,
};
const bob: RegistrationView = { ...alice, dn: '2000', device: 'SEP-bob', pid: '2.dp.1', node: 2, local: false };
const call: CallView = {
  id: '1.cp.1',
  state: 'established',
  caller: '1000',
  dialled: '2000',
  from: 'SEP-alice',
  to: 'SEP-bob',
  startedAt: 1,
  answeredAt: 2,
};

/** What the other rooms have fits the port as it is; the compiler checks it. */
const fits: {
  registrations: (table: RegistrationInformationTable) => ReturnType<AdminSource['registrations']>;
  call: (detail: CallDetail) => ReturnType<AdminSource['call']>;
  explain: (table: RegistrationInformationTable) => ReturnType<AdminSource['explain']>;
} = {
  registrations: (table) => table.entries(),
  call: (detail) => detail,
  explain: (table) => table.explain('2000', '1000'),
};

function source(over: Partial<AdminSource> = {}): AdminSource {
  return {
    registrations: () => [alice, bob],
    nodes: () => [
      {
        node: 1,
        name: 'dallas',
        site: 'dallas',
        self: true,
        state: 'on-line',
        boot: 7,
        address: '127.0.0.1:5060',
        registrations: 1,
        lastHeardAt: 5,
        problems: [],
      },
    ],
    conferences: () => [],
    conference: () => Promise.resolve({ ok: false, why: 'unknown-conference' }),
    moderate: () => Promise.resolve({ ok: false, why: 'unknown-conference' }),
    settings: (line) => (line === '1000' ? { dnd: true } : undefined),
    set: () => undefined,
    lineState: () => Promise.resolve([{ node: 2, boot: 7, version: 1, calls: [] }]),
    calls: () => [call],
    call: (id) => (id === '1.cp.1' ? call : undefined),
    mediaResources: () => [
      {
        name: 'moh',
        type: 'moh',
        engine: 'rtpengine',
        node: 1,
        site: 'dallas',
        pid: '1.mp.1',
        boot: 7,
        capacity: 250,
        inUse: 3,
        state: 'up',
      },
    ],
    explain: (from, to) => (from === '1000' ? { dialled: to, from } : undefined),
    metricsText: () => Promise.resolve('tandem_calls 3\n'),
    alive: () => true,
    notReady: () => [],
    problems: () => [],
    converged: () => true,
    ...over,
  };
}

const servers: AdminServer[] = [];

async function start(
  over: Partial<AdminSource> = {},
  token?: string,
  log: Logger = silentLogger,
): Promise<AdminServer> {
  const server = await startAdmin({ address: '127.0.0.1', port: 0, token, source: source(over), log });
  servers.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: unknown;
}

function ask(
  server: AdminServer,
  path: string,
  { body, ...options }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { host: server.address, port: server.port, path, agent: false, ...options },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(pieces).toString();
          const isJson = response.headers['content-type']?.includes('json') === true && text !== '';
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: isJson ? JSON.parse(text) : undefined,
          });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

describe('the HTTP API', () => {
  it('gives the registrations, all or those that are asked for', async () => {
    const server = await start();
    expect((await ask(server, '/api/registrations')).json).toEqual([alice, bob]);
    expect((await ask(server, '/api/registrations?dn=2000')).json).toEqual([bob]);
    expect((await ask(server, '/api/registrations?device=SEP-alice&node=1')).json).toEqual([alice]);
    expect((await ask(server, '/api/registrations?node=3')).json).toEqual([]);
  });

  it('gives a great many registrations piece by piece', async () => {
    const server = await start({
      *registrations() {
        for (let index = 0; index < 20_000; index++) yield { ...alice, dn: String(index) };
      },
    });
    const { json } = await ask(server, '/api/registrations');
    expect(json).toHaveLength(20_000);
    expect((json as RegistrationView[])[19_999]?.dn).toBe('19999');
  });

  it('gives nodes, calls, one call, media resources and explanations', async () => {
    const server = await start();
    expect((await ask(server, '/api/nodes')).json).toMatchObject([{ node: 1, state: 'on-line' }]);
    expect((await ask(server, '/api/calls')).json).toMatchObject([{ id: '1.cp.1', state: 'established' }]);
    expect((await ask(server, '/api/calls/1.cp.1')).json).toMatchObject({ id: '1.cp.1' });
    expect((await ask(server, '/api/media-resources')).json).toMatchObject([{ name: 'moh', inUse: 3 }]);
    expect((await ask(server, '/api/explain?from=1000&to=%2B1214')).json).toEqual({ dialled: '+1214', from: '1000' });
  });

  it('gives the registration information table as it is (claim R3)', async () => {
    const set = new CompositeSet();
    const { instance = '', address = '', expiresAt } = alice;
    const stamp = { ms: 5, counter: 0, node: 1 };
    const station = {
      key: 'k',
      kind: 'station',
      device: 'SEP-alice',
      lines: ['1000'],
      pid: '1.dp.1',
      boot: 7,
    } as const;
    set.put(1, { ...station, instance, address, expiresAt, stamp, contact: 'sip:alice@127.0.0.1:5062' });
    const table = new RegistrationInformationTable({ set, localNode: 1, now: () => 0, knownNumbers: [], routes: [] });
    const server = await start({
      registrations: () => fits.registrations(table),
      explain: () => fits.explain(table),
      call: (id) => (id === '1.cp.1' ? call : undefined),
    });
    expect((await ask(server, '/api/registrations')).json).toMatchObject([alice]);
    expect((await ask(server, '/api/explain?from=1000&to=2000')).json).toMatchObject({ result: { type: 'unknown' } });
  });

  it('gives metrics in the text format of Prometheus', async () => {
    const { text, headers } = await ask(await start(), '/metrics');
    expect(text).toBe('tandem_calls 3\n');
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  it('says whether the node lives and whether it can take calls, with reasons', async () => {
    const server = await start({ notReady: () => ['SIP server not connected', 'draining'] });
    expect(await ask(server, '/healthz')).toMatchObject({ status: 200, json: { alive: true } });
    expect(await ask(server, '/readyz')).toMatchObject({
      status: 503,
      json: { ready: false, reasons: ['SIP server not connected', 'draining'] },
    });
    expect(await ask(await start(), '/readyz')).toMatchObject({
      status: 200,
      json: { ready: true, reasons: [], converged: true },
    });
    expect((await ask(await start({ alive: () => false }), '/healthz')).status).toBe(503);
  });

  it.each<readonly [path: string, status: number, error: string]>([
    ['/api/calls/none', 404, 'no such call'],
    ['/api/nothing', 404, 'nothing at /api/nothing'],
    ['/', 404, 'nothing at /'],
    ['/api/explain?from=1000', 400, 'parameter "to" is missing'],
    ['/api/explain?from=&to=1', 400, 'parameter "from" is missing'],
    ['/api/explain?from=1000&to=1&to=2', 400, '"to" is given twice'],
    ['/api/explain?from=1000&to=LONG', 400, '"to" is longer than 128 characters'],
    ['/api/explain?from=1&to=2', 404, '"from" is no number and no device'],
    ['/api/registrations?dnn=1', 400, 'unknown parameter: known are dn, device, node'],
    ['/api/registrations?node=one', 400, '"node" must be a node number'],
    ...['calls', 'calls/1.cp.1', 'nodes', 'media-resources', 'conferences', 'conferences/8000'].map(
      (path) => [`/api/${path}?x=1`, 400, 'unknown parameter: known are none'] as const,
    ),
    ['/api/calls/%E0%A4%A', 400, 'not a usable URL'],
    ['/api/calls?x=LONGLONGLONG', 414, 'URL too long'],
  ])('answers %s with %d and says why, in JSON', async (path, status, error) => {
    const answer = await ask(await start(), path.replaceAll('LONG', '1'.repeat(1000)));
    expect(answer).toMatchObject({ status, json: { status, error } });
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  it('takes only the methods that a path has, and says which', async () => {
    const server = await start();
    const allowed = [
      ['/api/calls', 'GET, HEAD'],
      ['/api/conferences', 'GET, HEAD'],
      ['/api/conferences/8000', 'GET, HEAD, PATCH'],
      ['/api/conferences/8000/members/1.cf.1-a', 'PATCH, DELETE'],
      ['/api/lines/1000/settings', 'GET, HEAD, PATCH'],
      ['/api/lines/1000/state', 'GET, HEAD'],
      ['/api/nothing', 'GET, HEAD'],
    ] as const;
    for (const [path, allow] of allowed)
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'].filter((one) => !allow.includes(one)))
        expect(await ask(server, path, { method })).toMatchObject({ status: 405, headers: { allow } });
    expect(await ask(server, '/api/calls', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  });

  it('tells nothing of an error inside, and logs it', async () => {
    const lines: string[] = [];
    const log = createLogger({ name: 't', destination: { write: (line) => void lines.push(line) } });
    const fail = (): never => {
      throw new Error('inner detail');
    };
    const server = await start(
      { calls: fail, metricsText: () => Promise.reject(new Error('inner detail')) },
      undefined,
      log,
    );
    for (const path of ['/api/calls', '/metrics']) {
      const answer = await ask(server, path);
      expect(answer).toMatchObject({ status: 500, json: { status: 500, error: 'internal error' } });
      expect(answer.text).not.toContain('inner detail');
    }
    expect(lines.filter((line) => line.includes('inner detail'))).toHaveLength(2);
  });

  it('ends a list that fails half-way, and goes on', async () => {
    const server = await start({
      *registrations() {
        for (let index = 0; index < 1000; index++) yield alice;
        throw new Error('half-way');
      },
    });
    await expect(ask(server, '/api/registrations')).rejects.toThrow();
    expect((await ask(server, '/healthz')).status).toBe(200);
  });

  it('survives what is not HTTP', async () => {
    const server = await start();
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(server.port, server.address, () => socket.write('INVITE sip:x SIP/2.0\r\n\r\n'));
      let text = '';
      socket.on('data', (piece: Buffer) => (text += piece.toString()));
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
    expect(answer).toContain('400');
    expect((await ask(server, '/healthz')).status).toBe(200);
  });
});

describe('moderators, by the HTTP API', () => {
  const json = { 'content-type': 'application/json' };
  const member = '/api/conferences/8000/members/1.cf.1-a';

  /** What a conference is asked for; `answers` with the same. */
  function moderated(answers: CommandOutcome) {
    const asked: unknown[] = [];
    const moderate: AdminSource['moderate'] = (number, command) => {
      asked.push([number, command]);
      return Promise.resolve(answers);
    };
    return { asked, moderate };
  }

  it('gives a conference, whichever node owns it', async () => {
    const conference = { number: '8999*1', name: 'x', pid: '2.cf.1', bridge: undefined, locked: false, members: [] };
    const server = await start({
      conference: (number) =>
        Promise.resolve(number === '8999*1' ? { ok: true, conference } : { ok: false, why: 'no-owner' }),
    });
    expect((await ask(server, '/api/conferences/8999*1')).json).toEqual({ ...conference, bridge: undefined });
    expect((await ask(server, '/api/conferences/8999%2A1')).status).toBe(200);
    expect(await ask(server, '/api/conferences/8001')).toMatchObject({ status: 503 });
  });

  it('locks, mutes and kicks', async () => {
    const view = { id: '1.cf.1-a', muted: true };
    const { asked, moderate } = moderated({ ok: true, confirmed: true, locked: true, member: view });
    const server = await start({ moderate });
    const patch = { method: 'PATCH', headers: json };
    expect(await ask(server, '/api/conferences/8000', { ...patch, body: '{"locked":true}' })).toMatchObject({
      status: 200,
      json: { number: '8000', locked: true },
    });
    expect(await ask(server, member, { ...patch, body: '{"muted":true}' })).toMatchObject({ status: 200, json: view });
    expect(await ask(server, member, { method: 'DELETE' })).toMatchObject({ status: 204, text: '' });
    expect(asked).toEqual([
      ['8000', { type: 'lock', locked: true }],
      ['8000', { type: 'mute', member: '1.cf.1-a', muted: true }],
      ['8000', { type: 'kick', member: '1.cf.1-a' }],
    ]);
  });

  it('says 202 when a command stands and the bridge has not done its part yet', async () => {
    const server = await start(moderated({ ok: true, confirmed: false }));
    const body = '{"muted":false}';
    expect((await ask(server, member, { method: 'PATCH', headers: json, body })).status).toBe(202);
    expect((await ask(server, member, { method: 'DELETE' })).status).toBe(202);
  });

  it.each([
    ['unknown-conference', 404],
    ['unknown-member', 404],
    ['empty', 409],
    ['no-owner', 503],
    ['no-answer', 504],
  ] as const)('%s is %d, with a sentence', async (why, status) => {
    const server = await start(moderated({ ok: false, why }));
    const answer = await ask(server, member, { method: 'DELETE' });
    expect(answer).toMatchObject({ status, json: { status, error: expect.stringMatching(/ /) as unknown } });
  });

  it.each([
    ['/api/conferences/8000', '', 400, 'the body is no JSON'],
    ['/api/conferences/8000', '{"locked":tru', 400, 'the body is no JSON'],
    ['/api/conferences/8000', '{"__proto__":{"locked":true}}', 400, 'the body is no JSON'],
    ['/api/conferences/8000', '[true]', 400, 'the body must be {"locked": true} or {"locked": false}'],
    ['/api/conferences/8000', 'null', 400, 'the body must be {"locked": true} or {"locked": false}'],
    ['/api/conferences/8000', '{}', 400, '"locked" must be true or false'],
    ['/api/conferences/8000', '{"locked":"yes"}', 400, '"locked" must be true or false'],
    ['/api/conferences/8000', '{"locked":true,"muted":true}', 400, 'unknown key in the body: known is locked'],
    [member, '{"locked":true}', 400, 'unknown key in the body: known is muted'],
    [member, '{"muted":1}', 400, '"muted" must be true or false'],
    [member, `{"muted":true,"x":"${'x'.repeat(2000)}"}`, 413, 'the body is too long'],
    [`/api/conferences/${'8'.repeat(200)}`, '{"locked":true}', 400, 'not a usable URL'],
  ])('%s with %s is refused with %d, and nothing is done', async (path, body, status, error) => {
    const { asked, moderate } = moderated({ ok: true, confirmed: true });
    const answer = await ask(await start({ moderate }), path, { method: 'PATCH', headers: json, body });
    expect(answer.status).toBe(status);
    expect(answer.json).toEqual({ status, error });
    expect(asked).toEqual([]);
  });

  it('takes JSON only, and nothing from the page of another origin', async () => {
    const { asked, moderate } = moderated({ ok: true, confirmed: true });
    const server = await start({ moderate });
    const body = '{"locked":true}';
    const host = `127.0.0.1:${server.port}`;
    const status = async (headers: Record<string, string>) =>
      (await ask(server, '/api/conferences/8000', { method: 'PATCH', headers: { host, ...headers }, body })).status;
    expect(await status({})).toBe(415);
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])
      expect(await status({ 'content-type': type })).toBe(415);
    for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:1', 'nonsense'])
      expect(await status({ ...json, origin })).toBe(403);
    const foreign = { host, origin: 'http://evil.example' };
    expect((await ask(server, member, { method: 'DELETE', headers: foreign })).status).toBe(403);
    expect(asked).toEqual([]);
    expect(await status({ ...json, origin: `http://${host}` })).toBe(200);
  });

  it('needs the token as all else does', async () => {
    const { asked, moderate } = moderated({ ok: true, confirmed: true });
    const server = await start({ moderate }, 'the-token-of-the-api');
    const authorization = 'Bearer the-token-of-the-api';
    expect((await ask(server, member, { method: 'DELETE' })).status).toBe(401);
    expect(asked).toEqual([]);
    expect((await ask(server, member, { method: 'DELETE', headers: { authorization } })).status).toBe(204);
  });
});

describe('lines, by the HTTP API', () => {
  const headers = { 'content-type': 'application/json' };

  it('gives what is set and the state, and 404 for what is no line', async () => {
    const server = await start();
    expect((await ask(server, '/api/lines/1000/settings')).json).toEqual({ dnd: true });
    expect((await ask(server, '/api/lines/1000/state')).json).toMatchObject([{ node: 2, calls: [] }]);
    for (const what of ['settings', 'state']) expect((await ask(server, `/api/lines/9/${what}`)).status).toBe(404);
  });

  it('sets what is asked for, and says why not', async () => {
    const asked: unknown[] = [];
    const set = (...args: unknown[]): string | undefined => {
      asked.push(args);
      return asked.length > 1 ? 'dnd: must be true or false' : undefined;
    };
    const server = await start({ set });
    const patch = (line: string, body: object): Promise<Answer> =>
      ask(server, `/api/lines/${line}/settings`, { method: 'PATCH', headers, body: JSON.stringify(body) });
    expect((await patch('1000', { dnd: true })).json).toEqual({ dnd: true });
    expect(await patch('1000', { dnd: 1 })).toMatchObject({
      status: 400,
      json: { error: 'dnd: must be true or false' },
    });
    expect((await patch('9', { dnd: true })).status).toBe(404);
    expect(asked).toEqual([
      ['1000', { dnd: true }],
      ['1000', { dnd: 1 }],
    ]);
  });
});

describe('access to the HTTP API', () => {
  it('is refused on another address than loopback without a token', async () => {
    const options = { address: '0.0.0.0', port: 0, source: source(), log: silentLogger };
    await expect(startAdmin(options)).rejects.toThrow('only with a token');
  });

  it('without a token is for requests meant for loopback, so that no web page reads it through a name of its own', async () => {
    const server = await start();
    const status = async (host: string) => (await ask(server, '/api/calls', { headers: { host } })).status;
    for (const host of ['localhost', 'LOCALHOST:8080', '127.0.0.1:8080', '127.8.8.8', '[::1]:8080'])
      expect(await status(host)).toBe(200);
    for (const host of ['evil.example', '127.0.0.1.evil.example', '10.0.0.1:8080', 'localhost.evil', '[::2]'])
      expect(await status(host)).toBe(403);
  });

  it('with a token is for who has it; health probes need none', async () => {
    const server = await start({}, 'the-token-of-the-api');
    const status = async (path: string, authorization?: string) =>
      (await ask(server, path, { headers: { host: 'pbx.example', ...(authorization && { authorization }) } })).status;
    expect(await status('/api/calls')).toBe(401);
    expect(await status('/metrics')).toBe(401);
    expect(await status('/api/nothing')).toBe(401);
    expect(await status('/api/calls', 'Bearer wrong')).toBe(401);
    expect(await status('/api/calls', 'Basic dGhlLXRva2VuLW9mLXRoZS1hcGk=')).toBe(401);
    expect(await status('/api/calls', 'Bearer the-token-of-the-api')).toBe(200);
    expect(await status('/healthz')).toBe(200);
    expect(await status('/readyz')).toBe(200);
    expect((await ask(server, '/api/calls')).headers['www-authenticate']).toBe('Bearer realm="tandem"');
  });

  it('says clearly that a port is taken', async () => {
    const { port } = await start();
    const again = startAdmin({ address: '127.0.0.1', port, source: source(), log: silentLogger });
    await expect(again).rejects.toThrow('EADDRINUSE');
  });
});
