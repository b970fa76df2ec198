/** The tests that need a real kube-apiserver: one at a time, with time to build it once. */
export default {
  extensions: ['ts'],
  files: ['test/cluster/**/*.test.ts'],
  workerThreads: false,
  concurrency: 1,
  serial: true,
  timeout: '10m',
};
