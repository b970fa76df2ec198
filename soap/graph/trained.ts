import type { OnnxTensor } from '../onnx/model.ts';

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
 * Whether training changes an initializer of an ONNX file. Files do not tell parameters from buffers, so: float32 tensors
 * are trained, but for masks, and for single numbers that the exporter has folded.
 */
export function isTrained(name: string, { data }: OnnxTensor): boolean {
  if (!(data instanceof Float32Array)) return false;
  if (data.length === 1 && FOLDED_NAME.test(name)) return false;
  return !data.some((value) => value <= MASKING_VALUE || Number.isNaN(value));
}
