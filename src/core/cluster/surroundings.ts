/** What objects depend on besides the resource. */
export interface Surroundings {
  /** The image where the resource names none: the operator's own. */
  readonly image: string;
  readonly serves: {
    /** The version of PodDisruptionBudgets: `v1beta1` before Kubernetes 1.21. */
    readonly budgets: 'policy/v1' | 'policy/v1beta1';
    /** The Prometheus operator's `PodMonitor` is installed. */
    readonly podMonitors: boolean;
  };
  /** Members have rights on the pods up to this many, at least `instances`: without an operator, whoever scales adds no rights. */
  readonly spareMembers: number;
}
