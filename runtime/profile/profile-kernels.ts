import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { ChosenEngine } from '../kernels/create-engine.ts';
import { onEnded } from '../process/on-ended.ts';
import { MALLOC_SETTINGS } from '../process/process-settings.ts';
import type { MeasuredModel } from './measure-model.ts';

const PROGRAM = fileURLToPath(new URL('profile-main.ts', import.meta.url));

/** What the measuring process is told to do. Whatever it is told after that ends it with what there is. */
export interface ProfileOrders {
  readonly training: TrainingGraph;
  /** Splits into at most so many parts. */
  readonly devices: number;
  readonly optimizer: OptimizerSettings;
  /** Work that is known already, by `workKey`. */
  readonly known: readonly string[];
  readonly limitMs: number;
  readonly engine: EngineOrder;
}

/** What to measure on, as a device of a job is told. */
export interface EngineOrder {
  readonly provider: KernelProvider;
  readonly threads: number;
}

/** What was measured, and on what. */
export interface ProfiledKernels extends MeasuredModel {
  readonly provider: ChosenEngine['provider'];
}

/** What it says. */
export type ProfileMessage =
  | { readonly type: 'progress'; readonly done: number; readonly of: number }
  | ({ readonly type: 'measured' } & ProfiledKernels)
  | { readonly type: 'failed'; readonly message: string };

/**
 * Measures the kernels of a model in a process of its own. SIGINT, which a terminal sends it too, ends it with what there is.
 * @param signal ends it so too
 * @throws {Error} where the process fails
 */
export function profileKernels(
  orders: ProfileOrders,
  onProgress: (done: number, of: number) => void,
  signal?: AbortSignal,
): Promise<ProfiledKernels> {
  return new Promise((resolve, reject) => {
    const child = fork(PROGRAM, {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, ...MALLOC_SETTINGS },
    });
    child.on('message', (message: ProfileMessage) => {
      if (message.type === 'progress') onProgress(message.done, message.of);
      else if (message.type === 'measured') resolve(message);
      else reject(new Error(`kernels could not be measured: ${message.message}`));
    });
    child.on('error', (error) => reject(new Error(`kernels could not be measured: ${error.message}`)));
    const stop = (): void => {
      if (child.connected) child.send('stop');
    };
    onEnded(child, (code, killer) => {
      signal?.removeEventListener('abort', stop);
      reject(new Error(`the process that measures kernels ended with ${killer ?? `code ${code}`}; profile again`));
    });
    child.send(orders);
    signal?.addEventListener('abort', stop);
    if (signal?.aborted === true) stop();
  });
}
