import type { Graph, Op } from '../graph/graph.ts';
import { opClasses } from '../graph/op-classes.ts';
import { opDimensions } from '../ops/index.ts';
import type { Dimension } from '../ops/op.ts';
import type { Producer } from '../tasks/layout.ts';
import { producersOf } from '../tasks/layout.ts';
import type { Junction } from '../strategy/alignment.ts';
import { Alignment } from '../strategy/alignment.ts';
import type { OpConfig, Strategy } from '../strategy/strategy.ts';

/** An op whose turn it is: all that it reads has a configuration. */
export interface Turn {
  readonly op: Op;
  readonly dimensions: readonly Dimension[];
  /** How many of its inputs other ops compute. */
  readonly activations: number;
  /**
   * The op cut as the first activation that it can follow, so that this one need not move: undefined where there is none.
   * What holds partial sums is followed in its other dimensions.
   */
  readonly follow: () => OpConfig | undefined;
}

/** Chooses the configurations of a graph's ops one after the other, in their topological order. */
export function assignConfigs(graph: Graph, choose: (turn: Turn) => OpConfig): Strategy {
  const producers = producersOf(graph);
  const follower = createFollower(graph, producers);
  const configs: OpConfig[] = [];
  for (const op of graph.ops) {
    const dimensions = opDimensions(graph, op);
    const activations = op.inputs.filter((tensor) => producers[tensor] !== undefined).length;
    configs.push(choose({ op, dimensions, activations, follow: () => follower(op, configs) }));
  }
  return { configs };
}

/** Ops that are alike and read what is cut alike share one configuration, so that large strategies are made once. */
function createFollower(
  graph: Graph,
  producers: readonly (Producer | undefined)[],
): (op: Op, configs: readonly OpConfig[]) => OpConfig | undefined {
  const alignment = new Alignment(graph);
  const classes = opClasses(graph);
  const made = new Map<OpConfig, Map<string, OpConfig | undefined>>();
  const followAt = (junction: Junction, config: OpConfig): OpConfig | undefined => {
    const key = [classes[junction.producer], junction.output, classes[junction.consumer], junction.input].join();
    const ofConfig = made.get(config) ?? new Map<string, OpConfig | undefined>();
    made.set(config, ofConfig);
    if (!ofConfig.has(key)) ofConfig.set(key, alignment.follow(junction, config));
    return ofConfig.get(key);
  };
  return (op, configs) => {
    for (const [input, tensor] of op.inputs.entries()) {
      const source = producers[tensor];
      if (source === undefined) continue;
      const junction = { producer: source.op.id, output: source.output, consumer: op.id, input };
      const config = followAt(junction, configs[source.op.id]!);
      if (config !== undefined) return config;
    }
    return undefined;
  };
}
