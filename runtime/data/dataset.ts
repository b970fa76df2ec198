import type { DatasetSource } from '../../soap/job/training-job.ts';
import type { DType, Graph } from '../../soap/graph/graph.ts';
import { TARGETS } from '../../soap/graph/loss.ts';
import type { Region } from '../../soap/strategy/region.ts';
import type { Problem } from '../../soap/schema/check.ts';
import { FileError } from '../../soap/schema/check.ts';
import type { TensorMemory } from '../kernels/kernels.ts';
import { openIdx } from './idx.ts';
import { openSafetensors } from './safetensors.ts';
import { openSynthetic } from './synthetic.ts';

/** One tensor of a data set, without the sample axis. */
export interface DatasetInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Samples that can be read one by one. */
export interface Dataset {
  readonly samples: number;
  readonly inputs: readonly DatasetInput[];
  /**
   * Reads some samples of an input, of each only a region, into memory, in the order of `rows`.
   * @param region without the sample axis
   */
  read(name: string, rows: readonly number[], region: Region, target: TensorMemory): Promise<void>;
  close(): Promise<void>;
}

/** What the labels of a loss with classes may be. */
export interface Labels {
  /** They are from 0 to one less. */
  readonly classes: number;
  /** Or this, which does not count. */
  readonly ignoreIndex?: number;
}

/** What a data set must provide: the graph's inputs. */
function datasetInputs(graph: Graph): DatasetInput[] {
  return graph.inputs.map((id) => {
    const { name, shape, dtype } = graph.tensors[id]!;
    return { name, shape: shape.slice(1), dtype };
  });
}

/**
 * Opens a data set and checks that it has what the graph reads.
 * @param directory storage, which paths are relative to
 * @param labels where known, what labels may be
 * @throws {FileError} with all that does not fit
 */
export async function openDataset(
  source: DatasetSource,
  directory: string,
  graph: Graph,
  labels: Labels | undefined,
): Promise<Dataset> {
  const wanted = datasetInputs(graph);
  const dataset = await openSource(source, directory, wanted, labels?.classes);
  const problems = mismatches(dataset, wanted);
  if (problems.length === 0) return labels === undefined ? dataset : withCheckedLabels(dataset, labels);
  await dataset.close();
  throw new FileError('the data set', problems);
}

function openSource(
  source: DatasetSource,
  directory: string,
  wanted: readonly DatasetInput[],
  classes: number | undefined,
): Promise<Dataset> {
  if ('idx' in source) return openIdx(source.idx, directory, wanted);
  if ('safetensors' in source) return openSafetensors(source.safetensors, directory);
  return Promise.resolve(openSynthetic(source.synthetic.samples, wanted, classes));
}

/** Refuses labels that name no class, when they are read. */
function withCheckedLabels(dataset: Dataset, { classes, ignoreIndex }: Labels): Dataset {
  const ignored = ignoreIndex === undefined ? undefined : BigInt(ignoreIndex);
  return {
    samples: dataset.samples,
    inputs: dataset.inputs,
    async read(name, rows, region, target) {
      await dataset.read(name, rows, region, target);
      if (name !== TARGETS || !(target instanceof BigInt64Array)) return;
      const at = target.findIndex((label) => (label < 0n || label >= BigInt(classes)) && label !== ignored);
      if (at < 0) return;
      const row = rows[Math.floor((at * rows.length) / target.length)];
      throw new Error(
        `the data set has label ${target[at]} in sample ${row}; expected 0 to ${classes - 1}, the model's classes` +
          (ignored === undefined ? '' : `, or ${ignored}, which does not count`),
      );
    },
    close: () => dataset.close(),
  };
}

function mismatches({ samples, inputs }: Dataset, wanted: readonly DatasetInput[]): Problem[] {
  const problems: Problem[] = [];
  if (samples < 1) problems.push({ path: 'samples', message: 'are 0; expected at least one' });
  for (const { name, shape, dtype } of wanted) {
    const input = inputs.find((candidate) => candidate.name === name);
    if (input === undefined) {
      const has = inputs.map((candidate) => `'${candidate.name}'`).join(', ');
      problems.push({ path: name, message: `is missing; the model reads it, the data set has ${has}` });
    } else if (String(input.shape) !== String(shape) || input.dtype !== dtype) {
      const got = `${input.dtype} [${input.shape}]`;
      problems.push({
        path: name,
        message: `has samples of ${got}; expected ${dtype} [${shape}], which the model reads`,
      });
    }
  }
  return problems;
}
