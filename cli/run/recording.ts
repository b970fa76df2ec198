import type { Trace } from '../../soap/explain/chrome-trace.ts';
import { explain } from '../../soap/explain/explanation.ts';
import { joinTraces } from '../../soap/explain/joined-trace.ts';
import { simulatedTrace } from '../../soap/explain/simulated-trace.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';
import { measuredTrace } from '../../runtime/profile/measured-trace.ts';
import type { RecordedSpans } from '../../runtime/profile/recorded-spans.ts';
import type { Span } from '../../runtime/program/recorder.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { UsageError } from '../command-line/usage-error.ts';

/** What devices reported of the recorded steps of a run. */
export class Recording {
  readonly #problem: PlanningProblem;
  readonly #plan: Plan;
  readonly #spans = new Map<number, Span[]>();

  /** @param problem that the plan is for */
  constructor(problem: PlanningProblem, plan: Plan) {
    this.#problem = problem;
    this.#plan = plan;
  }

  add(device: number, spans: readonly Span[]): void {
    this.#spans.set(device, [...(this.#spans.get(device) ?? []), ...spans]);
  }

  /** All of it, see {@link measuredOverPredicted}. */
  trace(): Trace {
    const { cluster, strategy } = resolvePlan(this.#plan, this.#problem.training.graph);
    const problem = { ...this.#problem, cluster };
    const predicted = simulatedTrace(problem, strategy, explain(problem, strategy));
    return measuredOverPredicted(problem, strategy, this.#plan, { predicted, spans: this.#spans });
  }
}

/**
 * What devices recorded, under the names of the plan's tasks, and below the first step the iteration as it is predicted. Devices of
 * several machines are as far apart as their clocks.
 * @throws {UsageError} where what was recorded is of another plan
 */
export function measuredOverPredicted(
  { training, cluster }: PlanningProblem,
  strategy: Strategy,
  plan: Plan,
  { predicted, spans: recorded }: { readonly predicted: Trace; readonly spans: RecordedSpans },
): Trace {
  const { tasks } = planWork(training, strategy, cluster, plan.training);
  const spans = cluster.devices.map(({ id }) => recorded.get(id) ?? []);
  const { length } = tasks.tasks;
  if (spans.some((ofDevice) => ofDevice.some(({ tasks }) => tasks.some((id) => id >= length))))
    throw new UsageError(`what was recorded has tasks beyond the ${length} of the plan; expected spans of a run of it`);
  return joinTraces(measuredTrace({ graph: training.graph, cluster, tasks, spans }), predicted, 'predicted');
}
