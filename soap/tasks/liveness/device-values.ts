import type { TrainingGraph } from '../../training/loss.ts';
import { OPTIMIZER_STATES } from '../../job/optimizer-states.ts';
import type { OptimizerName } from '../../job/training-job.ts';
import { ELEMENT_BYTES } from '../../onnx/element-types.ts';
import type { Boxed, Region } from '../../region/region.ts';
import { regionVolume, sameRegion } from '../../region/region.ts';
import type { GradientTerm } from '../gradient-terms.ts';
import { MASK } from '../../ops/emitter.ts';
import { backwardPlaces, gradientTerms } from '../gradient-terms.ts';
import type { Layout, PlacedPart } from '../layout.ts';
import { maskBytes, readsMask } from '../masks.ts';
import type { ComputeTask, ParameterShard, TaskGraph } from '../task-graph.ts';
import type { BoxSource } from '../assembly.ts';
import type { AssembledValue } from './assemble.ts';
import { assembled, still } from './assemble.ts';
import type { KernelValues, PartValues, PassValues } from './kernel-values.ts';
import { outgoingValues } from './outgoing.ts';
import type { Lookups } from './lookups.ts';
import type { Value, ValueStage, ValueStep, ValueUse } from './values.ts';

/** What the programs of all devices have in common. */
export interface ValueContext {
  readonly training: TrainingGraph;
  readonly layout: Layout;
  readonly tasks: TaskGraph;
  readonly lookups: Lookups;
  readonly kernelsOf: (part: PlacedPart) => PartValues;
  readonly optimizer: OptimizerName;
}

/** One direction of a part. */
interface Pass {
  readonly inputs: readonly AssembledValue[];
  readonly statistics: { readonly stage: ValueStage; readonly vector: Value; readonly gathered: Value } | undefined;
  readonly main: ValueStage;
  /** By name; parameters have none. */
  readonly memory: ReadonlyMap<string, Value>;
}

/** The gradient of a shard on this device, and its terms in the order in which they are added. */
interface ShardGradient {
  readonly value: Value;
  readonly terms: readonly GradientTerm[];
  /** Whether other devices have terms of their own. */
  readonly isShared: boolean;
}

/** What is there all the time. Gradients of parameters are, as sums over devices run beside segments, and updates read them. */
const KEPT: ReadonlySet<ValueUse> = new Set<ValueUse>(['parameters', 'parameterGradient', 'data', 'statistics']);

/** Names of what is read when a pass is over: see `runtime/program/running-moments.ts`. */
const MOMENTS = ['saved0', 'saved1'];

/**
 * All memory of a device's program and what its tasks do with it: the twin of `runtime/program/device-program.ts`, without
 * any memory. `test/program/memory.slow.test.ts` holds the two together.
 */
export class DeviceValues {
  /** What is there all the time. */
  readonly kept: Value[] = [];
  readonly #context: ValueContext;
  readonly #device: number;
  readonly #forward = new Map<PlacedPart, Pass>();
  readonly #backward = new Map<PlacedPart, Pass>();
  readonly #gathered = new Map<string, Value>();
  /** By part, then input: the gradient that is its shard's, or the first term of it. */
  readonly #places = new Map<PlacedPart, Map<number, Value>>();
  /** By part, what adds its gradients to those of shards, and whether that completes any which other devices wait for. */
  readonly #contributions = new Map<PlacedPart, { stages: ValueStage[]; startsCollective: boolean }>();

  /** @param order task ids of the device, as `deviceOrders` has them */
  constructor(context: ValueContext, device: number, order: readonly number[]) {
    this.#context = context;
    this.#device = device;
    const mine = context.layout.parts.flat().filter((part) => part.device === device);
    const shards = context.layout.shards.filter(({ devices }) => devices.includes(device));
    for (const shard of shards) this.#keepParameters(shard);
    const places = backwardPlaces(context.tasks, order, ({ op, part }) => context.layout.parts[op]![part]!);
    const gradients = shards.filter(({ isTrained }) => isTrained).map((shard) => this.#gradientOf(shard, places));
    for (const part of mine) this.#forward.set(part, this.#forwardPass(part));
    for (const part of mine.toReversed()) {
      const kernels = context.kernelsOf(part).backward;
      if (kernels !== undefined) this.#backward.set(part, this.#backwardPass(part, kernels));
    }
    for (const gradient of gradients) this.#addTerms(gradient);
  }

  /** The compute tasks, in the given order. */
  steps(order: readonly number[]): ValueStep[] {
    return order.flatMap((id) => {
      const task = this.#context.tasks.tasks[id]!;
      return task.kind === 'forward' || task.kind === 'backward' ? [this.#step(task)] : [];
    });
  }

  #value(use: ValueUse, op: number, bytes: number): Value {
    const kept = KEPT.has(use);
    const value = { use, op, bytes, kept };
    if (kept) this.kept.push(value);
    return value;
  }

  #keepParameters({ tensor, region, isTrained }: ParameterShard): void {
    const op = this.#context.layout.graph.ops.find(({ inputs }) => inputs.includes(tensor))!.id;
    const { optimizer, training } = this.#context;
    const sums = training.accumulationSteps > 1 ? 1 : 0;
    const beside = isTrained ? OPTIMIZER_STATES[optimizer].length + sums : 0;
    this.#value('parameters', op, (1 + beside) * this.#bytes(tensor, region));
  }

  #bytes(tensor: number, region: Region): number {
    return ELEMENT_BYTES[this.#context.layout.graph.tensors[tensor]!.dtype] * regionVolume(region);
  }

  #forwardPass(part: PlacedPart): Pass {
    const { layout, kernelsOf } = this.#context;
    const op = layout.graph.ops[part.op]!;
    const memory = new Map<string, Value>();
    const inputs = op.inputs.flatMap((tensor, input) => {
      const frame = part.inputs[input];
      if (frame === undefined) return [];
      const assembly = this.#input(part, tensor, input, frame);
      if (assembly !== undefined) memory.set(`input${input}`, assembly.value);
      return assembly === undefined ? [] : [assembly];
    });
    op.outputs.forEach((tensor, output) => {
      memory.set(`output${output}`, this.#value('output', part.op, this.#bytes(tensor, part.outputs[output]!)));
    });
    if (readsMask(op)) memory.set(MASK, this.#value('data', part.op, maskBytes(op, part)));
    return this.#bind('forward', part, kernelsOf(part).forward, inputs, memory);
  }

  /** What a part reads; undefined for a parameter. */
  #input(part: PlacedPart, tensor: number, input: number, frame: Region): AssembledValue | undefined {
    const { layout, lookups } = this.#context;
    const bytes = this.#bytes(tensor, frame);
    switch (layout.graph.tensors[tensor]!.role) {
      case 'parameter': {
        const isShard = (shard: ParameterShard): boolean =>
          shard.devices.includes(this.#device) && sameRegion(shard.region, frame);
        // A box that is no shard is kept beside the shards.
        if (!lookups.shardsOf(tensor).some(isShard)) this.#value('parameters', part.op, bytes);
        return undefined;
      }
      case 'input':
        return still(this.#value('data', part.op, bytes));
      case 'activation': {
        const { op, output } = layout.producers[tensor]!;
        const sources = lookups.pieces(part, input).map(({ producer, region }): BoxSource<Value> => {
          const frameOf = producer.outputs[output]!;
          return { region, from: this.#local(this.#forward.get(producer)?.memory.get(`output${output}`), frameOf) };
        });
        return assembled(frame, sources, lookups.isPartial(op.id), () => this.#value('input', part.op, bytes));
      }
    }
  }

  #local(value: Value | undefined, frame: Region): Boxed<Value> | undefined {
    return value && { memory: value, frame };
  }

  #backwardPass(part: PlacedPart, kernels: PassValues): Pass {
    const { lookups } = this.#context;
    const memory = new Map(this.#forward.get(part)!.memory);
    const read = new Set([...kernels.main.reads, ...(kernels.statistics?.reads ?? [])]);
    const gradOutputs = part.outputs.flatMap((frame, output) => {
      if (!read.has(`gradOutput${output}`)) return [];
      const sources = lookups.giversOf(part, output).map(({ consumer, input, region }): BoxSource<Value> => ({
        region,
        from: consumer.device === this.#device ? this.#gradInput(consumer, input) : undefined,
      }));
      const bytes = ELEMENT_BYTES.float32 * regionVolume(frame);
      const gradient = assembled(frame, sources, true, () => this.#value('gradient', part.op, bytes));
      memory.set(`gradOutput${output}`, gradient.value);
      return [gradient];
    });
    memory.delete('statistics');
    for (const [input, gradient] of this.#places.get(part) ?? []) memory.set(`gradInput${input}`, gradient);
    return this.#bind('backward', part, kernels, gradOutputs, memory);
  }

  #gradInput(part: PlacedPart, input: number): Boxed<Value> {
    return { memory: this.#backward.get(part)!.memory.get(`gradInput${input}`)!, frame: part.inputs[input]! };
  }

  #bind(
    direction: 'forward' | 'backward',
    part: PlacedPart,
    kernels: PassValues,
    inputs: readonly AssembledValue[],
    memory: Map<string, Value>,
  ): Pass {
    let statistics: Pass['statistics'];
    if (kernels.statistics !== undefined) {
      const stage = this.#stage(direction, part, kernels.statistics, memory);
      const vector = memory.get('statistics')!;
      const gathered = this.#gather(direction, part, vector.bytes);
      statistics = { stage, vector, gathered };
      memory.set('gathered', gathered);
    }
    const main = this.#stage(direction, part, kernels.main, memory);
    return { inputs, statistics, main, memory };
  }

  #gather(direction: 'forward' | 'backward', part: PlacedPart, bytes: number): Value {
    const group = this.#context.layout.groups[part.op]![part.index]!;
    const key = [direction, part.op, group[0]!.index].join(' ');
    const known = this.#gathered.get(key) ?? this.#value('statistics', part.op, group.length * bytes);
    this.#gathered.set(key, known);
    return known;
  }

  #stage(
    direction: 'forward' | 'backward',
    { op }: PlacedPart,
    { reads, writes }: KernelValues,
    memory: Map<string, Value>,
  ): ValueStage {
    for (const [name, bytes] of writes) {
      const use = name === 'statistics' ? 'statistics' : direction === 'forward' ? 'output' : 'gradient';
      if (!memory.has(name)) memory.set(name, this.#value(use, op, bytes));
    }
    return {
      reads: reads.flatMap((name) => memory.get(name) ?? []),
      writes: Array.from(writes.keys(), (name) => memory.get(name)!),
    };
  }

  /** The memory of a shard's gradient; its first term is written there where it is no more than that. */
  #gradientOf(shard: ParameterShard, places: ReadonlyMap<PlacedPart, number>): ShardGradient {
    const { layout, lookups } = this.#context;
    const parts = lookups.ofShard(shard.id, this.#device);
    const terms = gradientTerms(layout.graph, shard, parts, places);
    const value = this.#value('parameterGradient', parts[0]?.op ?? 0, this.#bytes(shard.tensor, shard.region));
    const [first] = terms;
    if (first?.isWhole === true) {
      const inputs = this.#places.get(first.part) ?? new Map<number, Value>();
      this.#places.set(first.part, inputs.set(first.input, value));
    }
    return { value, terms, isShared: shard.devices.length > 1 };
  }

  #addTerms({ value, terms, isShared }: ShardGradient): void {
    terms.forEach(({ part, input }, index) => {
      const contribution = this.#contributions.get(part) ?? { stages: [], startsCollective: false };
      this.#contributions.set(part, contribution);
      contribution.startsCollective ||= isShared && index === terms.length - 1;
      const term = this.#backward.get(part)!.memory.get(`gradInput${input}`)!;
      if (term === value) return;
      contribution.stages.push({ reads: index === 0 ? [term] : [value, term], writes: [value] });
    });
  }

  #step(task: ComputeTask): ValueStep {
    const { layout, training } = this.#context;
    const part = layout.parts[task.op]![task.part]!;
    const { inputs, statistics, main, memory } = (task.kind === 'forward' ? this.#forward : this.#backward).get(part)!;
    const common = { task, direction: task.kind, durationUs: task.durationUs };
    const isLast = task.stage === 'main';
    const outgoing = isLast ? outgoingValues(this.#context.lookups, task.kind, part, memory) : [];
    const contribution = isLast && task.kind === 'backward' ? this.#contributions.get(part) : undefined;
    const stagesAfter = contribution?.stages ?? [];
    const copies = inputs.flatMap((input) => input.copies);
    const readAfter = [...copies, ...outgoing.map(({ value }) => value), ...(statistics ? [statistics.vector] : [])];
    const leaves = outgoing.flatMap(({ value, whole }) => (whole ? [value] : []));
    if (task.kind === 'forward' && isLast) {
      if (training.lossOps.includes(task.op))
        layout.graph.ops[task.op]!.outputs.forEach((_, k) => leaves.push(memory.get(`output${k}`)!));
      if (layout.graph.ops[task.op]!.kind === 'batchNorm') for (const name of MOMENTS) leaves.push(memory.get(name)!);
    }
    const sends = outgoing.length > 0 || (contribution?.startsCollective ?? false);
    if (statistics !== undefined && isLast) {
      const stages = [main, ...stagesAfter];
      return { ...common, stages, receives: true, copies: [], sends, fills: [statistics.gathered], readAfter, leaves };
    }
    const before = inputs.flatMap(({ stage }) => (stage === undefined ? [] : [stage]));
    return {
      ...common,
      stages: [...before, statistics === undefined ? main : statistics.stage, ...stagesAfter],
      receives: inputs.some(({ receives }) => receives),
      copies,
      sends: statistics !== undefined || sends,
      fills: inputs.flatMap(({ filled, value }) => (filled ? [value] : [])),
      readAfter,
      leaves,
    };
  }
}
