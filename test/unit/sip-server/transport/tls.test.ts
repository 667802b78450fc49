import { copyFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { readFileSync } from 'node:fs';
import { SimulatedClock } from '../../../../src/process/clock';
import { CertificateAuthority, type CertificateFiles } from '../../../support/certificates';
import { Scope } from '../../../support/scope';
import { closeAll, Inbox, peer, requestText, send, type Peer } from './fixtures';

const scope = new Scope();
let server: CertificateFiles;
let client: CertificateFiles;
let renewed: CertificateFiles;
let stranger: CertificateFiles;

beforeAll(() => {
  const authority = new CertificateAuthority(scope.directory('tls'));
  server = authority.issue('server', ['DNS:sip.example.com', 'IP:127.0.0.1']);
  renewed = authority.issue('renewed', ['DNS:sip.example.com', 'IP:127.0.0.1']);
  client = authority.issue('client', ['DNS:phone.example.com', 'URI:sip:example.org', 'IP:127.0.0.2']);
  stranger = new CertificateAuthority(scope.directory('other')).issue('stranger', ['IP:127.0.0.2']);
});
afterAll(() => scope.close());

const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await closeAll();
});

interface Client {
  readonly socket: TLSSocket;
  readonly inbox: Inbox<string>;
  readonly ended: Inbox<true>;
}

async function tlsClient(to: Peer, own?: CertificateFiles, options: ConnectionOptions = {}): Promise<Client> {
  const pem = own === undefined ? {} : { key: readFileSync(own.key), cert: readFileSync(own.cert) };
  const merged = {
    host: '127.0.0.1',
    port: to.port('tls'),
    localAddress: '127.0.0.2',
    ca: readFileSync(server.ca),
    servername: 'sip.example.com',
    ...pem,
    ...options,
  };
  const socket = connect(merged);
  sockets.push(socket);
  const inbox = new Inbox<string>();
  const ended = new Inbox<true>();
  socket.on('data', (chunk: Buffer) => inbox.push(chunk.toString()));
  socket.on('close', () => ended.push(true));
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => undefined);
  return { socket, inbox, ended };
}

describe('TLS', () => {
  test('RFC 3261 §18.2.2: a response goes back on the connection; RFC 5626 §4.4.1: CRLFCRLF is answered with CRLF', async () => {
    const node = await peer('127.0.0.1', { tls: server }, ['tls']);
    const phone = await tlsClient(node);
    phone.socket.write(`\r\n\r\n${requestText('SIP/2.0/TLS 127.0.0.2:5061;branch=z9hG4bK1')}`);
    const { flow } = await node.messages.next();
    expect(flow).toMatchObject({ protocol: 'tls', remoteAddress: '127.0.0.2', remotePort: phone.socket.localPort });
    expect(await phone.inbox.next()).toBe('\r\n');
    const to = { protocol: 'tls', address: '127.0.0.2', port: flow.remotePort, connection: flow.connection } as const;
    expect(await send(node.transport, 'SIP/2.0 200 OK\r\n\r\n', to)).toEqual({ flow });
    expect(await phone.inbox.next()).toContain('200 OK');
  });

  test('RFC 8996: TLS below version 1.2 is refused', async () => {
    const node = await peer('127.0.0.1', { tls: server }, ['tls']);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await expect(tlsClient(node, undefined, old)).rejects.toThrow();
    expect((await tlsClient(node, undefined, { maxVersion: 'TLSv1.2' })).socket.getProtocol()).toBe('TLSv1.2');
  });

  test('RFC 9325 §3.5: who asks for another handshake on a connection, over and over, gets none, and the others are served', async () => {
    const node = await peer('127.0.0.1', { tls: server }, ['tls', 'wss']);
    for (const protocol of ['tls', 'wss'] as const) {
      const { socket } = await tlsClient(node, undefined, { maxVersion: 'TLSv1.2', port: node.port(protocol) });
      const again = await new Promise<Error | null>((resolve) => {
        socket.once('error', resolve);
        socket.renegotiate({}, resolve);
      });
      expect([protocol, String(again)]).toEqual([protocol, expect.stringMatching(/renegotiation/i)]);
    }
    const other = await tlsClient(node, undefined, { maxVersion: 'TLSv1.2' });
    other.socket.write('\r\n\r\n');
    expect(await other.inbox.next()).toBe('\r\n');
  });

  test('RFC 5922 §7: two servers that prove who they are share one connection for both directions (RFC 5923)', async () => {
    const a = await peer('127.0.0.1', { tls: server }, ['tls']);
    const b = await peer('127.0.0.2', { tls: client }, ['tls']);
    const to = { protocol: 'tls', address: '127.0.0.2', port: b.port('tls') } as const;
    const via = `SIP/2.0/TLS 127.0.0.1:${a.port('tls')};alias;branch=z9hG4bK1`;
    const results = await Promise.all([
      send(a.transport, requestText(via), to),
      send(a.transport, requestText(via), { ...to, name: 'phone.example.com' }),
      send(a.transport, requestText(via), to),
    ]);
    expect(results[0]).toHaveProperty('flow');
    const { flow } = await b.messages.next();
    const back = { protocol: 'tls', address: '127.0.0.1', port: a.port('tls') } as const;
    expect(await send(b.transport, requestText('SIP/2.0/TLS 127.0.0.2;branch=z9hG4bK2'), back)).toMatchObject({
      flow: { remotePort: expect.any(Number) as number, connection: expect.any(Number) as number },
    });
    expect(flow.remoteAddress).toBe('127.0.0.1');
    expect(await a.messages.next()).toMatchObject({ flow: { remotePort: b.port('tls') } });
  });

  test('RFC 5922 §7.1: the name of a sip URI in the certificate counts; another name, or another authority, is not trusted', async () => {
    const node = await peer('127.0.0.1', { tls: server }, ['tls']);
    const known = await peer('127.0.0.2', { tls: client }, ['tls']);
    const unknown = await peer('127.0.0.2', { tls: stranger }, ['tls']);
    const to = { protocol: 'tls', address: '127.0.0.2', port: known.port('tls') } as const;
    expect(await send(node.transport, 'x', { ...to, name: 'example.org' })).toHaveProperty('flow');
    expect(await send(node.transport, 'x', { ...to, name: 'sip.example.net' })).toEqual({ failure: 'untrusted' });
    expect(known.malformed.size).toBe(0);
    expect(await send(node.transport, 'x', { ...to, port: unknown.port('tls') })).toEqual({ failure: 'untrusted' });
  });

  test('RFC 5923 §5: alias is believed only of a client whose certificate has the name', async () => {
    const node = await peer('127.0.0.1', { tls: server }, ['tls']);
    const named = await tlsClient(node, client);
    named.socket.write(requestText('SIP/2.0/TLS phone.example.com:5077;alias;branch=z9hG4bK1'));
    const { flow } = await node.messages.next();
    const to = { protocol: 'tls', address: '127.0.0.2', port: 5077 } as const;
    expect(await send(node.transport, 'x', { ...to, name: 'phone.example.com' })).toEqual({ flow });
    expect(await send(node.transport, 'x', { ...to, name: 'other.example.com' })).toEqual({ failure: 'refused' });

    const nameless = await tlsClient(node);
    nameless.socket.write(requestText('SIP/2.0/TLS 127.0.0.2:5078;alias;branch=z9hG4bK2'));
    await node.messages.next();
    expect(await send(node.transport, 'x', { ...to, port: 5078 })).toEqual({ failure: 'refused' });
  });

  test('a client in the middle of its handshake is limited in time and number; the others are served', async () => {
    const clock = new SimulatedClock();
    const node = await peer('127.0.0.1', { clock, tls: server, stream: { maxHandshakes: 2, handshakeMs: 8_000 } }, [
      'tls',
    ]);
    const slow = async (): Promise<Inbox<true>> => {
      const socket = connectTcp({ port: node.port('tls'), host: '127.0.0.1', localAddress: '127.0.0.9' });
      sockets.push(socket);
      const ended = new Inbox<true>();
      socket.on('error', () => undefined);
      socket.on('close', () => ended.push(true));
      await new Promise<void>((resolve) => socket.once('connect', resolve));
      socket.write(Buffer.from([0x16, 0x03, 0x01]));
      return ended;
    };
    const held = [await slow(), await slow()];
    await (await slow()).next('refusal of the third');
    clock.advance(8_001);
    for (const ended of held) await ended.next('end of its time');
    const phone = await tlsClient(node);
    for (const ms of [0, 8_001]) {
      clock.advance(ms);
      phone.socket.write('\r\n\r\n');
      expect(await phone.inbox.next()).toBe('\r\n');
    }
  });

  test('plain text, garbage and a connection that goes away in the handshake do no harm', async () => {
    const node = await peer('127.0.0.1', { tls: server }, ['tls', 'wss']);
    for (const port of [node.port('tls'), node.port('wss')]) {
      for (const bytes of [requestText('SIP/2.0/TLS a;branch=z9hG4bK1'), Buffer.alloc(5000, 0xff), '']) {
        const socket = connectTcp({ port, host: '127.0.0.1' });
        sockets.push(socket);
        const ended = new Inbox<true>();
        socket.on('error', () => undefined);
        socket.on('close', () => ended.push(true));
        socket.end(bytes);
        await ended.next();
      }
    }
    const phone = await tlsClient(node);
    phone.socket.write('\r\n\r\n');
    expect(await phone.inbox.next()).toBe('\r\n');
    expect(node.malformed.size + node.messages.size).toBe(0);
  });

  test('a renewed certificate is taken over while the server runs; files that are broken leave the old one', async () => {
    const clock = new SimulatedClock();
    const folder = scope.directory('renewal');
    const tls = { key: join(folder, 'key'), cert: join(folder, 'cert') };
    const install = (from: CertificateFiles, seconds: number): void => {
      for (const part of ['key', 'cert'] as const) {
        copyFileSync(from[part], tls[part]);
        utimesSync(tls[part], seconds, seconds);
      }
    };
    install(server, 1000);
    const node = await peer('127.0.0.1', { clock, tls }, ['tls']);
    const shown = async (): Promise<string> => {
      const { socket } = await tlsClient(node);
      return String(socket.getPeerCertificate().subject.CN);
    };
    expect(await shown()).toBe('server');
    install(renewed, 2000);
    clock.advance(20_000);
    await shown();
    expect(await shown()).toBe('renewed');
    copyFileSync(server.key, tls.key);
    clock.advance(20_000);
    await shown();
    expect(await shown()).toBe('renewed');
  });

  test('without certificates, or with ones that do not fit together, listening is refused', async () => {
    await expect(peer('127.0.0.1', {}, ['tls'])).rejects.toThrow('TLS needs a key and a certificate');
    await expect(peer('127.0.0.1', { tls: { ...server, key: client.key } }, ['wss'])).rejects.toThrow('cannot be used');
    await expect(peer('127.0.0.1', { tls: { ...server, cert: '/nowhere' } }, ['tls'])).rejects.toThrow('/nowhere');
  });
});
