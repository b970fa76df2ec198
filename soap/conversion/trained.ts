import type { OnnxGraph, OnnxNode, OnnxTensor } from '../onnx/model.ts';

/**
 * A value as low as this is no weight but hides something, in an attention mask: masks hold -Infinity, -1e9, or the lowest
 * number of their type, which for float16 is -65504.
 */
const MASKING_VALUE = -1e4;

/**
 * Names that PyTorch's exporters give to what they have folded, and not to what a module holds: the older one `onnx::Mul_17` or `17`,
 * the one by torch.export, which is the default from 2.9 on, `val_17`, and `lifted_tensor_0` for a tensor that is made within `forward`.
 * Source: files of PyTorch 1.13 and 2.13; torch/export/_trace.py.
 */
const FOLDED_NAME = /^(onnx::.*|\d+|val_\d+|lifted_tensor_\d+)$/;

/** Names where Constant nodes have been made initializers: by simplifiers, after the node's result, and by tf2onnx. */
const FOLDED_NUMBER = /(_output_\d+|^const_fold_opt__\d+)$/;

/** Normalizations in which folded vectors stand in the place of the scale and bias that a layer does without: weights are named there. */
const NORMALIZATIONS = new Set([
  'BatchNormalization',
  'GroupNormalization',
  'InstanceNormalization',
  'LayerNormalization',
]);

/** Of a RotaryEmbedding, the inputs that are cosines and sines of angles. */
const ROTARY_TABLES = [1, 2];

/** By type of node, the inputs that are settings: no gradient flows through them, or none is to; all of them where it is undefined. */
const SETTINGS: ReadonlyMap<string, readonly number[] | undefined> = new Map([
  ...['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'And', 'Or', 'Xor', 'Not', 'Shape', 'Size'].map(
    (type) => [type, undefined] as const,
  ),
  ['Clip', [1, 2]],
  ['RotaryEmbedding', ROTARY_TABLES],
  ['Pad', [1, 2]],
  ['Pow', [1]],
  ['Where', [0]],
]);

/**
 * The names of the initializers of an ONNX file that training changes. Files of PyTorch's newer exporter tell parameters from buffers,
 * others do not, so: float32 tensors are trained, but for those that the file calls no parameters, masks, single numbers that an
 * exporter has folded, what it has folded for a normalization, and what no gradient reaches, such as a bound or a threshold.
 */
export function trainedNames(onnx: OnnxGraph): Set<string> {
  const { initializers, nodes, buffers = new Set() } = onnx;
  const normalizations = nodes.filter(({ domain, opType }) => domain === '' && NORMALIZATIONS.has(opType));
  const made = new Set(normalizations.flatMap(({ inputs }) => inputs.filter((name) => FOLDED_NAME.test(name))));
  const reads = new Reads(nodes);
  const trained = [...initializers].filter(
    ([name, tensor]) => isTrained(name, tensor) && !made.has(name) && !buffers.has(name) && !reads.isSetting(name),
  );
  return new Set(trained.map(([name]) => name));
}

/** The names of what RotaryEmbedding nodes read as tables of cosines and sines: fixed angles, whatever else reads them. */
export function rotaryTables({ nodes }: OnnxGraph): string[] {
  const rotary = nodes.filter(({ domain, opType }) => domain === '' && opType === 'RotaryEmbedding');
  return rotary.flatMap(({ inputs }) => ROTARY_TABLES.flatMap((input) => inputs[input] ?? []));
}

/** Whether a name is one that exporters and simplifiers give to what they have folded, and not to what a module holds. */
export function isFoldedName(name: string): boolean {
  return FOLDED_NAME.test(name) || FOLDED_NUMBER.test(name);
}

function isTrained(name: string, { data }: OnnxTensor): boolean {
  if (!(data instanceof Float32Array)) return false;
  if (data.length === 1 && isFoldedName(name)) return false;
  // Of each weight of the file: a callback takes nearly four times as long.
  for (let i = 0; i < data.length; i++) if (!(data[i]! > MASKING_VALUE)) return false;
  return true;
}

/** Who reads what in a file. */
class Reads {
  readonly #readers = new Map<string, { readonly node: OnnxNode; readonly input: number }[]>();

  constructor(nodes: readonly OnnxNode[]) {
    for (const node of nodes) {
      node.inputs.forEach((name, input) => {
        const known = this.#readers.get(name);
        if (known === undefined) this.#readers.set(name, [{ node, input }]);
        else known.push({ node, input });
      });
    }
  }

  /**
   * Whether no gradient reaches a value: something reads it, and none of its readers passes one on.
   * @param passed names that led here, which in a damaged file may lead in a circle
   */
  isSetting(name: string, passed: readonly string[] = []): boolean {
    const readers = passed.includes(name) ? [] : (this.#readers.get(name) ?? []);
    return readers.length > 0 && readers.every(({ node, input }) => this.#takesSetting(node, input, [...passed, name]));
  }

  #takesSetting({ domain, opType, outputs }: OnnxNode, input: number, passed: readonly string[]): boolean {
    if (domain !== '') return false;
    if (opType === 'Identity') return this.isSetting(outputs[0] ?? '', passed);
    if (!SETTINGS.has(opType)) return false;
    return SETTINGS.get(opType)?.includes(input) ?? true;
  }
}
