import type { Explanation, OpExplanation } from '../../soap/explain/explanation.ts';
import { helpfulLevers, uselessInWords } from '../../soap/explain/helpful-levers.ts';
import { linksAloneUs } from '../../soap/explain/host-share.ts';
import { percentInWords as percent, timeInWords } from '../../soap/explain/quantities.ts';
import { bytes, duration, samplesInWords, table } from '../terminal/format.ts';
import { oneLine, printable } from '../terminal/printable.ts';
import type { WhatIf } from './what-if.ts';

/** Lines of lists; the JSON form has all. */
const [MAX_DEVICES, MAX_OPS, MAX_LINKS] = [8, 12, 5];

/** The explanation for a person. */
export function explanationText(explanation: Explanation): string {
  const { model, batch, accumulationSteps, cluster, prediction, makespanUs } = explanation;
  return [
    `${oneLine(model)} on ${oneLine(cluster)}: one iteration of ${samplesInWords(batch, accumulationSteps)} takes ${duration(prediction.iterationMs)}, ` +
      `${prediction.samplesPerSecond.toFixed(0)} samples/s${prediction.feasible ? '' : ', and does not fit into memory'}\n`,
    hostText(explanation),
    microBatchText(explanation),
    `where the time goes on the critical path:\n${budgetTable(explanation)}`,
    devicesText(explanation),
    linksText(explanation),
    opsText(explanation.ops, makespanUs),
    `what would help most, with the same strategy:\n${leversTable(explanation)}`,
  ].join('');
}

function hostText(explanation: Explanation): string {
  const aloneUs = linksAloneUs(explanation);
  if (aloneUs === undefined) return '';
  return (
    `the devices share a host: with its messages, starts of kernels and shared cores an iteration takes that long; ` +
    `devices and links alone, which the following is about but for what would help most, take ${timeInWords(aloneUs)}\n`
  );
}

/** The timeline is of one micro-batch. */
function microBatchText({ accumulationSteps, makespanUs, earlierUs }: Explanation): string {
  if (accumulationSteps === 1) return '';
  const first =
    accumulationSteps === 2 ? 'the first micro-batch' : `each of the first ${accumulationSteps - 1} micro-batches`;
  return (
    `${first} takes ${timeInWords(earlierUs)}, the last one, which sums ` +
    `gradients over devices and updates, ${timeInWords(makespanUs)}: the following is about that one\n`
  );
}

function budgetTable({ budget, makespanUs }: Explanation): string {
  const { computeUs, transfersUs, collectivesUs, updatesUs, waitingUs } = budget;
  const rows: [string, number][] = [
    ['compute', computeUs],
    ['transfers between devices', transfersUs],
    ['sums of gradients, gathers', collectivesUs],
    ['updates of parameters', updatesUs],
    ['waiting for links in use', waitingUs],
  ];
  return table(rows.map(([name, us]) => [name, timeInWords(us), percent(us / makespanUs)]));
}

function devicesText({ devices, makespanUs }: Explanation): string {
  const busiest = devices.toSorted((a, b) => b.computeUs - a.computeUs).slice(0, MAX_DEVICES);
  const rows = busiest.map((each) =>
    [
      each.computeUs,
      each.updatesUs,
      each.awaitingTransfersUs,
      each.collectivesUs + each.awaitingCollectivesUs,
      each.awaitingLinksUs,
      each.awaitingDevicesUs,
      each.finishedUs,
    ].map((us) => percent(us / makespanUs)),
  );
  const head = ['device', 'computes', 'updates', 'awaits: transfers', 'sums', 'links', 'devices', 'has finished'];
  const more =
    devices.length > busiest.length ? `  and ${devices.length - busiest.length} more that compute no longer\n` : '';
  return `what the devices do:\n${table([head, ...rows.map((row, i) => [printable(busiest[i]!.device), ...row])])}${more}`;
}

function linksText({ links }: Explanation): string {
  if (links.length === 0) return '';
  const rows = links
    .slice(0, MAX_LINKS)
    .map(({ name, busyUs, share }) => [printable(name), timeInWords(busyUs), percent(share)]);
  return `the busiest links:\n${table([['link', 'in use', 'of the iteration'], ...rows])}`;
}

/** The ops, those that are alike told together: layers that repeat, tables of embeddings. */
function opsText(ops: readonly OpExplanation[], makespanUs: number): string {
  const sorted = ops.toSorted((a, b) => b.criticalUs - a.criticalUs);
  const groups = [...Map.groupBy(sorted, (op) => opText(op, makespanUs))].slice(0, MAX_OPS);
  const lines = groups.map(([text, alike]) => `  ${namesInWords(alike.map(({ op }) => printable(op)))}: ${text}`);
  const shown = groups.reduce((sum, [, { length }]) => sum + length, 0);
  const more = ops.length > shown ? `  and ${ops.length - shown} more: --output json and --html have all\n` : '';
  return `the ops that the iteration is spent on:\n${lines.join('')}${more}`;
}

function opText(
  { configuration, frozen, forwardUs, backwardUs, criticalUs, receivedBytes, dataParallel }: OpExplanation,
  makespanUs: number,
): string {
  const read = receivedBytes === 0 ? '' : `, reads ${bytes(receivedBytes)} from others`;
  const kept = frozen.length === 0 ? '' : `, ${oneLine(frozen.join(' and '))} frozen`;
  const instead = dataParallel.isChosen
    ? 'by sample, as data parallelism would'
    : oneLine(`data parallel instead (${dataParallel.configuration}) ${dataParallel.reason}`);
  return (
    `${oneLine(configuration)}\n    forward ${timeInWords(forwardUs)}, backward ${timeInWords(backwardUs)}${kept}${read}; ` +
    `${percent(criticalUs / makespanUs)} of the critical path\n    ${instead}\n`
  );
}

/** Such as `table0, table1 and 24 more, each`. */
function namesInWords(names: readonly string[]): string {
  if (names.length === 1) return names[0]!;
  const [first, second, ...others] = names;
  return `${first}${others.length === 0 ? ' and ' : ', '}${second}${others.length === 0 ? '' : ` and ${others.length} more`}, each`;
}

function leversTable({ levers }: Explanation): string {
  const { helpful, useless } = helpfulLevers(levers);
  const others = uselessInWords(useless, helpful.length === 0);
  const sentence = others === '' ? '' : `  ${oneLine(others)}\n`;
  if (helpful.length === 0) return sentence;
  const rows = helpful.map(({ change, iterationMs, samplesPerSecond, gain, feasible }) => [
    change,
    feasible ? duration(iterationMs) : 'does not fit',
    samplesPerSecond.toFixed(0),
    `${gain < 0 ? '' : '+'}${percent(gain)}`,
  ]);
  return `${table([['change', 'iteration', 'samples/s', 'difference'], ...rows])}${sentence}`;
}

/** The difference that a changed cluster makes. */
export function whatIfText({ change, devices, now, samePlan, searched, notes }: WhatIf): string {
  const row = (name: string, prediction: WhatIf['now'] | WhatIf['searched']): string[] => [
    name,
    prediction.feasible ? duration(prediction.iterationMs) : 'does not fit',
    prediction.samplesPerSecond.toFixed(0),
    `${(prediction.samplesPerSecond / now.samplesPerSecond).toFixed(2)}x`,
  ];
  const rows = [
    row('now', now),
    ...(samePlan === null ? [] : [row('with the change, the same plan', samePlan)]),
    row('with the change, searched again', searched),
  ];
  const missing =
    samePlan === null ? ['the changed cluster lacks devices of the plan, so it cannot be run as it is'] : [];
  const sentences = [...missing, ...notes].map((note) => `  ${note}\n`).join('');
  return `what if ${oneLine(change)} (${devices} devices):\n${table([['', 'iteration', 'samples/s', 'of now'], ...rows])}${sentences}`;
}
