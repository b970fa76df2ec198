/** The quick test files that need a process of their own, with why. Every other one is a thread of one process, which starts sooner. */
export const OWN_PROCESS = {
  'test/collectives/all-reduce.test.ts': 'maps memory of file descriptors, which threads warn of',
  'test/onnx/codec.test.ts': 'nests messages as deep as the stack of a process lets it',
  'test/optimizers/square-sums.test.ts': 'a GPU of software, which is found by the environment of the process',
  'test/optimizers/update-rules.test.ts': 'the same',
  'test/program/shared-gradients.test.ts': 'maps memory of file descriptors',
  'test/transport/transport.test.ts': 'the same',
};
