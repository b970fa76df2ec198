/** The search of one job, in a thread of its own, so that the controller's event loop stays free. */
import { parentPort, workerData } from 'node:worker_threads';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { importOnnx } from '../../soap/graph/import.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import type { ModelParameters } from '../../soap/models/index.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import { encodePlan } from '../../soap/strategy/plan-file.ts';
import type { SearchAnswer, SearchRequest } from './search-request.ts';

function answer({ job, cluster, modelFile }: SearchRequest): SearchAnswer {
  const { training: settings, model: source, search } = job.spec;
  const graph =
    'builtin' in source
      ? builtinGraph(source.builtin.name, settings.batchSize, parametersOf(source.builtin))
      : importOnnx(decodeOnnx(modelFile ?? new Uint8Array(), source.onnx), {
          batch: settings.batchSize,
          source: source.onnx,
        }).graph;
  const { name, ...options } = settings.loss;
  const training = attachLoss(graph, name, options);
  const problem = {
    training,
    cluster: createCluster(cluster),
    costs: createRooflineCosts(),
    optimizer: settings.optimizer.name,
    source,
  };
  const { plan } = findPlan(problem, search, { nowMs: () => performance.now() });
  if (plan.prediction.feasible) return { plan: encodePlan(plan) };
  const gigabytes = (plan.prediction.peakMemoryBytes / 1e9).toFixed(1);
  return {
    failure: `no plan fits: the best needs ${gigabytes} GB on one device; use more or larger devices, or a smaller batch`,
  };
}

function parametersOf(builtin: Readonly<Record<string, number | string | boolean>>): ModelParameters {
  return Object.fromEntries(Object.entries(builtin).filter(([key]) => key !== 'name'));
}

const request: SearchRequest = workerData;
try {
  parentPort?.postMessage(answer(request));
} catch (error) {
  const failure: SearchAnswer = { failure: error instanceof Error ? error.message : String(error) };
  parentPort?.postMessage(failure);
}
