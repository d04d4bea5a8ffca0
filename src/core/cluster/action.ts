import type { KubeObject, ObjectRef } from '#domain/kubernetes/kube-object.ts';
import type { MemberName } from '#domain/member.ts';

/** What the operator is to do, and why, for the log and the events of the resource. */
export type Action = { readonly because: string } & (
  | /** Server-side apply, forced: what a person changed in it by hand is taken back. */
  { readonly kind: 'apply'; readonly object: KubeObject }
  /** `orphan`: what belongs to it stays. */
  | { readonly kind: 'delete'; readonly object: ObjectRef; readonly orphan: boolean }
  /** Of a PersistentVolumeClaim: its request becomes `size`. */
  | { readonly kind: 'growClaim'; readonly claim: string; readonly size: string }
  /** By the agents, as `matriarch switchover --to`. */
  | { readonly kind: 'switchover'; readonly from: MemberName; readonly to: MemberName }
  /** The PostgreSQL of a member, by its agent, in its pod, as `matriarch restart`. */
  | { readonly kind: 'restartServer'; readonly member: MemberName }
  /** The pod is deleted and comes back by the StatefulSet's present template. */
  | { readonly kind: 'replacePod'; readonly member: MemberName }
  /** The pod's kubelet is to look at the ConfigMap, which has this resource version. */
  | { readonly kind: 'nudge'; readonly pod: string; readonly version: string }
  /** As `matriarch forget`. */
  | { readonly kind: 'forget'; readonly member: MemberName }
);

/** What a person asked for and cannot have. */
export interface Refusal {
  readonly field: string;
  readonly message: string;
}

export interface Plan {
  /** In this order; when one fails, the rest waits for the next plan. At most one of them takes a member away. */
  readonly actions: readonly Action[];
  /** What the plan waits for before it goes on; null when nothing is left to do after `actions`. */
  readonly waitingFor: string | null;
  readonly refused: readonly Refusal[];
  /** Why the last attempt at it failed; it is repeated. */
  readonly failed?: string | undefined;
}
