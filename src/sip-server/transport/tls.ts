import type { Server, TcpNetConnectOpts } from 'node:net';
import { isIP } from 'node:net';
import type { ConnectionOptions, PeerCertificate, TLSSocket, TlsOptions } from 'node:tls';
import { checkServerIdentity, connect, createServer } from 'node:tls';
import type { ParseLimits } from '../../sip-message/parse';
import { StreamFramer } from '../../sip-message/stream';
import type { StreamProtocol } from './stream-transport';
import { SOCKET_OPTIONS } from './stream-transport';
import type { TurnAway } from './protocol-transport';
import type { TlsCredentials, TlsMaterial } from './tls-files';
import type { RemoteAddress, WireEvents } from './wire';
import { SocketWire } from './wire';

/** Names of a certificate: DNS names and addresses, and `sip:` URIs (RFC 5922 section 7.1). Undefined: it is for the host. */
function identityError(host: string, certificate: PeerCertificate): Error | undefined {
  const uris = (certificate.subjectaltname ?? '').split(', ').filter((name) => name.startsWith('URI:'));
  const wanted = host.toLowerCase();
  if (uris.some((uri) => uri.toLowerCase() === `uri:sip:${wanted}`)) return undefined;
  return checkServerIdentity(host, certificate);
}

/** A TLS socket; `expected` is the host that our own handshake verifies. */
class TlsWire extends SocketWire {
  private secure: boolean;
  /** Node.js would send what is written before it has looked at the peer's certificate. */
  private readonly held: { readonly bytes: Buffer; readonly written: Parameters<SocketWire['write']>[1] }[] = [];
  private heldBytes = 0;

  constructor(
    private readonly tlsSocket: TLSSocket,
    remote: RemoteAddress,
    private readonly expected?: string,
  ) {
    super(tlsSocket, remote);
    this.secure = expected === undefined;
  }

  override get isOpen(): boolean {
    return this.secure;
  }

  override attach(events: WireEvents): void {
    super.attach({ ...events, opened: () => undefined });
    this.tlsSocket.on('secureConnect', () => {
      this.secure = true;
      events.opened();
      for (const { bytes, written } of this.held.splice(0)) super.write(bytes, written);
      this.heldBytes = 0;
    });
  }

  override get queued(): number {
    return super.queued + this.heldBytes;
  }

  override write(...[bytes, written]: Parameters<SocketWire['write']>): void {
    if (this.secure) return super.write(bytes, written);
    this.held.push({ bytes, written });
    this.heldBytes += bytes.length;
  }

  override isPeer(address: string, name?: string): boolean {
    const host = name ?? address;
    if (this.expected !== undefined && this.expected === host) return true;
    if (!this.tlsSocket.authorized) return false;
    const certificate = this.tlsSocket.getPeerCertificate();
    return Object.keys(certificate).length > 0 && identityError(host, certificate) === undefined;
  }
}

/** Clients without a certificate are phones; with a `ca`, the certificate that a peer shows says who it is. */
export function serverOptions(material: TlsMaterial): TlsOptions {
  return { ...material, ...SOCKET_OPTIONS, requestCert: material.ca !== undefined, rejectUnauthorized: false };
}

/** The next clients get the certificate that is in the files now. */
export function keepFresh(
  server: Server & { setSecureContext(material: TlsMaterial): void },
  tls: TlsCredentials,
  used: TlsMaterial,
): void {
  let current = used;
  server.on('connection', () => {
    const { material } = tls;
    if (material === current) return;
    current = material;
    server.setSecureContext(material);
  });
}

/** A browser or phone that does not trust our certificate says so in its alert, and to nobody else. */
export function tellFailures(server: Server, turnAway: TurnAway): void {
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    const { remoteAddress: address, remotePort: port } = socket;
    if (address !== undefined && port !== undefined) turnAway({ address, port }, 'tls', error.message);
    socket.destroy();
  });
}

/** SIP over TLS, version 1.2 or later (RFC 3261 section 26.2.1, RFC 5922). What we connect to must prove its name. */
export function tls(limits: ParseLimits, credentials: () => TlsCredentials): StreamProtocol {
  return {
    protocol: 'tls',
    hasHandshake: true,
    createServer: (_point, accept, turnAway) => {
      const { material } = credentials();
      const server = createServer(serverOptions(material));
      keepFresh(server, credentials(), material);
      tellFailures(server, turnAway);
      server.on('secureConnection', (socket) => {
        const { remoteAddress: address, remotePort: port } = socket;
        if (address === undefined || port === undefined) socket.destroy();
        else accept(new TlsWire(socket, { address, port }));
      });
      return server;
    },
    open: ({ address, port, name }, local) => {
      const host = name ?? address;
      const options: ConnectionOptions & Pick<TcpNetConnectOpts, 'localAddress'> = {
        ...credentials().material,
        ...SOCKET_OPTIONS,
        host: address,
        port,
        localAddress: local.address,
        ...(isIP(host) === 0 ? { servername: host } : {}),
        checkServerIdentity: (_host: string, certificate: PeerCertificate) => identityError(host, certificate),
      };
      return new TlsWire(connect(options), { address, port }, host);
    },
    framing: () => new StreamFramer(limits),
  };
}
