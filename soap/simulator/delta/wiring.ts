import { isTrained } from '../../graph/graph.ts';
import type { TrainingGraph } from '../../training/loss.ts';
import { inputGradients } from '../../graph/input-gradients.ts';
import { producersOf } from '../../tasks/layout.ts';

/** An activation that one op reads from another. */
export interface Edge {
  readonly id: number;
  readonly tensor: number;
  readonly producer: number;
  /** As which of the producer's outputs, and of the consumer's inputs. */
  readonly output: number;
  readonly consumer: number;
  readonly input: number;
  /** Whether a gradient goes back. */
  readonly hasGradient: boolean;
}

/** A parameter, with the ops that read it in order. */
export interface Parameter {
  readonly id: number;
  readonly tensor: number;
  /** Whether its gradient is summed and it is updated. */
  readonly isTrained: boolean;
  readonly readers: readonly { readonly op: number; readonly input: number }[];
}

/** A read of a parameter by an op: it is reader number `reader` of the parameter. */
export interface ParameterRead {
  readonly parameter: number;
  readonly reader: number;
}

/** Who reads what in a graph; the same under every strategy. */
export interface Wiring {
  readonly edges: readonly Edge[];
  /** By op. */
  readonly edgesIn: readonly (readonly Edge[])[];
  readonly edgesOut: readonly (readonly Edge[])[];
  readonly parameters: readonly Parameter[];
  /** By op. */
  readonly reads: readonly (readonly ParameterRead[])[];
  /** By op: whether all that it reads is given by other ops. */
  readonly isInner: readonly boolean[];
  /** By op: whether it has backward tasks. */
  readonly hasBackward: readonly boolean[];
}

/** Lists edges, parameters and backward passes of a graph. */
export function wiringOf({ graph }: TrainingGraph): Wiring {
  const producers = producersOf(graph);
  const wanted = inputGradients(graph);
  const hasBackward = wanted.map((inputs) => inputs.includes(true));
  const edges: Edge[] = [];
  const readers = new Map<number, { op: number; input: number }[]>();
  for (const { id: consumer, inputs } of graph.ops) {
    inputs.forEach((tensor, input) => {
      const source = producers[tensor];
      if (source !== undefined) {
        const [producer, { output }] = [source.op.id, source];
        const hasGradient = wanted[consumer]![input]! && hasBackward[producer]!;
        edges.push({ id: edges.length, tensor, producer, output, consumer, input, hasGradient });
      } else if (graph.tensors[tensor]!.role === 'parameter') {
        const known = readers.get(tensor);
        if (known === undefined) readers.set(tensor, [{ op: consumer, input }]);
        else known.push({ op: consumer, input });
      }
    });
  }
  const parameters = [...readers]
    .sort(([a], [b]) => a - b)
    .map(([tensor, list], id): Parameter => {
      return { id, tensor, isTrained: isTrained(graph.tensors[tensor]!), readers: list };
    });
  const reads: ParameterRead[][] = graph.ops.map(() => []);
  for (const { id: parameter, readers: list } of parameters) {
    list.forEach(({ op }, reader) => reads[op]!.push({ parameter, reader }));
  }
  const edgesIn = graph.ops.map(({ id }) => edges.filter(({ consumer }) => consumer === id));
  return {
    edges,
    edgesIn,
    edgesOut: graph.ops.map(({ id }) => edges.filter(({ producer }) => producer === id)),
    parameters,
    reads,
    isInner: graph.ops.map(({ id, inputs }) => edgesIn[id]!.length === inputs.length),
    hasBackward,
  };
}
