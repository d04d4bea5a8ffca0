import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { parseDocument, stringify } from 'yaml';
import { toDiskError } from '#adapters/files/disk-errors.ts';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { issueCertificate } from '#adapters/tls/authority.ts';
import { tlsPaths, writeTlsFiles } from '#adapters/tls/tls-files.ts';
import type { ProxyDescription } from '#domain/config/cluster-description.ts';
import { PROXY_NAME } from '#domain/proxy-names.ts';
import { trustNow } from '#programs/certificates/trust.ts';
import type { ClusterPaths } from '#programs/cli/cluster-folder.ts';

/**
 * What the proxy of a cluster needs in its folder: a certificate, and its configuration, of which people's changes are kept and only the
 * ports are set. Errors: `disk.…`, `tls.invalid`.
 */
export async function makeProxy(paths: ClusterPaths, proxy: ProxyDescription): Promise<void> {
  try {
    await mkdir(paths.proxy, { recursive: true });
    await chmod(paths.proxy, 0o700);
  } catch (error) {
    throw toDiskError(error, paths.proxy);
  }
  if (!existsSync(tlsPaths(paths.proxyTls).key)) {
    const { issuer, bundle } = await trustNow(paths);
    const issued = await issueCertificate(issuer, { name: PROXY_NAME, hosts: [proxy.host, 'localhost'] });
    await writeTlsFiles(paths.proxyTls, { certificate: bundle }, issued);
  }
  await writeAtomically(paths.proxyConfig, await composeConfig(paths, proxy));
}

async function composeConfig(paths: ClusterPaths, { host, port, metricsPort }: ProxyDescription): Promise<string> {
  if (existsSync(paths.proxyConfig)) {
    const document = parseDocument(await readFile(paths.proxyConfig, 'utf8'));
    document.setIn(['listen', 'port'], port);
    document.setIn(['metrics', 'port'], metricsPort);
    return document.toString();
  }
  const { certificate, key } = tlsPaths(paths.proxyTls);
  return stringify({
    listen: { host, port },
    source: { kind: 'cluster', dir: paths.dir },
    tls: { certificateFile: certificate, keyFile: key },
    metrics: { host, port: metricsPort },
  });
}
