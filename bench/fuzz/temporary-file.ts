import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for readers that take paths, made when it is first asked for. */
export class TemporaryFolder {
  #path: string | undefined;

  async path(): Promise<string> {
    this.#path ??= await mkdtemp(join(tmpdir(), 'soapstone-fuzz-'));
    return this.#path;
  }

  async remove(): Promise<void> {
    if (this.#path !== undefined) await rm(this.#path, { recursive: true, force: true });
    this.#path = undefined;
  }
}
