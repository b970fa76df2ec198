import { linkVerdict } from '../../operator/progress/prediction.ts';
import type { RunResult } from '../run-result.ts';
import { bytes, duration } from './format.ts';

/**
 * What a person is told when a run has ended.
 * @param job its path, as it was given
 * @param isAssumed whether nothing of the plan rests on measurements of this machine
 */
export function resultReport(result: RunResult, job: string, isAssumed: boolean): string {
  const { evaluation, iterationMs, predictedIterationMs, losses, stopped } = result;
  const lines = stopped === undefined ? [] : [stopReport(result, job)];
  const links = linksReport(result.links);
  if (losses.length === 0) return `${lines.join('\n')}\n`;
  lines.push(
    `trained ${result.steps} steps by ${result.strategy} on ${devicesInWords(result.devices.length)}: ` +
      `loss ${losses[0]?.toFixed(4)} -> ${losses.at(-1)?.toFixed(4)}, ${result.samplesPerSecond.toFixed(0)} samples/s`,
  );
  if (evaluation?.accuracy !== undefined) lines.push(`accuracy: ${(100 * evaluation.accuracy).toFixed(2)}%`);
  lines.push(
    `iteration: ${duration(iterationMs.median)} measured (95% within ${duration(iterationMs.p95)}), ` +
      `${duration(predictedIterationMs)} predicted`,
    ...(result.offBecause === undefined ? [] : [`the prediction is off: ${result.offBecause}`]),
    `sent between devices: ${bytes(result.transferredBytes)}`,
    ...links,
  );
  if (isAssumed && (result.offBecause !== undefined || links.length > 0))
    lines.push(`plan by what this machine does: soapstone profile ${job}`);
  if (result.metrics !== undefined) lines.push(`metrics were served at ${result.metrics}`);
  if (result.checkpoint !== undefined) lines.push(`checkpoint: ${result.checkpoint}`);
  if (result.model !== undefined) lines.push(`trained model: ${result.model}`);
  return `${lines.join('\n')}\n`;
}

/** Such as `2 devices`. */
export function devicesInWords(devices: number): string {
  return devices === 1 ? '1 device' : `${devices} devices`;
}

/**
 * What links carry, where that is less than the plan takes them to. More is as it should be on one machine: its numbers have what messages
 * take amid training.
 */
function linksReport(links: RunResult['links']): string[] {
  const off = links.filter(({ measured, planned }) => linkVerdict(measured, planned) === 'slower');
  if (off.length === 0) return [];
  const range = (rates: readonly number[]): string => {
    const [least, most] = [Math.min(...rates), Math.max(...rates)].map((rate) => (rate / 1e9).toPrecision(2));
    return least === most ? `${least} GB/s` : `${least} to ${most} GB/s`;
  };
  return [
    `links: ${range(off.map(({ measured }) => measured))} measured, ${range(off.map(({ planned }) => planned))} planned, on ` +
      `${off.length} of ${links.length}`,
  ];
}

function stopReport({ checkpoint, stopped }: RunResult, job: string): string {
  const after = `stopped after step ${stopped?.step}`;
  return checkpoint === undefined
    ? `${after}; nothing was saved: give the job a checkpoint.directory to be able to go on`
    : `${after}; go on with: soapstone run ${job} --resume`;
}
