/** The quick test files that start processes all the same, with what is started: a moment each. Every other one is refused it. */
export const STARTS_PROCESSES: Readonly<Record<string, string>> = {
  'test/smoke.test.ts': 'one run of the command on two devices',
  'test/checkpoint/checkpoint.test.ts': 'Python, which reads a checkpoint by the published format alone, and mknod',
  'test/data/dataset.test.ts': 'mkfifo',
  'test/kernels/onnxruntime.test.ts': 'Node with an engine that is left open, or closed',
  'test/operator/process.test.ts': 'the controller, on a port that is taken',
  'test/device/own-cores.test.ts': 'Node, which says on which cores its threads are',
  'test/transport/silence.test.ts': 'one that computes and one that sleeps',
};
