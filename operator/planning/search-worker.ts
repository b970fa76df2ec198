/** The searches of jobs, one after the other, in a thread of their own, so that the controller's event loop stays free. */
import { parentPort } from 'node:worker_threads';
import type { CostSource } from '../../soap/cost/cost-source.ts';
import { createMeasuredCosts } from '../../soap/cost/measured.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { freeze } from '../../soap/graph/freeze.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import type { ModelSource, OptimizerName } from '../../soap/job/training-job.ts';
import { microBatchSize } from '../../soap/job/training-job.ts';
import { attachLoss, requireClassAxis } from '../../soap/training/loss.ts';
import type { ModelParameters } from '../../soap/models/index.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import { FileError } from '../../soap/schema/check.ts';
import { messageProblem } from '../../soap/simulator/message-report.ts';
import { clusterDifferences } from '../../soap/plan/plan-differences.ts';
import { decodePlan, encodePlan } from '../../soap/plan/plan-file.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';
import { unpackTable } from '../costs/packing.ts';
import type { SearchAnswer, SearchProgressMessage, SearchRequest } from './search-request.ts';
import { messageOf } from '../../soap/message-of.ts';

type Current = NonNullable<SearchRequest['current']>;

/** Metrics are scraped no more often than this. */
const PROGRESS_EVERY_MS = 1000;

async function answer({ job, cluster, planFile, current, costs, ...files }: SearchRequest): Promise<SearchAnswer> {
  const { training: settings, model: source, search } = job.spec;
  const graph =
    'builtin' in source
      ? builtinGraph(source.builtin.name, microBatchSize(settings), parametersOf(source.builtin))
      : importedGraph(source, files, microBatchSize(settings));
  const { name, ...loss } = settings.loss;
  if (!('builtin' in source)) requireClassAxis(graph, name, loss);
  const training = attachLoss(freeze(graph, settings.frozen), name, loss, settings.gradientAccumulationSteps);
  const options = {
    wire: settings.wire,
    clipsGradients: settings.optimizer.gradientClipNorm !== undefined,
  };
  if (planFile !== undefined) return { plan: givenPlan(planFile, { training, ...options }, job.spec.plan) };
  const problem = {
    training,
    cluster: createCluster(cluster),
    costs: await costSource(costs, settings.optimizer.name),
    optimizer: settings.optimizer.name,
    ...options,
    source,
  };
  const { plan } = findPlan(problem, search, { nowMs: () => performance.now(), onProgress: progressSender() });
  if (plan.prediction.feasible) {
    const currentIterationMs = current && predictedMs(current, problem);
    return { plan: encodePlan(plan), currentIterationMs };
  }
  const { strategy } = resolvePlan(plan, training.graph, 'the plan', problem.cluster);
  const tooLarge = messageProblem(problem, strategy);
  if (tooLarge !== undefined) return { failure: `no plan can be executed: of the best, ${tooLarge}` };
  const gigabytes = (plan.prediction.peakMemoryBytes / 1e9).toFixed(1);
  return {
    failure: `no plan fits: the best needs ${gigabytes} GB on one device; use more or larger devices, more gradientAccumulationSteps, or a smaller batch`,
    infeasible: true,
  };
}

/** What was measured, and data sheets for the rest. */
async function costSource(packed: readonly Uint8Array[], optimizer: OptimizerName): Promise<CostSource> {
  if (packed.length === 0) return createRooflineCosts();
  return createMeasuredCosts(await unpackTable(packed), { optimizer });
}

/** What the plan that runs takes with the numbers of now; as it was predicted where its nodes have other wires by now. */
function predictedMs({ plan: text, cluster: description }: Current, problem: PlanningProblem): number {
  const plan = decodePlan(text);
  if (clusterDifferences(plan.cluster, description).length > 0) return plan.prediction.iterationMs;
  const { graph } = problem.training;
  const { cluster, strategy } = resolvePlan(plan, graph, 'the plan that runs', createCluster(description));
  return evaluate({ ...problem, cluster }, strategy).iterationMs;
}

function importedGraph(
  source: Exclude<ModelSource, { builtin: object }>,
  { modelFile = new Uint8Array(), withoutWeights }: Pick<SearchRequest, 'modelFile' | 'withoutWeights'>,
  batch: number,
): Graph {
  const name = 'url' in source ? source.url : source.onnx;
  const onnx = decodeOnnx(modelFile, name, withoutWeights ? 'zeros' : 'refused');
  return importOnnx(onnx, { batch, source: name, unrollSteps: source.unrollSteps }).graph;
}

/** @throws {FileError} where it is none, is for another model, or cannot be executed */
function givenPlan(
  text: string,
  problem: Pick<PlanningProblem, 'training' | 'wire' | 'clipsGradients'>,
  source: string = 'the plan file',
): string {
  const plan = decodePlan(text, source);
  const { strategy, cluster } = resolvePlan(plan, problem.training.graph, source);
  const message = messageProblem({ ...problem, cluster, costs: createRooflineCosts() }, strategy);
  if (message !== undefined) throw new FileError(source, [{ path: 'ops', message }]);
  return encodePlan(plan);
}

/** Tells of the best so far now and then. */
function progressSender(): (progress: {
  readonly proposals: number;
  readonly accepted: number;
  readonly bestIterationMs?: number | undefined;
}) => void {
  let sentMs = performance.now();
  return ({ proposals, accepted, bestIterationMs }) => {
    if (bestIterationMs === undefined || performance.now() - sentMs < PROGRESS_EVERY_MS) return;
    sentMs = performance.now();
    const message: SearchProgressMessage = { progress: { proposals, accepted, iterationMs: bestIterationMs } };
    parentPort?.postMessage(message);
  };
}

function parametersOf(builtin: Readonly<Record<string, number | string | boolean>>): ModelParameters {
  return Object.fromEntries(Object.entries(builtin).filter(([key]) => key !== 'name'));
}

parentPort?.on('message', (request: SearchRequest) => {
  answer(request).then(
    (found) => parentPort?.postMessage(found),
    (error: unknown) => {
      const failure: SearchAnswer = { failure: messageOf(error) };
      parentPort?.postMessage(failure);
    },
  );
});
