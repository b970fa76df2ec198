import type { OnnxGraph, OnnxTensor } from '../onnx/model.ts';

/**
 * A value as low as this is no weight but hides something, in an attention mask: masks hold -Infinity, -1e9, or the lowest
 * number of their type, which for float16 is -65504.
 */
const MASKING_VALUE = -1e4;

/**
 * Names that PyTorch's exporters give to what they have folded, and not to what a module holds: the older one `onnx::Mul_17` or `17`,
 * the one by torch.export, which is the default from 2.9 on, `val_17`. Source: files of PyTorch 1.13 and 2.13.
 */
const FOLDED_NAME = /^(onnx::.*|\d+|val_\d+)$/;

/**
 * The names of the initializers of an ONNX file that training changes. Files do not tell parameters from buffers, so: float32 tensors
 * are trained, but for masks, for single numbers that the exporter has folded, and for what it has folded for an instance
 * normalization: the ones and zeros of one inside a torch.nn.GroupNorm, since weights are named there.
 */
export function trainedNames({ initializers, nodes }: OnnxGraph): Set<string> {
  const normalizations = nodes.filter(({ domain, opType }) => domain === '' && opType === 'InstanceNormalization');
  const made = new Set(normalizations.flatMap(({ inputs }) => inputs.filter((name) => FOLDED_NAME.test(name))));
  const trained = [...initializers].filter(([name, tensor]) => isTrained(name, tensor) && !made.has(name));
  return new Set(trained.map(([name]) => name));
}

function isTrained(name: string, { data }: OnnxTensor): boolean {
  if (!(data instanceof Float32Array)) return false;
  if (data.length === 1 && FOLDED_NAME.test(name)) return false;
  return !data.some((value) => value <= MASKING_VALUE || Number.isNaN(value));
}
