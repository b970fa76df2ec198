import { linkVerdict } from '../../soap/measurement/verdict.ts';
import { DIVERGENCE } from './divergence.ts';
import type { RunResult } from './run-result.ts';
import { bytes, devicesInWords, duration } from '../terminal/format.ts';
import { oneLine } from '../terminal/printable.ts';

/** What of the command line a report speaks of. */
export interface ReportedRun {
  /** The job's path, as it was given. */
  readonly job: string;
  /** The command that goes on with the run; undefined where the job keeps no checkpoints. */
  readonly resume: string | undefined;
  /** Whether nothing of the plan rests on measurements of this machine. */
  readonly isAssumed: boolean;
}

/** What a person is told when a run has ended. */
export function resultReport(result: RunResult, run: ReportedRun): string {
  const { evaluation, losses, diverged, stopped, metrics, checkpoint, model } = result;
  const lines = [
    ...(stopped === undefined ? [] : [stopReport(stopped.step, run)]),
    ...(losses.length === 0 ? [] : [trainedReport(result)]),
    ...(diverged ? [DIVERGENCE] : []),
    ...(evaluation?.accuracy === undefined ? [] : [`accuracy: ${(100 * evaluation.accuracy).toFixed(2)}%`]),
    ...(losses.length === 0 ? [] : timesReport(result, run)),
    ...(metrics === undefined ? [] : [`metrics were served at ${metrics}`]),
    ...(checkpoint === undefined ? [] : [`checkpoint: ${checkpoint}`]),
    ...(model === undefined ? [] : [`trained model: ${model}`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function trainedReport({ steps, strategy, devices, losses, samplesPerSecond }: RunResult): string {
  return (
    `trained ${steps} steps by ${strategy} on ${devicesInWords(devices.length)}: ` +
    `loss ${losses[0]?.toFixed(4)} -> ${losses.at(-1)?.toFixed(4)}, ${samplesPerSecond.toFixed(0)} samples/s`
  );
}

function timesReport(result: RunResult, { job, isAssumed }: ReportedRun): string[] {
  const { iterationMs, predictedIterationMs, offBecause, transferredBytes } = result;
  const links = linksReport(result.links);
  return [
    `iteration: ${duration(iterationMs.median)} measured (95% within ${duration(iterationMs.p95)}), ` +
      `${duration(predictedIterationMs)} predicted`,
    ...(offBecause === undefined ? [] : [`the prediction is off: ${oneLine(offBecause)}`]),
    `sent between devices: ${bytes(transferredBytes)}`,
    ...links,
    ...(isAssumed && (offBecause !== undefined || links.length > 0)
      ? [`plan by what this machine does: soapstone profile ${job}`]
      : []),
  ];
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

function stopReport(step: number, { resume }: ReportedRun): string {
  if (step === 0) return 'stopped before the first step';
  const after = `stopped after step ${step}`;
  return resume === undefined
    ? `${after}; nothing was saved: give the job a checkpoint.directory to be able to go on`
    : `${after}; go on with: ${resume}`;
}
