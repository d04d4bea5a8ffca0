import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What the operator tells Prometheus of itself. */
export class OperatorMetrics {
  readonly registry = new Registry();
  readonly leads = this.#gauge('matriarch_operator_leader', 'This process is the one that works');
  readonly clusters = this.#gauge('matriarch_operator_clusters', 'Clusters that it looks after');
  readonly depth = this.#gauge('matriarch_operator_queue_depth', 'Clusters that something is to be done for, or is being done');
  readonly actions = new Counter({
    name: 'matriarch_operator_actions_total',
    help: 'What was done, by kind',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  readonly failures = new Counter({
    name: 'matriarch_operator_failures_total',
    help: 'Looks at a cluster that failed, and are repeated',
    registers: [this.registry],
  });
  readonly seconds = new Histogram({
    name: 'matriarch_operator_reconcile_seconds',
    help: 'How long one look at a cluster took, with what was done',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120],
    registers: [this.registry],
  });

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.registry] });
  }
}
