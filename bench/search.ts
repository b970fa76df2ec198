/**
 * How fast planning is, as docs/performance/planning.md quotes it.
 *   npm run bench:search                       all tables
 *   npm run bench:search -- proposal           one table: proposal, plans, scale, gpt or command
 *   npm run bench:search -- plans --seconds 60 --models alexnet,nmt
 *   npm run bench:search -- scale --picture docs/pictures/planning-scale.svg
 *   npm run bench:search -- scale --beta 200   chains of plans and scale with another beta
 */
import { availableParallelism, cpus, totalmem } from 'node:os';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { DEFAULT_SEARCH } from '../soap/job/search-defaults.ts';
import { command } from './search/command.ts';
import { gpt } from './search/gpt.ts';
import { plans } from './search/plans.ts';
import { proposals } from './search/proposals.ts';
import { scale } from './search/scale.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    models: { type: 'string' },
    picture: { type: 'string' },
    beta: { type: 'string', default: String(DEFAULT_SEARCH.beta) },
  },
});
const beta = Number(values.beta);
const wanted = (name: string): boolean => positionals.length === 0 || positionals.includes(name);

console.log(
  `${cpus()[0]?.model}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${process.version}`,
);
if (wanted('proposal')) proposals();
if (wanted('plans')) plans(Number(values.seconds), values.models?.split(','), beta);
if (wanted('scale')) scale(values.picture, beta);
if (wanted('gpt')) gpt();
if (wanted('command')) command();
