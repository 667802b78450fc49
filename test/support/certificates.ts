import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCommand } from './processes';

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly key: string;
  readonly cert: string;
  /** The root that has signed it. */
  readonly ca: string;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A certificate authority of its own for a test, in files below `directory`. */
export class CertificateAuthority {
  readonly cert: string;
  private readonly key: string;
  private readonly openssl = findCommand('openssl', 'openssl');

  constructor(private readonly directory: string) {
    this.cert = join(directory, 'ca.pem');
    this.key = join(directory, 'ca.key');
    this.run('req', '-x509', ...KEY, '-keyout', this.key, '-out', this.cert, '-days', '2', '-subj', '/CN=Test CA');
  }

  /** A key and a certificate for these names: `DNS:sip.example.com`, `IP:127.0.0.1`, `URI:sip:example.com`. */
  issue(name: string, subjectAltNames: readonly string[]): CertificateFiles {
    const path = (ending: string): string => join(this.directory, `${name}.${ending}`);
    writeFileSync(path('ext'), `subjectAltName=${subjectAltNames.join(',')}\n`);
    this.run('req', '-new', ...KEY, '-keyout', path('key'), '-out', path('csr'), '-subj', `/CN=${name}`);
    const by = ['-CA', this.cert, '-CAkey', this.key, '-CAcreateserial'];
    this.run('x509', '-req', '-in', path('csr'), ...by, '-out', path('pem'), '-days', '2', '-extfile', path('ext'));
    return { key: path('key'), cert: path('pem'), ca: this.cert };
  }

  private run(...args: string[]): void {
    execFileSync(this.openssl, args, { stdio: 'pipe' });
  }
}
