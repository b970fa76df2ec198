import type { ClusterDescription, Connection, ForeignSums } from '../../soap/cluster/cluster.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { gigabytesPerSec } from '../../soap/cluster/units.ts';
import type { CostSource } from '../../soap/cost/cost-source.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import type { CollectiveAlgorithm } from '../../soap/tasks/task-graph.ts';
import type { PaperCluster, PaperModel } from './figures.ts';

/** What is assumed of a cluster beside its devices. */
export interface Wires {
  /** Payload each way of what joins the GPUs of a node; the preset's where left out. */
  readonly insideGBps?: number | undefined;
  /** Whether all that a GPU sends passes one port, as sums do in the authors' simulator; else it has all links of its data sheet. */
  readonly onePort?: boolean | undefined;
  /** The same of a node's network adapter. */
  readonly betweenGBps?: number | undefined;
  /** How gradients may be summed; every way where left out. */
  readonly collectives?: readonly CollectiveAlgorithm[] | undefined;
  /** What is assumed of sums beside; what this project does where left out. */
  readonly sums?: ForeignSums | undefined;
}

/**
 * What the paper's authors assume in their simulator: gradients go to one device, node by node, and devices compute nothing
 * meanwhile; the way back does not count; what a GPU sends for sums passes one port (here all that it sends).
 * Source: `update` of each op and `simulate_time` in `scripts/simulator.cc` of flexflow/FlexFlow.
 */
export const PAPER_WIRES: Wires = {
  onePort: true,
  collectives: ['owner'],
  sums: { holdDevices: true, fetchLater: true },
};

/**
 * A model of the paper on so many GPUs, with its batch, its layers (no batch normalization), and its groups of eight steps.
 * Durations are the roofline's times one factor, with which one GPU gives the paper's samples per second.
 */
export function paperProblem(model: PaperModel, family: PaperCluster, gpus: number, wires: Wires): PlanningProblem {
  const { collectives, sums } = wires;
  const preset = rewired(presetCluster(`${family}x${gpus}`).description, wires);
  const cluster = createCluster(sums === undefined ? preset : { ...preset, sums });
  const uncalibrated = subject(model, 1);
  const single = { training: uncalibrated, cluster: presetCluster(`${family}x1`), costs: createRooflineCosts() };
  const { samplesPerSecond } = evaluate(single, singleDevice(uncalibrated.graph));
  const costs = scaledCosts(createRooflineCosts(), samplesPerSecond / model.singleGpu[family]);
  return { training: subject(model, gpus), cluster, costs, ...(collectives === undefined ? {} : { collectives }) };
}

function subject({ builtin, batchPerGpu }: PaperModel, gpus: number): PlanningProblem['training'] {
  const hasBatchNorm = builtin === 'inceptionv3' || builtin === 'resnet101';
  return attachLoss(
    builtinGraph(builtin, batchPerGpu * gpus, hasBatchNorm ? { batchNorm: false } : {}),
    'crossEntropy',
  );
}

/** A cost source with all durations times a factor. */
function scaledCosts(costs: CostSource, factor: number): CostSource {
  return { ...costs, durationUs: (work, device) => factor * costs.durationUs(work, device) };
}

/** The same cluster with other bandwidths between devices of a node, and between a node and the network. */
function rewired(description: ClusterDescription, { insideGBps, betweenGBps, onePort }: Wires): ClusterDescription {
  const devices = new Set(description.devices.map(({ name }) => name));
  const bandwidthOf = ({ between, bandwidthBytesPerSec }: Connection): number => {
    const gbps = between.includes('network')
      ? betweenGBps
      : between.every((point) => devices.has(point) || /\/switch/.test(point))
        ? insideGBps
        : undefined;
    return gbps === undefined ? bandwidthBytesPerSec : gigabytesPerSec(gbps);
  };
  const given = description.connections.map((each) => ({ ...each, bandwidthBytesPerSec: bandwidthOf(each) }));
  const connections = onePort === true ? throughOnePort(given, devices) : given;
  return { ...description, connections };
}

/** Links between two GPUs give way to their ways to the host, at the rate of those links. */
function throughOnePort(connections: readonly Connection[], devices: ReadonlySet<string>): Connection[] {
  const isDirect = ({ between }: Connection): boolean => between.every((point) => devices.has(point));
  const direct = connections.find(isDirect);
  if (direct === undefined) return [...connections];
  const { bandwidthBytesPerSec } = direct;
  return connections
    .filter((each) => !isDirect(each))
    .map((each) => (each.between.some((point) => devices.has(point)) ? { ...each, bandwidthBytesPerSec } : each));
}
