import process from 'node:process';
import { isMissingFile } from '../../runtime/storage/missing-file.ts';
import { lostPeerOf } from '../../runtime/transport/transport.ts';
import { LOST_PEER_EXIT_CODE, MISSING_FILE_EXIT_CODE } from '../../soap/job/handoff.ts';

/**
 * Does what a pod is for. Its exit code tells the controller what a log could not: that a file of storage is not there, which is waited
 * for, or that a device of another pod was lost, which is no fault of this one.
 */
export async function podExit(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined || !(error instanceof Error)) throw error;
    process.stderr.write(`soapstone: ${error.message}\n`);
    return code;
  }
}

function codeOf(error: unknown): number | undefined {
  if (isMissingFile(error)) return MISSING_FILE_EXIT_CODE;
  return lostPeerOf(error) === undefined ? undefined : LOST_PEER_EXIT_CODE;
}
