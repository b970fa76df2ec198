import { FileError } from '../schema/check.ts';
import { nearest } from '../schema/nearest.ts';
import type { Problem } from '../schema/problems.ts';
import { matchesGlob } from './glob.ts';
import type { Graph, Tensor } from './graph.ts';

/** Names that a message lists. */
const MAX_LISTED = 8;

/** Where globs were written, as messages have it. */
interface Written {
  readonly in: string;
  readonly path: string;
}

const IN_JOB: Written = { in: 'the job', path: 'spec.training.frozen' };

/**
 * A graph some of whose parameters keep their values in training: those whose name a glob matches, in which `*` stands for any
 * characters. PyTorch calls it `requires_grad = False`.
 * @param written where the globs are, in messages
 * @throws {FileError} where a glob matches no parameter, or nothing is left to train: all such problems at once
 */
export function freeze(graph: Graph, globs: readonly string[], written: Written = IN_JOB): Graph {
  if (globs.length === 0) return graph;
  const names = graph.tensors.flatMap(({ name, role }) => (role === 'parameter' ? [name] : []));
  const { path } = written;
  const frozen = new Set(names.filter((name) => globs.some((glob) => matchesGlob(name, glob))));
  const problems = globs.flatMap((glob, index): Problem[] =>
    names.some((name) => matchesGlob(name, glob))
      ? []
      : [{ path: `${path}[${index}]`, message: unmatchedMessage(glob, names) }],
  );
  if (frozen.size === names.length && problems.length === 0) {
    const message =
      `matches all ${names.length} parameters of '${graph.name}', expected some left to train: ` +
      `remove a name, or write globs that match fewer, of ${listed(names)}`;
    problems.push({ path, message });
  }
  if (problems.length > 0) throw new FileError(written.in, problems);
  return freezeNamed(graph, frozen);
}

/** The graph with just these of its parameters frozen; names that it has not are passed over. */
export function freezeNamed(graph: Graph, frozen: ReadonlySet<string>): Graph {
  const tensors = graph.tensors.map((tensor): Tensor =>
    tensor.role === 'parameter' && frozen.has(tensor.name) ? { ...tensor, frozen: true } : tensor,
  );
  return { ...graph, tensors };
}

/** Names of the parameters that are frozen, in the order of the graph. */
export function frozenNames({ tensors }: Graph): string[] {
  return tensors.flatMap(({ name, frozen }) => (frozen === true ? [name] : []));
}

function unmatchedMessage(glob: string, names: readonly string[]): string {
  const guess = nearest(glob, [...names, ...foldersOf(names)]);
  const cure = guess === undefined ? '' : `; did you mean '${guess}'?`;
  return `got '${glob}', which matches no parameter of the model; expected a name or glob of ${listed(names)}${cure}`;
}

/** Globs of what modules hold, such as `encoder.*` and `encoder.0.*` of `encoder.0.weight`. */
function foldersOf(names: readonly string[]): Set<string> {
  return new Set(
    names.flatMap((name) => Array.from(name.matchAll(/[./]/g), ({ index }) => `${name.slice(0, index + 1)}*`)),
  );
}

function listed(names: readonly string[]): string {
  const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : '';
  return `${names.slice(0, MAX_LISTED).join(', ')}${more}`;
}
