import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import { MissingFileError } from '../storage/missing-file.ts';
import type { MetricsServer } from '../metrics/server.ts';
import { serveMetrics } from '../metrics/server.ts';
import { RuntimeMetrics } from '../metrics/metrics.ts';
import { PeerError } from '../transport/transport.ts';
import type { TlsFiles } from '../transport/server.ts';
import { encodeSpans } from '../profile/recorded-spans.ts';
import type { RecordedSteps, Span } from '../program/recorder.ts';
import type { DeviceAddress, DeviceEvent, DeviceOrders, FailedEvent, PortsOrder, StopOrder } from '../device/events.ts';
import { onEnded } from '../process/on-ended.ts';
import { MALLOC_SETTINGS, NODE_SETTINGS } from '../process/process-settings.ts';

const DEVICE_PROGRAM = fileURLToPath(new URL('../device/main.ts', import.meta.url));

/** How long survivors may take to say what they saw, once a device has failed. */
const GRACE_MS = 1000;

export interface WorkerOptions {
  readonly job: TrainingJob;
  /** Text of the plan file. */
  readonly plan: string;
  /** All devices of the job. */
  readonly addresses: readonly DeviceAddress[];
  /** The devices that this worker runs. */
  readonly devices: readonly number[];
  readonly listenHost: string;
  readonly metrics: { readonly host: string; readonly port: number };
  readonly token: string;
  /** Job and attempt. */
  readonly session: string;
  readonly storage: string;
  /** What checkpoint.directory is relative to, where it is not storage. */
  readonly checkpointStorage?: string;
  /** Whether to go on from the newest checkpoint; else the run begins anew. */
  readonly resume: boolean;
  readonly connectTimeoutMs: number;
  /** Steps of which devices report what they spend time on; none where left out. */
  readonly record?: RecordedSteps | undefined;
  /** Called for every event of every device. */
  onEvent(device: number, event: DeviceEvent): void;
  /** Called once, when the metrics are served. */
  onMetrics?(url: string): void;
  /** Undefined for plain connections between devices. */
  readonly tls?: TlsFiles;
  /** Aborting it lets all devices of the job, wherever they run, finish a step, write a checkpoint and stop. */
  readonly stop: AbortSignal;
  /** Aborting it stops every device at once. */
  readonly signal: AbortSignal;
}

/**
 * How a run ended: with all its steps, diverged where the last loss that the devices here heard of, or that of the checkpoint that left
 * nothing to train, is no number; or early because that was asked for, after some of them if they had begun.
 */
export type RunEnd =
  | { readonly kind: 'done'; readonly isDiverged: boolean }
  | { readonly kind: 'stopped'; readonly step: number | undefined };

/**
 * Runs the devices of one machine or pod, a process each, and serves their metrics. Resolves when all are done or have stopped.
 * @throws {Error} with the first failure that is not the loss of a peer, else a {@link PeerError}; by then no process is left
 */
export async function runWorker(options: WorkerOptions): Promise<RunEnd> {
  const { job, devices, stop, signal } = options;
  const metrics = new RuntimeMetrics({
    job: job.metadata.name,
    batchSize: job.spec.training.batchSize,
    plan: decodePlan(options.plan),
    devices,
  });
  const team = new DeviceTeam(options, metrics);
  const server: MetricsServer = await serveMetrics(metrics.registry, options.metrics, () => encodeSpans(team.spans));
  options.onMetrics?.(server.url);
  const abort = (): void => team.fail(new Error('the run was stopped'));
  const halt = (): void => team.halt();
  signal.addEventListener('abort', abort);
  stop.addEventListener('abort', halt);
  try {
    if (signal.aborted) throw new Error('the run was stopped');
    const ended = team.run(devices);
    if (stop.aborted) team.halt();
    return await ended;
  } finally {
    signal.removeEventListener('abort', abort);
    stop.removeEventListener('abort', halt);
    await team.stop();
    await server.close();
  }
}

/** The processes of a worker's devices. */
class DeviceTeam {
  readonly #options: WorkerOptions;
  readonly #metrics: RuntimeMetrics;
  readonly #processes = new Map<number, ChildProcess>();
  readonly #done = new Set<number>();
  /** Those that said why they failed. */
  readonly #failed = new Set<number>();
  /** Those that devices took. */
  readonly #ports = new Map<number, number>();
  readonly #spans = new Map<number, readonly Span[]>();
  /** What devices said when they failed; peers of the first failure fail after it. */
  readonly #failures: Error[] = [];
  #lossTimer: NodeJS.Timeout | undefined;
  #settle: { resolve(end: RunEnd): void; reject(error: Error): void } | undefined;
  #stopped: Extract<RunEnd, { kind: 'stopped' }> | undefined;
  #isDiverged = false;
  /** The step that devices were last heard to be at. */
  #step: number | undefined;

  constructor(options: WorkerOptions, metrics: RuntimeMetrics) {
    this.#options = options;
    this.#metrics = metrics;
  }

  run(devices: readonly number[]): Promise<RunEnd> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      for (const device of devices) this.#start(device);
    });
  }

  /** What devices have reported of the steps to be recorded. */
  get spans(): ReadonlyMap<number, readonly Span[]> {
    return this.#spans;
  }

  /** Asks every device to stop after a step that all agree on. */
  halt(): void {
    if (this.#step === undefined) {
      this.#settle?.resolve({ kind: 'stopped', step: undefined });
      return;
    }
    this.#tell({ type: 'stop' });
  }

  /**
   * Ends the run with a failure. The first counts that is not the loss of a peer: those who lose a device may say so before it is seen
   * that the device is one of this team, and how it ended, so they get a moment.
   */
  fail(error: Error): void {
    this.#failures.push(error);
    if (!(error instanceof PeerError)) this.#settle?.reject(error);
    else if (this.#failures.length === 1) this.#lossTimer = setTimeout(() => this.#settle?.reject(error), GRACE_MS);
  }

  /** Kills what still runs and waits until it is gone. */
  async stop(): Promise<void> {
    clearTimeout(this.#lossTimer);
    const exits = [...this.#processes.values()].map(
      (child) => new Promise<void>((resolve) => (hasEnded(child) ? resolve() : child.once('exit', () => resolve()))),
    );
    for (const child of this.#processes.values()) child.kill('SIGTERM');
    const timer = setTimeout(() => {
      for (const child of this.#processes.values()) child.kill('SIGKILL');
    }, GRACE_MS);
    await Promise.all(exits);
    clearTimeout(timer);
  }

  #tell(order: StopOrder | PortsOrder): void {
    for (const child of this.#processes.values()) send(child, order);
  }

  #start(device: number): void {
    const child = fork(DEVICE_PROGRAM, {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [...process.execArgv, ...NODE_SETTINGS],
      env: { ...process.env, ...MALLOC_SETTINGS },
    });
    this.#processes.set(device, child);
    child.on('message', (event: DeviceEvent) => this.#hear(device, event));
    child.on('error', (error) => {
      // One that has an id was started, and how it ends is heard by itself.
      if (child.pid === undefined) this.fail(new Error(`device ${device} could not be started: ${error.message}`));
    });
    onEnded(child, (code, signal) => this.#ended(device, code, signal));
    send(child, this.#ordersFor(device));
  }

  #ordersFor(device: number): DeviceOrders {
    const {
      addresses: peers,
      devices,
      job,
      plan,
      listenHost,
      token,
      session,
      storage,
      checkpointStorage,
    } = this.#options;
    const { resume, connectTimeoutMs, record, tls } = this.#options;
    const threads = Math.max(1, Math.floor(availableParallelism() / devices.length));
    const here = { gpu: devices.indexOf(device), devicesHere: devices.length };
    const placed = { device, threads, ...here, peers, listenHost, storage, checkpointStorage };
    return { ...placed, job, plan, token, session, resume, connectTimeoutMs, record, tls };
  }

  #hear(device: number, event: DeviceEvent): void {
    this.#metrics.observe(device, event);
    this.#options.onEvent(device, event);
    if (event.type === 'listening') {
      this.#ports.set(device, event.port);
      if (this.#ports.size === this.#processes.size) this.#tell({ type: 'ports', ports: this.#ports });
    }
    if (event.type === 'ready') {
      this.#step = event.firstStep + 1;
      this.#isDiverged = event.endedDiverged === true;
    } else if (event.type === 'step') this.#step = event.step + 2;
    if (event.type === 'step' && event.loss !== undefined) this.#isDiverged = !Number.isFinite(event.loss);
    if (event.type === 'spans') this.#spans.set(device, [...(this.#spans.get(device) ?? []), ...event.spans]);
    if (event.type === 'failed') {
      this.#failed.add(device);
      this.fail(failureOf(device, event));
    } else if (event.type === 'done' || event.type === 'stopped') {
      if (event.type === 'stopped') this.#stopped = { kind: 'stopped', step: event.step };
      this.#done.add(device);
    }
  }

  #ended(device: number, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#failed.has(device)) {
      // All have said what they saw.
      if ([...this.#processes.values()].every(hasEnded)) this.#settle?.reject(this.#failures[0]!);
      return;
    }
    if (this.#done.has(device)) {
      // Not before: a process that is ended while it takes its leave is lost to its peers, who may not be done yet.
      if ([...this.#processes].every(([id, child]) => this.#done.has(id) && hasEnded(child))) {
        this.#settle?.resolve(this.#stopped ?? { kind: 'done', isDiverged: this.#isDiverged });
      }
      return;
    }
    const how = signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
    const when = this.#step === undefined ? 'before the first step' : `in step ${this.#step}`;
    const cure =
      signal === 'SIGKILL'
        ? 'if nobody did that, the machine was out of memory: use more devices, a smaller batch, or more memory'
        : 'start the job again';
    this.fail(new Error(`the process of device ${device} ${how} ${when}; ${cure}`));
  }
}

function failureOf(device: number, { message, isMissingFile, lostPeer }: FailedEvent): Error {
  const text = `device ${device}, ${message}`;
  if (isMissingFile) return new MissingFileError(text);
  return lostPeer === undefined ? new Error(text) : new PeerError(lostPeer, text);
}

/** Tells a process something. One that has just ended does not take it: that is no error of its own. */
function send(child: ChildProcess, order: DeviceOrders | StopOrder | PortsOrder): void {
  if (child.connected) child.send(order, () => undefined);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
