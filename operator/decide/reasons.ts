import type { ConditionType } from '../api/resource.ts';

/** For machines; each is explained in REASONS. */
export type Reason =
  | 'NotYet'
  | 'Valid'
  | 'UnknownFields'
  | 'InvalidSpec'
  | 'ImmutableFieldChanged'
  | 'NotAccepted'
  | 'DevicesFound'
  | 'NumbersDefaulted'
  | 'NoDevices'
  | 'InsufficientDevices'
  | 'PlanNodesMissing'
  | 'Profiling'
  | 'CostsKnown'
  | 'ProfilingOff'
  | 'ProfileFailed'
  | 'ProfileNotPlaced'
  | 'ProfileTooSlow'
  | 'ReportRejected'
  | 'Searching'
  | 'PlanFound'
  | 'PlanOutdated'
  | 'Inspecting'
  | 'ModelUnreadable'
  | 'SearchFailed'
  | 'ModelUnavailable'
  | 'InfeasibleMemory'
  | 'Starting'
  | 'AllRunning'
  | 'WaitingForOldPods'
  | 'BackingOff'
  | 'WaitingForAdmission'
  | 'AdmittedElsewhere'
  | 'Unschedulable'
  | 'NotPlaced'
  | 'PodRefused'
  | 'ImagePullFailed'
  | 'ContainerConfigError'
  | 'QuotaExceeded'
  | 'CreationForbidden'
  | 'InvalidPod'
  | 'CreationFailed'
  | 'NameTaken'
  | 'FileMissing'
  | 'Crashed'
  | 'OutOfMemory'
  | 'Preempted'
  | 'Evicted'
  | 'NodeLost'
  | 'PeerLost'
  | 'PlanLost'
  | 'SpecChanged'
  | 'Finished'
  | 'Ended'
  | 'ComputesOnDevices'
  | 'DevicesIdle'
  | 'LinksAsPlanned'
  | 'LinkSlowerThanLabel'
  | 'LinkFasterThanLabel'
  | 'AsPredicted'
  | 'SlowerThanPredicted'
  | 'FasterThanPredicted'
  | 'MovesOff'
  | 'NoBetterNodes'
  | 'SearchingNodes'
  | 'MoveSearchFailed'
  | 'GainTooSmall'
  | 'AwaitingCheckpoint'
  | 'Moving'
  | 'Moved'
  | 'SuspendRequested'
  | 'NotSuspended'
  | 'TrainingComplete'
  | 'BackoffLimitExceeded'
  | 'Diverged'
  | 'DeadlineExceeded';

/** What a reason means and what to do about it. */
export interface ReasonEntry {
  readonly condition: ConditionType;
  readonly meaning: string;
  readonly cure: string;
}

const NOTHING = 'nothing to do';

const reason = (condition: ConditionType, meaning: string, cure: string = NOTHING): ReasonEntry => ({
  condition,
  meaning,
  cure,
});

/**
 * Every reason that a condition of a TrainingJob can have; the code can name no other, and docs/operations.md is held to this
 * list by a test. A reason that is used with several conditions stands with the one that it explains.
 */
export const REASONS: Readonly<Record<Reason, ReasonEntry>> = {
  NotYet: reason('Accepted', 'the job has not come so far'),
  Valid: reason('Accepted', 'the spec is valid'),
  UnknownFields: reason(
    'Accepted',
    'the spec is valid, but kubectl applied fields that there are not: the API server took them out; the message names them',
    'correct the fields and apply again',
  ),
  InvalidSpec: reason(
    'Accepted',
    'the spec contradicts itself; the message names every field',
    'correct the fields and apply again',
  ),
  ImmutableFieldChanged: reason(
    'Accepted',
    'a field that plan and checkpoints are made for was changed after the job got its pods; they run on, and none is started; the message names the field',
    'set the field back, or delete the job and apply it again',
  ),
  DevicesFound: reason('TopologyDiscovered', 'there are enough free devices, all numbers known'),
  NumbersDefaulted: reason(
    'TopologyDiscovered',
    'there are enough free devices, but some speeds or sizes are defaults: the plan may be poorer than it could be',
    'run GPU feature discovery, or set the labels that status.topology.sources names',
  ),
  NoDevices: reason(
    'TopologyDiscovered',
    'no node offers the resource',
    'install the device plugin, correct spec.devices.resource or nodeSelector (cpu trains on processor cores), or add nodes',
  ),
  InsufficientDevices: reason(
    'TopologyDiscovered',
    'fewer devices are free than spec.devices.min; the message says why each node was left out',
    'add nodes, wait for other jobs, or lower spec.devices.min',
  ),
  PlanNodesMissing: reason(
    'TopologyDiscovered',
    'the nodes of the plan that the job gives are not there or not free',
    'free them, or give a plan whose cluster has the names of nodes that are',
  ),
  Profiling: reason(
    'CostsMeasured',
    'a pod measures what the model costs on a type of device; the message says on which',
    'nothing, or set spec.profile to false to plan by data sheets at once',
  ),
  CostsKnown: reason(
    'CostsMeasured',
    "what the model costs on the job's devices was measured; status.costs says how much of the plan rests on it",
  ),
  ProfilingOff: reason(
    'CostsMeasured',
    'devices are not measured: spec.profile or config.profilePods is false; the plan rests on data sheets, and on what other jobs measured',
    'set both to true to have devices measured',
  ),
  ProfileFailed: reason(
    'CostsMeasured',
    'the pod that was to measure a type of device failed or could not be created; the plan rests on data sheets for it',
    "see the message and the pod's log; jobs that are applied later try again",
  ),
  ProfileNotPlaced: reason(
    'CostsMeasured',
    'the pod that was to measure a type of device found no place, or its queue did not admit it, in time; the plan rests on data sheets for it',
    'see the message; free a device, or correct spec.template; jobs that are applied later try again',
  ),
  ProfileTooSlow: reason(
    'CostsMeasured',
    'the pod that was to measure a type of device did not end in time; the plan rests on data sheets for it',
    'raise config.profileSeconds; jobs that are applied later try again',
  ),
  ReportRejected: reason(
    'CostsMeasured',
    'what the pod that measured a type of device reported is no table of costs, or cannot be kept; the plan rests on data sheets for it',
    'see the message: the image of the pod must be of this version, and the namespace must let ConfigMaps be written',
  ),
  Searching: reason('PlanFound', 'the search is running or queued'),
  PlanFound: reason('PlanFound', 'there is a plan; the message has its predicted iteration time'),
  PlanOutdated: reason(
    'PlanFound',
    'the nodes of the plan are no longer free, did not take a pod before, or are fewer or more devices than spec.devices asks for by now; a new plan is made',
  ),
  Inspecting: reason('PlanFound', 'a pod reads the model, or the plan, from spec.storage'),
  ModelUnreadable: reason(
    'PlanFound',
    'the pod that reads spec.storage failed; the message has what it said',
    'correct what the message names, delete the job and apply it again',
  ),
  SearchFailed: reason(
    'PlanFound',
    'the model could not be read, or there is no plan for it; the message says which',
    'correct what the message names, delete the job and apply it again',
  ),
  ModelUnavailable: reason(
    'PlanFound',
    'the model, or the plan, cannot be had now: its ConfigMap, key or file is not there, its server is missing or busy, or the log of the pod that read it is gone; looked for again after 5 s, then less often, at least every 30 s, or every 2 minutes where a pod looks',
    'see the message: create what is missing; the controller must reach the server of spec.model.url, or the node of the pod',
  ),
  InfeasibleMemory: reason(
    'PlanFound',
    'no plan fits into the memory of the devices',
    'allow more or larger devices, raise spec.training.gradientAccumulationSteps, or lower batchSize',
  ),
  Starting: reason('PodsReady', 'pods are being created or started'),
  AllRunning: reason('PodsReady', 'every pod runs'),
  NotAccepted: reason(
    'PodsReady',
    'pods failed or are not there, and none is started since the spec is refused: see the condition Accepted',
    'correct what the message of Accepted names; the job goes on from the last checkpoint',
  ),
  WaitingForOldPods: reason(
    'PodsReady',
    'pods of the attempt before are still ending; new ones wait, so that two sets never run',
    'nothing, or see why the pod that the message names does not end',
  ),
  BackingOff: reason('PodsReady', 'the pause before the next attempt'),
  WaitingForAdmission: reason(
    'PodsReady',
    'a queue has not admitted the pods yet',
    'see the queue: kubectl get workloads, kubectl describe clusterqueue',
  ),
  AdmittedElsewhere: reason('PodsReady', 'the queue admitted the pods to other nodes; a plan for those is made'),
  Unschedulable: reason(
    'PodsReady',
    'the scheduler finds no room for a pod; after the placement deadline all pods are given back',
    'see the message of the scheduler: free the node, or correct spec.template',
  ),
  NotPlaced: reason(
    'PodsReady',
    'not all pods were placed, or could be created, within the deadline; all were given back, and a new plan is made, without the nodes that took none where the others suffice',
    'free devices, or lower spec.devices.max',
  ),
  PodRefused: reason(
    'PodsReady',
    'the node of a pod did not let it in, such as for a device that is broken or for cores that others took meanwhile; the job restarts, uncounted, by a new plan, without that node where the others suffice',
    "see the message of the node's kubelet",
  ),
  ImagePullFailed: reason(
    'PodsReady',
    'the image of a pod cannot be pulled',
    'correct the image name, or add imagePullSecrets to spec.template',
  ),
  ContainerConfigError: reason(
    'PodsReady',
    'a pod names a ConfigMap, Secret or key that does not exist',
    'create it, or correct spec.template',
  ),
  QuotaExceeded: reason(
    'PodsReady',
    'a ResourceQuota of the namespace forbids the pods',
    'raise the quota, lower spec.devices.max, delete other pods, or give spec.template the limits that the message names',
  ),
  CreationForbidden: reason(
    'PodsReady',
    'the API server forbids an object of the job',
    'see the message: pod security of the namespace, an admission policy, or the rights of the controller',
  ),
  InvalidPod: reason('PodsReady', 'the API server calls a pod invalid', 'correct spec.template or spec.storage'),
  CreationFailed: reason(
    'PodsReady',
    'an object of the job could not be created; it is tried again',
    'see the message',
  ),
  NameTaken: reason(
    'PodsReady',
    'an object that is not of the job has the name of one that it needs; it is left as it is, and looked at again',
    'delete or rename the object that the message names, or give the job another name',
  ),
  FileMissing: reason(
    'PodsReady',
    'a pod did not find a file that the job names, or one that is being copied; the job restarts, uncounted, after a pause of up to 2 minutes, until it is there',
    'put the file into spec.storage, or correct its path in spec.dataset or spec.evaluation',
  ),
  Crashed: reason(
    'PodsReady',
    'a pod failed; the job restarts from its last checkpoint; counts towards spec.backoffLimit',
    'see the message, and status.restarts, which keeps the last lines of pods that are deleted (kubectl soapstone top JOB)',
  ),
  OutOfMemory: reason(
    'PodsReady',
    'a pod was killed for memory; the job restarts; counts towards spec.backoffLimit',
    'raise the memory limit in spec.template',
  ),
  Preempted: reason('PodsReady', 'a pod was preempted or told to stop (exit code 143); the job restarts, uncounted'),
  Evicted: reason('PodsReady', 'a pod was evicted or deleted; the job restarts, uncounted'),
  NodeLost: reason(
    'PodsReady',
    'the node of a pod is gone or not ready; the job restarts, uncounted, on the nodes that are left',
    'nothing, or bring the node back',
  ),
  PeerLost: reason(
    'PodsReady',
    'a pod lost its connection to another (exit code 69); up to a minute later, unless it is known before that a pod crashed or a node is lost, the job restarts, uncounted',
    'nothing, or see the network between the nodes',
  ),
  PlanLost: reason(
    'PodsReady',
    "the job's ConfigMap with the plan was deleted or changed; the pods end, uncounted, and a new plan is made",
  ),
  SpecChanged: reason(
    'PodsReady',
    'the spec was changed before all pods of the attempt were created: those that are there end, uncounted, and all are made from the new spec',
  ),
  Finished: reason('PodsReady', 'every pod has done its work'),
  Ended: reason('PodsReady', 'the job has failed; pods that still ran were deleted'),
  ComputesOnDevices: reason('DevicesUsed', 'kernels run on the devices that the job holds'),
  DevicesIdle: reason(
    'DevicesUsed',
    'the job holds GPUs, and its kernels run on processors: the image of the pods has no libraries for these GPUs, or spec.training.kernels asks for it',
    'give spec.template an image that has them (docs/gpu.md), or ask for devices that are used in spec.devices',
  ),
  LinksAsPlanned: reason('LinksAccurate', 'the links between devices are about as fast as the plan takes them to be'),
  LinkSlowerThanLabel: reason(
    'LinksAccurate',
    'messages on a link are over a fifth slower than the label, table or default says that the plan was made by; the message says which link, and status.links has all',
    'see what slows it down, or set the label that the message names: the next plan rests on it',
  ),
  LinkFasterThanLabel: reason(
    'LinksAccurate',
    'messages on a link are over a fifth faster than the plan takes them to be, and another plan may be better',
    'set the label that the message names',
  ),
  AsPredicted: reason('PredictionAccurate', 'iterations take about as long as the plan predicted'),
  SlowerThanPredicted: reason(
    'PredictionAccurate',
    'iterations take over a quarter longer than predicted; the message says what the time goes to',
    'see what the message blames: a device that others use too, or a link that is not as fast as its source says: set its label',
  ),
  FasterThanPredicted: reason(
    'PredictionAccurate',
    'iterations take over a quarter less than predicted: the numbers of devices or links are too low, and another plan may be better',
    'set the labels with the true speeds',
  ),
  MovesOff: reason(
    'MovePlanned',
    'the job stays where it is: spec.moves is not set, the job is in a queue, or only its pods can read its model',
    'set spec.moves to let it move to better nodes',
  ),
  NoBetterNodes: reason('MovePlanned', 'the free nodes are no better than those the job has'),
  SearchingNodes: reason('MovePlanned', 'other nodes may be better; a plan for them is being searched'),
  MoveSearchFailed: reason('MovePlanned', 'there is no plan for the other nodes; the job stays', 'see the message'),
  GainTooSmall: reason(
    'MovePlanned',
    'the time that a move would save, its cost included, is less than spec.moves.minGainPercent of what is left',
    'nothing, or lower spec.moves.minGainPercent',
  ),
  AwaitingCheckpoint: reason(
    'MovePlanned',
    'the job moves as soon as it has its next checkpoint; the message says where to, and what it gains',
    'nothing, or lower spec.checkpoint.everySteps',
  ),
  Moved: reason('MovePlanned', 'the job moved; the message says from where, where to, and what it gains'),
  Moving: reason('PodsReady', 'the pods were told to write a checkpoint and end; new ones start on better nodes'),
  SuspendRequested: reason(
    'Suspended',
    'spec.suspend is true: the job has no pods',
    'set spec.suspend to false to go on from the last checkpoint',
  ),
  NotSuspended: reason('Suspended', 'spec.suspend is false'),
  TrainingComplete: reason('Complete', 'the model is trained'),
  BackoffLimitExceeded: reason(
    'Failed',
    'more pods failed than spec.backoffLimit allows',
    'see the log of the pod that the message names; correct, delete, apply again',
  ),
  Diverged: reason(
    'Failed',
    'every step was trained, and the last loss is no number (exit code 65); another attempt would end alike, so there is none',
    'delete it; lower the learning rate; remove the folder of the last checkpoint to go on from one before; apply again',
  ),
  DeadlineExceeded: reason(
    'Failed',
    'the job took longer than spec.activeDeadlineSeconds',
    'raise it; the last checkpoint is kept',
  ),
};
