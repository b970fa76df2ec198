/**
 * Predicted beside measured iteration times: profiles each model on this machine and trains it under data, model, expert, found and
 * random strategies on local devices, as docs/performance.md quotes it. The machine should have nothing else to do.
 *   npm run bench:accuracy                          six models on 2 and 4 devices; about half an hour
 *   npm run bench:accuracy -- --only gpt,mlp --devices 2 --random 4 --rounds 1
 *   npm run bench:accuracy -- --save /tmp/accuracy  keeps what is measured in a file for each model, and goes on from there
 *   npm run bench:accuracy -- --save /tmp/accuracy --report   predicts what was measured, and measures nothing
 * With --output json: rows of model, devices, strategy, predictedMs, measuredMs.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { PROBE_STEPS } from '../cli/profile/probe.ts';
import { CASE_NAMES, readCase } from './accuracy/cases.ts';
import { measureCase, measurementsPath, readMeasurements } from './accuracy/measure.ts';
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
const rows: AccuracyRow[] = [];
for (const name of values.only?.split(',') ?? CASE_NAMES) {
  const saved = values.save === undefined ? undefined : measurementsPath(values.save, name);
  if (values.report && (saved === undefined || !existsSync(saved))) continue;
  const target = await readCase(name, PROBE_STEPS);
  const measurements = values.report
    ? readMeasurements(saved!)
    : await measureCase(name, target, options, (line) => console.error(line));
  const accuracy = caseAccuracy(target, measurements);
  console.error(`${name}: ${JSON.stringify(accuracy.fitted)}`);
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
