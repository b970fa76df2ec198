/** Every metric of a training process with its help text; docs/reference/metrics.md lists them, and a test holds it to this table. */
export const RUNTIME_METRICS = {
  soapstone_step: 'Training steps done.',
  soapstone_steps: 'Training steps of the whole job.',
  soapstone_loss: 'Mean loss of the last step.',
  soapstone_samples_per_second: 'Training throughput, smoothed over recent steps.',
  soapstone_evaluation_accuracy_ratio: 'Share of right answers in the last evaluation.',
  soapstone_checkpoint_step: 'Training steps in the newest checkpoint.',
  soapstone_checkpoint_seconds: 'How long writing the newest checkpoint took.',
  soapstone_startup_seconds: 'From the start of the worker to the end of its first step.',
  soapstone_predicted_iteration_seconds: "The plan's predicted iteration time.",
  soapstone_iteration_seconds: 'Time of a training iteration, by device.',
  soapstone_device_info: 'Always 1: the name, node and type of each device of this process in the plan.',
  soapstone_device_kernels_info: 'Always 1: what the kernels of a device run on: cpu, webgpu, cuda or reference.',
  soapstone_device_compute_seconds_total: 'Time in kernels in training passes, by device.',
  soapstone_device_wait_seconds_total: 'Time waiting for other devices in training passes, by device.',
  soapstone_device_collective_seconds_total:
    'Length of all sums of gradients that the device took part in, added up; they overlap with each other and with kernels.',
  soapstone_predicted_device_compute_seconds: "The plan's predicted time of a device in kernels, for one iteration.",
  soapstone_predicted_device_collective_seconds:
    "The plan's predicted length of the sums of gradients of a device, added up, for one iteration.",
  soapstone_farthest_op_seconds:
    'Time in an iteration of the op whose kernels part most from their prediction, by device: one series for each, of that op.',
  soapstone_farthest_op_predicted_seconds: "The plan's predicted time of the same op.",
  soapstone_sent_bytes_total: 'Tensor bytes sent to a peer (of at most 32 devices; of more, to all).',
  soapstone_received_bytes_total: 'Tensor bytes received from a peer (of at most 32 devices; of more, from all).',
  soapstone_peer_wait_seconds_total:
    'Time that messages of a peer were waited for, each by itself (of at most 32 devices; of more, of all).',
  soapstone_link_sent_bytes_total: 'Tensor bytes sent, those of evaluations too, by the class of the way they go.',
  soapstone_link_measured_bytes_per_second:
    'What the way from a device to a peer carried before the first step (of at most 30 peers of a device).',
  soapstone_link_planned_bytes_per_second: 'What the same way carries in the plan: its narrowest link.',
  soapstone_op_parts: 'Parts that the plan cuts an op into (of the 200 ops with most parts).',
  soapstone_op_degree: "Parts along one of an op's dimensions, where there are several (of the same ops).",
  soapstone_op_device_parts: 'Parts of an op that the plan puts on a device (at most 1,000 series, of the same ops).',
} as const;

/** One of them. */
export type RuntimeMetricName = keyof typeof RUNTIME_METRICS;
