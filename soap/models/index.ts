import type { Graph, Model } from '../graph/graph.ts';
import { nearest } from '../schema/nearest.ts';
import { OpError } from '../ops/op.ts';
import { alexnet } from './alexnet.ts';
import { bert } from './bert.ts';
import type { BuiltinModel } from './definition.ts';
import { dlrm } from './dlrm.ts';
import { gpt } from './gpt.ts';
import { inceptionv3 } from './inception-v3.ts';
import { initializeWeights } from './initialize.ts';
import { lenetModel } from './lenet.ts';
import { moe } from './moe.ts';
import { nmt } from './nmt.ts';
import type { ModelParameters, ParameterProblem } from './parameters.ts';
import { resnet101, resnet50, resnext50 } from './resnet.ts';
import { rnnlm } from './rnnlm.ts';
import { rnntc } from './rnntc.ts';
import { vit } from './vit.ts';

export type { BuiltinModel } from './definition.ts';
export type { ModelParameters } from './parameters.ts';

/** All built-in models: the paper's first. */
export const BUILTIN_MODELS: readonly BuiltinModel[] = [
  alexnet,
  inceptionv3,
  resnet101,
  rnntc,
  rnnlm,
  nmt,
  lenetModel,
  resnet50,
  resnext50,
  gpt,
  bert,
  vit,
  moe,
  dlrm,
];

/**
 * The built-in model of a name.
 * @throws {OpError} listing what there is
 */
export function findBuiltin(name: string): BuiltinModel {
  const found = builtinOf(name);
  if (found !== undefined) return found;
  throw new OpError(`there is no built-in model '${name}'; there are ${modelNames(name)}`);
}

/** Whether there is a built-in model of a name. */
export function isBuiltin(name: string): boolean {
  return builtinOf(name) !== undefined;
}

function builtinOf(name: string): BuiltinModel | undefined {
  return BUILTIN_MODELS.find((model) => model.name === name);
}

/** All names, and the one that was meant, if any. */
function modelNames(meant: string): string {
  const names = BUILTIN_MODELS.map((model) => model.name);
  const guess = nearest(meant, names);
  return guess === undefined ? names.join(', ') : `${names.join(', ')}: did you mean ${guess}?`;
}

/** All that is wrong with a built-in model as a file names it: its name, or its parameters. */
export function builtinProblems(name: string, given: ModelParameters): readonly ParameterProblem[] {
  const message = `got '${name}', expected one of ${modelNames(name)}`;
  return builtinOf(name)?.problems(given) ?? [{ parameter: 'name', message }];
}

/**
 * A built-in model's graph without weights, which is all that planning needs.
 * @throws {OpError} for a name or parameter that is not known, and for values that do not fit
 */
export function builtinGraph(name: string, batch: number, parameters: ModelParameters = {}): Graph {
  return findBuiltin(name).build(batch, parameters);
}

/** A built-in model with weights drawn from the seed. */
export function builtinModel(name: string, batch: number, seed: number, parameters: ModelParameters = {}): Model {
  const graph = builtinGraph(name, batch, parameters);
  return { graph, weights: initializeWeights(graph, seed) };
}
