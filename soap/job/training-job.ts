import type { KernelProvider } from './kernel-providers.ts';

/**
 * The TrainingJob resource: what a user writes, in a file for one machine or applied to a cluster.
 * `parseTrainingJob` (parse.ts) yields these types with every default filled in.
 */
export interface TrainingJob {
  readonly apiVersion: 'soapstone.dev/v1alpha1';
  readonly kind: 'TrainingJob';
  readonly metadata: JobMetadata;
  readonly spec: TrainingJobSpec;
}

export interface JobMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly [field: string]: unknown;
}

export interface TrainingJobSpec {
  readonly model: ModelSource;
  /** A Kubernetes volume source; absent in a local run, where paths are relative to the job file. */
  readonly storage?: Readonly<Record<string, unknown>>;
  readonly dataset: DatasetSource;
  readonly evaluation?: { readonly dataset: DatasetSource; readonly everySteps?: number };
  readonly training: TrainingSettings;
  readonly devices: DeviceSettings;
  readonly search: SearchSettings;
  /** Whether pods measure what is not known of the devices before a search. */
  readonly profile: boolean;
  /** Path of a plan file in storage: no search. */
  readonly plan?: string;
  readonly checkpoint?: CheckpointSettings;
  /** Whether a running job may move to better nodes; it stays where absent. */
  readonly moves?: MoveSettings;
  /** Whether devices talk by TLS, with a certificate of their own for each attempt. */
  readonly tls: boolean;
  readonly suspend: boolean;
  readonly backoffLimit: number;
  readonly activeDeadlineSeconds?: number;
  readonly ttlSecondsAfterFinished?: number;
  /** Parts of a pod template, merged into the runtime pods. */
  readonly template?: Readonly<Record<string, unknown>>;
}

export type ModelSource =
  /** `unrollSteps` of `importOnnx`. */
  | { readonly onnx: string; readonly unrollSteps?: number }
  | FetchedModel
  | { readonly builtin: { readonly name: string; readonly [parameter: string]: number | string | boolean } };

/** An ONNX file that is fetched; its digest says which. */
export interface FetchedModel {
  /** https, or http where that is allowed. */
  readonly url: string;
  /** Hexadecimal. */
  readonly sha256: string;
  readonly unrollSteps?: number;
}

/** Exactly one source. Paths are relative to storage. */
export type DatasetSource = (
  | { readonly idx: { readonly images: string; readonly labels: string } }
  | { readonly safetensors: string }
  | { readonly synthetic: { readonly samples: number } }
) & { readonly shuffle: boolean };

export interface TrainingSettings {
  /** Samples per step over all devices and micro-batches. */
  readonly batchSize: number;
  /** Micro-batches of a step; divides `batchSize`. */
  readonly gradientAccumulationSteps: number;
  /** Exactly one of steps and epochs is given. */
  readonly steps?: number;
  readonly epochs?: number;
  readonly seed: number;
  readonly loss: LossSettings;
  readonly optimizer: OptimizerSettings;
  /** Globs of the names of parameters that keep their values: see `freeze`. */
  readonly frozen: readonly string[];
  readonly wire: WireType;
  readonly kernels: KernelProvider;
}

/** Samples that go through the model at a time. */
export function microBatchSize({ batchSize, gradientAccumulationSteps }: TrainingSettings): number {
  return batchSize / gradientAccumulationSteps;
}

/** How activations and gradients travel between devices. */
export type WireType = 'float32' | 'bfloat16';

/** What is minimized. */
export interface LossSettings {
  readonly name: 'crossEntropy' | 'meanSquaredError' | 'binaryCrossEntropy';
  /** Of crossEntropy: targets of this value do not count. */
  readonly ignoreIndex?: number;
  /** Of crossEntropy: the share of a target's weight that is spread over all classes. */
  readonly labelSmoothing?: number;
  /** Of crossEntropy: the axis of the model's result that the classes are along; the last where absent. */
  readonly classAxis?: number;
}

export type OptimizerSettings = SgdSettings | AdamSettings;

export type OptimizerName = OptimizerSettings['name'];

interface CommonOptimizerSettings {
  /** Where the schedule starts from. */
  readonly learningRate: number;
  readonly schedule: ScheduleSettings;
  readonly weightDecay: number;
  /** Largest norm of all gradients together. */
  readonly gradientClipNorm?: number;
}

/** PyTorch's SGD: torch.optim.SGD. */
export interface SgdSettings extends CommonOptimizerSettings {
  readonly name: 'sgd';
  readonly momentum: number;
  readonly nesterov: boolean;
}

/** PyTorch's torch.optim.Adam and AdamW. */
export interface AdamSettings extends CommonOptimizerSettings {
  readonly name: 'adam' | 'adamw';
  /** Decay rates of the averages of the gradient and of its square. */
  readonly betas: readonly [average: number, squareAverage: number];
  readonly epsilon: number;
}

/** How the learning rate changes, after a linear rise in `warmupSteps`. */
export type ScheduleSettings = { readonly warmupSteps: number } & (
  | { readonly name: 'constant' }
  /** Multiplied by `factor` every so many steps. */
  | { readonly name: 'step'; readonly everySteps: number; readonly factor: number }
  /** Falls to `minimum` along half a cosine, at the last step. */
  | { readonly name: 'cosine'; readonly minimum: number }
);

export interface DeviceSettings {
  /** Extended resource name, such as nvidia.com/gpu, or cpu: then each core is a device. */
  readonly resource: string;
  readonly min: number;
  readonly max: number;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Readonly<Record<string, unknown>>[];
}

export interface SearchSettings {
  readonly seconds: number;
  /** Stop after this many proposals in all; with it the result does not depend on the machine's speed. */
  readonly proposals?: number;
  readonly seed: number;
  /** Inverse temperature of exp(-beta * (new - current) / best). */
  readonly beta: number;
  readonly chains: number;
  readonly start: readonly ('data' | 'expert' | 'random')[];
}

export interface CheckpointSettings {
  /** Relative to the checkpoints' own volume where there is one, else to the job's storage. */
  readonly directory: string;
  /** A pod volume source. */
  readonly storage?: Readonly<Record<string, unknown>>;
  readonly everySteps: number;
  /** Newest checkpoints kept. */
  readonly keep: number;
}

export interface MoveSettings {
  /** What a move must save, its cost included, of the time that is left. */
  readonly minGainPercent: number;
  /** From one move, or search for one, to the next. */
  readonly minIntervalSeconds: number;
}
