import { stat } from 'node:fs/promises';
import type { Moments } from '../../soap/graph/graph.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import { createChecker } from '../../soap/schema/check.ts';
import type { Conductor } from '../program/conductor.ts';
import type { ParameterStore } from '../program/parameter-store.ts';
import { archiveCheckpoints, removePartials } from './folders.ts';
import { checkIdentity } from './identity.ts';
import type { CheckpointIndex, RunIdentity, StoredBox } from './index-file.ts';
import { createIndex } from './index-file.ts';
import { latestCheckpoint, openCheckpoint } from './read.ts';
import { restoreMoments, restoreState } from './restore.ts';
import type { RunSettings } from './run-settings.ts';
import { changedSettings } from './run-settings.ts';
import type { ShardFile } from './write.ts';
import { abandonCheckpoint, commitCheckpoint, makeDirectory, removeOld, writeShards } from './write.ts';
import { messageOf } from '../../soap/message-of.ts';

export interface CheckpointingOptions {
  readonly directory: string;
  readonly keep: number;
  readonly device: number;
  readonly devices: number;
  readonly layout: Layout;
  readonly parameters: ParameterStore;
  readonly moments: ReadonlyMap<string, Moments>;
  readonly conductor: Conductor;
  readonly run: RunIdentity;
  readonly settings: RunSettings;
  /** The job's spec.model. */
  readonly source: unknown;
  /** Takes what the user should know though the run goes on. */
  readonly notice: (message: string) => void;
}

/** A checkpoint from which a run goes on, after so many steps. */
export interface TakenUp {
  readonly folder: string;
  readonly step: number;
  /** Whether the loss of the last of them is no number, as the checkpoint says. */
  readonly isDiverged: boolean;
}

/** How a device's part of a checkpoint ended. */
type Report = { readonly written: ShardFile } | { readonly failure: string };

const reports = createChecker<Report>({
  type: 'object',
  oneOf: [{ required: ['written'] }, { required: ['failure'] }],
});

/** The checkpoints of a run, as one device sees them; all devices make the same calls in the same order. */
export class Checkpointing {
  readonly #options: CheckpointingOptions;

  constructor(options: CheckpointingOptions) {
    this.#options = options;
  }

  /**
   * Prepares the directory. With `resume`, takes up the newest whole checkpoint, which the leader chooses for all; else
   * checkpoints of an earlier run are moved out of the way.
   * @returns the checkpoint that was taken up; undefined where there is no whole one
   * @throws {Error} where the newest whole one is of another run
   */
  async begin(pass: number, resume: boolean): Promise<TakenUp | undefined> {
    const { conductor, directory } = this.#options;
    if (!conductor.isLeader) return this.#restore(await conductor.hear(pass));
    await makeDirectory(directory);
    await removePartials(directory);
    if (!resume) await this.#archive();
    const { folder = '', passedOver } = await latestCheckpoint(directory);
    for (const reason of passedOver) {
      this.#options.notice(`${reason}; going on from ${folder === '' ? 'the start' : folder} in its place`);
    }
    await conductor.announce(pass, folder);
    return this.#restore(folder);
  }

  /**
   * Writes this device's part of a checkpoint; the leader completes it once it has heard of all parts. Where any device
   * failed, the checkpoint is given up and said so, the ones before stay, and the run goes on. So it is, without a word, where the loss
   * is no number any more, unless it is the last one; then those before stay.
   * @param isSound whether the loss is a number, on the leader
   * @returns the folder, on the leader, of a checkpoint that is whole
   * @throws {Error} on the leader for a failure, where the checkpoint is `final`, the one that holds the result
   */
  async save(pass: number, step: number, final: boolean, isSound: boolean = true): Promise<string | undefined> {
    const { conductor, directory, layout, parameters, moments, notice } = this.#options;
    const report = await writeShards(directory, step, layout, this.#options, parameters, moments).then(
      (written): Report => ({ written }),
      (error: unknown): Report => ({ failure: messageOf(error) }),
    );
    const texts = await conductor.report(pass, JSON.stringify(report));
    if (texts === undefined) return undefined;
    if (!isSound && !final) {
      await abandonCheckpoint(directory, step).catch(() => undefined);
      return undefined;
    }
    try {
      const folder = await commitCheckpoint(directory, this.#index(step, texts.map(parseReport), isSound));
      if (isSound) await this.#removeOld(step);
      return folder;
    } catch (error) {
      await abandonCheckpoint(directory, step).catch(() => undefined);
      const reason = messageOf(error);
      if (final) throw new Error(`no checkpoint of the last step: ${reason}`, { cause: error });
      notice(`no checkpoint after ${step} steps: ${reason}; the run goes without, and the checkpoints before stay`);
      return undefined;
    }
  }

  /** What is too old takes room, and no more: the one just written is whole. */
  async #removeOld(step: number): Promise<void> {
    const { directory, keep, notice } = this.#options;
    await removeOld(directory, step, keep).catch((error: unknown) => notice(messageOf(error)));
  }

  async #archive(): Promise<void> {
    const archive = await archiveCheckpoints(this.#options.directory);
    if (archive === undefined) return;
    this.#options.notice(
      `this run begins anew; the checkpoints of an earlier one are in ${archive} now: to go on from them, move them back and pass --resume`,
    );
  }

  /** What the job has otherwise than the run that wrote a checkpoint; the leader tells it for all. */
  #tellChanges({ metadata }: CheckpointIndex): void {
    const { conductor, settings, notice } = this.#options;
    const changes = changedSettings(metadata.settings, settings);
    if (changes.length === 0 || !conductor.isLeader) return;
    notice(
      `the checkpoint after ${metadata.step} steps, from which this run goes on, was written by another: ${changes.join('; ')}; ` +
        'to begin anew, choose another checkpoint.directory',
    );
  }

  #index(step: number, ended: readonly Report[], isSound: boolean): CheckpointIndex {
    const failed = ended.flatMap((each, device) => ('failure' in each ? [`device ${device}: ${each.failure}`] : []));
    if (failed.length > 0) throw new Error(failed[0]);
    const written = ended.flatMap((each) => ('written' in each ? [each.written] : []));
    const boxes = written.flatMap(({ file, boxes: own }) =>
      Object.entries(own).map(([name, box]) => ({ name, file, box })),
    );
    const { run, settings, source } = this.#options;
    const diverged = isSound ? {} : { diverged: true };
    const metadata = { step, run, settings, source, total_size: sizeOf(boxes), ...diverged };
    return createIndex(metadata, {
      files: Object.fromEntries(written.map(({ file, bytes, sha256 }) => [file, { bytes, sha256 }])),
      weight_map: Object.fromEntries(boxes.map(({ name, file }) => [name, file])),
      boxes: Object.fromEntries(boxes.map(({ name, box }) => [name, box])),
    });
  }

  async #restore(folder: string): Promise<TakenUp | undefined> {
    if (folder === '') return undefined;
    if ((await stat(folder).catch(() => undefined)) === undefined) {
      throw new Error(
        `the first device goes on from ${folder}, device ${this.#options.device} does not see it; expected ` +
          'checkpoint.directory on one volume that all pods share (access mode ReadWriteMany)',
      );
    }
    const checkpoint = await openCheckpoint(folder);
    try {
      checkIdentity(folder, checkpoint.index, this.#options.run);
      this.#tellChanges(checkpoint.index);
      await restoreState(this.#options.layout, this.#options.parameters, checkpoint);
      await restoreMoments(this.#options.moments, checkpoint);
      const { step, diverged = false } = checkpoint.index.metadata;
      return { folder, step, isDiverged: diverged };
    } finally {
      await checkpoint.close();
    }
  }
}

function parseReport(text: string): Report {
  const value: unknown = JSON.parse(text);
  if (!reports.is(value)) throw new Error('internal: a report of a checkpoint has neither a result nor a failure');
  return value;
}

/** Bytes of float32 boxes. */
function sizeOf(boxes: readonly { readonly box: Omit<StoredBox, 'file'> }[]): number {
  const elements = boxes.map(({ box }) => box.region.reduce((volume, [start, end]) => volume * (end - start), 1));
  return 4 * elements.reduce((a, b) => a + b, 0);
}
