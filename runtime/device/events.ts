import type { ChosenEngine } from '../kernels/create-engine.ts';
import type { MeasuredLink } from '../profile/measure-links.ts';
import type { OpPace } from '../program/op-clock.ts';
import type { RecordedSteps, Span } from '../program/recorder.ts';
import type { TlsFiles } from '../transport/server.ts';
import type { PeerTraffic } from '../transport/transport.ts';

/** What a device process tells its worker. */
export type DeviceEvent =
  /** The port that the device took, where its orders let it take any. */
  | { readonly type: 'listening'; readonly port: number }
  | ReadyEvent
  | StepEvent
  | LinksEvent
  /** What the device spent time on in the steps that were to be recorded. */
  | { readonly type: 'spans'; readonly spans: readonly Span[] }
  | { readonly type: 'evaluation'; readonly step: number; readonly loss: number; readonly accuracy: number | undefined }
  /** A whole checkpoint, and how long all devices took to write it. */
  | { readonly type: 'checkpoint'; readonly step: number; readonly path: string; readonly seconds: number }
  /** Something the user should know though the run goes on, in a sentence. */
  | { readonly type: 'notice'; readonly message: string }
  | { readonly type: 'model'; readonly path: string }
  | FailedEvent
  /** The end of a run that was asked to stop, after so many steps in all. */
  | { readonly type: 'stopped'; readonly step: number }
  | { readonly type: 'done' };

/** A device that cannot go on. */
export interface FailedEvent {
  readonly type: 'failed';
  readonly message: string;
  /** Whether it is a file of storage that is not there: it may be put there yet. */
  readonly isMissingFile: boolean;
  /** The device that was lost, where that is why. */
  readonly lostPeer: number | undefined;
}

/** A device that begins to train. */
export interface ReadyEvent {
  readonly type: 'ready';
  readonly steps: number;
  readonly firstStep: number;
  /** Whether nothing is left to train, and the run before ended with a loss that is no number. */
  readonly endedDiverged?: boolean;
  /** What its kernels run on. */
  readonly provider: ChosenEngine['provider'];
  /** What one iteration of this device should take in kernels, and in sums of gradients, these added up. */
  readonly predicted: { readonly computeSeconds: number; readonly collectiveSeconds: number };
}

/** The ways from a device to others, as they were measured before the first step. */
export interface LinksEvent {
  readonly type: 'links';
  readonly links: readonly (MeasuredLink & {
    /** The narrowest link of the way in the plan. */
    readonly plannedBytesPerSec: number;
  })[];
}

/** A finished step on one device. */
export interface StepEvent {
  readonly type: 'step';
  readonly step: number;
  /** Mean over the whole batch; only from the first device, which hears of every other. */
  readonly loss: number | undefined;
  readonly iterationSeconds: number;
  /** When the step was done, in milliseconds since the epoch by a monotonic clock. */
  readonly doneMs: number;
  /** The op that parts most from its prediction; only in some steps. */
  readonly farthestOp?: OpPace | undefined;
  /** Since the start. */
  readonly computeSeconds: number;
  readonly waitSeconds: number;
  /** Lengths of all sums of gradients, added up. */
  readonly collectiveSeconds: number;
  /** Since the start, by peer. */
  readonly traffic: readonly (readonly [peer: number, PeerTraffic])[];
  /** Seconds that messages were waited for, since the start, by peer. */
  readonly awaited: readonly (readonly [peer: number, seconds: number])[];
}

/** Where a device of the job is reached. */
export interface DeviceAddress {
  readonly device: number;
  readonly node: string;
  readonly host: string;
  /** 0 takes any free one, where all devices are of one worker. */
  readonly port: number;
}

/** Tells a device process to stop soon, with all the others. */
export interface StopOrder {
  readonly type: 'stop';
}

/** Tells a device process which ports the devices of its worker took, each its own. */
export interface PortsOrder {
  readonly type: 'ports';
  readonly ports: ReadonlyMap<number, number>;
}

/** What ties a device to its worker while it runs. */
export interface WorkerTies {
  readonly report: (event: DeviceEvent) => void;
  /** Ends the run early: after the step that all devices can still agree on, with a checkpoint. */
  readonly stop: AbortSignal;
  /** The ports of all devices, where they take any: told once all listen. */
  readonly ports: Promise<ReadonlyMap<number, number>>;
}

/** What a device process is told to do. */
export interface DeviceOrders {
  readonly device: number;
  /** The parsed TrainingJob and the text of its plan. */
  readonly job: unknown;
  readonly plan: string;
  readonly peers: readonly DeviceAddress[];
  readonly listenHost: string;
  readonly token: string;
  readonly session: string;
  readonly storage: string;
  /** What checkpoint.directory is relative to, where it is not storage. */
  readonly checkpointStorage?: string | undefined;
  /** Whether to go on from the newest checkpoint; else the run begins anew. */
  readonly resume: boolean;
  readonly threads: number;
  /** How many devices of this machine come before it: which GPU is its own. */
  readonly gpu: number;
  /** How many devices share this machine or pod. */
  readonly devicesHere: number;
  readonly connectTimeoutMs: number;
  /** Undefined for plain connections. */
  readonly tls: TlsFiles | undefined;
  /** Steps whose spans to report; none where left out. */
  readonly record?: RecordedSteps | undefined;
}
