/** The program of the process that measures kernels: it has the environment of a device. */
import process from 'node:process';
import { createKernelEngine } from '../kernels/create-engine.ts';
import { DEFAULT_EFFORT } from './measure-kernel.ts';
import { measureModel } from './measure-model.ts';
import type { ProfileMessage, ProfileOrders } from './profile-kernels.ts';
import { messageOf } from '../../soap/message-of.ts';

function say(message: ProfileMessage): void {
  process.send?.(message);
}

const stop = new AbortController();
process.on('SIGINT', () => stop.abort());
process.on('disconnect', () => process.exit(1));
process.once('message', ({ known, engine: asked, ...orders }: ProfileOrders) => {
  process.once('message', () => stop.abort());
  const measure = async (): Promise<void> => {
    const { provider, engine } = createKernelEngine(asked.provider, { threads: asked.threads, gpu: 0 });
    const measured = await measureModel(engine, {
      ...orders,
      known: new Set(known),
      effort: DEFAULT_EFFORT,
      signal: stop.signal,
      onProgress: (done, of) => say({ type: 'progress', done, of }),
    });
    say({ type: 'measured', provider, ...measured });
  };
  measure()
    .catch((error: unknown) => say({ type: 'failed', message: messageOf(error) }))
    .finally(() => process.disconnect());
});
