import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import process from 'node:process';
import { parseCluster } from '../../soap/cluster/cluster-file.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { freeze, freezeNamed } from '../../soap/graph/freeze.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { attachLoss, requireClassAxis, usualLoss } from '../../soap/training/loss.ts';
import type { LossSettings, SearchSettings, TrainingJob } from '../../soap/job/training-job.ts';
import type { ModelParameters } from '../../soap/models/index.ts';
import { findBuiltin, isBuiltin } from '../../soap/models/index.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import type { Plan, PlannedSource } from '../../soap/plan/plan.ts';
import { taskOptions } from '../../soap/tasks/task-options.ts';
import { readFetchedModel } from '../../runtime/model/fetched-model.ts';
import { storagePath } from '../../runtime/storage/storage-path.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { text, texts, wholeNumber } from '../command-line/arguments.ts';
import { readJob, readYaml } from '../files/read-job.ts';
import { isOfThisMachine, thisMachine } from '../machine/this-machine.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { Batch } from './batch.ts';
import { givenBatch, givenLoss, givenWire, refuseBesideJob, requireDivisible } from './batch.ts';
import { givenModel } from './given-model.ts';
import { modelSettings } from './model-settings.ts';
import { readOnnxFile } from './onnx-file.ts';

/** A model to plan, as far as it is no matter of the cluster. */
export type ModelSubject = Omit<PlanningProblem, 'cluster' | 'costs'>;

/** What is said of how a model without a job is trained. */
interface GivenTraining {
  /** In place of the loss that it is usually trained with. */
  readonly loss?: LossSettings | undefined;
  /** Freezes the parameters that keep their values. */
  readonly freeze: (graph: Graph) => Graph;
}

/** The model of a job, with the search that the job asks for. @param batch in place of the job's */
async function jobSubject(
  path: string,
  batch?: number,
): Promise<{ readonly subject: ModelSubject; readonly search: SearchSettings }> {
  const { job, directory } = await readJob(path);
  const training = { ...job.spec.training, ...(batch === undefined ? {} : { batchSize: batch }) };
  requireDivisible({ samples: training.batchSize, accumulationSteps: training.gradientAccumulationSteps });
  const changed = { ...job, spec: { ...job.spec, training } };
  const subject = {
    training: (await loadModel(changed, directory)).training,
    optimizer: training.optimizer.name,
    wire: training.wire,
    clipsGradients: training.optimizer.gradientClipNorm !== undefined,
    source: await sourceFromHere(job, directory),
  };
  return { subject, search: job.spec.search };
}

/**
 * The model of a command line: see {@link givenModel}; with its job's search where there is one.
 * @throws {UsageError} for none or several of these, and for options that do not go with them
 */
export async function givenSubject(
  args: Arguments,
  command: string,
): Promise<ModelSubject & { readonly search?: SearchSettings }> {
  const { job: path, name, onnx, unrollSteps } = givenModel(args, command);
  const batch = wholeNumber(args, 'batch', 1, 1 << 24);
  if (path !== undefined) {
    refuseBesideJob(args);
    const { subject, search } = await jobSubject(path, batch);
    return { ...subject, search };
  }
  const whole = givenBatch(args, batch);
  const [wire, loss, globs] = [givenWire(args), givenLoss(args), texts(args, 'freeze')];
  const given: GivenTraining = {
    loss,
    freeze: (graph) => freeze(graph, globs, { in: 'the command line', path: '--freeze' }),
  };
  if (name !== undefined) return { ...builtinSubject(name, whole, modelSettings(args), given), wire };
  return { ...(await onnxSubject(onnx!, whole, unrollSteps, given)), wire };
}

/** The same source with a path that is relative to the folder of this process. */
async function sourceFromHere({ spec }: TrainingJob, directory: string): Promise<PlannedSource> {
  if ('builtin' in spec.model || 'url' in spec.model) return spec.model;
  const path = storagePath(directory, spec.model.onnx);
  return { ...spec.model, onnx: relative(process.cwd(), path), sha256: digestOf(await readFile(path)) };
}

function digestOf(file: Uint8Array): string {
  return createHash('sha256').update(file).digest('hex');
}

/** A built-in model. */
function builtinSubject(
  name: string,
  batch: Batch,
  parameters: ModelParameters,
  { loss, freeze: frozen }: GivenTraining,
): ModelSubject {
  requireDivisible(batch);
  const { samples, accumulationSteps } = batch;
  const model = findBuiltin(name);
  const { name: lossName, ...options } = loss ?? { name: model.loss };
  const graph = frozen(model.build(samples / accumulationSteps, parameters));
  return {
    training: attachLoss(graph, lossName, options, accumulationSteps),
    source: { builtin: { ...parameters, name } },
  };
}

/** The model of an ONNX file. @param unrollSteps of `importOnnx` */
async function onnxSubject(
  path: string,
  batch: Batch,
  unrollSteps: number | undefined,
  given: GivenTraining,
): Promise<ModelSubject> {
  const { bytes, graph } = await readOnnxFile(path, 'say where it is by --onnx FILE');
  const source = { onnx: path, ...(unrollSteps === undefined ? {} : { unrollSteps }), sha256: digestOf(bytes) };
  return importedSubject(graph, path, batch, source, given);
}

/** @param name what messages call the file */
function importedSubject(
  onnx: OnnxGraph,
  name: string,
  batch: Batch,
  source: Exclude<PlannedSource, { builtin: object }>,
  { loss: given, freeze: frozen }: GivenTraining,
): ModelSubject {
  requireDivisible(batch);
  const { samples, accumulationSteps } = batch;
  const { graph } = importOnnx(onnx, {
    batch: samples / accumulationSteps,
    source: name,
    unrollSteps: source.unrollSteps,
  });
  const { name: loss, ...options } = given ?? { name: usualLoss(graph) };
  if (given !== undefined) requireClassAxis(graph, loss, options);
  return { training: attachLoss(frozen(graph), loss, options, accumulationSteps), source };
}

/** Options that say which model a plan is for, where the plan file does not. */
export const PLAN_MODEL_OPTIONS = {
  job: { type: 'string' },
  onnx: { type: 'string' },
  set: { type: 'string', multiple: true },
} as const;

/** Their help. */
export const PLAN_MODEL_HELP = `The model is the one that the plan file names, unless one of these says otherwise.

  --job JOB        the TrainingJob that the plan is for
  --onnx FILE      the ONNX file that the plan is for, where it is not where it was
  --set KEY=VALUE  a parameter of the built-in model, for plans of older versions
`;

/**
 * The model that a plan is for.
 * @throws {UsageError} where neither the plan nor the options say where it is
 */
export async function planSubject({ model, training }: Plan, args: Arguments): Promise<ModelSubject> {
  const [job, onnx] = [text(args, 'job'), text(args, 'onnx')];
  if (job !== undefined && onnx !== undefined) throw new UsageError('expected one of --job JOB and --onnx FILE');
  const { optimizer, loss, frozen = [], gradientAccumulationSteps: accumulationSteps = 1 } = training ?? {};
  const given: GivenTraining = { loss, freeze: (graph) => freezeNamed(graph, new Set(frozen)) };
  const planned = { ...(optimizer && { optimizer }), ...taskOptions(training ?? {}) };
  const batch = { samples: model.batch, accumulationSteps };
  if (job !== undefined) return { ...planned, ...(await jobSubject(job, model.batch)).subject };
  const unrollSteps = model.source === undefined || 'builtin' in model.source ? undefined : model.source.unrollSteps;
  if (onnx !== undefined) return { ...planned, ...(await onnxSubject(onnx, batch, unrollSteps, given)) };
  const source = texts(args, 'set').length > 0 ? undefined : model.source;
  if (source !== undefined && 'url' in source) {
    const onnx = decodeOnnx(await readFetchedModel(source), source.url);
    return { ...planned, ...importedSubject(onnx, source.url, batch, source, given) };
  }
  if (source !== undefined && 'onnx' in source) {
    return { ...planned, ...(await onnxSubject(source.onnx, batch, unrollSteps, given)) };
  }
  const { name, ...parameters } = source?.builtin ?? { name: model.name, ...modelSettings(args) };
  if (!isBuiltin(name)) {
    throw new UsageError(
      `the plan file does not say where model '${name}' is; expected --job JOB or --onnx FILE beside it`,
    );
  }
  return { ...planned, ...builtinSubject(name, batch, parameters, given) };
}

/** A preset by its name, or a cluster file by its path. */
export async function readCluster(name: string): Promise<Cluster> {
  if (!/[./\\]/.test(name)) {
    const preset = presetCluster(name);
    return isOfThisMachine(preset) ? thisMachine(preset.devices.length) : preset;
  }
  return parseCluster(await readYaml(name, 'a cluster file'), name);
}
