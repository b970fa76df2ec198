/**
 * Predicted beside measured iteration times: profiles each model on this machine and trains it under data, model, expert, found and
 * random strategies on local devices, as docs/performance.md quotes it. The machine should have nothing else to do.
 *   npm run bench:accuracy                          seven models on 2 and 4 devices; about half an hour
 *   npm run bench:accuracy -- --only resnet,dlrm    two more
 *   npm run bench:accuracy -- --only gpt,mlp --devices 2 --random 4 --rounds 1
 *   npm run bench:accuracy -- --save /tmp/accuracy  keeps what is measured in a file for each model, and goes on from there
 *   npm run bench:accuracy -- --save /tmp/accuracy --report   predicts what was measured, and measures nothing
 * With --output json: rows of model, devices, strategy, predictedMs, measuredMs.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { PROBE_STEPS } from '../cli/profile/probe.ts';
import { CASE_NAMES, readCase } from './accuracy/cases.ts';
import type { CaseUnderway } from './accuracy/measure.ts';
import { beginCase, measureRound, measurementsPath } from './accuracy/measure.ts';
import { accuracyText } from './accuracy/report.ts';
import type { AccuracyRow } from './accuracy/rows.ts';
import { caseAccuracy } from './accuracy/rows.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    devices: { type: 'string', default: '2,4' },
    random: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '2' },
    save: { type: 'string' },
    report: { type: 'boolean', default: false },
    output: { type: 'string', default: 'text' },
  },
});

const options = {
  devices: values.devices.split(',').map(Number),
  random: Number(values.random),
  rounds: Number(values.rounds),
  save: values.save,
};
// What devices compile is kept, which halves the time until they begin.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'soapstone-bench-compiled');

/** Rounds over all models, so that those of a model are far apart in time. */
async function measureAll(names: readonly string[]): Promise<CaseUnderway[]> {
  const cases: CaseUnderway[] = [];
  for (const name of names) cases.push(await beginCase(name, await readCase(name, PROBE_STEPS), options));
  for (let round = 0; round <= options.rounds; round++) {
    for (const [i, each] of cases.entries())
      cases[i] = await measureRound(each, round, options, (line) => console.error(line));
  }
  return cases;
}

/** What was saved. */
async function savedCases(names: readonly string[]): Promise<CaseUnderway[]> {
  const saved = names.filter((name) => values.save !== undefined && existsSync(measurementsPath(values.save, name)));
  return Promise.all(saved.map(async (name) => beginCase(name, await readCase(name, PROBE_STEPS), options)));
}

const names = values.only?.split(',') ?? CASE_NAMES;
const rows: AccuracyRow[] = [];
for (const { target, measured } of values.report ? await savedCases(names) : await measureAll(names)) {
  const accuracy = caseAccuracy(target, measured);
  console.error(`${measured.model}: ${JSON.stringify(accuracy.fitted)}`);
  rows.push(...accuracy.rows);
}
if (values.output === 'json') {
  const asked = [
    'model',
    'devices',
    'strategy',
    'predictedMs',
    'measuredMs',
    'roundsMs',
    'besideOthersMs',
    'otherCores',
  ];
  console.log(JSON.stringify(rows, asked));
} else console.log(accuracyText(rows));
