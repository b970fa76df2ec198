import type { HostCosts } from '../../soap/cost/cost-table.ts';
import type { Prior } from '../../soap/simulator/host/fit.ts';
import type { Observation } from '../../soap/simulator/host/least-squares.ts';
import { fitLinear } from '../../soap/simulator/host/least-squares.ts';
import type { Action, HostPlan } from '../../soap/simulator/host/plan.ts';
import { quietTiming } from '../../runtime/profile/measure-kernel.ts';
import type { Span } from '../../runtime/program/recorder.ts';

const MIB = 2 ** 20;

/** Added to times before errors are taken relative to them: what the clock and the event loop blur. */
const FLOOR_US = 20;

/** How far off what sending says may be; it was measured amid other work, so it is not taken as it is. */
const SENDING_SIGMA = 0.3;

/** An iteration with what its devices recorded. */
export interface RecordedIteration {
  readonly plan: HostPlan;
  /** By device. */
  readonly spans: readonly (readonly Span[])[];
}

/**
 * What sending costs, as recorded: the time after each segment in which its results are packed and handed to the transport is
 * a sum of messages, bytes, copied bytes and runs, so linear least squares tell each. A better prior for the fit to iterations.
 */
export function withSending({ costs, sigma }: Prior, iterations: readonly RecordedIteration[]): Prior {
  const observations = iterations.flatMap(({ plan, spans }) =>
    plan.actions.flatMap((actions, device) => observationsOf(actions, spans[device] ?? [])),
  );
  const { messageUs, messageUsPerMiB, copyUsPerMiB, copyUsPerRun } = costs;
  const guess = [FLOOR_US / 4, messageUs, messageUsPerMiB, copyUsPerMiB, copyUsPerRun];
  const [, message, perMiB, copied, run] = fitLinear(observations, guess, FLOOR_US);
  const found: Partial<HostCosts> = {
    messageUs: message!,
    messageUsPerMiB: perMiB!,
    copyUsPerMiB: copied!,
    copyUsPerRun: run!,
  };
  const sure = {
    messageUs: SENDING_SIGMA,
    messageUsPerMiB: SENDING_SIGMA,
    copyUsPerMiB: SENDING_SIGMA,
    copyUsPerRun: SENDING_SIGMA,
  };
  return { costs: { ...costs, ...found }, sigma: { ...sigma, ...sure } };
}

function observationsOf(actions: readonly Action[], spans: readonly Span[]): Observation[] {
  const finishes = Map.groupBy(
    spans.filter(({ kind }) => kind === 'finish'),
    ({ tasks }) => tasks.join(),
  );
  return actions.flatMap((action) => {
    const runs = action.kind === 'segment' ? finishes.get(action.tasks.join()) : undefined;
    if (runs === undefined || action.kind !== 'segment') return [];
    const { sends } = action;
    const sum = (of: (send: (typeof sends)[number]) => number): number =>
      sends.reduce((all, send) => all + of(send), 0);
    const terms = [
      1,
      sends.length,
      sum(({ bytes }) => bytes) / MIB,
      sum(({ packing }) => packing.copiedBytes) / MIB,
      sum(({ packing }) => packing.runs),
    ];
    return [{ terms, value: quietTiming(runs.map(({ startMs, endMs }) => 1000 * (endMs - startMs))).us }];
  });
}
