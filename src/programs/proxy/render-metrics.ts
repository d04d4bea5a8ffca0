import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { METRICS, type MetricDefinition, type ProxySight } from './metrics.ts';

/** A bucket ends at 2.44 times the end of the one before. */
const EVERY_FOURTH = 4;
const US_PER_SECOND = 1e6;

/** The answer to `GET /metrics`: looked at when it is asked for, so that counting costs the data path one addition. */
export class MetricsPage {
  readonly #registry = new Registry();

  constructor(sight: () => ProxySight) {
    for (const definition of METRICS) register(this.#registry, definition, sight);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }
}

function register(registry: Registry, definition: MetricDefinition, sight: () => ProxySight): void {
  const { name, help } = definition;
  if (definition.kind === 'histogram') {
    // The library's own histogram takes single observations; this one is counted already.
    const get = async () => ({ name, help, type: 'histogram', values: [...valuesOf(definition, sight())] });
    registry.registerMetric({ name, help, get } as unknown as Metric<string>);
    return;
  }
  const { samples, labels } = definition;
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (definition.kind === 'gauge')
    new Gauge({
      ...options,
      collect() {
        this.reset();
        for (const sample of samples(sight())) this.set(sample.labels, sample.value);
      },
    });
  else
    new Counter({
      ...options,
      collect() {
        this.reset();
        for (const sample of samples(sight())) this.inc(sample.labels, sample.value);
      },
    });
}

function* valuesOf({ name, histogram }: Extract<MetricDefinition, { kind: 'histogram' }>, sight: ProxySight) {
  const counted = histogram(sight);
  for (const { upToUs, count } of counted.cumulative(EVERY_FOURTH)) {
    const le = upToUs === Infinity ? '+Inf' : String(Number((upToUs / US_PER_SECOND).toPrecision(3)));
    yield { metricName: `${name}_bucket`, labels: { le }, value: count };
  }
  yield { metricName: `${name}_sum`, labels: {}, value: counted.sumUs / US_PER_SECOND };
  yield { metricName: `${name}_count`, labels: {}, value: counted.count };
}
