import type { ModelParameters } from '../models/index.ts';
import { builtinProblems } from '../models/index.ts';
import { largestDivisor } from '../region/divisors.ts';
import type { Problem } from '../schema/problems.ts';
import type {
  AdamSettings,
  LossSettings,
  OptimizerName,
  OptimizerSettings,
  ScheduleSettings,
  SgdSettings,
  TrainingJob,
} from './training-job.ts';

/** An optimizer as a user may have written it. */
type WrittenOptimizer = { readonly name: OptimizerName; readonly schedule: WrittenSchedule } & Partial<
  Omit<SgdSettings, 'name' | 'schedule'> & Omit<AdamSettings, 'name' | 'schedule'>
>;

/** A model as a user may have written it. */
interface WrittenModel {
  readonly onnx?: string;
  readonly builtin?: { readonly name: string } & ModelParameters;
  readonly url?: string;
  readonly sha256?: string;
  readonly unrollSteps?: number;
}

interface WrittenSchedule {
  readonly name: ScheduleSettings['name'];
  readonly warmupSteps: number;
  readonly everySteps?: number;
  readonly factor?: number;
  readonly minimum?: number;
}

/** Rules over several fields, which the schema has no words for. */
export function crossFieldProblems({ spec }: TrainingJob): Problem[] {
  const { devices, model, training, moves, checkpoint, plan } = spec;
  const problems: Problem[] = [];
  if (devices.min > devices.max) {
    problems.push({
      path: 'spec.devices.min',
      message: `got ${devices.min}, expected at most spec.devices.max, which is ${devices.max}: lower min or raise max`,
    });
  }
  if (moves !== undefined && checkpoint === undefined) {
    const message = 'got it without spec.checkpoint, from which a moved job goes on: add checkpoint, or remove moves';
    problems.push({ path: 'spec.moves', message });
  }
  if (moves !== undefined && plan !== undefined) {
    const message = 'got it with spec.plan, which names the nodes: remove one of them';
    problems.push({ path: 'spec.moves', message });
  }
  return [
    ...problems,
    ...modelProblems(model),
    ...microBatchProblems(training),
    ...lossProblems(training.loss),
    ...optimizerProblems(training.optimizer),
  ];
}

/** The job with the defaults that depend on other fields. */
export function withDependentDefaults(job: TrainingJob): TrainingJob {
  const { training } = job.spec;
  const optimizer = optimizerWithDefaults(training.optimizer);
  return { ...job, spec: { ...job.spec, training: { ...training, optimizer } } };
}

function microBatchProblems({
  batchSize,
  gradientAccumulationSteps: steps,
}: TrainingJob['spec']['training']): Problem[] {
  if (batchSize % steps === 0) return [];
  const message =
    `got ${steps} with a batchSize of ${batchSize}, expected a divisor of it: ` +
    `use ${largestDivisor(batchSize, steps)}, or change batchSize`;
  return [{ path: 'spec.training.gradientAccumulationSteps', message }];
}

function modelProblems(model: WrittenModel): Problem[] {
  return [...parameterProblems(model), ...fetchProblems(model), ...unrollProblems(model)];
}

/** Each built-in model has parameters of its own. */
function parameterProblems({ builtin }: WrittenModel): Problem[] {
  if (builtin === undefined) return [];
  const { name, ...parameters } = builtin;
  return builtinProblems(name, parameters).map(({ parameter, message }) => ({
    path: `spec.model.builtin.${parameter}`,
    message,
  }));
}

/** Built-in recurrent models have a parameter of their own for it. */
function unrollProblems({ builtin, unrollSteps }: WrittenModel): Problem[] {
  if (builtin === undefined || unrollSteps === undefined) return [];
  const message = `got ${unrollSteps} beside builtin, expected it with an ONNX file only: use the model's own parameter group`;
  return [{ path: 'spec.model.unrollSteps', message }];
}

/** A model is fetched by its digest, and only there one is expected. */
function fetchProblems({ url, sha256 }: WrittenModel): Problem[] {
  const path = 'spec.model.sha256';
  if (url !== undefined && sha256 === undefined)
    return [{ path, message: 'is missing; expected the digest of the file at spec.model.url: see `sha256sum FILE`' }];
  if (url === undefined && sha256 !== undefined)
    return [{ path, message: 'is given without spec.model.url, expected it only there: remove it' }];
  return url === undefined || URL.canParse(url)
    ? []
    : [{ path: 'spec.model.url', message: `got '${url}', expected a URL` }];
}

function lossProblems({ name, ...options }: LossSettings): Problem[] {
  return name === 'crossEntropy' ? [] : unexpected('loss', options, `the loss ${name}`, 'crossEntropy');
}

function optimizerProblems(optimizer: WrittenOptimizer): Problem[] {
  const { name, momentum = 0, nesterov = false, betas, epsilon, schedule } = optimizer;
  const problems = scheduleProblems(schedule);
  if (name === 'sgd') problems.push(...unexpected('optimizer', { betas, epsilon }, name, 'adam or adamw'));
  else {
    // Their defaults are there whatever the optimizer.
    const written = { momentum: momentum === 0 ? undefined : momentum, nesterov: nesterov ? true : undefined };
    problems.push(...unexpected('optimizer', written, name, 'sgd'));
  }
  if (name === 'sgd' && nesterov && momentum === 0) {
    problems.push({
      path: 'spec.training.optimizer.nesterov',
      message: 'got true with momentum 0, expected momentum above 0: set momentum, or nesterov to false',
    });
  }
  betas?.forEach((beta, index) => {
    if (beta < 1) return;
    const path = `spec.training.optimizer.betas[${index}]`;
    problems.push({ path, message: `got ${beta}, expected less than 1: lower it` });
  });
  return problems;
}

function scheduleProblems({ name, everySteps, factor, minimum }: WrittenSchedule): Problem[] {
  const problems: Problem[] = [];
  const what = `the schedule ${name}`;
  if (name !== 'step') problems.push(...unexpected('optimizer.schedule', { everySteps, factor }, what, 'step'));
  else if (everySteps === undefined) {
    const path = 'spec.training.optimizer.schedule.everySteps';
    problems.push({ path, message: `is missing, and has no default with ${what}: add it` });
  }
  if (name !== 'cosine') problems.push(...unexpected('optimizer.schedule', { minimum }, what, 'cosine'));
  return problems;
}

/** A problem for each field that has a value, though it only goes with something else. */
function unexpected(
  parent: string,
  fields: Readonly<Record<string, unknown>>,
  got: string,
  expected: string,
): Problem[] {
  return Object.entries(fields).flatMap(([field, value]) => {
    if (value === undefined) return [];
    const message = `got ${JSON.stringify(value)} with ${got}, expected it only with ${expected}: remove it`;
    return [{ path: `spec.training.${parent}.${field}`, message }];
  });
}

/** PyTorch's defaults: torch.optim.SGD, Adam, AdamW, lr_scheduler.StepLR and CosineAnnealingLR. */
function optimizerWithDefaults(written: WrittenOptimizer & Pick<OptimizerSettings, 'learningRate'>): OptimizerSettings {
  const { name, momentum = 0, nesterov = false, betas = [0.9, 0.999], epsilon = 1e-8, ...common } = written;
  const { weightDecay = name === 'adamw' ? 0.01 : 0 } = common;
  const shared = { ...common, weightDecay, schedule: scheduleWithDefaults(written.schedule) };
  return name === 'sgd' ? { name, momentum, nesterov, ...shared } : { name, betas, epsilon, ...shared };
}

function scheduleWithDefaults(written: WrittenSchedule): ScheduleSettings {
  const { name, warmupSteps, everySteps = 1, factor = 0.1, minimum = 0 } = written;
  switch (name) {
    case 'constant':
      return { name, warmupSteps };
    case 'step':
      return { name, warmupSteps, everySteps, factor };
    case 'cosine':
      return { name, warmupSteps, minimum };
  }
}
