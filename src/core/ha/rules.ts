/**
 * The rules that the decisions stand on, by name. Each is a necessary condition for some action (`Turn.must`); the simulator switches
 * them off one at a time, and then some seed must fail. Programs always run with all of them.
 */
export const RULES = {
  epochBelowAtClaim: { id: 'H1', text: 'a claim replaces only a record of a lower epoch' },
  ownPromiseAtClaim: { id: 'H1', text: 'a candidate claims only the epoch that is still its own promise' },
  judgedVersion: { id: 'H1', text: 'the compare-and-set names the version on which the verdict was given' },
  confirmedBeforeRecord: { id: 'H4', text: 'the record names a set only when it holds everything acknowledged so far' },
  bridge: { id: 'H4', text: 'the record covers both settings and every mixture of them before PostgreSQL changes' },
  readBack: { id: 'H4', text: 'a compare-and-set without an answer is read back before anything else' },
  quorum: { id: 'H2', text: 'the promises meet every possible confirmation: leader in V, or |V∩S| + k > |S|' },
  highestInV: { id: 'H5', text: 'nobody among the promises is further than the candidate' },
  namedTimeline: { id: 'H5', text: 'a log on a timeline that nobody claimed neither leads nor counts' },
  timelineFirst: { id: 'H5', text: 'positions are compared by timeline, then LSN' },
  predecessorInSet: { id: 'H4', text: 'a claim records S − candidate + predecessor, with the same k' },
  gate: { id: 'H12', text: 'clients are admitted when k members of S confirmed the end of recovery on the current timeline' },
  claimedTimeline: { id: 'H5', text: 'a claim ends in a promotion onto the claimed timeline, never in a restart of the old one' },
  persistPromise: { id: 'H10', text: 'a promise is on disk before anything depends on it' },
  giveUpFirst: { id: 'H3', text: 'a primary promises only when its server and all backends are gone' },
  detachBeforeAnswer: { id: 'H2', text: 'a promise is answered only when no walreceiver runs and none can connect' },
  detachAgain: { id: 'H2', text: 'a repeated answer repeats the detaching; it is never given from memory' },
  silenceBeforeGrant: { id: 'H6', text: 'nobody promises against a leader that was heard of lately' },
  degradedStays: { id: 'H8', text: 'with k = 0 nobody leads against the leader without its promise' },
  leaseBeforeClaim: { id: 'H3', text: 'in asynchronous mode a claim waits until the record stood unrenewed for a lease' },
  fence: { id: 'H6', text: 'without fresh proof clients are cut at the fence and the server ends with the lease' },
  stopBelowEpoch: { id: 'H9', text: 'a primary below the recorded epoch is stopped at once' },
  forgetBeforeDiscard: { id: 'H9', text: 'WAL is given up only after the leader has recorded the incarnation out of S' },
  newIncarnation: { id: 'H9', text: 'who gives up flushed WAL takes a new incarnation' },
  reclaimNotStand: { id: 'H10', text: 'the member that the record names never stands; it re-claims with a higher epoch' },
  reclaimOnHigher: { id: 'H10', text: 'a leader re-claims when a member of S has promised a higher epoch' },
  beyondAllSeen: { id: 'H7', text: 'a candidate asks for 1 + the highest epoch or promise it has seen' },
  promiseBeforeFollow: { id: 'H13', text: "following syncs the leader's epoch as one's own promise first" },
  followNotBelow: { id: 'H13', text: 'a member connects only to a leader whose epoch is not below its promise' },
} as const satisfies Record<string, { readonly id: string; readonly text: string }>;

export type RuleName = keyof typeof RULES;
