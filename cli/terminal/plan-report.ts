import type { Plan, PlanPrediction } from '../../soap/strategy/plan-file.ts';
import { bytes, duration, table } from './format.ts';

/** Ops listed by name; a plan has the rest. */
const MAX_OPS_SHOWN = 10;

/** The plan beside its baselines, and how it splits the ops. */
export function planReport(plan: Plan): string {
  const row = (name: string, prediction: PlanPrediction): string[] => [
    name,
    prediction.feasible ? duration(prediction.iterationMs) : 'does not fit',
    prediction.samplesPerSecond.toFixed(0),
    bytes(prediction.transferredBytes),
    bytes(prediction.peakMemoryBytes),
    `${(prediction.iterationMs / plan.prediction.iterationMs).toFixed(2)}x`,
  ];
  const rows = [
    ['strategy', 'iteration', 'samples/s', 'transferred', 'peak memory', 'of the plan'],
    row(plan.origin === 'search' ? 'found plan' : `${plan.origin} (chosen)`, plan.prediction),
    ...Object.entries(plan.baselines).map(([name, prediction]) => row(baselineTitle(name), prediction)),
  ];
  return `predicted for one iteration of ${plan.model.batch} samples:\n${table(rows)}${opLines(plan)}`;
}

function baselineTitle(name: string): string {
  return name === 'optcnn' ? 'OptCNN' : `${name} parallel`;
}

function opLines({ ops }: Plan): string {
  const entries = Object.entries(ops);
  const lines = entries.slice(0, MAX_OPS_SHOWN).map(([name, { degrees, devices }]) => {
    const split = Object.entries(degrees).map(([dimension, degree]) => `${dimension}/${degree}`);
    return [name, split.join(' ') || 'whole', `on ${shortList([...new Set(devices)])}`];
  });
  const more = entries.length > MAX_OPS_SHOWN ? `  and ${entries.length - MAX_OPS_SHOWN} more\n` : '';
  return `how it splits the ops:\n${leftTable(lines)}${more}`;
}

function leftTable(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map(([a, b, c]) => `  ${a!.padEnd(widths[0]!)}  ${b!.padEnd(widths[1]!)}  ${c}\n`).join('');
}

function shortList(names: readonly string[]): string {
  return names.length <= 4 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}
