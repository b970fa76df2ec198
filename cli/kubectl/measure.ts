import type { TrainingJobResource } from '../../operator/api/resource.ts';
import { METRICS_PORT } from '../../operator/decide/children.ts';
import type { Sample } from '../../operator/progress/exposition.ts';
import { parseExposition } from '../../operator/progress/exposition.ts';
import type { Access } from './access.ts';
import { ask } from './access.ts';
import { readPods } from './job-objects.ts';
import type { RecordedSpans } from '../../runtime/profile/recorded-spans.ts';
import { decodeSpans } from '../../runtime/profile/recorded-spans.ts';
import { messageOf } from '../../soap/message-of.ts';

/** Totals that a device counted since its pod started. */
export interface DeviceTotals {
  readonly device: string;
  readonly pod: string;
  readonly iterations: number;
  readonly iterationSeconds: number;
  readonly computeSeconds: number;
  readonly waitSeconds: number;
  readonly sentBytes: number;
}

/** What the pods of a job measured. */
export interface Measured {
  readonly step: number;
  /** Not a number, or infinite, where training has diverged. */
  readonly loss: number;
  readonly samplesPerSecond: number;
  readonly devices: readonly DeviceTotals[];
}

/** A job's measurements, or why there are none; neither where it does not run. */
export interface JobMetrics {
  readonly measured?: Measured;
  readonly unreachable?: string;
}

/** Reads the metrics of a running job's pods through the API server's proxy. */
export async function measureJob(access: Access, { metadata, status }: TrainingJobResource): Promise<JobMetrics> {
  if (status?.state !== 'Running') return {};
  const { name = '', namespace = '' } = metadata;
  try {
    const samples = await ofPods(access, { name, namespace, attempt: status.attempt }, 'metrics');
    return { measured: combine(samples.map(([pod, text]) => [pod, parseExposition(text)] as const)) };
  } catch (error) {
    return { unreachable: messageOf(error) };
  }
}

/** What the devices of a running job recorded of some of its first steps; empty where it does not run, or has not come so far. */
export async function readSpans(access: Access, { metadata, status }: TrainingJobResource): Promise<RecordedSpans> {
  if (status?.state !== 'Running') return new Map();
  const { name = '', namespace = '' } = metadata;
  const texts = await ofPods(access, { name, namespace, attempt: status.attempt }, 'spans');
  return new Map(texts.flatMap(([pod, text]) => [...decodeSpans(text, `what pod ${namespace}/${pod} recorded`)]));
}

interface JobAttempt {
  readonly name: string;
  readonly namespace: string;
  readonly attempt: number | undefined;
}

/** What the pods of a job's attempt serve at a path, through the API server's proxy, by their names. */
async function ofPods(
  access: Access,
  { name, namespace, attempt }: JobAttempt,
  path: string,
): Promise<(readonly [pod: string, text: string])[]> {
  const pods = (await readPods(access, namespace, name, attempt)).flatMap((pod) => pod.metadata?.name ?? []);
  return Promise.all(
    pods.map(async (pod) => {
      const request = { name: `${pod}:${METRICS_PORT}`, namespace, path };
      const text: unknown = await ask(`${path} of pod ${namespace}/${pod}`, () =>
        access.core.connectGetNamespacedPodProxyWithPath(request),
      );
      return [pod, String(text)] as const;
    }),
  );
}

/** Puts the samples of all pods together. Only the pod of device 0 knows step, loss and throughput; elsewhere they stay 0. */
export function combine(pods: readonly (readonly [pod: string, samples: readonly Sample[]])[]): Measured {
  const gauge = (samples: readonly Sample[], name: string): number =>
    samples.find((sample) => sample.name === name)?.value ?? 0;
  const leader = pods.map(([, samples]) => samples).find((samples) => gauge(samples, 'soapstone_step') > 0) ?? [];
  return {
    step: gauge(leader, 'soapstone_step'),
    loss: gauge(leader, 'soapstone_loss'),
    samplesPerSecond: gauge(leader, 'soapstone_samples_per_second'),
    devices: pods
      .flatMap(([pod, samples]) => devicesOf(pod, samples))
      .toSorted((a, b) => Number(a.device) - Number(b.device)),
  };
}

function devicesOf(pod: string, samples: readonly Sample[]): DeviceTotals[] {
  const total = (name: string, device: string): number =>
    samples
      .filter((sample) => sample.name === name && sample.labels['device'] === device)
      .reduce((sum, { value }) => sum + value, 0);
  return samples
    .filter(({ name }) => name === 'soapstone_iteration_seconds_count')
    .map(({ labels: { device = '' }, value: iterations }) => ({
      device,
      pod,
      iterations,
      iterationSeconds: total('soapstone_iteration_seconds_sum', device),
      computeSeconds: total('soapstone_device_compute_seconds_total', device),
      waitSeconds: total('soapstone_device_wait_seconds_total', device),
      sentBytes: total('soapstone_sent_bytes_total', device),
    }));
}

/** What a device did from one reading to the next; since its start where it restarted or there was none before. */
export function since(now: DeviceTotals, before: DeviceTotals | undefined): DeviceTotals {
  if (before === undefined || before.pod !== now.pod || before.iterations >= now.iterations) return now;
  return {
    ...now,
    iterations: now.iterations - before.iterations,
    iterationSeconds: now.iterationSeconds - before.iterationSeconds,
    computeSeconds: now.computeSeconds - before.computeSeconds,
    waitSeconds: now.waitSeconds - before.waitSeconds,
    sentBytes: now.sentBytes - before.sentBytes,
  };
}
