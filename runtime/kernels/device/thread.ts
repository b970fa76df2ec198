import { workerData } from 'node:worker_threads';
import { DeviceHost } from './device-host.ts';
import type { Answer, Envelope, Request, ThreadData } from './protocol.ts';
import { DEVICE_PROVIDERS } from './providers.ts';
import { messageOf } from '../../../soap/message-of.ts';

const { provider, gpu, port, started }: ThreadData = workerData;

let host: DeviceHost | undefined;

function handle(request: Request): void {
  if (request.do === 'open') host ??= new DeviceHost(DEVICE_PROVIDERS[provider], gpu);
  else if (request.do === 'end') {
    host?.close();
    host = undefined;
  } else host!.handle(request);
}

function answer({ number, request }: Envelope): Answer {
  try {
    handle(request);
    return { number };
  } catch (error) {
    return { number, error: messageOf(error) };
  }
}

port.on('message', (envelope: Envelope) => {
  port.postMessage(answer(envelope));
  const { signal } = envelope;
  if (signal === undefined) return;
  Atomics.store(signal, 0, 1);
  Atomics.notify(signal, 0);
});

Atomics.store(started, 0, 1);
Atomics.notify(started, 0);
