import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { refuseProcesses } from './no-processes.ts';
import { STARTS_PROCESSES } from './starts-processes.ts';

/** Loaded before each file of the quick run. */

const root = fileURLToPath(new URL('../../', import.meta.url));
const file = relative(root, fileURLToPath(test.meta.file));

if (!(file in STARTS_PROCESSES)) {
  refuseProcesses(
    `${file} starts a process, and is a quick test; expected none: call the code in the test's own process, or name the file ` +
      `${file.replace('.test.ts', '.slow.test.ts')}, as docs/testing.md says`,
  );
}
