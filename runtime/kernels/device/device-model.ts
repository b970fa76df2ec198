import { encodeOnnx } from '../../../soap/onnx/encode.ts';
import type { OnnxGraph } from '../../../soap/onnx/model.ts';

/** A graph to compile. */
export interface DeviceModel {
  /** The encoded ONNX file. */
  readonly model: Uint8Array;
  /**
   * Whether it is certain that no kernel of it copies anything from the host's memory while it runs. Recordings of others copy it again from where
   * it was, which another binding of the session has overwritten.
   */
  readonly staysOnDevice: boolean;
}

/** Nodes whose kernels take what they need beside tensors as arguments. Source: BinaryElementwise and UnaryElementwise of the CUDA provider. */
const ELEMENTWISE: ReadonlySet<string> = new Set(['Add', 'Div', 'Mul', 'Sqrt', 'Sub']);

/** A graph in nodes that the provider has. */
export function deviceModel(graph: OnnxGraph): DeviceModel {
  const staysOnDevice = graph.nodes.every(({ domain, opType }) => domain === '' && ELEMENTWISE.has(opType));
  return { model: encodeOnnx(graph), staysOnDevice };
}
