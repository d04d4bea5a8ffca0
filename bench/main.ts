// Measurements: `npm run bench -- failover|footprint|sql [OPTIONS]`. They need a quiet machine and assert nothing.
import { parseArgs } from 'node:util';
import { benchContest } from './contest.ts';
import { benchFailover } from './failover.ts';
import { benchFootprint } from './footprint.ts';
import { benchSql } from './sql.ts';

const USAGE = `npm run bench -- failover [--runs N] [--only FAULT] [--machines | --peer patroni] [-o json]
npm run bench -- footprint [-o json]
npm run bench -- sql [-o json]
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '10' },
    peer: { type: 'string' },
    machines: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    output: { type: 'string', short: 'o', default: 'table' },
  },
});
const runs = Number(values.runs);
const json = values.output === 'json';

if (
  !Number.isInteger(runs) ||
  runs < 1 ||
  !['table', 'json'].includes(values.output) ||
  ![undefined, 'patroni'].includes(values.peer)
) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else if (positionals[0] === 'failover' && values.peer !== undefined) {
  process.exitCode = await benchContest({ runs, only: values.only, json });
} else if (positionals[0] === 'failover') {
  process.exitCode = await benchFailover({ runs, only: values.only, json, machines: values.machines });
} else if (positionals[0] === 'footprint') {
  await benchFootprint(json);
} else if (positionals[0] === 'sql') {
  benchSql(json);
} else {
  process.stderr.write(USAGE);
  process.exitCode = 2;
}
// What a bench started is ended by then; sockets that linger are not waited for.
process.exit();
