import type { Cluster } from '../../cluster/cluster.ts';
import type { Parameter, Wiring } from '../../simulator/delta/wiring.ts';
import type { CollectiveTimes } from '../../tasks/collective-time.ts';
import { collectiveTimes } from '../../tasks/collective-time.ts';
import type { OpGeometries, OpGeometry } from '../../tasks/geometry/op-geometry.ts';
import type { ShardGeometry } from '../../tasks/geometry/shard-geometry.ts';
import { ShardGeometries } from '../../tasks/geometry/shard-geometry.ts';
import { gradientHandling, shardWork, workUs } from '../../tasks/gradient-work.ts';
import { wireShare } from '../../tasks/work.ts';
import type { PlanningProblem } from '../../simulator/evaluate.ts';
import type { AdditiveProblem, CostEdge } from './elimination.ts';
import { BusiestLink } from './busiest-link.ts';
import { TransferCosts } from './transfer-costs.ts';
import type { Unit } from './units.ts';

/**
 * OptCNN's cost of every choice, in microseconds. Source: Jia et al. 2018, section 4: an op takes as long as its slowest part,
 * an edge as long as its transfers, a parameter as long as its synchronization; nothing overlaps. Beyond it, transfers and
 * collectives that share a link share its bandwidth, and the statistics that parts exchange count too.
 */
export function costTables(
  problem: PlanningProblem,
  wiring: Wiring,
  geometries: OpGeometries,
  units: readonly Unit[],
): AdditiveProblem {
  return new CostTables(problem, wiring, geometries, units).build();
}

class CostTables {
  readonly #problem: PlanningProblem;
  readonly #cluster: Cluster;
  readonly #wiring: Wiring;
  readonly #geometries: OpGeometries;
  readonly #units: readonly Unit[];
  readonly #unitOf: readonly number[];
  readonly #links: BusiestLink;
  readonly #transfers: TransferCosts;
  readonly #collectives: CollectiveTimes;
  readonly #shards = new ShardGeometries();
  readonly #known = new Map<string, Float64Array>();

  constructor(problem: PlanningProblem, wiring: Wiring, geometries: OpGeometries, units: readonly Unit[]) {
    this.#problem = problem;
    this.#cluster = problem.cluster;
    this.#wiring = wiring;
    this.#geometries = geometries;
    this.#units = units;
    this.#unitOf = problem.training.graph.ops.map(({ id }) => units.findIndex(({ ops }) => ops.includes(id)));
    this.#links = new BusiestLink();
    this.#transfers = new TransferCosts(problem.cluster, wireShare(problem.wire));
    this.#collectives = collectiveTimes(problem.cluster, problem.collectives);
  }

  build(): AdditiveProblem {
    const nodeCosts = this.#units.map(({ choices }) => new Float64Array(choices.length));
    this.#units.forEach(({ ops }, unit) => {
      for (const op of ops) addTo(nodeCosts[unit]!, this.#computing(op), this.#problem.training.accumulationSteps);
    });
    for (const parameter of this.#wiring.parameters) {
      if (!parameter.isTrained) continue;
      addTo(nodeCosts[this.#unitOf[parameter.readers[0]!.op]!]!, this.#synchronizing(parameter));
    }
    const { accumulationSteps } = this.#problem.training;
    const edges: CostEdge[] = [];
    for (const { producer, output, consumer, input, hasGradient } of this.#wiring.edges) {
      const [a, b] = [this.#unitOf[producer]!, this.#unitOf[consumer]!];
      const costs = this.#transferring(producer, output, consumer, input, hasGradient).map(
        (us) => us * accumulationSteps,
      );
      if (a !== b) edges.push({ a, b, costs });
      else nodeCosts[a]!.forEach((cost, i, own) => (own[i] = cost + costs[i * own.length + i]!));
    }
    return { nodeCosts, edges };
  }

  /** By choice of the op's unit. */
  #geometriesOf(op: number): OpGeometry[] {
    return this.#units[this.#unitOf[op]!]!.choices.map((degrees) => this.#geometries.get(op, degrees));
  }

  /** Ops that are alike have the same choices and costs. */
  #once(key: string, make: () => Float64Array): Float64Array {
    const costs = this.#known.get(key) ?? make();
    this.#known.set(key, costs);
    return costs;
  }

  #computing(op: number): Float64Array {
    const hasBackward = this.#wiring.hasBackward[op]!;
    return this.#once(`compute:${this.#geometries.timedClassOf(op)}`, () =>
      Float64Array.from(this.#geometriesOf(op), (geometry) => {
        const forwardUs = this.#passUs(geometry, 'forward');
        return hasBackward ? forwardUs + this.#passUs(geometry, 'backward') : forwardUs;
      }),
    );
  }

  /** Its slowest part, after the statistics where the parts exchange some. */
  #passUs(geometry: OpGeometry, direction: 'forward' | 'backward'): number {
    const told = direction === 'forward' ? geometry.forwardStatisticsBytes : geometry.backwardStatisticsBytes;
    let slowestUs = 0;
    for (let part = 0; part < geometry.parts; part++) {
      const times = geometry.durations(this.#cluster.devices[part]!);
      const group = geometry.groupOf[part]!;
      const exchanges = geometry.groups[group]!.length > 1 && told[group]! > 0;
      const [mainUs, statisticsUs] =
        direction === 'forward'
          ? [times.forwardUs, times.forwardStatisticsUs]
          : [times.backwardUs, times.backwardStatisticsUs];
      slowestUs = Math.max(slowestUs, mainUs[part]! + (exchanges ? statisticsUs[part]! : 0));
    }
    geometry.groups.forEach((group, index) => {
      if (group.length === 1 || told[index] === 0) return;
      const { links, durationUs } = this.#collectives.allGather([...group], told[index]!);
      this.#links.hold(links, durationUs);
    });
    return slowestUs + this.#links.takeUs();
  }

  #synchronizing({ tensor, readers }: Parameter): Float64Array {
    const [first] = readers;
    const key =
      readers.length > 1 ? `shared:${tensor}` : `parameter:${this.#geometries.classOf(first!.op)}:${first!.input}`;
    return this.#once(key, () => {
      const { shape } = this.#problem.training.graph.tensors[tensor]!;
      const byReader = readers.map(({ op }) => this.#geometriesOf(op));
      return Float64Array.from(byReader[0]!, (_, choice) => {
        const split = readers.map(({ input }, i) => ({ geometry: byReader[i]![choice]!, input }));
        const shards = this.#shards.get(tensor, shape, split);
        return shards === undefined ? Infinity : this.#synchronizationUs(shards);
      });
    });
  }

  /** The collectives of all shards, then the updates of the busiest device. */
  #synchronizationUs({ count, bytes, fromShard, reads, readPart }: ShardGeometry): number {
    const updatesUs = new Float64Array(this.#cluster.devices.length);
    for (let shard = 0; shard < count; shard++) {
      const parts = reads.subarray(fromShard[shard], fromShard[shard + 1]);
      const devices = [...new Set(Array.from(parts, (read) => readPart[read]!))].sort((a, b) => a - b);
      if (devices.length > 1) {
        const { links, durationUs } = this.#collectives.allReduce(
          devices,
          bytes[shard]!,
          wireShare(this.#problem.wire),
        );
        this.#links.hold(links, durationUs);
      }
      for (const id of devices) updatesUs[id]! += this.#updateUs(bytes[shard]!, id, id === devices[0]);
    }
    return this.#links.takeUs() + updatesUs.reduce((most, us) => Math.max(most, us), 0);
  }

  /** What a device does with the gradient of a shard in a step. */
  #updateUs(bytes: number, id: number, isFirst: boolean): number {
    const { costs, training } = this.#problem;
    const handling = gradientHandling(training, this.#problem);
    const device = this.#cluster.devices[id]!;
    const [earlierUs, lastUs] = (['earlier', 'last'] as const).map((microBatch) =>
      workUs(shardWork(bytes, handling, microBatch, isFirst), costs, device),
    );
    return (handling.accumulationSteps - 1) * earlierUs! + lastUs!;
  }

  #transferring(producer: number, output: number, consumer: number, input: number, hasGradient: boolean): Float64Array {
    const classes = [this.#geometries.classOf(producer), this.#geometries.classOf(consumer)];
    return this.#once(`edge:${classes}:${output}:${input}:${hasGradient}`, () => {
      const from = this.#geometriesOf(producer).map(({ outputs, parts }) => ({ boxes: outputs[output]!, parts }));
      const to = this.#geometriesOf(consumer).map(({ inputs, parts }) => ({ boxes: inputs[input]!, parts }));
      const costs = new Float64Array(from.length * to.length);
      from.forEach((boxes, i) =>
        to.forEach((wanted, j) => {
          const thereUs = this.#transfers.transfersUs(boxes, wanted);
          costs[i * to.length + j] = hasGradient ? 2 * thereUs : thereUs;
        }),
      );
      return costs;
    });
  }
}

function addTo(sum: Float64Array, costs: Float64Array, times: number = 1): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += times * costs[i]!;
}
