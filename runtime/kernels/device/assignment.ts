import type { OrtLibrary, Pointer } from '../onnxruntime/library.ts';

const CPU = 'CPUExecutionProvider';

/** The nodes of a session that run on the CPU, as `'name' (Type)`; its options must have asked to record that. */
export function cpuNodes(library: OrtLibrary, session: Pointer): string[] {
  const graphs = listed(library, (at, count) => library.call('Session_GetEpGraphAssignmentInfo', session, at, count));
  return graphs
    .filter((graph) => library.text(library.create('EpAssignedSubgraph_GetEpName', graph)) === CPU)
    .flatMap((graph) => listed(library, (at, count) => library.call('EpAssignedSubgraph_GetNodes', graph, at, count)))
    .map((node) => {
      const name = library.text(library.create('EpAssignedNode_GetName', node));
      return `'${name}' (${library.text(library.create('EpAssignedNode_GetOperatorType', node))})`;
    });
}

/** Calls a function that gives an array of pointers and their number. */
function listed(library: OrtLibrary, call: (at: BigUint64Array, count: BigUint64Array) => void): Pointer[] {
  const [at, count] = [new BigUint64Array(1), new BigUint64Array(1)];
  call(at, count);
  return library.pointers(at[0]!, Number(count[0]));
}
