import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { partKernels } from '../../soap/ops/kernel.ts';
import { regionVolume } from '../../soap/strategy/region.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import { holdsPartialSums, inputPieces, wantedGradients } from '../../soap/tasks/layout.ts';
import type { BoundKernel, KernelEngine, TensorMemory } from '../kernels/kernels.ts';
import type { Assembly, Source } from './assembly.ts';
import { gatherOf, sumOf } from './assembly.ts';
import type { Flow } from './flow.ts';
import type { KernelCache } from './kernel-cache.ts';
import type { ParameterStore } from './parameter-store.ts';
import type { Boxed } from './regions.ts';

/** A box of a graph input that a part reads from the data set. */
export interface DataInput extends Boxed<TensorMemory> {
  readonly tensor: number;
}

/** The forward pass of a part, ready to run. */
export interface ForwardProgram {
  readonly part: PlacedPart;
  readonly inputs: readonly Assembly[];
  readonly dataInputs: readonly DataInput[];
  readonly output: Boxed<TensorMemory>;
  readonly kernel: BoundKernel;
  /** All memory of the forward kernel by name, and the graph of the backward kernel that reads some of it. */
  readonly memory: Readonly<Record<string, TensorMemory>>;
  readonly backwardGraph: OnnxGraph | undefined;
}

/** The backward pass of a part, ready to run. */
export interface BackwardProgram {
  readonly gradOutput: Assembly | undefined;
  /** By input; undefined where no gradient is wanted. */
  readonly gradInputs: readonly (Boxed<TensorMemory> | undefined)[];
  readonly kernel: BoundKernel;
}

/** What building the parts of a device needs. */
export interface ProgramContext {
  readonly layout: Layout;
  readonly flow: Flow;
  readonly device: number;
  readonly engine: KernelEngine;
  readonly kernels: KernelCache;
  readonly parameters: ParameterStore;
}

/** @param outputOf the output memory of a part of this device whose program stands already */
export function forwardProgram(
  context: ProgramContext,
  part: PlacedPart,
  outputOf: (part: PlacedPart) => Boxed<TensorMemory>,
): ForwardProgram {
  const { layout, engine, kernels } = context;
  const op = layout.graph.ops[part.op]!;
  const graphs = partKernels(layout.graph, op, part, wantedGradients(layout, op));
  const dataInputs: DataInput[] = [];
  const inputs = op.inputs.map((tensor, input): Assembly | undefined => {
    const { role, dtype } = layout.graph.tensors[tensor]!;
    const frame = part.inputs[input];
    if (frame === undefined) return undefined;
    if (role === 'parameter') return still(context.parameters.view(tensor, frame));
    if (role === 'activation') {
      const sources = activationSources(context, part, input, outputOf);
      const partial = holdsPartialSums(layout, layout.producers[tensor]!.op);
      return partial ? sumOf(engine, frame, sources) : gatherOf(engine, frame, dtype, sources);
    }
    const memory = engine.allocate(dtype, regionVolume(frame));
    dataInputs.push({ tensor, frame, memory });
    return still({ memory, frame });
  });
  const output = { frame: part.output, memory: engine.allocate('float32', regionVolume(part.output)) };
  const memory: Record<string, TensorMemory> = { output0: output.memory };
  inputs.forEach((assembly, input) => {
    if (assembly !== undefined) memory[`input${input}`] = assembly.memory;
  });
  const { main } = graphs.forward;
  for (const { name, dtype, shape } of main.outputs) memory[name] ??= engine.allocate(dtype, volume(shape));
  const kernel = kernels.get(main).bind(pick(memory, main));
  const read = inputs.filter((assembly) => assembly !== undefined);
  return { part, inputs: read, dataInputs, output, kernel, memory, backwardGraph: graphs.backward?.main };
}

/** @param gradInputOf the gradient memory of a reader on this device whose backward program stands already */
export function backwardProgram(
  context: ProgramContext,
  forward: ForwardProgram,
  gradInputOf: (part: PlacedPart, input: number) => Boxed<TensorMemory>,
): BackwardProgram | undefined {
  const { backwardGraph: graph, part } = forward;
  if (graph === undefined) return undefined;
  const memory: Record<string, TensorMemory> = { ...forward.memory };
  let gradOutput: Assembly | undefined;
  if (graph.inputs.some(({ name }) => name === 'gradOutput0')) {
    gradOutput = sumOf(context.engine, part.output, gradientSources(context, part, gradInputOf));
    memory['gradOutput0'] = gradOutput.memory;
  }
  const gradInputs = part.inputs.map((frame, input) => {
    if (frame === undefined || !graph.outputs.some(({ name }) => name === `gradInput${input}`)) return undefined;
    const box = { frame, memory: context.engine.allocate('float32', regionVolume(frame)) };
    memory[`gradInput${input}`] = box.memory;
    return box;
  });
  return { gradOutput, gradInputs, kernel: context.kernels.get(graph).bind(pick(memory, graph)) };
}

function activationSources(
  { layout, flow, device }: ProgramContext,
  consumer: PlacedPart,
  input: number,
  outputOf: (part: PlacedPart) => Boxed<TensorMemory>,
): Source[] {
  return inputPieces(layout, consumer, input).map(({ producer, region }): Source => {
    if (producer.device === device) return { kind: 'local', region, from: outputOf(producer) };
    const transfer = flow.transfer('activation', { consumer, input, region }, producer);
    return { kind: 'remote', region, peer: producer.device, task: transfer.id };
  });
}

function gradientSources(
  { flow, device }: ProgramContext,
  producer: PlacedPart,
  gradInputOf: (part: PlacedPart, input: number) => Boxed<TensorMemory>,
): Source[] {
  return flow.readersOf(producer).map((reader): Source => {
    const { consumer, input, region } = reader;
    if (consumer.device === device) return { kind: 'local', region, from: gradInputOf(consumer, input) };
    return { kind: 'remote', region, peer: consumer.device, task: flow.transfer('gradient', reader, producer).id };
  });
}

/** Memory that something else fills. */
function still(box: Boxed<TensorMemory>): Assembly {
  return { ...box, fill: () => Promise.resolve() };
}

/** The memory of a graph's inputs and outputs. */
function pick(memory: Readonly<Record<string, TensorMemory>>, graph: OnnxGraph): Record<string, TensorMemory> {
  return Object.fromEntries([...graph.inputs, ...graph.outputs].map(({ name }) => [name, memory[name]!]));
}

function volume(shape: readonly (number | string)[]): number {
  return shape.reduce<number>((product, extent) => product * Number(extent), 1);
}
