import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import type { MemberName, MemberState } from '#domain/member.ts';

/** What its agent says of a member. */
export interface MemberView {
  readonly role: 'primary' | 'standby' | 'none';
  readonly state: MemberState;
  /** Behind the primary; null when it does not stream. */
  readonly lagBytes: number | null;
  /** Of the parameters in `ORDERED_PARAMETERS`, as its server runs with them. Empty: not known. */
  readonly parameters: Readonly<Record<string, number>>;
  /** Parameters that wait for a restart of its server (`pg_settings.pending_restart`). */
  readonly pendingRestart: readonly string[];
  /** What tells its certificate and the authorities that it trusts from others; empty: not known. */
  readonly tls: string;
  /** Parameters that PostgreSQL does not take, with its reason: its server runs on without them, and would not start with them. */
  readonly refusedParameters: Readonly<Record<string, string>>;
}

/** Everything that the plan of a cluster depends on, looked at once. */
export interface Observed {
  /** The objects of the namespace that bear the cluster's label, as the API server has them; Secrets may be left out. */
  readonly objects: readonly KubeObject[];
  /** Of the members whose agents answer. */
  readonly views: Readonly<Record<MemberName, MemberView>>;
  /** What keeps other members' agents from starting, as their pods say. */
  readonly waiting?: Readonly<Record<MemberName, string>>;
  /** By the leader record; null before the first claim. */
  readonly leader: { readonly member: MemberName; readonly epoch: number; readonly timeline: number } | null;
  /** Members that the records know; those that left for good are not among them. */
  readonly known: readonly MemberName[];
  /** The dynamic configuration that the agents go by, from the records; null: not known. */
  readonly config: ClusterConfig | null;
}
