import process from 'node:process';
import manifest from '../package.json' with { type: 'json' };
import { OWN_PROCESS } from './support/own-process.ts';

// Most of the time of a small test file is that of loading modules: each is compiled once.
process.env.NODE_COMPILE_CACHE ??= new URL('../node_modules/.cache/soapstone', import.meta.url).pathname;

/** What both runs of quick tests have; what such tests may not do is refused (docs/testing.md). */
export const QUICK = {
  ...manifest.ava,
  // One more than in the full run: many quick tests wait for timers, and leave a core to others.
  concurrency: 3,
  require: [...manifest.ava.require, './test/support/quick-run.ts'],
};

/** The quick tests, all but the slow files, in threads of one process, which start sooner than processes. */
export default {
  ...QUICK,
  workerThreads: true,
  files: [...manifest.ava.files, '!test/**/*.slow.test.ts', ...Object.keys(OWN_PROCESS).map((file) => `!${file}`)],
};
