import type { PartKernels } from '../../soap/ops/kernel.ts';
import { MASK } from '../../soap/ops/emitter.ts';
import { partKernels } from '../../soap/ops/kernel.ts';
import type { Boxed } from '../../soap/region/region.ts';
import { regionVolume } from '../../soap/region/region.ts';
import type { PlacedPart } from '../../soap/tasks/layout.ts';
import { holdsPartialSums, wantedGradients } from '../../soap/tasks/layout.ts';
import { readsMask } from '../../soap/tasks/masks.ts';
import type { TensorBuffer } from '../kernels/kernels.ts';
import type { Assembly, Source } from './assembly.ts';
import { assembled, still } from './assembly.ts';
import type { ParameterStore } from './parameter-store.ts';
import type { PassBinder, PassContext, PassProgram } from './pass-program.ts';
import type { NamedMemory } from './segments/stage.ts';

/** A box of a graph input that a part reads from the data set. */
export interface DataInput extends Boxed<TensorBuffer> {
  readonly tensor: number;
}

/** The forward pass of a part, ready to run. */
export interface ForwardProgram {
  readonly part: PlacedPart;
  readonly dataInputs: readonly DataInput[];
  readonly outputs: readonly Boxed<TensorBuffer>[];
  /** Which elements of the first output are kept; undefined where none are dropped. */
  readonly mask: TensorBuffer | undefined;
  readonly pass: PassProgram;
  /** All memory of the forward kernels by name, and the kernels of the backward pass that read some of it. */
  readonly memory: NamedMemory;
  readonly backward: PartKernels['backward'];
}

/** The backward pass of a part, ready to run. */
export interface BackwardProgram {
  /** By input; undefined where no gradient is wanted. */
  readonly gradInputs: readonly (Boxed<TensorBuffer> | undefined)[];
  readonly pass: PassProgram;
}

/** What building the parts of a device needs. */
export interface ProgramContext extends PassContext {
  readonly binder: PassBinder;
  readonly parameters: ParameterStore;
  /** The memory that the gradient of an input is to be written to; undefined where any will do. */
  gradientPlace(part: PlacedPart, input: number): TensorBuffer | undefined;
}

/** The memory of an output of a part of this device, or of the gradient of an input; its program stands already. */
export type MemoryOf = (part: PlacedPart, index: number) => Boxed<TensorBuffer>;

/** @param outputOf the memory of outputs of parts of this device */
export function forwardProgram(context: ProgramContext, part: PlacedPart, outputOf: MemoryOf): ForwardProgram {
  const { layout, drafts, binder } = context;
  const op = layout.graph.ops[part.op]!;
  const group = layout.groups[part.op]![part.index]!;
  const graphs = partKernels(layout.graph, op, part, wantedGradients(layout, op), group.length);
  const dataInputs: DataInput[] = [];
  const given: Record<string, TensorBuffer> = {};
  const inputs = op.inputs.flatMap((tensor, input): Assembly[] => {
    const frame = part.inputs[input];
    if (frame === undefined) return [];
    const assembly = inputOf(context, part, input, outputOf);
    if (layout.graph.tensors[tensor]!.role === 'input') dataInputs.push({ ...assembly, tensor });
    given[`input${input}`] = assembly.memory;
    return [assembly];
  });
  const outputs = op.outputs.map((tensor, output) => {
    const frame = part.outputs[output]!;
    const memory = drafts.allocate(layout.graph.tensors[tensor]!.dtype, regionVolume(frame));
    given[`output${output}`] = memory;
    return { frame, memory };
  });
  const mask = readsMask(op) ? context.engine.allocate('uint8', regionVolume(part.output)) : undefined;
  if (mask !== undefined) given[MASK] = mask;
  const { pass, memory } = binder.bind('forward', part, graphs.forward, inputs, given);
  return { part, dataInputs, outputs, mask, pass, memory, backward: graphs.backward };
}

/** @param gradInputOf the memory of gradients of inputs of readers on this device */
export function backwardProgram(
  context: ProgramContext,
  { part, backward: kernels, memory }: ForwardProgram,
  gradInputOf: MemoryOf,
): BackwardProgram | undefined {
  if (kernels === undefined) return undefined;
  const { drafts, binder } = context;
  const read = new Set([kernels.main, ...(kernels.statistics ? [kernels.statistics] : [])].flatMap(inputNames));
  const given: Record<string, TensorBuffer> = { ...memory };
  const gradOutputs = part.outputs.flatMap((frame, output): Assembly[] => {
    if (!read.has(`gradOutput${output}`)) return [];
    const sources = gradientSources(context, part, output, gradInputOf);
    const gradient = assembled(drafts, { frame, dtype: 'float32', sources, sums: true });
    given[`gradOutput${output}`] = gradient.memory;
    return [gradient];
  });
  // The backward pass has a vector of its own: the forward one may be on its way yet.
  delete given['statistics'];
  for (const input of part.inputs.keys()) {
    const place = context.gradientPlace(part, input);
    if (place !== undefined) given[`gradInput${input}`] = place;
  }
  const { pass, memory: all } = binder.bind('backward', part, kernels, gradOutputs, given);
  const gradInputs = part.inputs.map((frame, input) => {
    const gradient = all[`gradInput${input}`];
    return frame === undefined || gradient === undefined ? undefined : { frame, memory: gradient };
  });
  return { gradInputs, pass };
}

function inputNames({ inputs }: { readonly inputs: readonly { readonly name: string }[] }): string[] {
  return inputs.map(({ name }) => name);
}

/** The memory of an input that the part reads. */
function inputOf(context: ProgramContext, part: PlacedPart, input: number, outputOf: MemoryOf): Assembly {
  const { layout, engine, drafts, parameters } = context;
  const tensor = layout.graph.ops[part.op]!.inputs[input]!;
  const { role, dtype } = layout.graph.tensors[tensor]!;
  const frame = part.inputs[input]!;
  switch (role) {
    case 'parameter':
      return still(parameters.view(tensor, frame));
    case 'input':
      return still({ frame, memory: engine.allocate(dtype, regionVolume(frame)) });
    case 'activation': {
      const sources = activationSources(context, part, input, outputOf);
      const sums = holdsPartialSums(layout, layout.producers[tensor]!.op);
      return assembled(drafts, { frame, dtype, sources, sums });
    }
  }
}

function activationSources(
  { layout, flow, device }: ProgramContext,
  consumer: PlacedPart,
  input: number,
  outputOf: MemoryOf,
): Source[] {
  const { output } = layout.producers[layout.graph.ops[consumer.op]!.inputs[input]!]!;
  return flow.pieces(consumer, input).map(({ producer, region }): Source => {
    if (producer.device === device) return { kind: 'local', region, from: outputOf(producer, output) };
    const transfer = flow.transfer('activation', { consumer, input, region }, producer);
    return { kind: 'remote', region, peer: producer.device, task: transfer.id };
  });
}

function gradientSources(
  { flow, device }: ProgramContext,
  producer: PlacedPart,
  output: number,
  gradInputOf: MemoryOf,
): Source[] {
  return flow.giversOf(producer, output).map((reader): Source => {
    const { consumer, input, region } = reader;
    if (consumer.device === device) return { kind: 'local', region, from: gradInputOf(consumer, input) };
    return { kind: 'remote', region, peer: consumer.device, task: flow.transfer('gradient', reader, producer).id };
  });
}
