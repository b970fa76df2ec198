import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of a test's own, removed with all that is in it when the test ends, passed or not. */
export async function temporaryFolder(t: { teardown(undo: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
