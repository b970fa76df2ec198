import type { FuzzTarget } from '../target.ts';
import { checkpoint } from './checkpoint.ts';
import { clusterFile } from './cluster-file.ts';
import { costTable } from './cost-table.ts';
import { dataFile } from './data-file.ts';
import { handoff } from './handoff.ts';
import { idx } from './idx.ts';
import { jobFile } from './job-file.ts';
import { liveDevice } from './live-device.ts';
import { measuredCosts } from './measured-costs.ts';
import { onnx } from './onnx.ts';
import { planFile } from './plan-file.ts';
import { safetensors } from './safetensors.ts';
import { webSocket } from './web-socket.ts';
import { peer, wire } from './wire.ts';

export const TARGETS: readonly FuzzTarget[] = [
  onnx,
  handoff,
  safetensors,
  checkpoint,
  dataFile,
  idx,
  planFile,
  clusterFile,
  costTable,
  jobFile,
  measuredCosts,
  wire,
  webSocket,
  peer,
  liveDevice,
];
