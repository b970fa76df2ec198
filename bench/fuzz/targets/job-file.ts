import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { parseYaml } from '../../../cli/files/read-job.ts';
import { parseTrainingJob } from '../../../soap/job/parse.ts';
import { FileError } from '../../../soap/schema/check.ts';
import { structuredText } from '../structured/documents.ts';
import type { FuzzTarget } from '../target.ts';

const EXAMPLES = ['examples/mnist/job.yaml', 'test/golden/gpt/job.yaml', 'test/golden/dlrm/job.yaml'];

/** TrainingJobs in YAML. */
export const jobFile: FuzzTarget = {
  name: 'job-file',
  share: 30,
  refusals: [FileError],
  seeds: () => Promise.all(EXAMPLES.map((path) => readFile(new URL(`../../../${path}`, import.meta.url)))),
  structured: structuredText((text) => parse(text)),
  read(bytes) {
    const parsed = parseTrainingJob(parseYaml(new TextDecoder().decode(bytes), 'job.yaml', 'a TrainingJob'));
    if ('problems' in parsed) throw new FileError('job.yaml', parsed.problems);
  },
};
