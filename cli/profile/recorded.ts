import type { HostCosts } from '../../soap/cost/cost-table.ts';
import type { Prior } from '../../soap/simulator/host/fit.ts';
import type { Observation } from '../../soap/simulator/host/least-squares.ts';
import { fitLinear } from '../../soap/simulator/host/least-squares.ts';
import type { Copying } from '../../soap/simulator/host/copies.ts';
import type { Action, HostPlan } from '../../soap/simulator/host/plan.ts';
import type { HostWork } from '../../soap/simulator/host/items.ts';
import { kernelsOf, kernelTime } from '../../soap/simulator/host/short-kernels.ts';
import { quietTiming } from '../../runtime/profile/measure-kernel.ts';
import type { Span } from '../../runtime/program/recorder.ts';

const MIB = 2 ** 20;

/** Added to times before errors are taken relative to them: what the clock and the event loop blur. */
const FLOOR_US = 20;

/**
 * How far off these may be, where a guess would not be nearer: they were measured amid other work, of some strategies, and are not taken as
 * they are. Source: of 0.15, 0.3, 0.5 and 0.8 the one that predicts other strategies best, docs/performance/predictions-log.md.
 */
const RECORDED_SIGMA = 0.3;

/** What it takes to begin to load a batch, before anything was measured. */
const LOAD_US = 20;

/** An iteration with what its devices recorded. */
export interface RecordedIteration extends HostWork {
  /** By device. */
  readonly spans: readonly (readonly Span[])[];
}

/**
 * A better prior for the fit to iterations, from what devices recorded in them, by linear least squares. The time after a segment in
 * which its results are packed and handed to the transport is a sum of messages, bytes, copied bytes and runs; that before one that waits
 * for nothing one of copied and added bytes and runs; that of a kernel its start, its way to another thread, and its tasks, all stretched
 * by the other cores, which are busy too; that before the first kernel is the step's own.
 */
export function withRecorded({ costs, sigma }: Prior, iterations: readonly RecordedIteration[]): Prior {
  const {
    sendUs = 0,
    messageUs,
    messageUsPerMiB,
    copyUsPerMiB,
    sumUsPerMiB,
    longSumUsPerMiB = sumUsPerMiB,
    copyUsPerRun,
    kernelUs,
    updateUs,
    handUs = 0,
    taskShare,
    updateShare = taskShare,
    readUsPerMiB = copyUsPerMiB,
    rowUs = 0,
    crowding,
  } = costs;
  const copying = [
    ...observationsOf(
      iterations,
      'finish',
      ({ action, work }) => action.kind === 'segment' && sendingTerms(action, work.plan),
    ),
    ...observationsOf(iterations, 'wait', ({ action }) => action.kind === 'segment' && fillingTerms(action)),
  ];
  const [send, , message, perMiB, copied, summed, longSummed, run] = fitLinear(
    copying,
    [sendUs, FLOOR_US / 4, messageUs, messageUsPerMiB, copyUsPerMiB, sumUsPerMiB, longSumUsPerMiB, copyUsPerRun],
    FLOOR_US,
  );
  const crowd = 1 + crowding;
  const segments = observationsOf(iterations, 'segment', ({ action, work }) => kernelTerms(action, work, costs));
  const [start, hand, share] = fitLinear(segments, [crowd * kernelUs, crowd * handUs, crowd * taskShare], FLOOR_US);
  const updates = observationsOf(iterations, 'update', ({ action, work }) => kernelTerms(action, work, costs));
  const [updateStart, , updating, read] = fitLinear(
    updates,
    [crowd * updateUs, crowd * handUs, crowd * updateShare, crowd * readUsPerMiB],
    FLOOR_US,
  );
  // Some rows are read after the span in which a batch is loaded: what they take each is left to the iterations.
  const [load] = fitLinear(loadsOf(iterations), [LOAD_US, rowUs], FLOOR_US);
  const found = {
    sendUs: send!,
    messageUs: message!,
    messageUsPerMiB: perMiB!,
    copyUsPerMiB: copied!,
    sumUsPerMiB: summed!,
    longSumUsPerMiB: longSummed!,
    copyUsPerRun: run!,
    kernelUs: start! / crowd,
    updateUs: updateStart! / crowd,
    handUs: hand! / crowd,
    readUsPerMiB: read! / crowd,
    taskShare: share! / crowd,
    updateShare: updating! / crowd,
    stepUs: costs.stepUs + load!,
  } satisfies Partial<HostCosts>;
  const sure = Object.fromEntries(
    Object.entries(sigma).map(([name, guessed]) => [name, name in found ? Math.min(guessed, RECORDED_SIGMA) : guessed]),
  );
  return { costs: { ...costs, ...found }, sigma: { ...sigma, ...sure } };
}

/** By device that loads batches: what that took, of a step's own time and of rows, which the copies of a step are a part of. */
function loadsOf(iterations: readonly RecordedIteration[]): Observation[] {
  return iterations.flatMap(({ plan, spans }) =>
    spans.flatMap((list, device) => {
      const loads = list.filter(({ kind }) => kind === 'load');
      return loads.length === 0
        ? []
        : [{ terms: [1, plan.batchRows[device]!], value: quietTiming(loads.map(spanUs)).us }];
    }),
  );
}

/** A kernel of a device, and what it belongs to. */
interface RecordedAction {
  readonly action: Action;
  readonly work: HostWork;
}

/** What was recorded of each action in so many runs, as the sum of terms; actions without terms are left out. */
function observationsOf(
  iterations: readonly RecordedIteration[],
  kind: Span['kind'],
  termsOf: (recorded: RecordedAction) => readonly number[] | false,
): Observation[] {
  return iterations.flatMap((work) =>
    work.plan.actions.flatMap((actions, device) => {
      const ofKind = (work.spans[device] ?? []).filter((span) => span.kind === kind);
      const runs = Map.groupBy(ofKind, ({ tasks }) => tasks.join());
      return actions.flatMap((action) => {
        const recorded = runs.get(action.kind === 'segment' ? action.tasks.join() : String(action.task));
        const terms = termsOf({ action, work });
        return recorded === undefined || terms === false ? [] : [{ terms, value: median(recorded.map(spanUs)) }];
      });
    }),
  );
}

/**
 * Of what a segment's results take on their way to others: their own fixed time, none, messages, MiB, and what is copied. That gradients are
 * complete which others read is a message to each; the messages of other sums come when the devices are ready for them.
 */
function sendingTerms(
  { sends, completes }: Extract<Action, { readonly kind: 'segment' }>,
  { collectives, handling }: HostPlan,
): number[] | false {
  const sums = collectives.filter(({ id }) => completes.includes(id));
  const notes = sums.reduce((count, { devices }) => count + devices.length - 1, 0);
  const messages = sends.length + notes;
  // Of several micro-batches only the last completes gradients.
  const isTold = sums.every(({ isRead }) => isRead) && (sums.length === 0 || handling.accumulationSteps === 1);
  if (messages === 0 || !isTold) return false;
  const mib = sends.reduce((sum, { bytes }) => sum + bytes, 0) / MIB;
  return [1, 0, messages, mib, ...copyTerms(sends.map(({ packing }) => packing))];
}

/** The same of what is put together before a segment, where that waits for no message. */
function fillingTerms({ copying, receives }: Extract<Action, { readonly kind: 'segment' }>): number[] | false {
  return receives.length === 0 && [0, 1, 0, 0, ...copyTerms(copying)];
}

function copyTerms(copying: readonly Copying[]): number[] {
  const sum = (of: (each: Copying) => number): number => copying.reduce((all, each) => all + of(each), 0);
  return [
    sum(({ copiedBytes }) => copiedBytes) / MIB,
    sum(({ summedBytes }) => summedBytes) / MIB,
    sum(({ longSummedBytes }) => longSummedBytes) / MIB,
    sum(({ runs }) => runs),
  ];
}

/** Starts, those on a thread of their own, what tasks take, and, of an update, MiB that it reads of other devices' gradients. */
function kernelTerms(action: Action, { taskUs }: HostWork, costs: HostCosts): number[] {
  const kernels = kernelsOf(action, taskUs, costs);
  const starts = [kernels.runs, kernelTime(costs, kernels).isHere ? 0 : kernels.runs];
  return action.kind === 'segment'
    ? [...starts, kernels.workUs]
    : [...starts, taskUs[action.task]!, action.readBytes / MIB];
}

function spanUs({ startMs, endMs }: Span): number {
  return 1000 * (endMs - startMs);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
