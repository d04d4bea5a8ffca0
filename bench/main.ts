// Measurements: `npm run bench -- failover|footprint|operator|proxy|soak|sql|store [OPTIONS]`. They need a quiet machine and assert nothing.
import { parseArgs } from 'node:util';
import { INTERMEDIARIES, type IntermediaryName } from '../test/support/intermediaries/intermediary.ts';
import { benchContest } from './contest.ts';
import { benchFailover } from './failover.ts';
import { benchFailoverThroughProxy } from './failover-through-proxy.ts';
import { benchFootprint } from './footprint.ts';
import { benchOperator } from './operator.ts';
import { MODES, type Mode } from './proxy/pgbench.ts';
import { benchProxy } from './proxy.ts';
import { benchSoak } from './soak.ts';
import { benchSql } from './sql.ts';
import { benchStore } from './store.ts';

const USAGE = `npm run bench -- failover [--runs N] [--only FAULT] [--machines | --peer patroni | --through proxy] [-o json]
npm run bench -- footprint [-o json]
npm run bench -- operator [--resources N] [--edits N] [--make-seconds N] [--rest-seconds N] [-o json]
npm run bench -- proxy [--rounds N] [--seconds N] [--clients N,…] [--modes ${MODES.join(',')}] [--peers none|pgbouncer,pgpool]
                       [--tls] [--idle N] [--copy-mb N] [--without matriarch] [-o json]
npm run bench -- soak [--minutes N] [--clients N] [--seed N] [--through ${INTERMEDIARIES.join('|')}] [--calm] [--skip OPERATION]...
                      [--memory-mb N] [-o json]
npm run bench -- sql [-o json]
npm run bench -- store [--rest-seconds N] [-o json]
`;

// What was started is ended by `exit`.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '10' },
    peer: { type: 'string' },
    machines: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    clients: { type: 'string' },
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    through: { type: 'string' },
    calm: { type: 'boolean', default: false },
    skip: { type: 'string', multiple: true, default: [] },
    'memory-mb': { type: 'string', default: '400' },
    modes: { type: 'string', default: MODES.join(',') },
    peers: { type: 'string', default: 'pgbouncer,pgpool' },
    without: { type: 'string' },
    resources: { type: 'string', default: '1000' },
    edits: { type: 'string', default: '100' },
    'make-seconds': { type: 'string', default: '900' },
    'rest-seconds': { type: 'string', default: '70' },
    tls: { type: 'boolean', default: false },
    idle: { type: 'string', default: '10000' },
    'copy-mb': { type: 'string', default: '1000' },
    output: { type: 'string', short: 'o', default: 'table' },
  },
});
const json = values.output === 'json';

/** Undefined when what is asked cannot be done. */
async function main(): Promise<number | undefined> {
  if (!['table', 'json'].includes(values.output)) return undefined;
  if (positionals[0] === 'failover') return failover();
  if (positionals[0] === 'proxy') return proxy();
  if (positionals[0] === 'soak') return soak();
  if (positionals[0] === 'operator') return operator();
  if (positionals[0] === 'sql') benchSql(json);
  else if (positionals[0] === 'store') await benchStore(Number(values['rest-seconds']), json);
  else if (positionals[0] === 'footprint') await benchFootprint(json);
  else return undefined;
  return 0;
}

async function failover(): Promise<number | undefined> {
  const { only, machines, peer } = values;
  const runs = Number(values.runs);
  if (!isCount(runs) || ![undefined, 'patroni'].includes(peer) || ![undefined, 'proxy'].includes(values.through))
    return undefined;
  if (values.through === 'proxy') return benchFailoverThroughProxy({ runs, only, json });
  return peer === undefined ? benchFailover({ runs, only, json, machines }) : benchContest({ runs, only, json });
}

async function proxy(): Promise<number | undefined> {
  const [rounds, seconds, idle, copyMb] = [values.rounds, values.seconds, values.idle, values['copy-mb']].map(Number);
  const clients = (values.clients ?? '1,8,64,200').split(',').map(Number);
  const modes = values.modes.split(',') as Mode[];
  const peers = values.peers === 'none' ? [] : values.peers.split(',');
  const known = peers.every((peer) => INTERMEDIARIES.includes(peer as IntermediaryName));
  if (![rounds, seconds, ...clients].every(isCount) || !modes.every((mode) => MODES.includes(mode)) || !known) return undefined;
  const contenders = ['direct', ...peers, 'matriarch'].filter((name) => name !== values.without) as IntermediaryName[];
  return benchProxy({
    rounds: Number(rounds),
    seconds: Number(seconds),
    idle: Number(idle),
    copyBytes: Number(copyMb) * 1e6,
    clients,
    modes,
    contenders,
    tls: values.tls,
    json,
  });
}

async function operator(): Promise<number | undefined> {
  const { resources, edits, 'make-seconds': make, 'rest-seconds': rest } = values;
  const [clusters = 0, editCount = 0, makeSeconds = 0, restSeconds = 0] = [resources, edits, make, rest].map(Number);
  if (![clusters, editCount, makeSeconds, restSeconds].every(isCount)) return undefined;
  await benchOperator({ clusters, edits: editCount, makeSeconds, restSeconds, json });
  return 0;
}

async function soak(): Promise<number | undefined> {
  const { calm, skip } = values;
  const through = (values.through ?? 'matriarch') as IntermediaryName;
  const [minutes = 0, maxResidentMb = 0] = [values.minutes, values['memory-mb']].map(Number);
  const clients = Number(values.clients ?? 60);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
  if (!INTERMEDIARIES.includes(through) || !(minutes > 0) || !(maxResidentMb > 0) || !isCount(clients)) return undefined;
  return benchSoak({ through, minutes, clients, seed, calm, maxResidentMb, skip, json });
}

function isCount(value: number | undefined): boolean {
  return Number.isInteger(value) && (value ?? 0) >= 1;
}

const code = await main();
if (code === undefined) process.stderr.write(USAGE);
process.exitCode = code ?? 2;
// What a bench started is ended by then; sockets that linger are not waited for.
process.exit();
