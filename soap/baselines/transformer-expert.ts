import type { Cluster } from '../cluster/cluster.ts';
import { microBatchSizeOf } from '../training/batch-size.ts';
import type { Graph } from '../graph/graph.ts';
import { opClasses } from '../graph/op-classes.ts';
import type { OptimizerName } from '../job/training-job.ts';
import { numberAttribute } from '../ops/op.ts';
import { divisorsUpTo, largestDivisor } from '../region/divisors.ts';
import type { OpConfig, Strategy } from '../strategy/strategy.ts';
import type { Turn } from './assign.ts';
import { assignConfigs } from './assign.ts';
import type { Groups, Mesh } from './mesh.ts';
import { innerCut, meshConfig, tensorGroups } from './mesh.ts';
import { devicesByNode } from './nodes.ts';
import { outputLayers } from './output-layers.ts';
import { stageMemoryBytes } from './part-memory.ts';
import { segmentsOf, stagesOf } from './stages.ts';

/** Microbatches per stage with which stages wait little. Source: Huang et al., "GPipe", 2019, section 3.2. */
const MICROBATCHES_PER_STAGE = 4;

/** Parts of an op beyond which there are fewer microbatches: the simulator has to time all their transfers. */
const MOST_PARTS = 1024;

/** Share of a device's memory that is left free, since it is estimated what a stage needs. */
const SPARE_MEMORY = 0.05;

/**
 * Megatron-LM. Tensor parallel inside a node: queries, keys, values and the first feed-forward layer by channel, attention by
 * heads, the layers after them by the width that they sum over, embeddings by vocabulary, the output layer by channel and the
 * loss by class; layer norms, dropouts and residual sums by sequence. Data parallel over the rest. Where that does not fit into memory,
 * consecutive layers are on consecutive groups of nodes, with several microbatches under way.
 *
 * A group is smaller than a node where the heads cannot be dealt out evenly; what cannot be cut as above is cut otherwise.
 * Sources: Shoeybi et al., "Megatron-LM", 2019, section 3; Narayanan et al., "Efficient large-scale language model training on
 * GPU clusters", 2021, section 2; Korthikanti et al., "Reducing activation recomputation", 2022, section 4.2.2.
 */
export function transformerExpert(graph: Graph, cluster: Cluster, optimizer: OptimizerName): Strategy {
  const heads = graph.ops.flatMap((op) => (op.kind === 'attention' ? [numberAttribute(op.attributes, 'heads')] : []));
  const groups = tensorGroups(cluster, heads);
  const segments = segmentsOf(graph, optimizer);
  const capacity = Math.min(...cluster.devices.map(({ memoryBytes }) => memoryBytes));
  let best: { readonly strategy: Strategy; readonly bytes: number } | undefined;
  for (const stages of stageCounts(groups, devicesByNode(cluster).length, segments.length)) {
    const stageOf = stagesOf(segments, stages, groups.length / stages);
    const strategy = staged(graph, groups, stages, stageOf);
    const bytes = Math.max(...stageMemoryBytes(graph, strategy, stageOf, optimizer));
    if (best === undefined || bytes < best.bytes) best = { strategy, bytes };
    if (bytes <= (1 - SPARE_MEMORY) * capacity) break;
  }
  return best!.strategy;
}

/** Numbers of stages that have equally many groups, of whole nodes while there are nodes enough; ascending. */
function stageCounts(groups: Groups, nodes: number, most: number): number[] {
  const counts = divisorsUpTo(groups.length, Math.min(groups.length, most));
  return counts.filter((stages) => nodes % stages === 0 || stages % nodes === 0);
}

function staged(graph: Graph, groups: Groups, stages: number, stageOf: readonly number[]): Strategy {
  const meshes = meshesOf(graph, groups, stages);
  const classes = opClasses(graph);
  const losses = outputLayers(graph);
  /** Ops of a stage that are alike share one configuration. */
  const made = new Map<string, OpConfig>();
  return assignConfigs(graph, (turn) => {
    const { op, dimensions } = turn;
    const stage = stageOf[op.id]!;
    const mesh = meshes[stage]!;
    const names = cutNames(turn, losses);
    if (names === undefined) return turn.follow() ?? meshConfig(dimensions, 'none', mesh);
    const cut = innerCut(dimensions, names, mesh);
    const key = `${stage}:${classes[op.id]}:${cut}`;
    const config = made.get(key) ?? meshConfig(dimensions, cut, mesh);
    made.set(key, config);
    return config;
  });
}

/** The mesh of each stage. */
function meshesOf(graph: Graph, groups: Groups, stages: number): Mesh[] {
  const perStage = groups.length / stages;
  const batch = microBatchSizeOf(graph);
  const most = Math.floor(MOST_PARTS / (perStage * groups[0]!.length));
  const microbatches =
    stages === 1 || batch % perStage !== 0
      ? 1
      : largestDivisor(batch / perStage, Math.max(1, Math.min(MICROBATCHES_PER_STAGE * stages, most)));
  return Array.from({ length: stages }, (_, stage) => ({
    groups: groups.slice(stage * perStage, (stage + 1) * perStage),
    microbatches,
  }));
}

/** How positions of a sequence are cut where each is treated alone. */
const BY_POSITION = ['sequence', 'sample', 'channel'] as const;

/** Names of dimensions to cut an op along, the best first; undefined where it should follow what it reads. */
function cutNames(
  { op, dimensions, activations, follow }: Turn,
  outputs: ReadonlySet<number>,
): readonly string[] | undefined {
  switch (op.kind) {
    case 'embedding':
      return ['vocabulary', 'channel', ...BY_POSITION];
    case 'attention':
      return ['heads', ...BY_POSITION];
    case 'experts':
      return ['expert', ...BY_POSITION];
    case 'layerNorm':
    case 'add':
      return BY_POSITION;
    // Behind a layer that holds partial sums, else like what it reads. Source: Korthikanti et al., section 4.2.2.
    case 'dropout': {
      const inner = (degree: number, i: number): boolean => degree > 1 && dimensions[i]!.kind !== 'sample';
      return follow()?.degrees.some(inner) === true ? undefined : BY_POSITION;
    }
    case 'linear': {
      if (outputs.has(op.id)) return ['channel', 'sequence', 'width', 'sample'];
      const width = dimensions.findIndex(({ name }) => name === 'width');
      const readsChannels = (follow()?.degrees[width] ?? 1) > 1;
      return readsChannels ? ['width', ...BY_POSITION] : ['channel', ...BY_POSITION];
    }
    default: {
      const parameter = dimensions.find(({ kind, axis }) => kind === 'parameter' && axis !== undefined);
      if (parameter !== undefined) return [parameter.name, ...BY_POSITION];
      return activations > 1 && dimensions.some(({ name }) => name === 'sequence') ? BY_POSITION : undefined;
    }
  }
}
