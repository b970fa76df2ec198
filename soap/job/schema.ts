import { KERNEL_PROVIDERS } from './kernel-providers.ts';
import { DEFAULT_SEARCH } from './search-defaults.ts';

/**
 * The one description of a TrainingJob's fields: bounds, defaults and what is not done yet. The parser validates with it, and
 * the CustomResourceDefinition in crds/ is generated from it.
 *
 * It is written in the subset of JSON schema that Kubernetes calls structural
 * (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema):
 * every field has a type; `oneOf` only says which fields are required.
 */
export interface FieldSchema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description: string;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
  /** Exactly one of these lists of fields is given. */
  readonly oneOf?: readonly { readonly required: readonly string[] }[];
  /** The object may have fields beyond `properties`; of any object without this, an unknown field is an error. */
  readonly open?: boolean;
  /** Values of a map with free keys. */
  readonly additionalProperties?: FieldSchema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: FieldSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  /** A value that the field may have, as YAML: shown to who gives it another kind of value. */
  readonly example?: string;
}

const maxSeed = 2 ** 32 - 1;
const maxCount = 2 ** 31 - 1;

/** Longest job name: with `-<attempt>-<index>` it is a pod's host name, which DNS limits to 63 (RFC 1035, 2.3.4). */
const maxNameLength = 48;

const path = (description: string, example: string): FieldSchema => ({
  type: 'string',
  description,
  minLength: 1,
  maxLength: 1024,
  example,
});

const count = (description: string, minimum: number, rest: Partial<FieldSchema> = {}): FieldSchema => ({
  type: 'integer',
  description,
  minimum,
  maximum: maxCount,
  ...rest,
});

const seed = (description: string): FieldSchema => ({
  type: 'integer',
  description,
  minimum: 0,
  maximum: maxSeed,
  default: 1,
});

const dataset = (description: string): FieldSchema => ({
  type: 'object',
  description,
  example: '{ safetensors: data.safetensors }',
  oneOf: [{ required: ['idx'] }, { required: ['safetensors'] }, { required: ['synthetic'] }],
  properties: {
    idx: {
      type: 'object',
      description: 'Images and labels in the IDX format of MNIST.',
      required: ['images', 'labels'],
      example: '{ images: train-images-idx3-ubyte, labels: train-labels-idx1-ubyte }',
      properties: {
        images: path('Path of the image file in storage.', 'train-images-idx3-ubyte'),
        labels: path('Path of the label file in storage.', 'train-labels-idx1-ubyte'),
      },
    },
    safetensors: path(
      'Path in storage of a file with one tensor per model input, and "targets"; samples first.',
      'data.safetensors',
    ),
    synthetic: {
      type: 'object',
      description: 'Made-up samples, the same for every job; those of an evaluation are others.',
      required: ['samples'],
      example: '{ samples: 1024 }',
      properties: { samples: count('How many samples.', 1) },
    },
    shuffle: {
      type: 'boolean',
      description: 'Whether each epoch draws a new order from training.seed.',
      default: true,
    },
  },
});

const model: FieldSchema = {
  type: 'object',
  description: 'The model to train.',
  example: '{ onnx: model.onnx }',
  oneOf: [{ required: ['onnx'] }, { required: ['builtin'] }, { required: ['url'] }],
  properties: {
    onnx: path('Path of an ONNX file in storage, with the initial weights in it or in a file beside it.', 'model.onnx'),
    url: {
      type: 'string',
      description: 'Where an ONNX file with the initial weights in it is fetched from; needs sha256.',
      pattern: '^https?://[^@\\s]+$',
      maxLength: 2048,
      example: 'https://models.example.com/resnet50.onnx',
    },
    sha256: {
      type: 'string',
      description: 'Of url: SHA-256 of the file.',
      pattern: '^[0-9a-f]{64}$',
      // Of an empty file.
      example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    },
    unrollSteps: {
      type: 'integer',
      description: 'Steps of a recurrent layer of the ONNX file that make one op; 8 where left out.',
      minimum: 1,
      maximum: 65536,
    },
    builtin: {
      type: 'object',
      description: "A model that Soapstone brings, with the model's own parameters.",
      open: true,
      required: ['name'],
      example: '{ name: lenet }',
      properties: { name: { type: 'string', description: 'Such as lenet.', minLength: 1, maxLength: 63 } },
    },
  },
};

const schedule: FieldSchema = {
  type: 'object',
  description: 'How the learning rate changes.',
  default: {},
  properties: {
    name: {
      type: 'string',
      description: 'constant; step: multiplied by factor every so many steps; cosine: falls to minimum until the end.',
      enum: ['constant', 'step', 'cosine'],
      default: 'constant',
    },
    warmupSteps: count('Steps of a linear rise, before the rest.', 0, { default: 0 }),
    everySteps: count('Of step: steps from one change to the next.', 1),
    factor: { type: 'number', description: 'Of step; by default 0.1.', minimum: 0, maximum: 1e6 },
    minimum: {
      type: 'number',
      description: 'Of cosine: the last learning rate; by default 0.',
      minimum: 0,
      maximum: 1e6,
    },
  },
};

const optimizer: FieldSchema = {
  type: 'object',
  description: "The update rule; PyTorch's, with its names and defaults.",
  example: '{ name: sgd, learningRate: 0.1 }',
  required: ['name', 'learningRate'],
  properties: {
    name: {
      type: 'string',
      description: 'The rule.',
      enum: ['sgd', 'adam', 'adamw'],
    },
    learningRate: { type: 'number', description: 'Step size.', minimum: 0, maximum: 1e6 },
    schedule,
    momentum: { type: 'number', description: 'Of sgd: momentum factor.', minimum: 0, maximum: 1, default: 0 },
    nesterov: { type: 'boolean', description: 'Of sgd: Nesterov momentum; needs momentum above 0.', default: false },
    weightDecay: {
      type: 'number',
      description: 'L2 penalty; of adamw, the decay that the gradient does not see. By default 0, of adamw 0.01.',
      minimum: 0,
      maximum: 1e6,
    },
    gradientClipNorm: {
      type: 'number',
      description: 'Gradients whose norm, of all parameters together, is larger are scaled down to it.',
      minimum: 0,
      maximum: 1e30,
    },
    betas: {
      type: 'array',
      description: 'Of adam and adamw: decay rates of the two averages; by default 0.9 and 0.999.',
      items: { type: 'number', description: 'A decay rate, below 1.', minimum: 0, maximum: 1 },
      minItems: 2,
      maxItems: 2,
    },
    epsilon: {
      type: 'number',
      description: 'Of adam and adamw: term in the denominator; by default 1e-8.',
      minimum: 0,
      maximum: 1,
    },
  },
};

const training: FieldSchema = {
  type: 'object',
  description: 'How to train.',
  required: ['batchSize', 'loss', 'optimizer'],
  oneOf: [{ required: ['steps'] }, { required: ['epochs'] }],
  properties: {
    batchSize: {
      ...count('Samples per step, over all devices and micro-batches.', 1),
      maximum: 2 ** 24,
    },
    gradientAccumulationSteps: {
      ...count(
        'Micro-batches of batchSize / gradientAccumulationSteps samples that a step adds the gradients of, before the parameters are updated once; divides batchSize.',
        1,
      ),
      maximum: 65536,
      default: 1,
    },
    steps: count('Training steps in all.', 1),
    epochs: count('Passes over the data set.', 1),
    seed: seed('Draws the order of samples, the initial weights of built-in models, and what dropout drops.'),
    loss: {
      type: 'object',
      description: 'What is minimized; a mean over all elements.',
      example: '{ name: crossEntropy }',
      required: ['name'],
      properties: {
        name: {
          type: 'string',
          description: 'The loss; binaryCrossEntropy takes logits.',
          enum: ['crossEntropy', 'meanSquaredError', 'binaryCrossEntropy'],
        },
        ignoreIndex: {
          type: 'integer',
          description: 'Of crossEntropy: targets of this value do not count.',
          minimum: -maxCount,
          maximum: maxCount,
        },
        labelSmoothing: {
          type: 'number',
          description: "Of crossEntropy: the share of a target's weight that is spread over all classes.",
          minimum: 0,
          maximum: 1,
        },
        classAxis: {
          type: 'integer',
          description:
            "Of crossEntropy: the axis of the model's result that the classes are along, 1 for the layout of PyTorch's loss; by default the last.",
          minimum: 1,
          maximum: 15,
        },
      },
    },
    optimizer,
    frozen: {
      type: 'array',
      description:
        'Parameters of the model that keep their values: names as the file has them, or globs in which `*` stands for any characters.',
      example: '["encoder.*"]',
      items: { type: 'string', description: 'A name or glob, such as `encoder.*`.', minLength: 1, maxLength: 512 },
      maxItems: 256,
      default: [],
    },
    wire: {
      type: 'string',
      description: 'How activations and gradients travel between devices; bfloat16 halves the bytes and rounds them.',
      enum: ['float32', 'bfloat16'],
      default: 'float32',
    },
    kernels: {
      type: 'string',
      description:
        'What computes: auto takes a GPU by CUDA or WebGPU where there is one, else the CPU (in a cluster, a job that holds cores computes on them); reference is a slow interpreter.',
      enum: KERNEL_PROVIDERS,
      default: 'auto',
    },
  },
};

const devices: FieldSchema = {
  type: 'object',
  description: 'What devices the job may have.',
  example: '{ max: 4 }',
  default: {},
  properties: {
    resource: {
      type: 'string',
      description: 'Extended resource name of the devices; `cpu` for processor cores, each a device.',
      minLength: 1,
      maxLength: 253,
      default: 'nvidia.com/gpu',
    },
    min: { ...count('Fewest devices to start with.', 1), maximum: 4096, default: 1 },
    max: { ...count('Most devices to use.', 1), maximum: 4096, default: 8 },
    nodeSelector: {
      type: 'object',
      description: 'Labels that a node must have.',
      additionalProperties: { type: 'string', description: 'The value.', maxLength: 63 },
      maxProperties: 64,
      default: {},
    },
    tolerations: {
      type: 'array',
      description: 'Taints to tolerate, as in a pod.',
      items: { type: 'object', description: 'A toleration, as in a pod.', open: true },
      maxItems: 64,
      default: [],
    },
  },
};

const search: FieldSchema = {
  type: 'object',
  description: 'The search for a strategy.',
  default: {},
  properties: {
    seconds: {
      type: 'number',
      description: 'Time budget, in seconds; the search ends sooner where half of it found nothing better.',
      minimum: 0,
      maximum: 86400,
      default: DEFAULT_SEARCH.seconds,
    },
    proposals: count(
      'Stop after so many proposals, of all chains: the same plan on any machine that makes them within spec.search.seconds.',
      1,
    ),
    seed: seed('Makes the search repeatable.'),
    beta: {
      type: 'number',
      description: 'Inverse temperature of the acceptance exp(-beta * (new - current) / best).',
      minimum: 0,
      maximum: 1e9,
      default: DEFAULT_SEARCH.beta,
    },
    chains: { ...count('Markov chains.', 1), maximum: 256, default: DEFAULT_SEARCH.chains },
    start: {
      type: 'array',
      description: 'What the chains start from, taken in turns.',
      items: {
        type: 'string',
        description: 'A starting strategy.',
        enum: ['data', 'expert', 'random'],
      },
      minItems: 1,
      maxItems: 3,
      default: [...DEFAULT_SEARCH.start],
    },
  },
};

const checkpoint: FieldSchema = {
  type: 'object',
  description: 'When and where to save the training state. Without it a restart begins from step 0.',
  required: ['directory', 'everySteps'],
  properties: {
    directory: path(
      'Path of a directory in the storage of checkpoints, which also gets the trained model.',
      'checkpoints',
    ),
    storage: {
      type: 'object',
      description:
        'A pod volume source that all pods can write to, where model and data are in one that they cannot, such as a ConfigMap; without it, spec.storage. A run on one machine does not look at it.',
      open: true,
      minProperties: 1,
      maxProperties: 1,
    },
    everySteps: count('Steps from one checkpoint to the next.', 1),
    keep: { ...count('Newest checkpoints kept.', 1), maximum: 1000, default: 3 },
  },
};

const moves: FieldSchema = {
  type: 'object',
  description:
    'Lets a running job move to better nodes at its next checkpoint, if that pays. Without it the job stays. Needs checkpoint.',
  properties: {
    minGainPercent: {
      type: 'number',
      description: 'What a move must save, its cost included, in percent of the time that is left.',
      minimum: 1,
      maximum: 99,
      default: 20,
    },
    minIntervalSeconds: count('Seconds from one move, or search for one, to the next.', 1, { default: 1800 }),
  },
};

/** `spec` of a TrainingJob. */
export const trainingJobSpecSchema: FieldSchema = {
  type: 'object',
  description: 'What to train and on what.',
  required: ['model', 'dataset', 'training'],
  properties: {
    model,
    storage: {
      type: 'object',
      description:
        'A pod volume source: where model, data and checkpoints are. A run on one machine does not look at it: there, paths are relative to the folder of the job file.',
      example: '{ configMap: { name: mnist } }',
      open: true,
      minProperties: 1,
      maxProperties: 1,
    },
    dataset: dataset('The samples to train on.'),
    evaluation: {
      type: 'object',
      description: 'Samples to measure the trained model with.',
      required: ['dataset'],
      properties: {
        dataset: dataset('The samples to evaluate on.'),
        everySteps: count('Steps from one evaluation to the next; without it only at the end.', 1),
      },
    },
    training,
    devices,
    search,
    profile: {
      type: 'boolean',
      description:
        'Whether a short pod measures what the model costs on a type of device before the first search for it, where that is not known; without it the search uses what other jobs of the namespace measured, else data sheets. A run on one machine does not look at it.',
      default: true,
    },
    plan: path('Path of a plan file in storage, used in place of a search.', 'plan.json'),
    checkpoint,
    moves,
    tls: {
      type: 'boolean',
      description: 'Whether devices talk by TLS, with a certificate of their own for each attempt.',
      default: false,
    },
    suspend: { type: 'boolean', description: 'While true the job has no pods.', default: false },
    backoffLimit: { ...count('Restarts after failures before the job fails.', 0), maximum: 1000, default: 3 },
    activeDeadlineSeconds: count('Longest time from start to end, in seconds.', 1),
    ttlSecondsAfterFinished: count('Delete the job so many seconds after its end.', 0),
    template: { type: 'object', description: 'Parts of a pod template, merged into the pods.', open: true },
  },
};

/** A whole TrainingJob as a user writes it. */
export const trainingJobSchema: FieldSchema = {
  type: 'object',
  description: 'A training job.',
  required: ['apiVersion', 'kind', 'metadata', 'spec'],
  properties: {
    apiVersion: { type: 'string', description: 'API group and version.', enum: ['soapstone.dev/v1alpha1'] },
    kind: { type: 'string', description: 'Kind of the resource.', enum: ['TrainingJob'] },
    metadata: {
      type: 'object',
      description: 'Name, namespace, labels.',
      open: true,
      required: ['name'],
      properties: {
        name: {
          type: 'string',
          description: 'Name of the job: also a DNS label of its service and pods.',
          pattern: '^[a-z]([-a-z0-9]*[a-z0-9])?$',
          minLength: 1,
          maxLength: maxNameLength,
        },
        namespace: { type: 'string', description: 'Its namespace.', minLength: 1, maxLength: 63 },
      },
    },
    spec: trainingJobSpecSchema,
    status: { type: 'object', description: 'Written by the controller.', open: true },
  },
};
