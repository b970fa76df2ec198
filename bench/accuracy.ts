/**
 * Predicted beside measured iteration times: profiles each model on this machine and trains it under data, model, expert, found and
 * random strategies on local devices, as docs/performance/predictions.md quotes it. The machine should have nothing else to do.
 *   npm run bench:accuracy                          seven models on 2 and 4 devices; 70 minutes or more on two idle cores
 *   npm run bench:accuracy -- --only resnet,dlrm    two more
 *   npm run bench:accuracy -- --only gpt,mlp --devices 2 --random 4 --rounds 1
 *   npm run bench:accuracy -- --minutes 60          more rounds of strategies whose order is not decided
 *   npm run bench:accuracy -- --save /tmp/accuracy  keeps what is measured in a file for each model, and goes on from there
 *   npm run bench:accuracy -- --save /tmp/accuracy --report   predicts what was measured, and measures nothing
 * All strategies are measured in --rounds rounds (2), however long that takes; what is left of --minutes (70 for all models, less for fewer)
 * goes to those whose times disagree, then to those in pairs of which measurements do not tell yet whether they differ by 5 %.
 * What fails is left out with a sentence, and the status is 1. With --output json: rows of model, devices, strategy, predictedMs, measuredMs.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { PROBE_STEPS } from '../cli/profile/probe.ts';
import { CASE_NAMES, readCase } from './accuracy/cases.ts';
import type { CaseUnderway } from './accuracy/measure.ts';
import { beginCase, measureOnce, measurementsPath } from './accuracy/measure.ts';
import { accuracyText } from './accuracy/report.ts';
import type { AccuracyRow } from './accuracy/rows.ts';
import { caseAccuracy } from './accuracy/rows.ts';
import { measureCases } from './accuracy/session.ts';
import { messageOf } from '../soap/message-of.ts';

/** Minutes for all models. */
const WHOLE_MINUTES = 70;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    devices: { type: 'string', default: '2,4' },
    random: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '2' },
    minutes: { type: 'string' },
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
const names = values.only?.split(',') ?? CASE_NAMES;
const minutes =
  values.minutes === undefined ? (WHOLE_MINUTES * names.length) / CASE_NAMES.length : Number(values.minutes);
// What devices compile is kept, which halves the time until they begin.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'soapstone-bench-compiled');

/** What did not work, in sentences. */
const failures: string[] = [];

/** Goes on without what fails. */
async function unlessItFails<T>(what: string, work: () => T | Promise<T>): Promise<T[]> {
  try {
    return [await work()];
  } catch (error) {
    const failure = `${what} failed, and is left out: ${messageOf(error)}`;
    console.error(failure);
    failures.push(failure);
    return [];
  }
}

async function begin(list: readonly string[]): Promise<CaseUnderway[]> {
  const cases: CaseUnderway[] = [];
  for (const name of list)
    cases.push(...(await unlessItFails(name, async () => beginCase(name, await readCase(name, PROBE_STEPS), options))));
  return cases;
}

async function measureAll(): Promise<readonly CaseUnderway[]> {
  const startMs = performance.now();
  const begun = await begin(names);
  const budgetMs = 60_000 * minutes - (performance.now() - startMs);
  const log = (line: string): void => console.error(line);
  const result = await measureCases(begun, { ...options, budgetMs, log, measure: measureOnce });
  failures.push(...result.failures);
  return result.cases;
}

/** What was saved. */
function savedCases(): Promise<CaseUnderway[]> {
  return begin(names.filter((name) => values.save !== undefined && existsSync(measurementsPath(values.save, name))));
}

const rows: AccuracyRow[] = [];
for (const { target, measured } of values.report ? await savedCases() : await measureAll()) {
  for (const accuracy of await unlessItFails(measured.model, () => caseAccuracy(target, measured))) {
    console.error(`${measured.model}: ${JSON.stringify(accuracy.fitted)}`);
    rows.push(...accuracy.rows);
  }
}
if (values.output === 'json') {
  const asked = [
    'model',
    'devices',
    'strategy',
    'predictedMs',
    'measuredMs',
    'roundsMs',
    'evenMs',
    'sameAs',
    'besideOthersMs',
    'otherCores',
  ];
  console.log(JSON.stringify(rows, asked));
} else if (rows.length > 0) console.log(accuracyText(rows));
for (const failure of failures) console.error(failure);
if (failures.length > 0 || rows.length === 0) process.exitCode = 1;
