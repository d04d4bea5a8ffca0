export const API_GROUP = 'matriarch.dev';

export const LABEL = {
  /** The name of the cluster; on every object of one. */
  cluster: `${API_GROUP}/cluster`,
  /** `postgresql` or `proxy`; on pods. */
  component: `${API_GROUP}/component`,
  /** `primary` or `replica`; on members' pods, set by the agents. */
  role: `${API_GROUP}/role`,
} as const;

export const ANNOTATION = {
  /** On pods: the resource version of the ConfigMap that their kubelet was last told to look at. */
  configVersion: `${API_GROUP}/config-version`,
  /** What a member says of itself in the store; on its own pod. */
  member: `${API_GROUP}/member`,
  /** On the records: what the first server was made with, where that is not what it is without a word (JSON of `initdbSchema`). */
  initdb: `${API_GROUP}/initdb`,
  /** The epoch in which the role of the pod was set; on members' pods. A leader of an earlier one leaves it as it is. */
  roleEpoch: `${API_GROUP}/role-epoch`,
} as const;
