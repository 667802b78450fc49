import { constants } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import { ConfigurationError } from '../../process/exit';

/** PEM files. */
export interface TlsFiles {
  readonly key: string;
  /** Our certificate, and after it those between it and the root. */
  readonly cert: string;
  /** Whom we believe: roots of peers' certificates. Undefined: those that Node.js comes with, and no client is asked. */
  readonly ca?: string;
}

export type TlsMaterial = Required<Pick<SecureContextOptions, 'key' | 'cert' | 'minVersion' | 'secureOptions'>> &
  Pick<SecureContextOptions, 'ca'>;

function read(what: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigurationError(
      `${what} ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The key and the certificates; throws a `ConfigurationError`, with a text for the user, when they cannot be read or do not fit together. */
export function readTlsFiles(files: TlsFiles): TlsMaterial {
  const material: TlsMaterial = {
    key: read('TLS key', files.key),
    cert: read('TLS certificate', files.cert),
    ...(files.ca === undefined ? {} : { ca: read('TLS certificate authority', files.ca) }),
    minVersion: 'TLSv1.2',
    // A handshake is dear, and a client may ask for one after another on one connection. Node.js only tells of it.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
  try {
    createSecureContext(material);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError(`TLS key ${files.key} and certificate ${files.cert} cannot be used: ${reason}`);
  }
  return material;
}

/** Changes when a file does; empty while one is not there. */
function stampOf(files: TlsFiles): string {
  try {
    return [files.key, files.cert, files.ca]
      .filter((file) => file !== undefined)
      .map((file) => {
        const { mtimeMs, size, ino } = statSync(file);
        return `${mtimeMs} ${size} ${ino}`;
      })
      .join(',');
  } catch {
    return '';
  }
}

/** How often the files are looked at, at most. */
const LOOK_MS = 10_000;

/** The certificates in use; a renewed one is taken over while we run. */
export class TlsCredentials {
  private held: TlsMaterial;
  private stamp: string;
  private lookedAt: number;

  /** Throws like `readTlsFiles`. */
  constructor(
    private readonly files: TlsFiles,
    private readonly now: () => number,
    private readonly failed: (error: Error) => void,
  ) {
    this.stamp = stampOf(files);
    this.held = readTlsFiles(files);
    this.lookedAt = now();
  }

  /** Never throws: files that cannot be used leave what was there before. */
  get material(): TlsMaterial {
    const now = this.now();
    if (now - this.lookedAt < LOOK_MS) return this.held;
    this.lookedAt = now;
    const stamp = stampOf(this.files);
    if (stamp === '' || stamp === this.stamp) return this.held;
    this.stamp = stamp;
    try {
      this.held = readTlsFiles(this.files);
    } catch (error) {
      this.failed(error instanceof Error ? error : new Error(String(error)));
    }
    return this.held;
  }
}
