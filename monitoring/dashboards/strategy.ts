import {
  DEVICE,
  JOB,
  linkRatio,
  maxBy,
  perIteration,
  quotient,
  rateBy,
  slowness,
  stragglers,
  WAY,
} from '../promql/queries.ts';
import { LINK_ERROR, STRAGGLER_RATIO } from '../promql/thresholds.ts';
import type { DashboardSpec } from './dashboard.ts';
import { JOB_FILTER, jobVariable, NAMESPACE_VARIABLE } from './dashboard.ts';
import type { PanelSpec, RowSpec } from './panels.ts';
import { matrix, mergedColumns } from './table-columns.ts';

const SCOPE = { filter: JOB_FILTER, window: '$__rate_interval' };
/** Two namespaces may have a job of the same name. */
const OF_JOB = '{{namespace}}/{{job_name}}';
const LEGEND = `${OF_JOB} device {{device}}`;
const PAIR = `${OF_JOB} {{device}} to {{peer}}`;

/** Pairs of devices of a job that a chart shows. */
const WORST = 10;

const compute = perIteration('soapstone_device_compute_seconds_total', SCOPE);
const wait = perIteration('soapstone_device_wait_seconds_total', SCOPE);
const iteration = perIteration('soapstone_iteration_seconds_sum', SCOPE);
const collective = perIteration('soapstone_device_collective_seconds_total', SCOPE);
const degrees = maxBy('namespace, op, dimension', 'soapstone_op_degree', SCOPE);
const parts = maxBy('namespace, op', 'soapstone_op_parts', SCOPE);
const placement = maxBy('namespace, op, device', 'soapstone_op_device_parts', SCOPE);
const iterations = rateBy(DEVICE, 'soapstone_iteration_seconds_count', SCOPE);

/** Of the devices of a job. */
const mean = (expr: string): string => `avg by (${JOB}) (${expr})`;

/** Rows of ops. Each is told apart by one label, so that the namespace goes into it: two may have a job of the same name. */
const rowsOfOps = (expr: string): string => `label_join(${expr}, "op", " ", "namespace", "op")`;

/** Lines of one query, one for each device. */
const byDevice = (title: string, description: string, expr: string, unit: string): PanelSpec => ({
  kind: 'lines',
  title,
  description,
  queries: [{ expr, legend: LEGEND }],
  unit,
});

const PLAN: RowSpec = {
  title: 'The plan',
  panels: [
    {
      kind: 'table',
      title: 'Degrees',
      description:
        'Into how many parts each op is cut, in all and along each of its dimensions; what is left empty is not cut. Of a large model, the 200 ops with most parts.',
      queries: [{ expr: rowsOfOps(`${degrees} or label_replace(${parts}, "dimension", "all", "", "")`) }],
      unit: 'short',
      width: 12,
      height: 12,
      transformations: matrix('op', 'dimension'),
    },
    {
      kind: 'table',
      title: 'Placement',
      description: 'How many parts of each op are on each device; the table of devices has their names.',
      queries: [{ expr: rowsOfOps(placement) }],
      unit: 'short',
      width: 12,
      height: 12,
      transformations: matrix('op', 'device'),
    },
    {
      kind: 'table',
      title: 'Devices',
      description:
        'Each device with its node, what its kernels run on, what an iteration takes it, and what the plan said. A device is a straggler whose last column is well above 1.',
      queries: [
        { expr: maxBy('namespace, device, name, node, type', 'soapstone_device_info', SCOPE) },
        { expr: maxBy('namespace, device', 'soapstone_predicted_device_compute_seconds', SCOPE) },
        { expr: `max by (namespace, device) (${compute})` },
        { expr: `max by (namespace, device) (${wait})` },
        { expr: `max by (namespace, device) (${stragglers(SCOPE)})` },
        { expr: maxBy('namespace, device, kernels', 'soapstone_device_kernels_info', SCOPE) },
      ],
      unit: 'short',
      transformations: mergedColumns(
        {
          namespace: 'Namespace',
          device: 'Device',
          name: 'Name',
          node: 'Node',
          type: 'Type',
          kernels: 'Kernels',
          'Value #B': 'Predicted compute',
          'Value #C': 'Compute',
          'Value #D': 'Wait',
          'Value #E': 'Times as slow as the median',
        },
        ['Value #A', 'Value #F'],
      ),
      columnUnits: { 'Predicted compute': 's', Compute: 's', Wait: 's' },
    },
  ],
};

const TIME: RowSpec = {
  title: 'Where time goes',
  panels: [
    {
      kind: 'lines',
      title: 'One iteration',
      description:
        'What the mean device does in an iteration, each line on top of the one before: kernels, then waiting for others, then the rest (loading a batch, packing what is sent) up to the whole iteration.',
      queries: [
        { expr: mean(compute), legend: `${OF_JOB} compute` },
        { expr: `${mean(compute)} + ${mean(wait)}`, legend: `${OF_JOB} compute and wait` },
        { expr: mean(iteration), legend: `${OF_JOB} whole` },
      ],
      unit: 's',
    },
    {
      ...byDevice(
        'Stragglers',
        `How many times as slow a device is as the median one, each held against its share of the work in the plan. The alert SoapstoneStraggler fires above ${STRAGGLER_RATIO}.`,
        stragglers(SCOPE),
        'short',
      ),
      redFrom: STRAGGLER_RATIO,
    },
    byDevice('Compute', 'Time in kernels in an iteration.', compute, 's'),
    byDevice(
      'Wait',
      'Time in an iteration in which a device waits for others. The one that waits least is the one that all wait for.',
      wait,
      's',
    ),
    byDevice(
      'Compute, measured over predicted',
      '100 % where kernels take as long as the plan said. All devices off alike: the numbers of the device type are wrong; one off alone: that device is slow.',
      slowness(SCOPE),
      'percentunit',
    ),
    {
      kind: 'lines',
      title: 'Collectives',
      description:
        'Lengths of all sums of gradients of an iteration added up, for the mean device; they overlap with each other and with kernels, so that they may come to more than the iteration.',
      queries: [
        { expr: mean(collective), legend: `${OF_JOB} measured` },
        {
          expr: mean(maxBy(DEVICE, 'soapstone_predicted_device_collective_seconds', SCOPE)),
          legend: `${OF_JOB} predicted`,
        },
      ],
      unit: 's',
    },
  ],
};

const perPair = (name: string): string =>
  quotient(rateBy(WAY, name, SCOPE), iterations, `on (${DEVICE}) group_left ()`);

const LINKS: RowSpec = {
  title: 'Links',
  panels: [
    {
      kind: 'lines',
      title: 'Bytes by class of link',
      description:
        'What devices send in a second, by whether it stays within a node and by the bandwidth that the plan has for the way. A class that sends nearly as much as it can carry is the bottleneck.',
      queries: [
        { expr: rateBy(`${JOB}, link`, 'soapstone_link_sent_bytes_total', SCOPE), legend: `${OF_JOB} {{link}}` },
      ],
      unit: 'Bps',
    },
    {
      kind: 'lines',
      title: 'Bytes of an iteration by class of link',
      description: 'The same in one iteration: what the plan makes devices tell each other.',
      queries: [
        {
          expr: quotient(
            rateBy(`${JOB}, link`, 'soapstone_link_sent_bytes_total', SCOPE),
            `max by (${JOB}) (${iterations})`,
            `on (${JOB}) group_left ()`,
          ),
          legend: `${OF_JOB} {{link}}`,
        },
      ],
      unit: 'bytes',
    },
    {
      kind: 'lines',
      title: 'Busiest pairs of devices',
      description: `What the ${WORST} pairs of devices that talk most send in a second.`,
      queries: [
        {
          expr: `topk by (${JOB}) (${WORST}, ${rateBy(WAY, 'soapstone_sent_bytes_total', SCOPE)})`,
          legend: PAIR,
        },
      ],
      unit: 'Bps',
    },
    {
      kind: 'lines',
      title: 'Longest waited for',
      description: `How long a device waits for messages of another in an iteration, each message by itself, of the ${WORST} worst pairs. One peer that all wait for is a straggler; two devices that wait for each other longer than all others have a slow link between them.`,
      queries: [
        {
          expr: `topk by (${JOB}) (${WORST}, ${perPair('soapstone_peer_wait_seconds_total')})`,
          legend: `${OF_JOB} {{device}} for {{peer}}`,
        },
      ],
      unit: 's',
    },
    {
      kind: 'lines',
      title: 'Slowest links against their labels',
      description: `What the ways between devices carried before the first step, over what the plan takes them to carry; of the ${WORST} worst. Below ${100 * (1 - LINK_ERROR)} % the alert SoapstoneLinkSlow fires.`,
      queries: [{ expr: `bottomk by (${JOB}) (${WORST}, ${linkRatio(SCOPE)})`, legend: PAIR }],
      unit: 'percentunit',
      redBelow: 1 - LINK_ERROR,
    },
    {
      kind: 'lines',
      title: 'Fastest links against their labels',
      description: `The same of the ${WORST} fastest. Above ${100 * (1 + LINK_ERROR)} % the alert SoapstoneLinkFast tells that plans could use more than the labels say.`,
      queries: [{ expr: `topk by (${JOB}) (${WORST}, ${linkRatio(SCOPE)})`, legend: PAIR }],
      unit: 'percentunit',
      redFrom: 1 + LINK_ERROR,
    },
    {
      kind: 'table',
      title: 'Pairs of devices',
      description:
        'Bytes and waiting of an iteration between each two devices, and what the way from the device to its peer carries: as measured before the first step, and as planned.',
      queries: [
        { expr: perPair('soapstone_sent_bytes_total') },
        { expr: perPair('soapstone_received_bytes_total') },
        { expr: perPair('soapstone_peer_wait_seconds_total') },
        { expr: maxBy(WAY, 'soapstone_link_measured_bytes_per_second', SCOPE) },
        { expr: maxBy(WAY, 'soapstone_link_planned_bytes_per_second', SCOPE) },
        { expr: linkRatio(SCOPE) },
      ],
      unit: 'bytes',
      transformations: mergedColumns({
        namespace: 'Namespace',
        job_name: 'Job',
        device: 'Device',
        peer: 'Peer',
        'Value #A': 'Sent',
        'Value #B': 'Received',
        'Value #C': 'Waited for',
        'Value #D': 'Speed, measured',
        'Value #E': 'Speed, planned',
        'Value #F': 'Measured over planned',
      }),
      columnUnits: {
        'Waited for': 's',
        'Speed, measured': 'Bps',
        'Speed, planned': 'Bps',
        'Measured over planned': 'percentunit',
      },
    },
  ],
};

/** How a job is split, and what each device and link does. */
export const STRATEGY: DashboardSpec = {
  uid: 'soapstone-strategy',
  title: 'Soapstone / Strategy',
  description: 'How one job is split, what each device and link does, and which of them holds up the others.',
  variables: [NAMESPACE_VARIABLE, jobVariable(false)],
  rows: [PLAN, TIME, LINKS],
};
