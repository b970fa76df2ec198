import type { ModelParameters } from '../../soap/models/index.ts';

/** A built-in model at a size that the reference engine trains in moments. */
export interface SmallModel {
  readonly name: string;
  readonly parameters: ModelParameters;
  /**
   * Whether rounding grows by orders of magnitude on the way through the model, so that two runs agree in their first loss
   * only: weights changed by 1e-7 of their size change that loss by 5e-5 where 94 layers normalize four samples, and norms of
   * gradients by 5e-4.
   */
  readonly sensitive?: boolean;
}

const transformer = { layers: 2, width: 8, heads: 2 };
const recurrent = { layers: 2, hidden: 4, embedding: 6, vocabulary: 10, steps: 5, group: 2 };
const images = { classes: 4, width: 4 };

/** Every built-in model, and variants of some. */
export const SMALL_MODELS: readonly SmallModel[] = [
  { name: 'alexnet', parameters: { ...images, image: 63, hidden: 8 } },
  { name: 'lenet', parameters: { classes: 4, image: 12, channels: 3 } },
  { name: 'inceptionv3', parameters: { ...images, image: 75, width: 2 }, sensitive: true },
  { name: 'inceptionv3', parameters: { ...images, image: 75, width: 2, batchNorm: false } },
  { name: 'resnet50', parameters: { ...images, image: 32, blocks: '2-1' } },
  { name: 'resnet101', parameters: { ...images, image: 32, blocks: 1, batchNorm: false } },
  { name: 'resnext50', parameters: { ...images, image: 32, blocks: '1-1', groups: 2, groupWidth: 2 } },
  { name: 'rnntc', parameters: { ...recurrent, classes: 3 } },
  { name: 'rnnlm', parameters: recurrent },
  { name: 'rnnlm', parameters: { ...recurrent, group: 1 } },
  { name: 'nmt', parameters: recurrent },
  { name: 'nmt', parameters: { ...recurrent, steps: 2 } },
  { name: 'gpt', parameters: { ...transformer, sequence: 4, vocabulary: 12 } },
  { name: 'bert', parameters: { ...transformer, sequence: 4, vocabulary: 12, classes: 2 } },
  { name: 'vit', parameters: { ...transformer, image: 8, patch: 4, classes: 4 } },
  { name: 'vit', parameters: { ...transformer, image: 8, patch: 4, classes: 4, classToken: false } },
  { name: 'moe', parameters: { ...transformer, experts: 4, inner: 8, sequence: 4, vocabulary: 12 } },
  { name: 'dlrm', parameters: { rows: '8-4-6', width: 4, dense: 3, bottom: '6', top: '8-4' } },
  { name: 'alexnet', parameters: { ...images, image: 63, hidden: 8, dropout: 0.5 } },
  { name: 'rnnlm', parameters: { ...recurrent, dropout: 0.3 } },
  { name: 'gpt', parameters: { ...transformer, sequence: 4, vocabulary: 12, dropout: 0.1 } },
];

/** A title for a test of one of them. */
export function titleOf({ name, parameters }: SmallModel): string {
  const settings = Object.entries(parameters).map(([key, value]) => `${key}=${String(value)}`);
  return `${name} ${settings.join(' ')}`;
}
