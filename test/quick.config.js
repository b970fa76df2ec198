import process from 'node:process';
import manifest from '../package.json' with { type: 'json' };

// Most of the time of a small test file is that of loading modules: each is compiled once.
process.env.NODE_COMPILE_CACHE ??= new URL('../node_modules/.cache/soapstone', import.meta.url).pathname;

/** The quick tests: all but the slow files, and what they may not do is refused (docs/testing.md). */
export default {
  ...manifest.ava,
  // One more than in the full run: many quick tests wait for timers, and leave a core to others.
  concurrency: 3,
  files: [...manifest.ava.files, '!test/**/*.slow.test.ts'],
  require: [...manifest.ava.require, './test/support/quick-run.ts'],
};
