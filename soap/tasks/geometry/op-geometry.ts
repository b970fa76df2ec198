import type { Device } from '../../cluster/cluster.ts';
import type { CostSource } from '../../cost/cost-source.ts';
import type { Graph, Op } from '../../graph/graph.ts';
import { opClasses } from '../../graph/op-classes.ts';
import { opDefinition, opDimensions } from '../../ops/index.ts';
import { opPart, statisticsSize } from '../../ops/kernel.ts';
import type { Dimension, Part } from '../../ops/op.ts';
import { partRanges } from '../../strategy/partition.ts';
import { inputGradients } from '../../graph/input-gradients.ts';
import { BYTES_PER_ELEMENT, partWork, statisticsWork } from '../work.ts';
import type { Boxes } from './boxes.ts';
import { boxVolume, packBoxes } from './boxes.ts';

/** How one dimension with an axis cuts the first output. */
export interface GridAxis {
  /** Axis of the tensor; -1 where the dimension is summed over. */
  readonly axis: number;
  readonly degree: number;
  /** Elements of the axis that one part has. */
  readonly extent: number;
}

/** Durations of the parts' tasks on one class of devices, microseconds by part. */
export interface PartDurations {
  readonly forwardUs: Float64Array;
  readonly backwardUs: Float64Array;
  /** Of the statistics tasks; empty where there are none. */
  readonly forwardStatisticsUs: Float64Array;
  readonly backwardStatisticsUs: Float64Array;
  /** Of the tasks of a direction in all, statistics among them where the part exchanges some. */
  readonly forwardAllUs: Float64Array;
  readonly backwardAllUs: Float64Array;
}

/** All of an op's split that does not depend on where its parts are. Ops that are alike share it. */
export interface OpGeometry {
  readonly id: number;
  readonly parts: number;
  /** How the parts tile the first output, row-major. */
  readonly grid: readonly GridAxis[];
  /** By output, and by input. */
  readonly outputs: readonly Boxes[];
  readonly inputs: readonly Boxes[];
  /** Group of each part that exchanges statistics, numbered by first part; each group's parts in order. */
  readonly groupOf: Int32Array;
  readonly groups: readonly Int32Array[];
  /** By group, bytes that each of its parts tells the others, by direction; 0 where nothing is told. */
  readonly forwardStatisticsBytes: Float64Array;
  readonly backwardStatisticsBytes: Float64Array;
  /** By part, bytes of all outputs. */
  readonly outputBytes: Float64Array;
  /** By part, 1 where it has a backward task: where it reads anything whose gradient is wanted, as `hasBackward` of a layout has it. */
  readonly hasBackward: Uint8Array;
  durations(device: Device): PartDurations;
}

/**
 * Geometries of the ops of one graph, each made once. Ops of the same kind, attributes and shapes are alike.
 * @param deviceClasses by device id, equal for devices on which tasks take the same time
 */
export class OpGeometries {
  readonly #graph: Graph;
  readonly #costs: CostSource;
  readonly #deviceClasses: Int32Array;
  readonly #classOf: Int32Array;
  /** Equal for ops that are alike and whose tasks take the same time: the same gradients are wanted of them. */
  readonly #timedClassOf: Int32Array;
  readonly #wanted: readonly (readonly boolean[])[];
  readonly #dimensions: readonly (readonly Dimension[])[];
  readonly #made = new Map<string, OpGeometry>();

  constructor(graph: Graph, costs: CostSource, deviceClasses: Int32Array) {
    this.#graph = graph;
    this.#costs = costs;
    this.#deviceClasses = deviceClasses;
    this.#wanted = inputGradients(graph);
    const classes = opClasses(graph);
    const keys = new Map<string, number>();
    this.#timedClassOf = Int32Array.from(graph.ops, (op) => {
      const key = `${classes[op.id]} ${this.#wanted[op.id]!.join()}`;
      if (!keys.has(key)) keys.set(key, keys.size);
      return keys.get(key)!;
    });
    this.#classOf = classes;
    this.#dimensions = graph.ops.map((op) => opDimensions(graph, op));
  }

  /** Equal for ops that are alike. */
  classOf(op: number): number {
    return this.#classOf[op]!;
  }

  /** Equal for ops that are alike and whose tasks take the same time: the same gradients are wanted of them. */
  timedClassOf(op: number): number {
    return this.#timedClassOf[op]!;
  }

  dimensions(op: number): readonly Dimension[] {
    return this.#dimensions[op]!;
  }

  get(op: number, degrees: readonly number[]): OpGeometry {
    const key = `${this.#timedClassOf[op]}:${degrees.join()}`;
    let geometry = this.#made.get(key);
    if (geometry === undefined) {
      geometry = this.#make(this.#graph.ops[op]!, degrees);
      this.#made.set(key, geometry);
    }
    return geometry;
  }

  #make(op: Op, degrees: readonly number[]): OpGeometry {
    const graph = this.#graph;
    const dimensions = this.#dimensions[op.id]!;
    const parts = partRanges(dimensions, degrees).map((ranges) => opPart(graph, op, ranges));
    const shapeOf = (tensor: number): readonly number[] => graph.tensors[tensor]!.shape;
    const outputs = op.outputs.map((tensor, i) =>
      packBoxes(
        parts.map((part) => part.outputs[i]),
        shapeOf(tensor).length,
      ),
    );
    const inputs = op.inputs.map((tensor, i) =>
      packBoxes(
        parts.map((part) => part.inputs[i]),
        shapeOf(tensor).length,
      ),
    );
    const { groupOf, groups } = statisticsGroups(op, dimensions, degrees, parts.length);
    const { statistics } = opDefinition(op.kind);
    const told = (direction: 'forward' | 'backward'): Float64Array =>
      Float64Array.from(groups, ([first]) =>
        statistics === undefined ? 0 : statisticsSize(statistics, direction, parts[first!]!) * BYTES_PER_ELEMENT,
      );
    const wants = this.#wanted[op.id]!;
    const hasBackward = Uint8Array.from(parts, ({ inputs: read }) =>
      wants.some((wanted, input) => wanted && read[input] !== undefined) ? 1 : 0,
    );
    const shape = shapeOf(op.outputs[0]!);
    const forwardStatisticsBytes = told('forward');
    const backwardStatisticsBytes = told('backward');
    /** Whether a part has a statistics task: it is not alone, and there is something to tell. */
    const exchanges = (toldBytes: Float64Array): readonly boolean[] =>
      Array.from(groupOf, (group) => groups[group]!.length > 1 && toldBytes[group]! > 0);
    return {
      id: this.#made.size,
      parts: parts.length,
      grid: dimensions.map(({ axis }, i) => ({
        axis: axis ?? -1,
        degree: degrees[i]!,
        extent: axis === undefined ? 0 : shape[axis]! / degrees[i]!,
      })),
      outputs,
      inputs,
      groupOf,
      groups,
      forwardStatisticsBytes,
      backwardStatisticsBytes,
      outputBytes: Float64Array.from(parts, (_, part) =>
        outputs.reduce((sum, boxes) => sum + boxVolume(boxes, part) * BYTES_PER_ELEMENT, 0),
      ),
      hasBackward,
      durations: this.#durations(op, parts, hasBackward, {
        forward: exchanges(forwardStatisticsBytes),
        backward: exchanges(backwardStatisticsBytes),
      }),
    };
  }

  /**
   * Work is described once per part, and timed once per class of devices.
   * @param hasBackward by part
   * @param exchanges by direction and part, whether it has a statistics task
   */
  #durations(
    op: Op,
    parts: readonly Part[],
    hasBackward: Uint8Array,
    exchanges: Readonly<Record<'forward' | 'backward', readonly boolean[]>>,
  ): OpGeometry['durations'] {
    const wants = this.#wanted[op.id]!;
    const byClass = new Map<number, PartDurations>();
    const hasStatistics = opDefinition(op.kind).statistics !== undefined;
    return (device) => {
      const deviceClass = this.#deviceClasses[device.id]!;
      let durations = byClass.get(deviceClass);
      if (durations === undefined) {
        const main = (direction: 'forward' | 'backward'): Float64Array =>
          Float64Array.from(parts, (part) => this.#costs.durationUs(partWork(part, op, direction, wants), device));
        const statistics = (direction: 'forward' | 'backward'): Float64Array =>
          Float64Array.from(hasStatistics ? parts : [], (part) =>
            this.#costs.durationUs(statisticsWork(part, op, direction), device),
          );
        const [forwardUs, backwardUs] = [main('forward'), main('backward')];
        const [forwardStatisticsUs, backwardStatisticsUs] = [statistics('forward'), statistics('backward')];
        durations = {
          forwardUs,
          backwardUs,
          forwardStatisticsUs,
          backwardStatisticsUs,
          forwardAllUs: forwardUs.map((us, part) => (exchanges.forward[part] ? us + forwardStatisticsUs[part]! : us)),
          backwardAllUs: backwardUs.map((us, part) => {
            if (hasBackward[part] === 0) return 0;
            return exchanges.backward[part] ? us + backwardStatisticsUs[part]! : us;
          }),
        };
        byClass.set(deviceClass, durations);
      }
      return durations;
    };
  }
}

/** Devices on which every task takes the same time have the same number. */
export function deviceClasses(devices: readonly Device[]): Int32Array {
  const classes = new Map<string, number>();
  return Int32Array.from(devices, ({ type, flopsPerSec, memoryBandwidthBytesPerSec, taskOverheadUs, speedup = 1 }) => {
    const key = [type, flopsPerSec, memoryBandwidthBytesPerSec, taskOverheadUs, speedup].join();
    const known = classes.get(key) ?? classes.size;
    classes.set(key, known);
    return known;
  });
}

function statisticsGroups(
  op: Op,
  dimensions: readonly Dimension[],
  degrees: readonly number[],
  parts: number,
): Pick<OpGeometry, 'groupOf' | 'groups'> {
  const over = opDefinition(op.kind).statistics?.over ?? [];
  const groupOf = new Int32Array(parts);
  const members = new Map<number, number[]>();
  for (let part = 0; part < parts; part++) {
    let [rest, key] = [part, 0];
    // The last dimension varies fastest; a group's parts have the same indices in all dimensions but those summed over.
    for (let i = dimensions.length - 1, weight = 1; i >= 0; i--) {
      const index = rest % degrees[i]!;
      rest = Math.floor(rest / degrees[i]!);
      if (over.includes(dimensions[i]!.name)) continue;
      key += index * weight;
      weight *= degrees[i]!;
    }
    const group = over.length === 0 ? part : key;
    const known = members.get(group);
    if (known === undefined) members.set(group, [part]);
    else known.push(part);
  }
  const groups = [...members.values()].map((list) => Int32Array.from(list));
  groups.forEach((list, group) => list.forEach((part) => (groupOf[part] = group)));
  return { groupOf, groups };
}
