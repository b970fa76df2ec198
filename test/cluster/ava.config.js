import process from 'node:process';

process.env.NODE_COMPILE_CACHE ??= new URL('../../node_modules/.cache/soapstone', import.meta.url).pathname;

/** The tests that need a real kube-apiserver: one at a time, with time to build it once. */
export default {
  extensions: ['ts'],
  files: ['test/cluster/**/*.test.ts'],
  workerThreads: false,
  concurrency: 1,
  serial: true,
  timeout: '10m',
};
