import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { encodePlan } from '../../soap/plan/plan-file.ts';
import type { TlsFiles } from '../../runtime/transport/server.ts';
import type { DeviceEvent } from '../../runtime/device/events.ts';
import type { RunEnd, WorkerOptions } from '../../runtime/worker/worker.ts';
import { runWorker } from '../../runtime/worker/worker.ts';
import { UsageError } from '../command-line/usage-error.ts';

const LOOPBACK = '127.0.0.1';
const CONNECT_TIMEOUT_MS = 30_000;

export interface LocalRunOptions extends Pick<WorkerOptions, 'tls' | 'stop' | 'signal' | 'record'> {
  readonly job: TrainingJob;
  readonly directory: string;
  readonly plan: Plan;
  readonly resume: boolean;
  readonly metricsPort: number;
  onEvent(device: number, event: DeviceEvent): void;
  onMetrics(url: string): void;
}

/** Runs a planned job on processes of this machine. */
export async function runLocally(options: LocalRunOptions): Promise<RunEnd> {
  const { job, plan, directory } = options;
  const tls = options.tls ?? (job.spec.tls ? await loopbackCertificate() : undefined);
  // Each device takes a free port by itself: one that was only found free could be another's by then.
  const addresses = plan.cluster.devices.map((_, device) => ({ device, node: 'local', host: LOOPBACK, port: 0 }));
  return runWorker({
    ...options,
    plan: encodePlan(plan),
    addresses,
    devices: addresses.map(({ device }) => device),
    listenHost: LOOPBACK,
    metrics: { host: LOOPBACK, port: options.metricsPort },
    token: randomBytes(32).toString('hex'),
    session: `${job.metadata.name}/local`,
    storage: directory,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    ...(tls && { tls }),
  });
}

/** What the controller would give the job's pods; loaded only here, since the library takes a while. */
async function loopbackCertificate(): Promise<TlsFiles> {
  const { issueCertificate } = await import('../../operator/secrets/certificate.ts');
  return issueCertificate([LOOPBACK], new Date(), randomBytes);
}

/**
 * Makes sure, before long work, that the metrics port is free.
 * @param port 0 takes any
 * @throws {UsageError} where it is not
 */
export async function requireMetricsPort(port: number): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, LOOPBACK, resolve);
  }).catch((error: NodeJS.ErrnoException) => {
    const taken = error.code === 'EADDRINUSE';
    const reason = taken
      ? 'another process has the port: stop it, or choose another'
      : `this user cannot have it (${error.message}): choose another`;
    throw new UsageError(`--metrics-port is ${port}; ${reason}; 0 takes any that is free`, {
      cause: error,
    });
  });
  await new Promise((resolve) => server.close(resolve));
}
