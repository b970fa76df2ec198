import process from 'node:process';

process.env.NODE_COMPILE_CACHE ??= new URL('../../node_modules/.cache/soapstone', import.meta.url).pathname;

/**
 * The tests that need a real kube-apiserver, with time to build it once. A file has a cluster of its own, so that two run beside each
 * other: they mostly wait.
 */
export default {
  extensions: ['ts'],
  files: ['test/cluster/**/*.test.ts'],
  workerThreads: false,
  concurrency: 2,
  serial: true,
  timeout: '10m',
};
