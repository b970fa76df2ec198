import type { Trace } from '../soap/explain/chrome-trace.ts';
import { explain } from '../soap/explain/explanation.ts';
import { joinTraces } from '../soap/explain/joined-trace.ts';
import { simulatedTrace } from '../soap/explain/simulated-trace.ts';
import type { PlanningProblem } from '../soap/search/evaluate.ts';
import type { Plan } from '../soap/strategy/plan-file.ts';
import { resolvePlan } from '../soap/strategy/plan-file.ts';
import { measuredTrace } from '../runtime/profile/measured-trace.ts';
import type { RecordedSteps, Span } from '../runtime/program/recorder.ts';
import { planWork } from '../runtime/worker/load-job.ts';

/** Steps of a run that its trace shows: after those that compile and warm up. */
export const RECORDED_STEPS: RecordedSteps = { skip: 5, count: 10 };

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

  /** All of it, under the names of the plan's tasks, and below the first step the iteration as it is predicted. */
  trace(): Trace {
    const { training } = this.#problem;
    const { graph } = training;
    const { cluster, strategy } = resolvePlan(this.#plan, graph);
    const { tasks } = planWork(training, strategy, cluster, this.#plan.training);
    const spans = cluster.devices.map(({ id }) => this.#spans.get(id) ?? []);
    const problem = { ...this.#problem, cluster };
    const predicted = simulatedTrace(problem, strategy, explain(problem, strategy));
    return joinTraces(measuredTrace({ graph, cluster, tasks, spans }), predicted, 'predicted');
  }
}
