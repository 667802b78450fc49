import { createPrivateKey, X509Certificate } from 'node:crypto';
import { accessSync, constants, openSync, readFileSync, readSync, closeSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { z } from 'zod';
import type { CheckedSections } from './cross-references';
import type { Path } from './problem';
import type { nodeSchema, redisTlsSchema, tlsSchema } from './schema';
import type { Source } from './source';
import { readingFailed } from './text';

type NodeSection = z.infer<typeof nodeSchema>;
type TlsSection = z.infer<typeof tlsSchema>;

interface FileSections {
  readonly sections: CheckedSections;
  /** For all nodes that have none of their own. */
  readonly tls: TlsSection | undefined;
  readonly redisTls: z.infer<typeof redisTlsSchema> | undefined;
}

/**
 * The files that the configuration names, as they are on this machine: there, readable, what they should be, and fitting together.
 * `node`: only those that this node needs; undefined: those of all nodes.
 */
export function checkFiles(
  source: Source,
  { sections, tls, redisTls }: FileSections,
  folder: string,
  node: number | undefined,
): void {
  const nodes = sections.nodes.filter(({ value }) => node === undefined || value.id === node);
  const usesCommon = nodes.some(({ value }) => value.tls === undefined && needsCertificate(value));
  if (tls !== undefined && usesCommon) checkTls(source, ['tls'], tls, folder);
  for (const { path, value } of nodes) {
    if (value.tls !== undefined && needsCertificate(value)) checkTls(source, [...path, 'tls'], value.tls, folder);
    if (value.stateDir !== undefined) checkFolder(source, [...path, 'stateDir'], resolve(folder, value.stateDir));
    if (value.musicDir !== undefined) checkFolder(source, [...path, 'musicDir'], resolve(folder, value.musicDir));
  }
  if (redisTls !== undefined) checkRedisTls(source, redisTls, folder);
  const ids = new Set(nodes.map(({ value }) => value.id));
  const plays = sections.mediaResources.some(({ value }) => value.type === 'moh' && ids.has(value.node));
  if (plays || node === undefined)
    for (const { path, value } of sections.musicSources)
      checkMusic(source, [...path, 'file'], resolve(folder, value.file));
}

/** The embedded SIP server reads its files when it begins to listen. */
function needsCertificate({ drachtio, listen }: NodeSection): boolean {
  return drachtio === 'embedded' && listen.some(({ protocol }) => protocol === 'tls' || protocol === 'wss');
}

function checkTls(source: Source, path: Path, files: TlsSection, folder: string): void {
  const read = (name: keyof TlsSection): Buffer | undefined => {
    const file = files[name];
    return file === undefined ? undefined : readFileAt(source, [...path, name], resolve(folder, file));
  };
  const [key, cert, ca] = [read('key'), read('cert'), read('ca')];
  const usable = key !== undefined && isPrivateKey(key);
  if (key !== undefined && !usable)
    source.problem([...path, 'key'], 'holds no private key in PEM without a passphrase');
  const certificate = cert === undefined ? undefined : firstCertificate(cert);
  if (cert !== undefined && certificate === undefined) source.problem([...path, 'cert'], 'holds no certificate in PEM');
  if (ca !== undefined && firstCertificate(ca) === undefined)
    source.problem([...path, 'ca'], 'holds no certificate in PEM');
  if (certificate === undefined) return;
  checkValidity(source, [...path, 'cert'], certificate);
  if (!usable) return;
  if (!certificate.checkPrivateKey(createPrivateKey(key)))
    return source.problem([...path, 'key'], 'is not the key of the certificate in "cert"');
  try {
    createSecureContext({ key, cert, ...(ca === undefined ? {} : { ca }), minVersion: 'TLSv1.2' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    source.problem([...path, 'cert'], `cannot be used together with the key: ${reason}`);
  }
}

/** Tried again and again while the node runs: what is missing may come. */
function checkRedisTls(source: Source, files: NonNullable<FileSections['redisTls']>, folder: string): void {
  for (const name of ['ca', 'cert', 'key'] as const) {
    const file = files[name];
    if (file === undefined) continue;
    const path = ['cluster', 'redis', 'tls', name];
    const bytes = readFileAt(source, path, resolve(folder, file), 'warning');
    if (bytes === undefined) continue;
    if (name === 'key') {
      if (!isPrivateKey(bytes)) source.warning(path, 'holds no private key in PEM without a passphrase');
      continue;
    }
    const certificate = firstCertificate(bytes);
    if (certificate === undefined) source.warning(path, 'holds no certificate in PEM');
    else checkValidity(source, path, certificate);
  }
}

function checkValidity(source: Source, path: Path, certificate: X509Certificate): void {
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const now = Date.now();
  if (now > to) source.warning(path, `has expired (${certificate.validTo}): peers will refuse it`);
  else if (now < from) source.warning(path, `is not valid before ${certificate.validFrom}: peers will refuse it`);
}

function checkMusic(source: Source, path: Path, file: string): void {
  try {
    if (!statSync(file).isFile()) return source.warning(path, 'is no file: listeners would hear other music');
    const descriptor = openSync(file, 'r');
    const bytes = readSync(descriptor, Buffer.alloc(1));
    closeSync(descriptor);
    if (bytes === 0) source.warning(path, 'is empty: listeners would hear other music');
  } catch (error) {
    source.warning(path, `cannot be read: ${readingFailed(error)}; listeners would hear other music`);
  }
}

/** It is made when it is not there. */
function checkFolder(source: Source, path: Path, folder: string): void {
  try {
    if (!statSync(folder).isDirectory())
      return source.warning(path, 'is no folder: registrations would not outlive a restart');
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const missing = typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
    if (missing) return;
    source.warning(path, `cannot be written: ${readingFailed(error)}; registrations would not outlive a restart`);
  }
}

function readFileAt(
  source: Source,
  path: Path,
  file: string,
  kind: 'problem' | 'warning' = 'problem',
): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (error) {
    source[kind](path, `${file} cannot be read: ${readingFailed(error)}`);
    return undefined;
  }
}

function isPrivateKey(pem: Buffer): boolean {
  try {
    return createPrivateKey(pem).type === 'private';
  } catch {
    return false;
  }
}

function firstCertificate(pem: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
