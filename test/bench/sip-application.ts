import { createHash } from 'node:crypto';
import Srf from 'drachtio-srf';

/**
 * The smallest drachtio-srf application that does what is measured: REGISTER with digest, and calls challenged and put
 * through by its own B2BUA. Arguments: host, port and secret of the server, password of the users, `host:port` of the callee.
 */
const [host = '', port = '', secret = '', password = '', callee = ''] = process.argv.slice(2);
const realm = 'bench';
const nonce = 'b5c1d3f0a2';

interface Message {
  readonly method: string;
  readonly body: string;
  has(name: string): boolean;
  get(name: string): string;
}
interface Response {
  send(status: number, options?: { headers: Record<string, string> }): void;
}
interface Application {
  connect(options: { host: string; port: number; secret: string }): void;
  on(event: 'connect' | 'error', listener: (error?: unknown) => void): void;
  register(handler: (request: Message, response: Response) => void): void;
  invite(handler: (request: Message, response: Response) => void): void;
  createB2BUA(
    request: Message,
    response: Response,
    uri: string,
    options: { localSdpB: string },
  ): Promise<Record<'uas' | 'uac', { on(event: 'destroy', act: () => void): void; destroy(): Promise<unknown> }>>;
}

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
const field = (header: string, name: string): string => new RegExp(`[ ,]${name}="?([^",]+)`).exec(header)?.[1] ?? '';

function isAuthentic(header: string, method: string): boolean {
  const get = (name: string): string => field(header, name);
  const ha1 = md5(`${get('username')}:${realm}:${password}`);
  const ha2 = md5(`${method}:${get('uri')}`);
  const expected = md5([ha1, nonce, get('nc'), get('cnonce'), get('qop'), ha2].join(':'));
  return get('nonce') === nonce && get('response') === expected;
}

/** True when the request may pass; otherwise it has been challenged. */
function admit(request: Message, response: Response): boolean {
  if (request.has('Authorization') && isAuthentic(request.get('Authorization'), request.method)) return true;
  response.send(401, {
    headers: { 'WWW-Authenticate': `Digest realm="${realm}", nonce="${nonce}", algorithm=MD5, qop="auth"` },
  });
  return false;
}

const application = new Srf() as unknown as Application;
application.on('error', () => process.exit(1));
application.on('connect', (error) => {
  if (error) process.exit(1);
  process.stdout.write('connected\n');
});
application.register((request, response) => {
  if (admit(request, response)) response.send(200, { headers: { Contact: `${request.get('Contact')};expires=300` } });
});
application.invite((request, response) => {
  if (!admit(request, response)) return;
  application.createB2BUA(request, response, `sip:callee@${callee}`, { localSdpB: request.body }).then(
    ({ uas, uac }) => {
      uas.on('destroy', () => void uac.destroy());
      uac.on('destroy', () => void uas.destroy());
    },
    () => undefined,
  );
});
application.connect({ host, port: Number(port), secret });
