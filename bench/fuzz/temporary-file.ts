import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for readers that take paths, made when it is first asked for. */
export class TemporaryFolder {
  #path: string | undefined;

  async path(): Promise<string> {
    this.#path ??= await mkdtemp(join(tmpdir(), 'soapstone-fuzz-'));
    return this.#path;
  }

  /** Writes a file that nobody has changed for long: one that is wrong and new counts as being written still. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const path = join(await this.path(), name);
    await writeFile(path, bytes);
    await utimes(path, 0, 0);
  }

  async remove(): Promise<void> {
    if (this.#path !== undefined) await rm(this.#path, { recursive: true, force: true });
    this.#path = undefined;
  }
}
