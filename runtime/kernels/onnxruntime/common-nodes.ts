import type { OnnxGraph, OnnxNode } from '../../../soap/onnx/model.ts';

/**
 * What is looked at: what passes of one op, or ops with the same operand, write twice. Others are not worth keeping what they give for
 * longer, and the library finds some itself.
 */
const OPS: ReadonlySet<string> = new Set(['Concat', 'Reshape', 'Softmax']);

/** Lists of constants are compared up to so many elements: shapes and axes. */
const MAX_ELEMENTS = 8;

/** Leaves out nodes that compute what another one has computed: of the same type, attributes and inputs. */
export function useCommonNodes(graph: OnnxGraph): OnnxGraph {
  const results = new Set(graph.outputs.map(({ name }) => name));
  const constants = sameConstants(graph);
  /** What is left out, and what has the same value. */
  const same = new Map<string, string>();
  const computed = new Map<string, string>();
  /** What is a result of the graph under another name. */
  const renamed = new Map<string, string>();
  const nodes = graph.nodes.flatMap((node): OnnxNode[] => {
    const { opType, domain, attributes, outputs } = node;
    const inputs = node.inputs.map((input) => same.get(input) ?? input);
    const [y, ...others] = outputs;
    if (OPS.has(opType) && domain === '' && others.length === 0) {
      const compared = inputs.map((input) => constants.get(input) ?? input);
      const key = JSON.stringify([opType, compared, attributes]);
      const first = computed.get(key);
      if (first !== undefined && !(results.has(y!) && (results.has(first) || renamed.has(first)))) {
        same.set(y!, first);
        if (results.has(y!)) renamed.set(first, y!);
        return [];
      }
      computed.set(key, first ?? y!);
    }
    return [{ ...node, inputs }];
  });
  const named = (name: string): string => renamed.get(name) ?? name;
  return {
    ...graph,
    nodes: nodes.map((node) => ({ ...node, inputs: node.inputs.map(named), outputs: node.outputs.map(named) })),
  };
}

/** The first of equal short constants, by name. */
function sameConstants({ initializers }: OnnxGraph): ReadonlyMap<string, string> {
  const firsts = new Map<string, string>();
  const found = new Map<string, string>();
  for (const [name, { dtype, shape, data }] of initializers) {
    if (data.length > MAX_ELEMENTS) continue;
    const key = `${dtype} ${shape.join()} ${data.join()}`;
    if (!firsts.has(key)) firsts.set(key, name);
    found.set(name, firsts.get(key)!);
  }
  return found;
}
