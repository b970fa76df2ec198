import type { OnnxGraph, OnnxValue } from '../../../soap/onnx/model.ts';
import { int } from '../../../soap/ops/emitter.ts';
import { allocateShared } from '../host-memory.ts';
import { KernelError } from '../kernels.ts';
import { createValue } from './environment.ts';
import type { OrtLibrary, Pointer } from './library.ts';

/** Channels per block of the library's convolutions over blocks of channels (NCHWc), on this processor. */
export type ChannelBlock = 8 | 16;

/** Of the library's operators over blocks of channels. */
export const BLOCKS = 'com.microsoft.nchwc';

/**
 * Finds the size of the library's blocks on this processor by putting a tensor into blocks; undefined where it has none.
 * @param createSession compiles a graph
 */
export function channelBlock(
  createSession: (graph: OnnxGraph) => Pointer,
  { library, cpu }: { readonly library: OrtLibrary; readonly cpu: Pointer },
): ChannelBlock | undefined {
  const shape = [1, 16, 1, 2];
  const value = (name: string): OnnxValue => ({ name, dtype: 'float32', shape });
  const attributes = { channels_last: int(0) };
  const node = { name: 'reorder', opType: 'ReorderInput', domain: BLOCKS, inputs: ['x'], outputs: ['y'], attributes };
  const graph: OnnxGraph = {
    name: 'blocks',
    opset: 17,
    inputs: [value('x')],
    outputs: [value('y')],
    initializers: new Map(),
    nodes: [node],
  };
  let session: Pointer;
  try {
    session = createSession(graph);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
  const x = allocateShared('float32', 32);
  const y = allocateShared('float32', 32);
  x.forEach((_, i) => (x[i] = i));
  const binding = library.create('CreateIoBinding', session);
  const tensors = [x, y].map((memory) => createValue(library, cpu, { memory, dtype: 'float32', shape }));
  try {
    library.call('BindInput', binding, 'x', tensors[0]!);
    library.call('BindOutput', binding, 'y', tensors[1]!);
    library.call('RunWithBinding', session, null, binding);
  } finally {
    library.release('ReleaseIoBinding', binding);
    for (const tensor of tensors) library.release('ReleaseValue', tensor);
    library.release('ReleaseSession', session);
  }
  // After the channels of a block at the first place come the same ones at the second.
  return y[16] === 1 ? 16 : y[8] === 1 ? 8 : undefined;
}
