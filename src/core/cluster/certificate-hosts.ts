import { objectNames } from '#domain/kubernetes/object-names.ts';
import type { MemberName } from '#domain/member.ts';

/** The names by which clients reach a member directly. `namespace` undefined: not known, and only short names are there. */
export function memberHosts(cluster: string, member: MemberName, namespace: string | undefined): readonly string[] {
  const { podsService, primaryService, replicaService, proxyService, nodePortService } = objectNames(cluster);
  const services = [primaryService, replicaService, proxyService, nodePortService].flatMap((name) =>
    serviceHosts(name, namespace),
  );
  return [...serviceHosts(`${member}.${podsService}`, namespace), ...services, 'localhost'];
}

/** The names by which clients reach the proxies. */
export function listenerHosts(cluster: string, namespace: string | undefined): readonly string[] {
  const { proxyService, nodePortService } = objectNames(cluster);
  return [...serviceHosts(proxyService, namespace), ...serviceHosts(nodePortService, namespace), 'localhost'];
}

function serviceHosts(name: string, namespace: string | undefined): readonly string[] {
  if (namespace === undefined) return [name];
  return [name, `${name}.${namespace}`, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`];
}
