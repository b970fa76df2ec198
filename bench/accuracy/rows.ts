import { costsFor, withMeasuredLinks } from '../../cli/costs.ts';
import { measureRun } from '../../cli/profile/probe.ts';
import type { ProfileTarget } from '../../cli/profile/target.ts';
import { localCluster } from '../../soap/cluster/presets.ts';
import type { CostTable } from '../../soap/cost/cost-table.ts';
import { opsOfTasks, taskInWords } from '../../soap/explain/task-names.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import type { PlanningProblem } from '../../soap/search/evaluate.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { IterationBuilder } from '../../soap/simulator/host/items.ts';
import { hostOf, hostWork, hostWorkUs } from '../../soap/simulator/host/predict.ts';
import { quietTiming } from '../../runtime/profile/measure-kernel.ts';
import type { Span } from '../../runtime/program/recorder.ts';
import { planWork } from '../../runtime/worker/load-job.ts';
import { accuracyStrategies } from './strategies.ts';

/** What a kernel or a message takes, by the plan and in truth. */
export interface Part {
  readonly kind: 'kernel' | 'transfers';
  readonly what: string;
  readonly predictedUs: number;
  readonly measuredUs: number;
}

/** A strategy, predicted and trained. */
export interface AccuracyRow {
  readonly model: string;
  readonly devices: number;
  readonly strategy: string;
  readonly predictedMs: number;
  readonly measuredMs: number;
  /** The prediction for the cores that others left. */
  readonly besideOthersMs: number;
  /** Cores that other processes kept busy while it was measured. */
  readonly otherCores: number | undefined;
  readonly parts: readonly Part[];
}

/** Trains a case under its strategies on so many local devices. */
export async function* accuracyRows(
  model: string,
  target: ProfileTarget,
  table: CostTable,
  { devices, random, done }: { readonly devices: number; readonly random: number; readonly done: ReadonlySet<string> },
): AsyncGenerator<AccuracyRow> {
  const { training, job } = target;
  const plain = localCluster(devices);
  const optimizer = job.spec.training.optimizer.name;
  const costs = costsFor(table, plain, optimizer);
  const { wire } = job.spec.training;
  const problem = { training, cluster: withMeasuredLinks(plain, costs), costs, optimizer, wire };
  for (const { name, strategy } of accuracyStrategies(problem, random)) {
    if (done.has(name)) continue;
    const predictedMs = evaluate(problem, strategy).iterationMs;
    const { iterationMs, spans, otherCores } = await measureRun(
      target,
      { cluster: problem.cluster, strategy },
      new AbortController().signal,
    );
    const host = hostOf(problem.cluster, costs)!;
    const besideOthersMs = hostWorkUs(hostWork(problem, strategy, host), host, otherCores) / 1000;
    const parts = partsOf(problem, strategy, spans);
    yield { model, devices, strategy: name, predictedMs, measuredMs: iterationMs, besideOthersMs, otherCores, parts };
  }
}

/** Kernels of the first device, by the names of their tasks, and what it takes to send what each of them has for others. */
function partsOf(problem: PlanningProblem, strategy: Strategy, spans: readonly (readonly Span[])[]): Part[] {
  const { training, cluster, costs } = problem;
  const host = hostOf(cluster, costs)!;
  const { tasks } = planWork(training, strategy, cluster);
  const { plan, taskUs } = hostWork(problem, strategy, host);
  const ops = opsOfTasks(tasks, training.graph);
  const builder = new IterationBuilder(plan, taskUs, host);
  const recorded = Map.groupBy(spans[0] ?? [], ({ kind, tasks: ids }) => `${kind} ${ids.join()}`);
  return plan.actions[0]!.flatMap((action): Part[] => {
    const ids = action.kind === 'segment' ? action.tasks : [action.task];
    const first = taskInWords(tasks.tasks[ids[0]!]!, tasks, training.graph, cluster);
    const what = ids.length === 1 ? first : `${first} to ${training.graph.ops[ops[ids.at(-1)!]!]!.name}`;
    const part = (kind: Part['kind'], span: Span['kind'], predictedUs: number): Part[] => {
      const runs = recorded.get(`${span} ${ids.join()}`);
      if (runs === undefined) return [];
      const measuredUs = quietTiming(runs.map(({ startMs, endMs }) => 1000 * (endMs - startMs))).us;
      return [{ kind, what, predictedUs, measuredUs }];
    };
    const startUs = action.kind === 'update' ? host.updateUs : host.kernelUs;
    const kernel = part(
      'kernel',
      action.kind,
      ids.reduce((sum, id) => sum + taskUs[id]!, startUs),
    );
    if (action.kind === 'update' || action.sends.length === 0) return kernel;
    const sendUs = action.sends.reduce((sum, sent) => sum + builder.sendUs(sent), 0);
    return [...kernel, ...part('transfers', 'finish', sendUs)];
  });
}
