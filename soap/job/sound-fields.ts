import type { Problem } from '../schema/problems.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Values that stand in for fields of the spec with problems; those that no rule looks at are left out. */
const STAND_INS: Fields = {
  model: { builtin: { name: 'lenet' } },
  checkpoint: { directory: 'checkpoints', everySteps: 1 },
  plan: 'plan.json',
};

const TRAINING_STAND_INS = {
  batchSize: 1,
  loss: { name: 'crossEntropy' },
  optimizer: { name: 'sgd', learningRate: 1 },
} as const;

/**
 * A job of those fields in which the schema finds no problem, and of stand-ins, so that rules over several fields can be checked
 * although others have problems.
 */
export function soundFields(job: object, problems: readonly Problem[]): unknown {
  const { spec }: { spec?: unknown } = { spec: undefined, ...job };
  const { builtin }: { builtin?: unknown } = { builtin: undefined, ...fieldsOf(fieldsOf(spec)['model']) };
  const isBuiltinSound = typeof builtin === 'object' && isSound('spec.model.builtin', problems);
  const standIns = isBuiltinSound ? { ...STAND_INS, model: { builtin } } : STAND_INS;
  const sound = keptFields(spec, 'spec', standIns, problems);
  const { training }: { training?: unknown } = { training: undefined, ...fieldsOf(spec) };
  const { epochs: _, ...kept } = keptFields(training, 'spec.training', TRAINING_STAND_INS, problems);
  // A rule compares these two.
  const isBatchSound = ['batchSize', 'gradientAccumulationSteps'].every((name) =>
    isSound(`spec.training.${name}`, problems),
  );
  const batch = isBatchSound ? {} : { batchSize: 1, gradientAccumulationSteps: 1 };
  const { loss, optimizer } = { loss: undefined, optimizer: undefined, ...fieldsOf(training) };
  const named = {
    loss: namedFields(loss, 'spec.training.loss', TRAINING_STAND_INS.loss, problems),
    optimizer: optimizerFields(optimizer, problems),
  };
  return {
    apiVersion: 'soapstone.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'job' },
    spec: { ...sound, dataset: { synthetic: { samples: 1 } }, training: { ...kept, ...named, ...batch, steps: 1 } },
  };
}

/** Fields whose meaning hangs on a name: those without a problem, or stand-ins for all where the name has one. */
function namedFields(written: unknown, path: string, standIns: Fields, problems: readonly Problem[]): Fields {
  const isNamed = 'name' in fieldsOf(written) && isSound(`${path}.name`, problems);
  return isNamed ? keptFields(written, path, standIns, problems) : standIns;
}

/** The schedule's rules ask for its own name alone; a rule compares nesterov with momentum. */
function optimizerFields(written: unknown, problems: readonly Problem[]): Fields {
  const path = 'spec.training.optimizer';
  const { schedule }: { schedule?: unknown } = { schedule: undefined, ...fieldsOf(written) };
  const { nesterov, ...kept } = namedFields(written, path, TRAINING_STAND_INS.optimizer, problems);
  const isComparable = nesterov !== undefined && isSound(`${path}.momentum`, problems);
  return {
    ...kept,
    ...(isComparable && { nesterov }),
    schedule: namedFields(schedule, `${path}.schedule`, {}, problems),
  };
}

/** Those of the written fields that have no problem, and stand-ins for the others. */
function keptFields(written: unknown, path: string, standIns: Fields, problems: readonly Problem[]): Fields {
  const fields = fieldsOf(written);
  const names = new Set([...Object.keys(fields), ...Object.keys(standIns)]);
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const from = isSound(`${path}.${name}`, problems) ? fields : standIns;
      return Object.hasOwn(from, name) ? [[name, from[name]]] : [];
    }),
  );
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** Whether the schema has nothing to say of a field, or of what is in it. */
function isSound(path: string, problems: readonly Problem[]): boolean {
  return problems.every(({ path: at }) => at !== path && !at.startsWith(`${path}.`) && !at.startsWith(`${path}[`));
}
