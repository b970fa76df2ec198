import type { ClusterDescription } from '../cluster/cluster.ts';
import type { Graph } from '../graph/graph.ts';
import type { Problem } from '../schema/check.ts';
import { graphFingerprint } from '../graph/fingerprint.ts';
import { frozenNames } from '../graph/freeze.ts';
import type { Plan, PlannedOp } from './plan.ts';

/** How the cluster of a plan differs from another in its devices and wires; empty where a plan for one runs on the other. */
export function clusterDifferences(planned: ClusterDescription, target: ClusterDescription): Problem[] {
  const devicesOf = ({ devices }: ClusterDescription): string[] => devices.map(({ name, type }) => `${name} (${type})`);
  const wiresOf = ({ connections }: ClusterDescription): string[] =>
    connections.map(({ between }) => between.toSorted().join(' - '));
  return [
    ...listDifferences('cluster.devices', devicesOf(planned), devicesOf(target), target.name),
    ...listDifferences('cluster.connections', wiresOf(planned), wiresOf(target), target.name),
  ];
}

function listDifferences(path: string, planned: readonly string[], target: readonly string[], name: string): Problem[] {
  const [inPlan, inTarget] = [new Set(planned), new Set(target)];
  const missing = target.filter((each) => !inPlan.has(each));
  const surplus = planned.filter((each) => !inTarget.has(each));
  const problems: Problem[] = [];
  if (missing.length > 0)
    problems.push({ path, message: `lacks ${few(missing)} of cluster '${name}': search again for it` });
  if (surplus.length > 0)
    problems.push({ path, message: `has ${few(surplus)}, which cluster '${name}' has not: search again for it` });
  return problems;
}

/** How the model of a plan differs from a graph: ops that only one has, ops that are not alike, or the fingerprint alone. */
export function modelDifferences({ model, training, ops }: Plan, graph: Graph): Problem[] {
  const names = new Set(graph.ops.map(({ name }) => name));
  const missing = [...names].filter((name) => !Object.hasOwn(ops, name));
  const surplus = Object.keys(ops).filter((name) => !names.has(name));
  const problems: Problem[] = [];
  if (missing.length > 0) problems.push({ path: 'ops', message: `lacks ${few(missing)} of model '${graph.name}'` });
  if (surplus.length > 0) problems.push({ path: 'ops', message: `has ${few(surplus)}, which '${graph.name}' has not` });
  if (problems.length > 0) return problems;
  const fingerprint = graphFingerprint(graph);
  if (model.fingerprint === fingerprint) return [];
  const unlike = unlikeOps(ops, graph);
  if (unlike.length > 0) {
    const message = `has ${few(unlike)} (planned for batch ${model.batch}): search again for this model`;
    return [{ path: 'ops', message }];
  }
  const frozen = frozenProblems(training?.frozen ?? [], frozenNames(graph));
  if (frozen.length > 0) return frozen;
  const message =
    `is ${model.fingerprint} (model '${model.name}', batch ${model.batch}); expected ${fingerprint} of '${graph.name}': ` +
    'attributes, wiring or the batch differ; search again for this model';
  return [{ path: 'model.fingerprint', message }];
}

/** What differs in what is trained, which says what there is to compute. */
function frozenProblems(planned: readonly string[], now: readonly string[]): Problem[] {
  const [inPlan, inModel] = [new Set(planned), new Set(now)];
  const clauses = [
    ['freezes', planned.filter((name) => !inModel.has(name)), 'which is to be trained'],
    ['trains', now.filter((name) => !inPlan.has(name)), 'which is to be frozen'],
  ] as const;
  return clauses.flatMap(([verb, names, wanted]): Problem[] =>
    names.length === 0
      ? []
      : [{ path: 'training.frozen', message: `${verb} ${few(names)}, ${wanted}: search again for this model` }],
  );
}

/** Ops that are of another kind or shape than planned, in words. */
function unlikeOps(planned: Plan['ops'], { ops, tensors }: Graph): string[] {
  return ops.flatMap(({ name, kind, outputs }) => {
    const before = opText(planned[name]!);
    const now = opText({ kind, shape: tensors[outputs[0]!]!.shape });
    return before === undefined || before === now ? [] : [`${name}: ${before} where the model has ${now}`];
  });
}

/** Such as linear [64,10]. */
function opText({ kind, shape }: Pick<PlannedOp, 'kind' | 'shape'>): string | undefined {
  return kind === undefined || shape === undefined ? undefined : `${kind} [${shape.join()}]`;
}

/** The first few of a list. */
export function few(list: readonly string[]): string {
  return list.slice(0, 5).join(', ') + (list.length > 5 ? ', ...' : '');
}
