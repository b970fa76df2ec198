import process from 'node:process';
import { isMissingFile } from '../runtime/data/missing-file.ts';
import { MISSING_FILE_EXIT_CODE } from '../soap/job/handoff.ts';

/** Does what a pod is for. Where a file of storage is not there, its exit code tells the controller, which waits for it. */
export async function missingFileExit(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!isMissingFile(error)) throw error;
    process.stderr.write(`soapstone: ${error.message}\n`);
    return MISSING_FILE_EXIT_CODE;
  }
}
