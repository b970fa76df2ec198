import type { IndexRange } from '../../soap/graph/index-ranges.ts';
import type { OnnxDType } from '../../soap/onnx/model.ts';
import type { Region } from '../../soap/region/region.ts';
import type { TensorMemory } from '../kernels/kernels.ts';

/** One tensor of a data set, without the sample axis. */
export interface DatasetInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: OnnxDType;
  /** Of whole numbers, where the graph says which it can look up. */
  readonly indices?: IndexRange;
  /** Of targets that are probabilities, in [0, 1]. */
  readonly isProbability?: boolean;
}

/**
 * Port: samples that can be read one by one. Implementations: IDX files, safetensors files, and made-up samples.
 */
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
