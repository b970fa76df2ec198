/** A model of the paper, as it ran there. */
export interface PaperModel {
  /** The paper's name of it, and the built-in model's. */
  readonly name: string;
  readonly builtin: string;
  readonly batchPerGpu: number;
  /** Samples per second on one GPU. */
  readonly singleGpu: Readonly<Record<PaperCluster, number>>;
  /** Samples per second and GPU on P100s, by the numbers of GPUs in {@link P100_GPUS}. */
  readonly p100: Readonly<Record<Approach, readonly number[]>>;
}

export type PaperCluster = 'p100' | 'k80';

/** Ways to parallelize; the last is the search's. */
export const APPROACHES = ['data', 'expert', 'found'] as const;
export type Approach = (typeof APPROACHES)[number];

/** Samples per second and GPU of each approach. */
export type Rates = Readonly<Record<Approach, number>>;

/** Numbers of GPUs in figure 6. */
export const P100_GPUS = [2, 4, 8, 16] as const;

/** Sources: FlexFlow paper, figure 6, for P100s; table 5 for batches; figure 6's single-GPU points for K80s. */
export const PAPER_MODELS: readonly PaperModel[] = [
  {
    name: 'AlexNet',
    builtin: 'alexnet',
    batchPerGpu: 256,
    singleGpu: { p100: 2254, k80: 615 },
    p100: { data: [1475, 1213, 879, 635], expert: [1821, 1521, 1225, 949], found: [2244, 2141, 1927, 1570] },
  },
  {
    name: 'Inception-v3',
    builtin: 'inceptionv3',
    batchPerGpu: 64,
    singleGpu: { p100: 149, k80: 30 },
    p100: { data: [148, 132, 126, 110], expert: [148, 134, 129, 114], found: [149, 149, 145, 138] },
  },
  {
    name: 'ResNet-101',
    builtin: 'resnet101',
    batchPerGpu: 64,
    singleGpu: { p100: 159, k80: 39.2 },
    p100: {
      data: [158.5, 157.5, 146.5, 138.1],
      expert: [158.5, 157.5, 146.5, 138.1],
      found: [158.5, 158.8, 150.8, 143.2],
    },
  },
  {
    name: 'RNNTC',
    builtin: 'rnntc',
    batchPerGpu: 64,
    singleGpu: { p100: 551, k80: 155 },
    p100: { data: [512, 397, 314, 236], expert: [481, 357, 303, 247], found: [547, 477, 429, 365] },
  },
  {
    name: 'RNNLM',
    builtin: 'rnnlm',
    batchPerGpu: 64,
    singleGpu: { p100: 350, k80: 81 },
    p100: { data: [299, 232, 206, 169], expert: [295, 197, 179, 154], found: [331, 297, 270, 234] },
  },
  {
    name: 'NMT',
    builtin: 'nmt',
    batchPerGpu: 64,
    singleGpu: { p100: 358, k80: 100 },
    p100: { data: [324, 268, 221, 172], expert: [272, 192, 164, 135], found: [349, 333, 285, 245] },
  },
];
