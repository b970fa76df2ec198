/**
 * Predicted beside measured iteration times: profiles each model on this machine, then trains it under data, model, expert, found and
 * random strategies on local devices, as docs/performance.md quotes it. The machine should have nothing else to do.
 *   npm run bench:accuracy                          seven models on 2 and 4 devices; about 20 minutes
 *   npm run bench:accuracy -- --only gpt --devices 2 --random 4 --save rows.json
 *   npm run bench:accuracy -- --report rows.json    prints rows that were saved, piece by piece
 * With --save, a run of one model that was ended goes on where it was, with the same costs.
 * With --output json: rows of model, devices, strategy, predictedMs, measuredMs.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { profileMachine, tableAt } from '../cli/profile/profile-machine.ts';
import { PROBE_STEPS } from '../cli/profile/probe.ts';
import type { ProfileTarget } from '../cli/profile/target.ts';
import type { CostTable } from '../soap/cost/cost-table.ts';
import { encodeCostTable } from '../soap/cost/cost-table.ts';
import { CASE_NAMES, readCase } from './accuracy/cases.ts';
import { accuracyText } from './accuracy/report.ts';
import type { AccuracyRow } from './accuracy/rows.ts';
import { accuracyRows } from './accuracy/rows.ts';

const KERNEL_SECONDS = 60;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    devices: { type: 'string', default: '2,4' },
    random: { type: 'string', default: '10' },
    save: { type: 'string' },
    report: { type: 'string', multiple: true },
    output: { type: 'string', default: 'text' },
  },
});

function savedRows(path: string): AccuracyRow[] {
  const rows: AccuracyRow[] = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : [];
  return rows;
}

/** A profile of this machine; what was saved of it where a run goes on. */
async function tableOf(name: string, target: ProfileTarget, devices: number): Promise<CostTable> {
  const path = values.save === undefined ? undefined : `${values.save}.${name}.costs`;
  const known = path === undefined ? undefined : await tableAt(path);
  if (known !== undefined) return known;
  const { table, measured } = await profileMachine(target, {
    known: undefined,
    devices,
    seconds: KERNEL_SECONDS,
    kernelsOnly: false,
    signal: new AbortController().signal,
  });
  console.error(JSON.stringify(measured.host));
  if (path !== undefined) writeFileSync(path, encodeCostTable(table));
  return table;
}

async function measure(): Promise<AccuracyRow[]> {
  const rows = values.save === undefined ? [] : savedRows(values.save);
  const deviceCounts = values.devices.split(',').map(Number);
  for (const name of values.only?.split(',') ?? CASE_NAMES) {
    const target = await readCase(name, PROBE_STEPS);
    const table = await tableOf(name, target, Math.max(...deviceCounts));
    for (const devices of deviceCounts) {
      const mine = rows.filter(({ model, devices: count }) => model === name && count === devices);
      const options = { devices, random: Number(values.random), done: new Set(mine.map(({ strategy }) => strategy)) };
      for await (const row of accuracyRows(name, target, table, options)) {
        rows.push(row);
        console.error(
          `${name} ${devices} ${row.strategy}: ${row.predictedMs.toFixed(2)} predicted, ${row.measuredMs.toFixed(2)} measured`,
        );
        if (values.save !== undefined) writeFileSync(values.save, JSON.stringify(rows));
      }
    }
  }
  return rows;
}

const rows = values.report === undefined ? await measure() : values.report.flatMap(savedRows);
if (values.output === 'json') {
  const asked = ['model', 'devices', 'strategy', 'predictedMs', 'measuredMs', 'besideOthersMs', 'otherCores'];
  console.log(JSON.stringify(rows, asked));
} else console.log(accuracyText(rows));
