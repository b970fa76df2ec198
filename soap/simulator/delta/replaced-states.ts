import type { Network } from './network.ts';
import type { ConfigChange } from './proposal.ts';
import type { EdgeState, OpState, ParameterState } from './states.ts';
import { eachEdgeTask, eachOpTask, eachParameterTask } from './states.ts';

/** The states that a change of ops replaces, as they were before. */
export interface ReplacedStates {
  readonly ops: readonly [op: number, before: OpState][];
  /** To or from one of the ops. */
  readonly edges: readonly [edge: number, before: EdgeState][];
  /** Which one of the ops reads. */
  readonly parameters: readonly [parameter: number, before: ParameterState][];
}

/** What a change of ops is to replace. */
export function statesToReplace(network: Network, changes: readonly ConfigChange[]): ReplacedStates {
  const { wiring, ops, edges, parameters } = network;
  const touchedEdges = new Set<number>();
  const touchedParameters = new Set<number>();
  for (const { op } of changes) {
    for (const { id } of wiring.edgesIn[op]!) touchedEdges.add(id);
    for (const { id } of wiring.edgesOut[op]!) touchedEdges.add(id);
    for (const { parameter } of wiring.reads[op]!) touchedParameters.add(parameter);
  }
  return {
    ops: changes.map(({ op }) => [op, ops[op]!]),
    edges: Array.from(touchedEdges, (edge) => [edge, edges[edge]!]),
    parameters: Array.from(touchedParameters, (parameter) => [parameter, parameters[parameter]!]),
  };
}

/** Removes the tasks of replaced states from a network. */
export function removeReplaced({ tasks }: Network, { ops, edges, parameters }: ReplacedStates): void {
  const remove = (task: number): void => tasks.remove(task);
  for (const [, state] of ops) eachOpTask(state, remove);
  for (const [, state] of edges) eachEdgeTask(state, remove);
  for (const [, state] of parameters) eachParameterTask(state, remove);
}

/** Puts replaced states back, those that others have taken the place of by now, and removes the tasks of the others. */
export function restoreReplaced(network: Network, { ops, edges, parameters }: ReplacedStates): void {
  const remove = (task: number): void => network.tasks.remove(task);
  for (const [parameter, before] of parameters) {
    if (network.parameters[parameter] !== before) {
      eachParameterTask(network.parameters[parameter]!, remove);
      network.parameters[parameter] = before;
    }
  }
  for (const [edge, before] of edges) {
    if (network.edges[edge] !== before) {
      eachEdgeTask(network.edges[edge]!, remove);
      network.edges[edge] = before;
    }
  }
  for (const [op, before] of ops) {
    if (network.ops[op] !== before) {
      eachOpTask(network.ops[op]!, remove);
      network.ops[op] = before;
    }
  }
}
