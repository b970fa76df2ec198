import { presetCluster } from '../../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../../soap/cost/roofline.ts';
import { attachLoss } from '../../../soap/training/loss.ts';
import { builtinGraph } from '../../../soap/models/index.ts';
import { FileError } from '../../../soap/schema/check.ts';
import { evaluate } from '../../../soap/simulator/evaluate.ts';
import { expertStrategy } from '../../../soap/baselines/index.ts';
import { createPlan } from '../../../soap/plan/create-plan.ts';
import { decodePlan, encodePlan } from '../../../soap/plan/plan-file.ts';
import { resolvePlan } from '../../../soap/plan/resolve-plan.ts';
import { structuredText } from '../structured/documents.ts';
import type { FuzzTarget } from '../target.ts';

const cluster = presetCluster('p100x4');
const training = attachLoss(builtinGraph('lenet', 8), 'crossEntropy');

/** Plan files: read, and matched with their model. */
export const planFile: FuzzTarget = {
  name: 'plan-file',
  share: 60,
  refusals: [FileError],
  seeds() {
    const strategy = expertStrategy(training.graph, cluster);
    const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
    const context = { prediction, baselines: { expert: prediction }, origin: 'baseline' as const };
    const plan = createPlan({ training, cluster, source: { builtin: { name: 'lenet' } } }, strategy, context);
    return Promise.resolve([new TextEncoder().encode(encodePlan(plan))]);
  },
  structured: structuredText((text) => JSON.parse(text)),
  read(bytes) {
    resolvePlan(decodePlan(new TextDecoder().decode(bytes)), training.graph);
  },
};
