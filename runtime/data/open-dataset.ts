import type { DatasetSource, TrainingJob } from '../../soap/job/training-job.ts';
import type { Graph, Shape } from '../../soap/graph/graph.ts';
import type { IndexRange } from '../../soap/graph/index-ranges.ts';
import { indexRanges } from '../../soap/graph/index-ranges.ts';
import { TARGETS, targetsOfClassesFirst } from '../../soap/training/loss.ts';
import type { Problem } from '../../soap/schema/check.ts';
import { FileError } from '../../soap/schema/check.ts';
import type { Dataset, DatasetInput } from './dataset.ts';
import { openIdx } from './idx.ts';
import { openSafetensors } from './safetensors.ts';
import { openSynthetic, SYNTHETIC_SEEDS } from './synthetic.ts';

/** What a data set must provide: the graph's inputs. */
function datasetInputs(graph: Graph): DatasetInput[] {
  const ranges = indexRanges(graph);
  const probabilities = new Set(
    graph.ops.filter(({ kind }) => kind === 'binaryCrossEntropy').flatMap(({ inputs }) => inputs),
  );
  return graph.inputs.map((id) => {
    const { name, shape, dtype } = graph.tensors[id]!;
    const indices = ranges.get(id);
    const isProbability = name === TARGETS && probabilities.has(id);
    return { name, shape: shape.slice(1), dtype, isProbability, ...(indices && { indices }) };
  });
}

/**
 * Opens a data set and checks that it has what the graph reads.
 * @param directory storage, which paths are relative to
 * @param use what it is for: samples that are made up are others in an evaluation
 * @throws {FileError} with all that does not fit
 */
export async function openDataset(
  source: DatasetSource,
  directory: string,
  graph: Graph,
  use: keyof typeof SYNTHETIC_SEEDS = 'training',
): Promise<Dataset> {
  const wanted = datasetInputs(graph);
  const dataset = await openSource(source, directory, wanted, use);
  const problems = mismatches(dataset, wanted, targetsOfClassesFirst(graph));
  if (problems.length === 0) return withCheckedValues(dataset, wanted);
  await dataset.close();
  throw new FileError('the data set', problems);
}

/**
 * Makes sure, before long work, that the data sets of a job are there and have what the graph reads.
 * @param directory storage, which paths are relative to
 * @returns how many samples there are to train on
 * @throws {Error} a sentence, or {@link FileError}, about what is missing or does not fit
 */
export async function requireDatasets(
  { dataset, evaluation }: TrainingJob['spec'],
  directory: string,
  graph: Graph,
): Promise<number> {
  const samples = await samplesOf(dataset, directory, graph);
  if (evaluation !== undefined) await samplesOf(evaluation.dataset, directory, graph);
  return samples;
}

async function samplesOf(source: DatasetSource, directory: string, graph: Graph): Promise<number> {
  const dataset = await openDataset(source, directory, graph);
  await dataset.close();
  return dataset.samples;
}

function openSource(
  source: DatasetSource,
  directory: string,
  wanted: readonly DatasetInput[],
  use: keyof typeof SYNTHETIC_SEEDS,
): Promise<Dataset> {
  if ('idx' in source) return openIdx(source.idx, directory, wanted);
  if ('safetensors' in source) return openSafetensors(source.safetensors, directory);
  return Promise.resolve(openSynthetic(source.synthetic.samples, wanted, SYNTHETIC_SEEDS[use]));
}

/** Refuses labels that name no class, other indices that the graph cannot look up, and probabilities that are none, when they are read. */
function withCheckedValues(dataset: Dataset, wanted: readonly DatasetInput[]): Dataset {
  const probabilities = new Set(wanted.flatMap(({ name, isProbability }) => (isProbability === true ? [name] : [])));
  const ranges = new Map(wanted.flatMap(({ name, indices }) => (indices === undefined ? [] : [[name, indices]])));
  return {
    samples: dataset.samples,
    inputs: dataset.inputs,
    async read(name, rows, region, target) {
      await dataset.read(name, rows, region, target);
      const range = ranges.get(name);
      if (range !== undefined && target instanceof BigInt64Array) requireIndices(name, rows, target, range);
      if (probabilities.has(name) && target instanceof Float32Array) requireProbabilities(name, rows, target);
    },
    close: () => dataset.close(),
  };
}

function requireProbabilities(name: string, rows: readonly number[], values: Float32Array): void {
  const at = values.findIndex((value) => !(value >= 0 && value <= 1));
  if (at < 0) return;
  const row = rows[Math.floor((at * rows.length) / values.length)];
  throw new Error(
    `the data set has ${values[at]} in '${name}' of sample ${row}; expected 0 to 1, which the loss binaryCrossEntropy takes: divide them, or ` +
      'take the loss meanSquaredError',
  );
}

function requireIndices(
  name: string,
  rows: readonly number[],
  values: BigInt64Array,
  { end: first, ignored }: IndexRange,
): void {
  const [end, exempt] = [BigInt(first), ignored === undefined ? undefined : BigInt(ignored)];
  const at = values.findIndex((value) => (value < 0n || value >= end) && value !== exempt);
  if (at < 0) return;
  const row = rows[Math.floor((at * rows.length) / values.length)];
  const [what, whose] = name === TARGETS ? ['label', "the model's classes"] : [`index`, 'rows of the table it is for'];
  throw new Error(
    `the data set has ${what} ${values[at]} ${name === TARGETS ? '' : `of '${name}' `}in sample ${row}; ` +
      `expected 0 to ${first - 1}, ${whose}${ignored === undefined ? '' : `, or ${ignored}, which does not count`}`,
  );
}

/** @param classesFirst shape of targets that would fit if the loss looked for classes along axis 1 */
function mismatches(
  { samples, inputs }: Dataset,
  wanted: readonly DatasetInput[],
  classesFirst: Shape | undefined,
): Problem[] {
  const problems: Problem[] = [];
  if (samples < 1) problems.push({ path: 'samples', message: 'are 0; expected at least one' });
  for (const { name, shape, dtype } of wanted) {
    const input = inputs.find((candidate) => candidate.name === name);
    if (input === undefined) {
      const has = inputs.map((candidate) => `'${candidate.name}'`).join(', ');
      problems.push({ path: name, message: `is missing; the model reads it, the data set has ${has}` });
    } else if (String(input.shape) !== String(shape) || input.dtype !== dtype) {
      const got = `${input.dtype} [${input.shape}]`;
      const isClassesFirst = name === TARGETS && String(input.shape) === String(classesFirst);
      const cure =
        input.dtype !== dtype
          ? `: convert them, as x.astype('${dtype}') does`
          : isClassesFirst
            ? ": where the classes are axis 1 of the model's result, as PyTorch's loss has them, say so by spec.training.loss.classAxis: 1"
            : '';
      problems.push({
        path: name,
        message: `has samples of ${got}; expected ${dtype} [${shape}], which the model reads${cure}`,
      });
    }
  }
  return problems;
}
