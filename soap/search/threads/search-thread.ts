/** Runs some chains of a search in a thread of their own. */
import { parentPort, workerData } from 'node:worker_threads';
import { createCluster } from '../../cluster/topology.ts';
import { createCosts } from '../../cost/create-costs.ts';
import { runChains } from '../run-chains.ts';
import type { ThreadMessage, ThreadRequest } from './search-in-threads.ts';

const { training, cluster, costs, optimizer, options, starts, settings, elapsedMs, interrupted }: ThreadRequest =
  workerData;
const beganMs = performance.now();
const post = (message: ThreadMessage): void => parentPort?.postMessage(message);
const problem = {
  training,
  cluster: createCluster(cluster),
  costs: createCosts(costs),
  ...(optimizer === undefined ? {} : { optimizer }),
  ...options,
};
const results = runChains(problem, starts, settings, {
  elapsedMs: () => elapsedMs + performance.now() - beganMs,
  onProgress: (progress) => post({ progress }),
  isInterrupted: () => Atomics.load(interrupted, 0) === 1,
});
post({ results });
