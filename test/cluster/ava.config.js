import process from 'node:process';

process.env.NODE_COMPILE_CACHE ??= new URL('../../node_modules/.cache/soapstone', import.meta.url).pathname;

/** The files that take longest begin first, so that none of them is left for the end alone. */
const LONGEST = ['training-job', 'docs', 'lives'];

const rank = (file) => {
  const place = LONGEST.findIndex((name) => file.endsWith(`${name}.test.ts`));
  return place < 0 ? LONGEST.length : place;
};

/**
 * The tests that need a real kube-apiserver, with time to build it once. A file has a cluster of its own, so that two run beside each
 * other: they mostly wait.
 */
export default {
  extensions: ['ts'],
  files: ['test/cluster/**/*.test.ts'],
  workerThreads: false,
  concurrency: 2,
  sortTestFiles: (a, b) => rank(a) - rank(b) || a.localeCompare(b),
  timeout: '10m',
};
