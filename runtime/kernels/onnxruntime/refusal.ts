import type { OnnxGraph } from '../../../soap/onnx/model.ts';
import { KernelError } from '../kernels.ts';
import { messageOf } from '../../../soap/message-of.ts';

/** The error of a graph that the library refuses, with the nodes that it is about. */
export function refusal(graph: OnnxGraph, cause: unknown): KernelError {
  const reason = messageOf(cause);
  return new KernelError(`kernel '${graph.name}' is refused: ${reason}${culprits(graph, reason)}`, { cause });
}

/** The nodes that a message is about: the library names the op type, and the node only sometimes. */
function culprits({ nodes }: OnnxGraph, message: string): string {
  const words = new Set(message.match(/\w+/g));
  const exact = nodes.filter(({ name }) => words.has(name));
  const named = exact.length > 0 ? exact : nodes.filter(({ opType }) => words.has(opType));
  const listed = (named.length > 0 ? named : nodes).map(({ name, opType }) => `'${name}' (${opType})`);
  return `; node ${[...new Set(listed)].join(', ')}`;
}
