import type { Trace } from '../soap/explain/chrome-trace.ts';
import type { TrainingGraph } from '../soap/graph/loss.ts';
import type { Plan } from '../soap/strategy/plan-file.ts';
import { resolvePlan } from '../soap/strategy/plan-file.ts';
import { measuredTrace } from '../runtime/profile/measured-trace.ts';
import type { RecordedSteps, Span } from '../runtime/program/recorder.ts';
import { planWork } from '../runtime/worker/load-job.ts';

/** Steps of a run that its trace shows: after those that compile and warm up. */
export const RECORDED_STEPS: RecordedSteps = { skip: 5, count: 10 };

/** What devices reported of the recorded steps of a run. */
export class Recording {
  readonly #training: TrainingGraph;
  readonly #plan: Plan;
  readonly #spans = new Map<number, Span[]>();

  constructor(training: TrainingGraph, plan: Plan) {
    this.#training = training;
    this.#plan = plan;
  }

  add(device: number, spans: readonly Span[]): void {
    this.#spans.set(device, [...(this.#spans.get(device) ?? []), ...spans]);
  }

  /** All of it, under the names of the plan's tasks. */
  trace(): Trace {
    const { graph } = this.#training;
    const { cluster, strategy } = resolvePlan(this.#plan, graph);
    const { tasks } = planWork(this.#training, strategy, cluster, this.#plan.training);
    const spans = cluster.devices.map(({ id }) => this.#spans.get(id) ?? []);
    return measuredTrace({ graph, cluster, tasks, spans });
  }
}
