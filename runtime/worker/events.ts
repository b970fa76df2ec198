import type { TlsFiles } from '../transport/server.ts';
import type { PeerTraffic } from '../transport/transport.ts';

/** What a device process tells its worker. */
export type DeviceEvent =
  | { readonly type: 'ready'; readonly steps: number; readonly firstStep: number }
  | StepEvent
  | { readonly type: 'evaluation'; readonly step: number; readonly loss: number; readonly accuracy: number | undefined }
  | { readonly type: 'checkpoint'; readonly step: number; readonly path: string }
  /** Something the user should know though the run goes on, in a sentence. */
  | { readonly type: 'notice'; readonly message: string }
  | { readonly type: 'model'; readonly path: string }
  | { readonly type: 'failed'; readonly message: string }
  /** The end of a run that was asked to stop, after so many steps in all. */
  | { readonly type: 'stopped'; readonly step: number }
  | { readonly type: 'done' };

/** A finished step on one device. */
export interface StepEvent {
  readonly type: 'step';
  readonly step: number;
  /** Mean over the whole batch; only from the first device, which hears of every other. */
  readonly loss: number | undefined;
  readonly iterationSeconds: number;
  /** Since the start. */
  readonly computeSeconds: number;
  readonly waitSeconds: number;
  /** Since the start, by peer. */
  readonly traffic: readonly (readonly [peer: number, PeerTraffic])[];
}

/** Tells a device process to stop soon, with all the others. */
export interface StopOrder {
  readonly type: 'stop';
}

/** What a device process is told to do. */
export interface DeviceOrders {
  readonly device: number;
  /** The parsed TrainingJob and the text of its plan. */
  readonly job: unknown;
  readonly plan: string;
  readonly peers: readonly {
    readonly device: number;
    readonly node: string;
    readonly host: string;
    readonly port: number;
  }[];
  readonly listenHost: string;
  readonly token: string;
  readonly session: string;
  readonly storage: string;
  /** Whether to go on from the newest checkpoint; else the run begins anew. */
  readonly resume: boolean;
  readonly threads: number;
  readonly connectTimeoutMs: number;
  /** Undefined for plain connections. */
  readonly tls: TlsFiles | undefined;
}
